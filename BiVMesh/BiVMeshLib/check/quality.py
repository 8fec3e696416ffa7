"""Measures of a tetrahedral mesh, its quality report and the gate that a mesh must pass."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import PATCHES, REGIONS, BiVMesh
from CardiacLib.types.mesh_criteria import criteria_for
from CardiacLib.types.mesh_options import MeshOptions
from CardiacLib.types.mesh_quality import MeshQuality, MeshShape, MeshTopology, MeshVolumes

from . import topology
from .intersections import self_intersections

EDGES = np.array([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)])
BLOCK = 8192
"""Tets that are measured at once: what is between fits into a processor's own memory."""
OPPOSITE = np.array([(2, 3), (1, 3), (1, 2), (0, 3), (0, 2), (0, 1)])
"""Faces (by their opposite corner) that meet at each edge of EDGES."""


class MeshError(InputError):
    """No mesh that passes the gate could be built; the message is one sentence."""


def _across(points) -> np.ndarray:
    """Points (N, 3) as a contiguous (3, N) array: sums over axes of length 3 or 4 are slow in numpy."""
    return np.ascontiguousarray(np.asarray(points).T)


def _edge_vectors(across, tets) -> list[np.ndarray]:
    """Six (3, M) arrays in the order of EDGES, of points (3, N)."""
    corner = [across.take(tets[:, n], axis=1) for n in range(4)]
    return [corner[j] - corner[i] for i, j in EDGES]


def _in_blocks(measure: Callable[[np.ndarray, np.ndarray], np.ndarray], points, tets, rows: int = 0) -> np.ndarray:
    """(M,) or (``rows``, M) a measure of points (3, N) and tets, taken of BLOCK tets at a time."""
    across, found = _across(points), np.empty((rows, len(tets)) if rows else len(tets))
    for first in range(0, len(tets), BLOCK):
        found[..., first : first + BLOCK] = measure(across, tets[first : first + BLOCK])
    return found


def _dot(a, b) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a, b) -> np.ndarray:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def _lengths(vectors) -> list[np.ndarray]:
    return [np.sqrt(_dot(v, v)) for v in vectors]


def _scaled_jacobian(length, six_volume) -> np.ndarray:
    longest = length[0] * length[1] * length[2]
    for one, two, three in ((0, 3, 4), (1, 3, 5), (2, 4, 5)):
        np.maximum(longest, length[one] * length[two] * length[three], out=longest)
    return np.sqrt(2.0) * six_volume / np.maximum(longest, 1e-30)


def signed_volumes(points: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M,) mm^3, positive for the node order of VTK and Gmsh."""
    return _in_blocks(_volumes, points, tets)


def _volumes(across, tets) -> np.ndarray:
    a, b, c, d = (across.take(tets[:, n], axis=1) for n in range(4))
    return _dot(_cross(b - a, c - a), d - a) / 6.0


def scaled_jacobian(points: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M,) scaled Jacobian of each tet as in Verdict: 1 for a regular tet, <= 0 inverted."""
    return _in_blocks(_jacobians, points, tets)


def _jacobians(across, tets) -> np.ndarray:
    edge = _edge_vectors(across, tets)
    return _scaled_jacobian(_lengths(edge), _dot(_cross(edge[0], edge[1]), edge[2]))


def _face_normals(edge) -> list[np.ndarray]:
    """Four (3, M) outward normals, as long as twice the faces' areas; number n lies opposite corner n."""
    return [_cross(edge[3], edge[4]), _cross(edge[2], edge[1]), _cross(edge[0], edge[2]), _cross(edge[1], edge[0])]


def shape_quality(points: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M,) what the optimisation raises: the lesser of scaled Jacobian and smallest sine of a dihedral angle.

    The sine at an edge is 3 V l / (2 A1 A2) with the areas of its two faces; negative in an inverted tet.
    """
    return _in_blocks(_qualities, points, tets)


def _qualities(across, tets) -> np.ndarray:
    edge = _edge_vectors(across, tets)
    length, normals = _lengths(edge), _face_normals(edge)
    six_volume, area = -_dot(normals[3], edge[2]), _lengths(normals)
    worst = _scaled_jacobian(length, six_volume)
    for number, (one, two) in enumerate(OPPOSITE):
        np.minimum(worst, six_volume * length[number] / np.maximum(area[one] * area[two], 1e-30), out=worst)
    return worst


def dihedral_angles(points: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M, 6) dihedral angles in degrees."""
    return np.ascontiguousarray(_degrees(_in_blocks(_cosines, points, tets, 6)).T)


def _cosines(across, tets) -> np.ndarray:
    """(6, M) cosines of the angles between the outward normals of the faces that meet at each edge."""
    return np.stack(_cosines_between(_face_normals(_edge_vectors(across, tets))))


def _cosines_between(normals) -> list[np.ndarray]:
    unit = [normal / np.maximum(size, 1e-30) for normal, size in zip(normals, _lengths(normals), strict=True)]
    return [np.clip(_dot(unit[one], unit[two]), -1.0, 1.0) for one, two in OPPOSITE]


def _degrees(cosines: np.ndarray) -> np.ndarray:
    """Dihedral angles of cosines between outward normals."""
    return 180.0 - np.degrees(np.arccos(cosines))


def _shapes(across, tets) -> np.ndarray:
    """(7, M): volume, scaled Jacobian, least and greatest of ``_cosines``, shortest and longest edge, sum of edges."""
    edge = _edge_vectors(across, tets)
    length, normals = _lengths(edge), _face_normals(edge)
    six_volume, cosines = -_dot(normals[3], edge[2]), _cosines_between(normals)
    ends = [of.reduce(values) for values in (cosines, length) for of in (np.minimum, np.maximum)]
    return np.stack([six_volume / 6.0, _scaled_jacobian(length, six_volume), *ends, sum(length)])


def measure(mesh: BiVMesh) -> MeshQuality:
    """The quality report as far as the mesh alone gives it: counts, topology, element shape, sizes and volumes.

    Works on any BiVMesh; volumes of the pools need a plane base (they are those under it).
    """
    return MeshQuality(
        nodes=len(mesh.nodes),
        tets=len(mesh.tets),
        triangles=len(mesh.triangles),
        topology=measure_topology(mesh),
        shape=measure_shape(mesh),
        volumes=measure_volumes(mesh),
    )


def measure_topology(mesh: BiVMesh) -> MeshTopology:
    """How surface and elements hang together."""
    defects = topology.surface_defects(mesh.triangles, len(mesh.nodes))
    names = [name for name in PATCHES if (mesh.patches == PATCHES[name]).any()]
    on = {name: np.isin(np.arange(len(mesh.nodes)), mesh.patch(name)) for name in names}
    walls = [name for name in names if name != "BASE"]
    return MeshTopology(
        open_edges=defects.open_edges,
        nonmanifold_edges=defects.nonmanifold_edges,
        nonmanifold_vertices=defects.nonmanifold_vertices,
        self_intersections=len(self_intersections(mesh.nodes, mesh.triangles)),
        components=topology.component_count(mesh.triangles),
        euler=topology.euler(mesh.triangles),
        patch_euler={name: topology.euler(mesh.patch(name)) for name in names},
        patch_components={name: topology.component_count(mesh.patch(name)) for name in names},
        patch_triangles={name: len(mesh.patch(name)) for name in names},
        region_tets={name: int((mesh.regions == n).sum()) for name, n in REGIONS.items()},
        nodes_on_two_walls=sum(int((on[a] & on[b]).sum()) for n, a in enumerate(walls) for b in walls[n + 1 :]),
        unused_nodes=len(mesh.nodes) - len(np.unique(mesh.tets)),
        zero_gradient_tets=sum(int(topology.with_all(on[name], mesh.tets).sum()) for name in names),
        epi_to_endo_rv_edges=_edges_through_the_rv_wall(mesh, on) if "ENDO_RV" in on else 0,
    )


def _edges_through_the_rv_wall(mesh: BiVMesh, on: dict[str, np.ndarray]) -> int:
    """Edges from EPI to ENDO_RV, those of the base left out; ``on``: bool (N,) nodes of each patch."""
    one, two = on["EPI"] & ~on["BASE"], on["ENDO_RV"] & ~on["BASE"]
    near = mesh.tets[topology.with_any(one, mesh.tets) & topology.with_any(two, mesh.tets)].astype(np.int64)
    ends = np.sort(near[:, EDGES].reshape(-1, 2), axis=1)
    joins = ends[(one[ends[:, 0]] & two[ends[:, 1]]) | (two[ends[:, 0]] & one[ends[:, 1]])]
    return len(np.unique(joins[:, 0] * len(mesh.nodes) + joins[:, 1]))


def measure_shape(mesh: BiVMesh) -> MeshShape:
    """The elements' shape and size."""
    volume, jacobian, low, high, shortest, longest, edges = _in_blocks(_shapes, mesh.nodes, mesh.tets, 7)
    least = _degrees(low)
    p1, p5 = np.percentile(jacobian, [1, 5])
    return MeshShape(
        inverted_tets=int((volume <= 0).sum()),
        min_dihedral_deg=float(least.min()),
        max_dihedral_deg=float(_degrees(high).max()),
        tets_below_10_deg=int((least < 10).sum()),
        scaled_jacobian_min=float(jacobian.min()),
        scaled_jacobian_p1=float(p1),
        scaled_jacobian_p5=float(p5),
        scaled_jacobian_mean=float(jacobian.mean()),
        edge_mm_mean=float(edges.mean()) / 6.0,
        edge_mm_min=float(shortest.min()),
        edge_mm_max=float(longest.max()),
    )


def measure_volumes(mesh: BiVMesh) -> MeshVolumes:
    """Volumes, those of the pools up to the base, and the flatness of the base."""
    volumes = signed_volumes(mesh.nodes, mesh.tets)
    rv_wall = mesh.regions == REGIONS["RV_WALL"]
    base = mesh.nodes[mesh.patch("BASE")]
    normal = np.cross(base[:, 1] - base[:, 0], base[:, 2] - base[:, 0]).sum(0)
    normal /= np.linalg.norm(normal)
    origin = base.reshape(-1, 3).mean(0)
    return MeshVolumes(
        base_flatness_mm=float(np.abs((base.reshape(-1, 3) - origin) @ normal).max()),
        myocardium_ml=float(volumes.sum() / 1000),
        lv_myocardium_ml=float(volumes[~rv_wall].sum() / 1000),
        rv_wall_ml=float(volumes[rv_wall].sum() / 1000),
        lv_pool_ml=_pool_ml(mesh, "ENDO_LV", origin),
        rv_pool_ml=_pool_ml(mesh, "ENDO_RV", origin),
    )


def _pool_ml(mesh: BiVMesh, patch: str, origin: np.ndarray) -> float | None:
    """Volume between a patch and the plane of its rim, in which ``origin`` lies; None for a patch that is not there."""
    if not len(mesh.patch(patch)):
        return None
    a, b, c = (mesh.nodes[mesh.patch(patch)[:, i]] - origin for i in range(3))
    return float(abs(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6) / 1000)


def failures(quality: MeshQuality, options: MeshOptions) -> list[str]:
    """What keeps a mesh from passing the gate, in words; empty if it passes.

    The shape of elements that were not optimised is not asked for.
    """
    limits = {"min_dihedral_deg": options.min_dihedral_deg, "scaled_jacobian_min": options.min_scaled_jacobian}
    measures = quality.measures()
    asked = [c for c in criteria_for("ENDO_RV" in quality.topology.patch_euler) if c.gate]
    if options.optimise:
        asked = [replace(c, low=limits[c.name]) if c.name in limits else c for c in asked]
    else:
        asked = [c for c in asked if c.name not in limits]
    return [text for c in asked if (text := c.miss(measures[c.name]))]


BETTER = 0.02
"""A rise of the worst element's quality by less than this is no improvement."""


@dataclass(frozen=True)
class Failed:
    """Why a mesh does not pass the gate.

    Attributes:
        problems: one phrase each, which starts with the criterion's name.
        worst: shape quality of the worst element.
        place: (3,) its centroid, LPS mm.
    """

    problems: tuple[str, ...]
    worst: float
    place: np.ndarray

    def __str__(self) -> str:
        return "; ".join(self.problems)

    def no_better_than(self, last: "Failed", reach: float) -> bool:
        """The same criteria failed, within ``reach`` mm of the same place, and the worst element is no better."""
        same = {p.split()[0] for p in self.problems} == {p.split()[0] for p in last.problems}
        near = float(np.linalg.norm(self.place - last.place)) < reach
        return same and near and self.worst < last.worst + BETTER


def gate(mesh: BiVMesh, options: MeshOptions) -> Failed | None:
    """What keeps a mesh from passing the gate; None if it passes."""
    problems = failures(mesh.quality or measure(mesh), options)
    if not problems:
        return None
    shape = shape_quality(mesh.nodes, mesh.tets)
    worst = int(shape.argmin())
    return Failed(problems=tuple(problems), worst=float(shape[worst]), place=mesh.nodes[mesh.tets[worst]].mean(0))
