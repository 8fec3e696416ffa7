"""Topology of sets of lattice points, and changes that keep it.

A point may enter or leave a set without changing the topology (it is simple) if its neighbours in the set are
connected in its link and so are those outside: on a sphere both are then discs (Bertrand and Malandain 1994 for
voxels; here the link is a triangulated sphere, so the test is exact). Sets are grown or shrunk only by simple points
(homotopic region growing), in the order of a priority, so that the place where a wrong handle is cut is its
thinnest one.
"""

from functools import cache

import numpy as np
import scipy

from .lattice import IN_PLANE, N_NEIGHBOURS, OFFSETS, Lattice, link_graph, neighbourhood

LEVELS = 16
AROUND = neighbourhood()
"""bool (3, 3, 3): a point and its neighbours in the lattice's sheared coordinates."""


@cache
def simple_codes() -> np.ndarray:
    """bool (2^14,): neighbourhoods in which a point is simple."""
    codes = np.arange(1 << N_NEIGHBOURS)
    full = (1 << N_NEIGHBOURS) - 1
    return _connected(codes) & _connected(full & ~codes)


def _connected(codes: np.ndarray) -> np.ndarray:
    """Whether the neighbours in each code are one connected, non-empty piece of the link."""
    masks = [int(sum(1 << int(n) for n in np.flatnonzero(row))) for row in link_graph()]
    piece = codes & -codes
    for _ in range(N_NEIGHBOURS):
        grown = piece.copy()
        for bit, mask in enumerate(masks):
            grown |= np.where((piece >> bit) & 1, mask, 0)
        piece = grown & codes
    return (codes > 0) & (piece == codes)


@cache
def _euler_table(in_plane: bool) -> np.ndarray:
    """int (2^14,): simplices of the lattice that have a point as first vertex, counted with sign, by its code."""
    order = OFFSETS @ np.array([100, 10, 1])
    later = [n for n in range(N_NEIGHBOURS) if order[n] > 0 and (IN_PLANE[n] or not in_plane)]
    graph = link_graph()
    simplices = [((n,), -1) for n in later]
    pairs = [(a, b) for a in later for b in later if a < b and graph[a, b]]
    simplices += [(pair, 1) for pair in pairs]
    simplices += [((a, b, c), -1) for a, b in pairs for c in later if c > b and graph[a, c] and graph[b, c]]
    codes = np.arange(1 << N_NEIGHBOURS)
    total = np.ones(len(codes), np.int64)
    for members, sign in simplices:
        mask = sum(1 << n for n in members)
        total += sign * ((codes & mask) == mask)
    return total


def euler_number(lattice: Lattice, state: np.ndarray, on_base: bool = False) -> int:
    """Euler number of the complex spanned by the points in ``state``, or of its section with the base plane."""
    which, padded = np.flatnonzero(state & lattice.on_base if on_base else state), np.append(state, False)
    code = np.zeros(len(which), np.int32)
    for bit in range(N_NEIGHBOURS):
        code |= (padded[lattice.neighbours[which, bit]] & lattice.real(bit)[which]).astype(np.int32) << bit
    return int(_euler_table(on_base)[code].sum())


def component_count(lattice: Lattice, state: np.ndarray, on_base: bool = False) -> int:
    """Connected pieces of the points in ``state``, or of those on the base connected within it."""
    place, shape = lattice.sheared
    grid = np.zeros(shape, bool)
    grid.ravel()[place] = state
    return scipy.ndimage.label(grid[-1], AROUND[1])[1] if on_base else scipy.ndimage.label(grid, AROUND)[1]


def is_half_ball(lattice: Lattice, state: np.ndarray) -> bool:
    """Whether a set is a ball whose section with the base plane is a disc."""
    return (
        component_count(lattice, state) == 1
        and component_count(lattice, ~state) == 1
        and component_count(lattice, state, on_base=True) == 1
        and euler_number(lattice, state) == 1
        and euler_number(lattice, state, on_base=True) == 1
    )


def flip_simple(lattice: Lattice, state: np.ndarray, wanted: np.ndarray, priority: np.ndarray) -> np.ndarray:
    """Move a set towards ``wanted`` by flipping simple points only.

    Args:
        state: bool (N,) start.
        wanted: bool (N,) target; points where it differs from ``state`` may flip, once.
        priority: (N,) points with small values flip first (in LEVELS steps).

    Returns:
        bool (N,): a set with the topology of ``state``.
    """
    padded = np.append(state, False)
    open_points = np.flatnonzero(state != wanted)
    if not len(open_points):
        return state.copy()
    colour, simple = lattice.colour, simple_codes()
    for level in np.quantile(priority[open_points], np.linspace(0, 1, LEVELS + 1)[1:]):
        todo = open_points[(priority[open_points] <= level) & (padded[open_points] != wanted[open_points])]
        classes = [todo[colour[todo] == c] for c in range(4)]
        flipped = True
        while flipped:
            flipped = False
            for c, points in enumerate(classes):
                can = simple[lattice.codes_at(points, padded)]
                if can.any():
                    padded[points[can]] = wanted[points[can]]
                    classes[c], flipped = points[~can], True
    return padded[:-1]
