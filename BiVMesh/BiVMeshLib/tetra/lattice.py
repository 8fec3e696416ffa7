"""A body-centred cubic lattice of tetrahedra with one of its {110} mirror planes on the base plane z = 0.

Lattice points have integer coordinates (u, s, d) with u + s + d even; their place is x = u a/2, y = d a/sqrt2,
z = s a/sqrt2 for the cube edge a. Each point has 14 neighbours, which are its link: a sphere cut into triangles.
Above the base the lattice is thought to go on as its own mirror image, so a base point has a full link too.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from BiVMeshLib.check.topology import with_any

OFFSETS = np.array(
    [(u, s, d) for u in (-1, 1) for s, d in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    + [(-2, 0, 0), (2, 0, 0)]
    + [(0, s, d) for s in (-1, 1) for d in (-1, 1)]
)
"""(14, 3) neighbours: 8 at distance a sqrt(3)/2, then 6 at distance a."""
N_NEIGHBOURS = len(OFFSETS)
LONG = np.arange(N_NEIGHBOURS) >= 8
IN_PLANE = OFFSETS[:, 1] == 0
MEAN_EDGE = 0.89
"""Measured mean edge of a stuffed and smoothed mesh over the cube edge a."""


def _neighbour_index() -> dict[tuple[int, int, int], int]:
    return {tuple(int(v) for v in o): n for n, o in enumerate(OFFSETS)}


@cache
def link_graph() -> np.ndarray:
    """bool (14, 14): which neighbours of a point are neighbours of each other."""
    known = _neighbour_index()
    return np.array([[tuple(int(v) for v in b - a) in known for b in OFFSETS] for a in OFFSETS])


@cache
def tet_patterns() -> tuple[tuple[int, int, int], ...]:
    """Tets at a centre point p (u odd) as neighbour numbers (e, o, q): p, p+e, p+o, p+q; each tet occurs once."""
    graph, patterns = link_graph(), []
    for e in (n for n in np.flatnonzero(LONG) if tuple(OFFSETS[n]) > (0, 0, 0)):
        ring = [n for n in np.flatnonzero(graph[e]) if not LONG[n]]
        patterns += [(int(e), o, q) for o in ring for q in ring if o < q and graph[o, q]]
    return tuple((e, int(o), int(q)) for e, o, q in patterns)


def sheared_index(index: np.ndarray) -> np.ndarray:
    """Coordinates (s, (s - u + d) / 2, (s - u - d) / 2) of lattice points (u, s, d), each in the last axis.

    Every place with whole numbers is a lattice point then, and no neighbour differs by more than 1 in any of them.
    """
    u, s, d = np.moveaxis(index, -1, 0)
    return np.stack([s, (s - u + d) // 2, (s - u - d) // 2], axis=-1)


def neighbourhood() -> np.ndarray:
    """bool (3, 3, 3): where a point, in the middle, and its 14 neighbours lie in sheared coordinates."""
    around = np.zeros((3, 3, 3), bool)
    around[tuple(1 + sheared_index(np.append(OFFSETS, [[0, 0, 0]], axis=0)).T)] = True
    return around


@dataclass(frozen=True)
class Lattice:
    """Lattice points at and below the base inside a box.

    Attributes:
        edge: cube edge a, mm.
        index: int (N, 3) integer coordinates (u, s, d), s <= 0.
        points: float64 (N, 3) mm.
        neighbours: int32 (N, 14) point numbers in the order of OFFSETS; N where there is none. Above the
            base the mirror image below it stands for the neighbour.
    """

    edge: float
    index: np.ndarray
    points: np.ndarray
    neighbours: np.ndarray

    @property
    def on_base(self) -> np.ndarray:
        """bool (N,)"""
        return self.index[:, 1] == 0

    @property
    def colour(self) -> np.ndarray:
        """(N,) 0..3; points of one colour are never neighbours."""
        return (self.index[:, 0] + 2 * self.index[:, 1]) % 4

    def real(self, neighbour: int) -> np.ndarray:
        """bool (N,): the neighbour exists and is not a mirror image."""
        return self._real[neighbour]

    @cached_property
    def _real(self) -> np.ndarray:
        """bool (14, N)"""
        below = self.index[:, 1]
        exists = [self.neighbours[:, n] < len(self.points) for n in range(N_NEIGHBOURS)]
        return np.stack([e & (below + o <= 0) for e, o in zip(exists, OFFSETS[:, 1], strict=True)])

    @cached_property
    def sheared(self) -> tuple[np.ndarray, tuple[int, int, int]]:
        """(N,) place of each point in an array of its sheared coordinates, and that array's shape; the base is last."""
        index = sheared_index(self.index)
        index -= index.min(0)
        shape = tuple(int(n) + 1 for n in index.max(0))
        return np.ravel_multi_index(tuple(index.T), shape), shape

    def codes(self, state: np.ndarray) -> np.ndarray:
        """(N,) 14-bit code: which neighbours have ``state``; points outside the box have not."""
        code, padded = np.zeros(len(state), np.int32), np.append(state, False)
        for bit in range(N_NEIGHBOURS):
            code |= padded[self.neighbours[:, bit]].astype(np.int32) << bit
        return code

    def codes_at(self, which: np.ndarray, padded: np.ndarray) -> np.ndarray:
        """Codes of some points for a state (N + 1,) whose last entry stands for the outside."""
        code = np.zeros(len(which), np.int32)
        for bit in range(N_NEIGHBOURS):
            code |= padded[self.neighbours[which, bit]].astype(np.int32) << bit
        return code

    def touching(self, state: np.ndarray) -> np.ndarray:
        """bool (N,): points with ``state`` and their neighbours."""
        return state | (self.codes(state) > 0)

    def tets(self, state: np.ndarray) -> np.ndarray:
        """(M, 4) all tets with at least one corner in ``state``."""
        centres = np.flatnonzero(self.touching(state) & (self.index[:, 0] % 2 == 1))
        exists = {n: self.real(n)[centres] for n in range(N_NEIGHBOURS)}
        found = []
        for pattern in tet_patterns():
            rows = centres[np.logical_and.reduce([exists[n] for n in pattern])]
            found.append(np.column_stack([rows, *(self.neighbours[rows, n] for n in pattern)]))
        tets = np.concatenate(found).astype(np.int64)
        return tets[with_any(state, tets)]


def make_lattice(low: np.ndarray, high: np.ndarray, edge: float) -> Lattice:
    """Lattice of cube edge ``edge`` that covers x and y of the box and z from low[2] to the base at 0."""
    step = np.array([edge / 2, edge * np.sqrt(0.5), edge * np.sqrt(0.5)])
    first = np.floor(np.array([low[0], low[2], low[1]]) / step).astype(int) - 1
    last = np.ceil(np.array([high[0], 0.0, high[1]]) / step).astype(int) + 1
    last[1] = 0
    shape = last - first + 1
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3) + first
    index = grid[grid.sum(1) % 2 == 0]
    number = np.full(shape + 4, len(index), np.int32)
    place = np.ravel_multi_index(tuple((index - first + 2).T), number.shape)
    number.ravel()[place] = np.arange(len(index))
    neighbours = np.empty((len(index), N_NEIGHBOURS), np.int32, order="F")  # read by column
    along_u, along_s = number.shape[1] * number.shape[2], number.shape[2]
    base = np.flatnonzero(index[:, 1] == 0)
    for n, (u, s, d) in enumerate(OFFSETS):
        neighbours[:, n] = number.ravel()[place + (u * along_u + s * along_s + d)]
        if s > 0:
            neighbours[base, n] = number.ravel()[place[base] + (u * along_u - s * along_s + d)]
    points = (index * step)[:, [0, 2, 1]]
    return Lattice(edge=edge, index=index, points=points, neighbours=neighbours)
