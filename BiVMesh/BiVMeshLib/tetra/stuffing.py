"""Isosurface stuffing (Labelle and Shewchuk, SIGGRAPH 2007) of the myocardium, topology kept.

Lattice points near the surface are moved onto it (snapped), lattice edges that still cross it are cut. Points
are only snapped where that keeps the topology, so that no wall and no cavity can vanish; where snapped points
nevertheless touch, their snapping is undone.
"""

from dataclasses import dataclass, replace

import numpy as np

from BiVMeshLib.check.quality import shape_quality, signed_volumes
from BiVMeshLib.check.topology import boundary_faces, surface_defects
from BiVMeshLib.shape.field import Field

from .lattice import OFFSETS, Lattice
from .lattice_topology import flip_simple
from .materials import Materials

SNAP_LONG, SNAP_SHORT = 0.30, 0.50
"""Fractions of a long and a short lattice edge within which a cut point takes its end. In their paper 0.25 and 0.41,
which bound the dihedral angles. No short edge stays cut by these: cuts leave small tets, snapping few but flat ones."""
FLAT = 0.10
"""Shape quality of a tet below which its snapped corners are not snapped: the hill climb would not mend it."""
FORCED = 0.25
"""Level (in cube edges) given to lattice points whose side was repaired."""
PUSH = 0.3
"""Depth (in cube edges) to which points are pushed that may not be snapped."""
SQUEEZED = 0.05
"""Share of its volume that a lattice tet keeps when its corners are pushed, as from both sides of a thin wall."""
MAX_UNDO = 20
SIDE = np.array([1, 0, 2, 3])
"""Surface side (1 EPI, 2 ENDO_LV, 3 ENDO_RV, as in PATCHES) by the material beyond the surface."""


@dataclass(frozen=True)
class Stuffed:
    """Tetrahedra of the myocardium in the local frame.

    Attributes:
        points: float64 (N, 3).
        tets: int64 (M, 4), positive volume.
        side: int8 (N,) 0 inside the wall, 1 EPI, 2 ENDO_LV, 3 ENDO_RV.
        on_base: bool (N,) z is exactly 0.
        loose: bool (N,) surface points that do not lie on the field's zero level (repaired topology).
        undone: number of lattice points near the surface that could not be snapped.
    """

    points: np.ndarray
    tets: np.ndarray
    side: np.ndarray
    on_base: np.ndarray
    loose: np.ndarray
    undone: int = 0


@dataclass(frozen=True)
class Cuts:
    """Where lattice edges cross the surface.

    Attributes:
        inner, outer: int (C,) end in the muscle, end outside it.
        points: (C, 3); length: (C,) of the edge; share: (C,) of it between inner end and cut; long: bool (C,).
        loose: bool (C,) placed by repaired levels.
    """

    inner: np.ndarray
    outer: np.ndarray
    points: np.ndarray
    length: np.ndarray
    share: np.ndarray
    long: np.ndarray
    loose: np.ndarray


@dataclass(frozen=True)
class Snaps:
    """Lattice points that move onto the surface.

    Attributes:
        points: int (S,); places: (S, 3) where to; cuts: int (S,) the cut that each takes the place of.
        refused: int (R,) points that are as near but must stay, to keep the topology.
    """

    points: np.ndarray
    places: np.ndarray
    cuts: np.ndarray
    refused: np.ndarray


def stuff(lattice: Lattice, materials: Materials, myocardium: Field) -> Stuffed:
    """Fill the myocardium with tetrahedra; its surface has the topology of the lattice's materials.

    Points that are too near to the surface but must not be snapped, to keep the topology or since a tet would be flat,
    are pushed away from it instead.
    """
    level = _levels(lattice, materials, myocardium)
    tets = lattice.tets(materials.muscle)
    least = SQUEEZED * signed_volumes(lattice.points, tets)
    may_snap = np.ones(len(level), bool)
    cuts = find_cuts(lattice, level, materials, myocardium)
    for _ in range(MAX_UNDO):
        snaps = choose_snaps(lattice, materials.muscle, cuts, myocardium, may_snap)
        culprits, needed = snaps.refused, True
        if not len(culprits):
            mesh, origin = _assemble(lattice, materials, level, tets, cuts, snaps)
            culprits, needed = _to_undo(mesh, origin, snaps)
        if not len(culprits):
            break
        pushed, levels, no_room = _pushed(lattice, level, culprits, myocardium, tets, least)
        if no_room and not needed:
            break
        may_snap[culprits] = False
        lattice, level = pushed, levels
        cuts = _cut_again(cuts, lattice, level, culprits, myocardium)
    return replace(mesh, undone=int((~may_snap).sum()))


def _to_undo(mesh: Stuffed, origin: np.ndarray, snaps: Snaps) -> tuple[np.ndarray, bool]:
    """Lattice points whose snapping is to be undone, and whether it must be: those where the surface is no manifold.

    Where it is one, those of flat tets. ``origin`` (N,): lattice points of the mesh's nodes, -1 for cut points.
    """
    bad = surface_defects(boundary_faces(mesh.tets), len(mesh.points)).vertices
    if len(around := _lattice_points_near(mesh.tets, bad, origin)):
        return np.intersect1d(snaps.points, around), True
    flat = mesh.tets[shape_quality(mesh.points, mesh.tets) < FLAT]
    return np.intersect1d(snaps.points, origin[flat]), False


def _pushed(lattice, level, which, myocardium, tets, least) -> tuple[Lattice, np.ndarray, bool]:
    """Lattice with some points moved away from the surface, on their own side of it, base points in the plane.

    Points stay where a tet would be turned inside out: where its signed volume would fall below ``least`` (M,), of
    either sign. Whether there are such is returned last.
    """
    start = lattice.points[which]
    value, gradient = myocardium.with_gradient(start)
    gradient[lattice.on_base[which], 2] = 0.0
    slope = np.maximum((gradient**2).sum(1), 0.25)
    short = np.maximum(PUSH * lattice.edge - np.abs(value), 0.0) * np.sign(level[which])
    places = start + (short / slope)[:, None] * gradient
    places[:, 2] = np.minimum(places[:, 2], 0.0)
    after = myocardium(places)
    better = (np.abs(after) > np.abs(value)) & (np.sign(after) == np.sign(level[which])) & (value * after > 0)
    points, moved = lattice.points.copy(), np.zeros(len(level), bool)
    points[which[better]], moved[which[better]] = places[better], True
    while True:
        squeezed = tets[(signed_volumes(points, tets) - least) * np.sign(least) < 0]
        back = squeezed[moved[squeezed]]
        if not len(back):
            break
        points[back], moved[back] = lattice.points[back], False
    levels = level.copy()
    levels[which[better]] = np.where(moved[which[better]], after[better], level[which[better]])
    return replace(lattice, points=points), levels, bool(better.sum() > moved.sum())


def _levels(lattice, materials, myocardium) -> np.ndarray:
    """Field at the lattice points with the sign of their material."""
    level = myocardium(lattice.points)
    wrong = (level < 0) != materials.muscle
    level[wrong] = np.where(materials.muscle[wrong], -FORCED, FORCED) * lattice.edge
    tiny = 1e-6 * lattice.edge
    return np.where(materials.muscle, np.minimum(level, -tiny), np.maximum(level, tiny))


def find_cuts(lattice: Lattice, level: np.ndarray, materials: Materials, myocardium: Field) -> Cuts:
    """All lattice edges from muscle to elsewhere, cut at the zero level (regula falsi, kept within the edge)."""
    inner, outer, long = [], [], []
    muscle, padded = np.flatnonzero(materials.muscle), np.append(materials.muscle, True)
    for n in range(len(OFFSETS)):
        rows = muscle[lattice.real(n)[muscle]]
        other = lattice.neighbours[rows, n]
        crossing = ~padded[other]
        inner.append(rows[crossing])
        outer.append(other[crossing].astype(np.int64))
        long.append(np.full(int(crossing.sum()), n >= 8))
    inner, outer, long = (np.concatenate(part) for part in (inner, outer, long))
    return _cut(lattice, level, (inner, outer, long), myocardium)


def _cut(lattice: Lattice, level: np.ndarray, edges: tuple[np.ndarray, ...], myocardium: Field) -> Cuts:
    """Cuts of ``edges``: inner and outer ends (C,) and which are long (C,)."""
    inner, outer, long = edges
    start, step = lattice.points[inner], lattice.points[outer] - lattice.points[inner]
    loose = (myocardium(start) >= 0) | (myocardium(start + step) < 0)
    share = _roots(start, step, level[inner], level[outer], loose, myocardium)
    return Cuts(
        inner=inner,
        outer=outer,
        points=start + share[:, None] * step,
        length=np.linalg.norm(step, axis=1),
        share=share,
        long=long,
        loose=loose,
    )


def _cut_again(cuts: Cuts, lattice: Lattice, level: np.ndarray, moved: np.ndarray, myocardium: Field) -> Cuts:
    """The same edges cut once more where one of the ``moved`` lattice points is an end."""
    at = np.zeros(len(level), bool)
    at[moved] = True
    rows = np.flatnonzero(at[cuts.inner] | at[cuts.outer])
    new = _cut(lattice, level, (cuts.inner[rows], cuts.outer[rows], cuts.long[rows]), myocardium)
    changed = {name: getattr(cuts, name).copy() for name in ("points", "length", "share", "loose")}
    for name, values in changed.items():
        values[rows] = getattr(new, name)
    return replace(cuts, **changed)


def _roots(start, step, low, high, loose, myocardium) -> np.ndarray:
    """Share of each edge at which the field changes sign; linear where the levels were repaired."""
    a, b, fa, fb = np.zeros(len(low)), np.ones(len(low)), low.copy(), high.copy()
    rows = np.flatnonzero(~loose)
    for _ in range(5):
        middle = a[rows] + (b[rows] - a[rows]) * np.clip(fa[rows] / (fa[rows] - fb[rows]), 0.02, 0.98)
        value = myocardium(start[rows] + middle[:, None] * step[rows])
        inside = value < 0
        a[rows[inside]], fa[rows[inside]] = middle[inside], value[inside]
        b[rows[~inside]], fb[rows[~inside]] = middle[~inside], value[~inside]
    return a + (b - a) * fa / np.minimum(fa - fb, -1e-12)


def choose_snaps(lattice: Lattice, muscle: np.ndarray, cuts: Cuts, myocardium: Field, may_snap: np.ndarray) -> Snaps:
    """Lattice points that move onto the surface, where to, and by which cut.

    A base point stays in the base plane: it moves along a cut edge of the plane if it has a near one, and
    by Newton steps in the plane. Muscle points leave the muscle one after the other as simple points, and so
    do points beyond it: taken together, snapped points open no hole in a wall and fill no cavity.
    """
    reach = np.where(cuts.long, SNAP_LONG, SNAP_SHORT)
    number = np.arange(len(cuts.inner))
    ends = np.concatenate([cuts.inner, cuts.outer])
    share = np.concatenate([cuts.share, 1 - cuts.share])
    cut = np.concatenate([number, number])
    near = (share < reach[cut]) & may_snap[ends] & ~cuts.loose[cut]
    ends, cut, gap = ends[near], cut[near], (share * cuts.length[cut])[near]
    base = lattice.on_base
    leaves = base[ends] & ~(base[cuts.inner[cut]] & base[cuts.outer[cut]])
    order = np.lexsort((gap + 1e3 * leaves, ends))
    points, first = np.unique(ends[order], return_index=True)
    cut = cut[order][first]
    places = cuts.points[cut].copy()
    flat = base[points]
    places[flat, 2] = 0.0
    places[flat] = project(places[flat], myocardium, np.ones(int(flat.sum()), bool), steps=4)
    moved = np.linalg.norm(places - lattice.points[points], axis=1)
    good = ~flat | ((moved < 0.45 * lattice.edge) & (np.abs(myocardium(places)) < 0.05 * lattice.edge))
    keeps = _keep_topology(lattice, muscle, points[good], moved[good])
    return Snaps(
        points=points[good][keeps], places=places[good][keeps], cuts=cut[good][keeps], refused=points[good][~keeps]
    )


def _keep_topology(lattice, muscle, points, distance) -> np.ndarray:
    """bool (S,): points that can pass to the other side of the surface as simple points, nearest first."""
    other, priority = muscle.copy(), np.zeros(len(muscle))
    other[points] ^= True
    priority[points] = distance
    less = flip_simple(lattice, muscle, muscle & other, priority)
    more = flip_simple(lattice, muscle, muscle | other, priority)
    return np.where(muscle[points], ~less[points], more[points])


def project(points: np.ndarray, field: Field, in_plane: np.ndarray, steps: int = 3) -> np.ndarray:
    """Newton steps onto the zero level along the gradient, within the plane z = const where ``in_plane``."""
    for _ in range(steps):
        value, gradient = field.with_gradient(points)
        gradient[in_plane, 2] = 0.0
        points = points - (value / np.maximum((gradient**2).sum(1), 0.1))[:, None] * gradient
    return points


def slid(start: np.ndarray, points: np.ndarray, field: Field, in_plane: np.ndarray, steps: int = 3) -> np.ndarray:
    """``project`` of points (N, 3) that were at ``start`` near the surface; who crosses a narrow cavity stays there.

    Such a point comes to face the other way, with cavity between it and where it was: it has gone over to the other
    wall, and its triangles would pass through those there.
    """
    places = project(points, field, in_plane, steps)
    one, two = field.with_gradient(start)[1], field.with_gradient(places)[1]
    turned = np.flatnonzero(np.einsum("ij,ij->i", one, two) < 0.0)
    over = turned[field(0.5 * (start[turned] + places[turned])) > 0.0]
    places[over] = start[over]
    return places


def _assemble(lattice, materials, level, tets, cuts, snaps: Snaps) -> tuple[Stuffed, np.ndarray]:
    """Mesh for a choice of snaps, and for each node its lattice point (-1 for cut points)."""
    count = len(lattice.points)
    points, sign = lattice.points.copy(), np.sign(level).astype(np.int8)
    side, loose = np.zeros(count, np.int8), np.zeros(count, bool)
    points[snaps.points], sign[snaps.points] = snaps.places, 0
    side[snaps.points] = SIDE[materials.of[cuts.outer[snaps.cuts]]]
    live = (sign[cuts.inner] < 0) & (sign[cuts.outer] > 0)
    key = cuts.inner[live] * count + cuts.outer[live]
    order = np.argsort(key)
    key = key[order]

    def cut_point(a, b):
        return count + np.searchsorted(key, a * count + b)

    points = np.concatenate([points, cuts.points[live][order]])
    side = np.concatenate([side, SIDE[materials.of[cuts.outer[live]]][order].astype(np.int8)])
    loose = np.concatenate([loose, cuts.loose[live][order]])
    on_base = np.append(lattice.on_base, (lattice.on_base[cuts.inner] & lattice.on_base[cuts.outer])[live][order])
    tets = positive(points, stencils(points, tets, sign, cut_point))
    used, tets = np.unique(tets, return_inverse=True)
    points = points[used]
    points[on_base[used], 2] = 0.0
    mesh = Stuffed(points=points, tets=tets.reshape(-1, 4), side=side[used], on_base=on_base[used], loose=loose[used])
    return mesh, np.where(used < count, used, -1)


def stencils(points: np.ndarray, tets: np.ndarray, sign: np.ndarray, cut_point) -> np.ndarray:
    """The part of each lattice tet within the surface, as tets (any orientation).

    Corners are sorted by sign and number; every quadrilateral face is cut from its lower inner corner, so
    that neighbours agree.
    """
    state = sign[tets].astype(np.int64)
    order = np.argsort(state * (2 * len(sign)) + tets, axis=1)
    q = np.take_along_axis(tets, order, axis=1)
    inner, outer = (state < 0).sum(1), (state > 0).sum(1)

    def rows(n_inner, n_outer):
        return q[(inner == n_inner) & (outer == n_outer)].T

    out = [q[(inner > 0) & (outer == 0)].T]
    a, o, p, r = rows(1, 3)
    out.append((a, cut_point(a, o), cut_point(a, p), cut_point(a, r)))
    a, z, o, p = rows(1, 2)
    out.append((a, z, cut_point(a, o), cut_point(a, p)))
    a, y, z, o = rows(1, 1)
    out.append((a, y, z, cut_point(a, o)))
    a, b, z, o = rows(2, 1)
    ao, bo = cut_point(a, o), cut_point(b, o)
    out += [(a, b, bo, z), (a, bo, ao, z)]
    a, b, c, o = rows(3, 1)
    ao, bo, co = cut_point(a, o), cut_point(b, o), cut_point(c, o)
    out += [(a, ao, bo, co), (a, b, bo, co), (a, b, c, co)]
    a, b, o, p = rows(2, 2)
    ao, ap, bo, bp = cut_point(a, o), cut_point(a, p), cut_point(b, o), cut_point(b, p)
    short = np.linalg.norm(points[ao] - points[bp], axis=1) < np.linalg.norm(points[ap] - points[bo], axis=1)
    out += [(a, b, bo, bp), (a, ao, ap, np.where(short, bp, bo)), (a, np.where(short, ao, ap), bo, bp)]
    return np.concatenate([np.stack(part, axis=1) for part in out])


def positive(points: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """Tets with two corners exchanged where their volume is negative."""
    a, b, c, d = (points[tets[:, i]] for i in range(4))
    negative = np.einsum("ij,ij->i", np.cross(b - a, c - a), d - a) < 0
    tets[negative] = tets[negative][:, [0, 2, 1, 3]]
    return tets


def _lattice_points_near(tets, nodes, origin) -> np.ndarray:
    """Lattice points among ``nodes`` and, for cut points, those that share a tet with them."""
    if not len(nodes):
        return np.zeros(0, np.int64)
    direct = origin[nodes]
    lonely = nodes[direct < 0]
    around = np.unique(tets[np.isin(tets, lonely).any(1)]) if len(lonely) else np.zeros(0, np.int64)
    found = np.concatenate([direct, origin[around]])
    return np.unique(found[found >= 0])
