"""One mesh follows a changing shape: the smoothest displacement that takes every wall onto its new surface.

The displacement minimises its Dirichlet energy over the tetrahedra while each surface node is held to its surface along
the surface's normal only. So nodes slide along the wall as the smoothness wants it: no tagging is needed to spread the
shortening of the long axis from base to apex, and none is known in the labels.
"""

from dataclasses import dataclass

import numpy as np
import scipy

from BiVMeshLib.anatomy.laplace import LinearElements, Pattern
from BiVMeshLib.check.quality import shape_quality, signed_volumes
from BiVMeshLib.prepare.frame import HeartFrame
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.heart_shape import Shape
from BiVMeshLib.tetra.minimise import Ways, evened
from BiVMeshLib.tetra.smoothing import put_back
from CardiacLib.types.bivmesh import PATCHES, BiVMesh

from .solver import Cubes, System

SMOOTHING = 2.0
"""mm. Weight of the Dirichlet energy of a step's displacement against the squared distances left on the surface:
a ripple of the surface is followed to 1 / (1 + SMOOTHING * 2 pi / wavelength) in each step."""
STRIDE = 3.0
"""mm of the shape's motion that are taken in one step, and most of any node's in one step along the normal."""
LANDING = 2
"""Steps on the final shape."""
MAX_STEPS = 12
FLOOR = 0.01
"""Quality (lesser of scaled Jacobian and sine of dihedral angle) that every tet keeps in a step: where a surface cannot
be followed so, as into a tip that closes, it is not reached. A higher floor locks whole regions."""
POOR = 0.06
"""Quality below which tets are made better in each frame, before the mesh follows the next one: what lies at the floor
could not move any more, and what moves round it would be torn into a spike."""
GAP, REACH = 0.5, 5.0
"""mm. Least distance of walls that face each other across a cavity; how far the other one is looked for."""
FACING, NEIGHBOURS = -0.5, 48
"""Cosine of the normals' angle below which walls face each other; nodes among which the other wall is looked for."""
OUTWARDS = {"EPI": 1.0, "ENDO_LV": -1.0, "ENDO_RV": -1.0}
"""Sign of the wall's outward normal against the gradient of its surface's distance field."""


@dataclass(frozen=True)
class Wall:
    """One patch of the surface: its nodes (S,), its triangles (F, 3) as numbers within them, its sign of OUTWARDS."""

    name: str
    nodes: np.ndarray
    triangles: np.ndarray
    sign: float

    def normals(self, points: np.ndarray, on_base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(S, 3) unit outward normals, within the base plane for nodes on it, and (S,) area in mm^2 of each node."""
        a, b, c = (points[self.nodes[self.triangles[:, n]]] for n in range(3))
        cross = np.cross(b - a, c - a) / 6.0
        corners = self.triangles.ravel()
        total = [np.bincount(corners, np.repeat(cross[:, k], 3), len(self.nodes)) for k in range(3)]
        normal = np.stack(total, axis=1)
        area = np.bincount(corners, np.repeat(np.linalg.norm(cross, axis=1), 3), len(self.nodes))
        normal[on_base[self.nodes], 2] = 0.0
        return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12), area


def walls_of(mesh: BiVMesh) -> list[Wall]:
    """EPI, ENDO_LV and, if there is one, ENDO_RV."""
    found = []
    for name, sign in OUTWARDS.items():
        if (mesh.patches == PATCHES[name]).any():
            nodes, local = np.unique(mesh.patch(name), return_inverse=True)
            found.append(Wall(name=name, nodes=nodes, triangles=local.reshape(-1, 3), sign=sign))
    return found


def facing_walls(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of a wall (S, 3) that face another part of it nearer than GAP or behind them, as in a cavity that closes.

    ``normals`` (S, 3) point out of the muscle. Returns their numbers (C,), and how far each is to draw back, mm.
    """
    rows = np.flatnonzero(_may_face(points, normals))
    if not len(rows):
        return rows, np.zeros(0)
    distance, near = scipy.spatial.cKDTree(points).query(points[rows], NEIGHBOURS, distance_upper_bound=REACH)
    there = np.minimum(near, len(points) - 1)
    facing = np.isfinite(distance) & (np.einsum("snk,sk->sn", normals[there], normals[rows]) < FACING)
    nearest = np.where(facing, distance, np.inf).argmin(1)
    other = points[there[np.arange(len(rows)), nearest]]
    gap = np.einsum("sk,sk->s", other - points[rows], normals[rows])
    close = np.flatnonzero(facing.any(1) & (gap < GAP))
    return rows[close], 0.5 * (GAP - gap[close])


def _may_face(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """bool (S,): what is left of the nodes without those that cannot face another one within REACH.

    Normals of each cube of REACH mm lie in a cone; those of two neighbouring cubes differ by no more than their cones.
    """
    place = np.floor(points / REACH).astype(np.int64)
    place += 1 - place.min(0)
    shape = place.max(0) + 2
    keys, cube = np.unique(np.ravel_multi_index(tuple(place.T), tuple(shape)), return_inverse=True)
    axis = np.stack([np.bincount(cube, normals[:, k]) for k in range(3)], axis=1)
    axis /= np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-12)
    least = np.ones(len(keys))
    np.minimum.at(least, cube, np.einsum("sk,sk->s", normals, axis[cube]))
    width, found = np.arccos(np.clip(least, -1.0, 1.0)), np.zeros(len(keys), bool)
    for step in np.ndindex(3, 3, 3):
        to = keys + ((step[0] - 1) * shape[1] + step[1] - 1) * shape[2] + step[2] - 1
        at = np.minimum(np.searchsorted(keys, to), len(keys) - 1)
        angle = np.arccos(np.clip(np.einsum("sk,sk->s", axis, axis[at]), -1.0, 1.0)) + width + width[at]
        found |= (keys[at] == to) & (angle > np.arccos(FACING) - 1e-6)
    return found[cube]


def surface_of(shape: Shape, name: str) -> Field:
    """The distance field whose zero level a patch follows."""
    return {"EPI": shape.outer, "ENDO_LV": shape.lv, "ENDO_RV": shape.rv}[name]


class Follower:
    """A mesh at one moment, ready to follow the shapes of other moments.

    All coordinates are local, with the base plane of each moment at z = 0.

    Attributes:
        points: (N, 3) the mesh at rest.
        on_base: bool (N,) nodes that stay in the base plane.
        walls: the patches that follow.
    """

    def __init__(self, mesh: BiVMesh, frame: HeartFrame, shape: Shape):
        """``frame`` and ``shape``: of the moment that the mesh was made of."""
        self.points, self.tets, self.triangles = frame.from_lps(mesh.nodes), mesh.tets, mesh.triangles
        self.volumes = signed_volumes(self.points, self.tets)
        self.pattern = Pattern(self.tets, len(self.points))
        self.on_base = np.isin(np.arange(len(mesh.nodes)), mesh.patch("BASE"))
        self.walls = walls_of(mesh)
        # A node keeps the small distance that it has from its own surface.
        self.level = {w.name: surface_of(shape, w.name)(self.points[w.nodes]) for w in self.walls}
        self.free = np.ones_like(self.points)
        self.free[self.on_base, 2] = 0.0
        self.cubes = Cubes(self.points, self.pattern.start, self.pattern.end)

    def follow(self, points: np.ndarray, before: Shape, after: Shape) -> np.ndarray:
        """(N, 3) places on the shape ``after`` of nodes that lie at ``points`` on ``before``.

        One shape turns into the other by blending their distance fields, so that no surface is farther than STRIDE from
        its nodes.
        """
        steps = int(np.clip(np.ceil(np.percentile(self.distances(points, after), 99) / STRIDE), 1, MAX_STEPS))
        inverse, floor = None, self.floor(points)
        for n in range(steps + LANDING - 1):
            system = self._system(points, before, after, min((n + 1) / steps, 1.0))
            inverse = self.cubes.inverse(system) if inverse is None else inverse
            moved = points + self.cubes.solve(system, inverse)
            points = put_back(points, moved, self.tets, floor, shape_quality)
            low = np.flatnonzero(floor < FLOOR)  # the others are above it, and stay so
            floor[low] = self.floor(points, low)
        return evened(points, self.tets, self.ways(points), POOR)

    def ways(self, points: np.ndarray) -> Ways:
        """Along which nodes may slide: those of the walls across their normals."""
        normal = np.zeros_like(points)
        for wall in self.walls:
            normal[wall.nodes] = wall.normals(points, self.on_base)[0]
        return Ways(normal, self.on_base, np.zeros(len(points), bool))

    def distances(self, points: np.ndarray, shape: Shape) -> np.ndarray:
        """(S,) mm by which the nodes of all walls miss their surfaces."""
        return np.concatenate([np.abs(self._miss(points, shape, shape, wall, 1.0)[0]) for wall in self.walls])

    def _miss(self, points, before: Shape, after: Shape, wall: Wall, share: float) -> tuple[np.ndarray, np.ndarray]:
        """(S,) distance of a wall's nodes to where the blend of both shapes has them, and (S, 3) its unit direction."""
        at = points[wall.nodes]
        value, gradient = surface_of(after, wall.name).with_gradient(at)
        if share < 1.0:
            rest, slope = surface_of(before, wall.name).with_gradient(at)
            value, gradient = rest + share * (value - rest), slope + share * (gradient - slope)
        gradient[self.on_base[wall.nodes], 2] = 0.0
        steep = np.linalg.norm(gradient, axis=1)
        return (value - self.level[wall.name]) / np.maximum(steep, 0.3), gradient / np.maximum(steep, 1e-6)[:, None]

    def _system(self, points: np.ndarray, before: Shape, after: Shape, share: float) -> System:
        """Of one Gauss-Newton step towards the blend.

        A node only heeds a surface that faces its own way: across a thin cavity the other wall may be the nearer one.
        Walls that come too near to each other there draw back by half each.
        """
        count = len(points)
        pull, load = np.zeros((count, 3, 3)), np.zeros((count, 3))
        for wall in self.walls:
            miss, direction = self._miss(points, before, after, wall, share)
            normal, area = wall.normals(points, self.on_base)
            agreement = np.maximum(wall.sign * np.einsum("ij,ij->i", normal, direction), 0.0)
            weight = area * agreement**2
            pull[wall.nodes] += weight[:, None, None] * direction[:, :, None] * direction[:, None, :]
            load[wall.nodes] -= (weight * np.clip(miss, -STRIDE, STRIDE))[:, None] * direction
            close, retreat = facing_walls(points[wall.nodes], normal)
            nodes, inwards = wall.nodes[close], normal[close]
            pull[nodes] += area[close, None, None] * inwards[:, :, None] * inwards[:, None, :]
            load[nodes] -= (area[close] * np.minimum(retreat, STRIDE))[:, None] * inwards
        return System(self._stiffness(points), pull, load, self.on_base)

    def _stiffness(self, points: np.ndarray) -> "scipy.sparse.csr_matrix":
        """Of the mesh as it is, with each tet's weight at rest: the flatter a tet already is, the less it gives."""
        elements = LinearElements.on(points, self.tets, self.pattern)
        return elements.stiffness(SMOOTHING * self.volumes / elements.volumes)

    def kept_good(self, points: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """``moved``, with the nodes of tets put back that would fall below FLOOR (and below what they are)."""
        return put_back(points, moved, self.tets, self.floor(points), shape_quality)

    def floor(self, points: np.ndarray, which: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Least quality that tets are to keep: FLOOR, or what they have at ``points`` where that is less."""
        return np.minimum(shape_quality(points, self.tets[which]), FLOOR)
