"""Blood pools as closed surfaces, for flow simulation: the endocardium and a flat lid in the base plane.

The lid of a mesh with valve rings has a cap for each valve and nodes of its own; without rings it is spanned by
triangles of the rim's nodes alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from BiVMeshLib.valves.lids import Lid, plain_lid
from BiVMeshLib.valves.openings import opening_of, plane_axes
from BiVMeshLib.valves.with_rings import LID_OF, LIDS, VENTRICLES, lids_of
from CardiacLib.types.bivmesh import PATCHES, VALVE_PATCHES, BiVMesh, ValveRing

POOLS = {"LV_POOL": "ENDO_LV", "RV_POOL": "ENDO_RV"}
"""Wall of each pool."""


@dataclass(frozen=True)
class ClosedPool:
    """The closed surface of one blood pool.

    Attributes:
        name: LV_POOL or RV_POOL. wall, lid: the names of its faces. valves: names of the caps that it has besides.
        nodes: float64 (N + E, 3) LPS mm, all nodes of the mesh, then those of the lid alone.
        triangles: int64 (F, 3) oriented out of the blood.
        faces: int32 (F,) id of PATCHES for the wall, of VALVE_PATCHES for the caps, of LIDS for the rest of the lid.
        cover: caps and lid, and how their own nodes move.
    """

    name: str
    wall: str
    lid: str
    valves: tuple[str, ...]
    nodes: np.ndarray
    triangles: np.ndarray
    faces: np.ndarray
    cover: Lid

    def ids(self) -> dict[str, int]:
        """Ids of the faces by name, as far as there are triangles of them."""
        names = {self.wall: PATCHES[self.wall], **{name: VALVE_PATCHES[name] for name in self.valves}}
        return names | ({self.lid: LIDS[self.lid]} if (self.faces == LIDS[self.lid]).any() else {})

    def volume_ml(self) -> float:
        """Enclosed volume, positive for triangles that point outwards."""
        a, b, c = (self.nodes[self.triangles[:, n]] - self.nodes[self.triangles[0, 0]] for n in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6000.0

    def moved(self, nodes: np.ndarray, rings: Sequence[ValveRing] | None = None) -> "ClosedPool":
        """The same surface for moved nodes (N, 3) of the mesh; its caps span the rings given, else go with the rim."""
        return replace(self, nodes=np.concatenate([nodes, self.cover.own(nodes, rings)]))


def closed_pools(mesh: BiVMesh) -> list[ClosedPool]:
    """The closed pool of each ventricle that the mesh has.

    The nodes of the wall are the mesh's own, so that flow and muscle meet without a gap. A flow mesher will remesh the
    lid.

    Raises:
        ValueError: a rim is not one closed line, which no mesh that passed the gate has.
    """
    lids, pools = lids_of(mesh) if mesh.rings else {}, []
    for name, wall in POOLS.items():
        endo, lid = mesh.patch(wall), LID_OF[wall]
        if not len(endo):
            continue
        inward = endo[:, ::-1]  # the mesh's triangles point out of the muscle, into the blood
        cover = lids[wall] if wall in lids else _plain_lid(mesh.nodes, endo, LIDS[lid])
        pool = ClosedPool(
            name=name,
            wall=wall,
            lid=lid,
            valves=tuple(valve for valve in VENTRICLES[wall] if (cover.faces == VALVE_PATCHES[valve]).any()),
            nodes=mesh.nodes,
            triangles=np.concatenate([inward, cover.numbered(len(mesh.nodes))]),
            faces=np.concatenate([np.full(len(inward), PATCHES[wall], np.int32), cover.faces]),
            cover=cover,
        )
        pools.append(pool.moved(mesh.nodes, mesh.rings))
    return pools


def _plain_lid(nodes: np.ndarray, endocardium: np.ndarray, number: int) -> Lid:
    """A lid of the rim's nodes alone."""
    opening = opening_of(nodes, endocardium)
    return plain_lid(opening, span(nodes[opening.line], np.arange(len(opening.line))), number)


def span(nodes: np.ndarray, line: np.ndarray) -> np.ndarray:
    """(R - 2, 3) triangles that fill a plane closed line of nodes, convex or not: the best-shaped ear first.

    The triangles run along the line. Ear clipping: a corner is an ear when it turns left and no other node of the line
    lies in its triangle.
    """
    flat = (nodes[line] - nodes[line].mean(0)) @ plane_axes(nodes[line])[:, :2]
    left, triangles = list(range(len(line))), []
    shapes = [_ear(flat, left, n) for n in left]
    while len(left) > 3:
        if max(shapes) <= 0:  # a corner may have become an ear since it was looked at
            shapes = [_ear(flat, left, n) for n in range(len(left))]
        best = int(np.argmax(shapes))
        triangles.append([left[best - 1], left[best], left[(best + 1) % len(left)]])
        del left[best], shapes[best]
        for n in (best - 1, best % len(left)):
            shapes[n] = _ear(flat, left, n)
    return line[np.array([*triangles, left])]


def _ear(flat: np.ndarray, left: list[int], n: int) -> float:
    """Shape of the triangle at a corner, 0 to 1 (twice its height over its longest side); -1 if it is no ear."""
    corner = flat[[left[n - 1], left[n], left[(n + 1) % len(left)]]]
    side = np.roll(corner, -1, axis=0) - corner
    double_area = _cross(side[0], side[1])
    if double_area <= 0:
        return -1.0
    others = flat[np.setdiff1d(left, [left[n - 1], left[n], left[(n + 1) % len(left)]])]
    inside = np.all([_cross(side[k], others - corner[k]) >= 0 for k in range(3)], axis=0)
    return -1.0 if inside.any() else double_area / float((side**2).sum(1).max())


def _cross(a: np.ndarray, b: np.ndarray):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
