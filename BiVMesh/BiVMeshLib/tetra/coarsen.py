"""Fewer tetrahedra: edges are collapsed as long as shape, surface, topology and the layers of the wall allow it.

A fine stuffed mesh knows the topology of the heart; a coarse lattice does not see a thin wall. So a coarse mesh is made
from a fine one (edge collapse with guards, as in Hoppe 1996, doi 10.1145/237170.237216, for tetrahedra). A node goes
onto one of its neighbours: a node of a wall along its wall, a node of the base in the base, a node of a rim along the
rim. No edge comes to join two walls, so that two elements stay across even where the wall is thin, and elements there
stay as small as their shape needs.

Nodes that go in one round share no tet, so that each collapse is judged by itself.
"""

from dataclasses import dataclass, replace

import numpy as np

from BiVMeshLib.check.quality import shape_quality
from BiVMeshLib.check.topology import boundary_faces
from BiVMeshLib.shape.field import Field

from .minimise import even_out
from .stuffing import Stuffed

WORST = 0.26
"""Least shape quality of a tet that a collapse makes, unless the tets before were worse still.

The hill climb then raises such tets to the gate; with 0.24 that takes three times as long."""
OFF_SURFACE = 0.2
"""Share of its longest side by which the middle of a new wall triangle may lie off the surface."""
TURN = 0.6
"""Least cosine between a wall triangle's normal before and after."""
ROUNDS = 24
SETS = 8
"""Passes in which a round's independent set is filled up."""
EVEN_EVERY, EVEN_BELOW, EVEN_STEPS = 3, 0.4, 8
"""Rounds after which the tets below this shape quality are made more even, and in how many steps.

That makes room for more collapses. With 15 steps it takes twice as long, and the number of tets is the same within 5 %.
"""
SLOW = 0.95
"""Share of the tets that are left after these rounds, above which no more are tried."""
OTHERS = ((1, 2, 3), (0, 3, 2), (3, 0, 1), (2, 1, 0))
"""For each corner the other ones, in the order in which they come after it in a tet of the same orientation."""


@dataclass(frozen=True)
class Aim:
    """How coarse.

    Attributes:
        tets: number at which collapsing ends. longest_mm: no new edge is longer.
    """

    tets: int
    longest_mm: float


def coarsen(mesh: Stuffed, myocardium: Field, aim: Aim, seed: int = 0) -> Stuffed:
    """Collapse the shortest edges first until the aim is reached or no collapse is allowed any more."""
    work = _Work(mesh, myocardium, aim, seed)
    before = work.corners.shape[1]
    for n in range(ROUNDS):
        if work.corners.shape[1] <= aim.tets or not work.round():
            break
        if n % EVEN_EVERY == EVEN_EVERY - 1:
            if work.corners.shape[1] > SLOW * before:
                break
            before = work.corners.shape[1]
            work.even_out()
    return work.mesh()


class _Work:
    """A mesh that shrinks; nodes keep their numbers and places.

    Corners of tets are held as (4, M) and places as (3, N): what is worked on then lies in one piece.
    """

    def __init__(self, mesh: Stuffed, myocardium: Field, aim: Aim, seed: int):
        self.given, self.points, self.corners = mesh, mesh.points, np.ascontiguousarray(mesh.tets.T)
        self.side, self.on_base, self.field, self.aim = mesh.side, mesh.on_base, myocardium, aim
        self.faces = boundary_faces(mesh.tets)
        self.quality = shape_quality(self.points, self.corners.T)
        self.tried = np.zeros(len(mesh.points), np.int64)
        self.rng = np.random.default_rng(seed)

    def mesh(self) -> Stuffed:
        """What is left, its nodes numbered anew."""
        used, corners = self._used()
        given = self.given
        return replace(
            given,
            points=self.points[used],
            tets=np.ascontiguousarray(corners.T),
            side=given.side[used],
            on_base=given.on_base[used],
            loose=given.loose[used],
        )

    def _used(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes that are left, and the corners (4, M) as numbers among them."""
        left = np.zeros(len(self.points), bool)
        left[self.corners.ravel()] = True
        return np.flatnonzero(left), (np.cumsum(left) - 1)[self.corners]

    def even_out(self) -> None:
        """Move the nodes that are left to better places; what could not be collapsed is tried again."""
        used = self._used()[0]
        self.points = self.points.copy()
        self.points[used] = even_out(self.mesh(), self.field, EVEN_BELOW, WORST, EVEN_STEPS).points
        self.quality = shape_quality(self.points, self.corners.T)
        self.tried[:] = 0

    def round(self) -> bool:
        """Collapse one independent set of nodes; False once nothing is left to try."""
        away, onto = self._candidates()
        if not len(away):
            return False
        allowed = self._allowed(away, onto)
        self.tried[away[~allowed]] += 1
        away, onto = self._independent(away[allowed], onto[allowed])
        if len(away):
            self._collapse(away, onto)
        return True

    def _keys(self, cells: np.ndarray) -> np.ndarray:
        """(E,) sorted number of each edge of tets (4, M) or triangles (3, F): lower end times the nodes, plus upper."""
        one, two = np.triu_indices(len(cells), 1)
        low, high = np.minimum(cells[one], cells[two]), np.maximum(cells[one], cells[two])
        keys = np.sort((low.astype(np.int64) * len(self.points) + high).ravel())
        return keys[np.append(True, keys[1:] != keys[:-1])]

    def _candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes (C,) and where each would go: the shortest of its edges that its kind allows and that was not tried."""
        size = len(self.points)
        keys = self._keys(self.corners)
        low, high = np.divmod(keys, size)
        in_wall, in_base = np.zeros(len(keys), bool), np.zeros(len(keys), bool)
        base = self.on_base[self.faces].all(1)
        in_wall[np.searchsorted(keys, self._keys(self.faces[~base].T))] = True
        in_base[np.searchsorted(keys, self._keys(self.faces[base].T))] = True
        length = np.linalg.norm(self.points[low] - self.points[high], axis=1)
        rank = np.empty(len(keys), np.int64)
        rank[np.argsort(length)] = np.arange(len(keys))

        wall, ground, free = self.side > 0, self.on_base, ~(self.side > 0) & ~self.on_base
        along_wall, along_base = in_wall & (self.side[low] == self.side[high]), in_base
        along_rim = along_wall & in_base & ground[low] & ground[high]
        ordered = []
        for start in (low, high):
            ok = free[start] | np.where(wall[start], np.where(ground[start], along_rim, along_wall), along_base)
            ordered.append(start[ok] * len(keys) + rank[ok])
        start, place = np.divmod(np.sort(np.concatenate(ordered)), len(keys))
        first = np.flatnonzero(np.append(True, start[1:] != start[:-1]))
        nodes, count = start[first], np.diff(np.append(first, len(start)))
        left = self.tried[nodes] < count
        nodes, place = nodes[left], place[first[left] + self.tried[nodes[left]]]
        edge = np.empty(len(keys), np.int64)
        edge[rank] = np.arange(len(keys))
        edge = edge[place]
        short = length[edge] < 0.75 * self.aim.longest_mm
        self.tried[nodes[~short]] = size  # its other edges are longer still
        nodes, edge = nodes[short], edge[short]
        return nodes, low[edge] + high[edge] - nodes

    def _allowed(self, away: np.ndarray, onto: np.ndarray) -> np.ndarray:
        """bool (C,) whether each collapse, alone, keeps every guard."""
        stars = [self._kept(away, onto, corner) for corner in range(4)]
        bad = np.zeros(len(away), bool)
        for star in stars:
            bad[star.row[self._spoils(star, away, onto)]] = True
        worst = np.full(len(away), WORST)
        for star in stars:
            low = np.flatnonzero(self.quality[star.tet] < WORST)
            np.minimum.at(worst, star.row[low], self.quality[star.tet[low]])
        for star in stars:
            left = np.flatnonzero(~bad[star.row])
            row = star.row[left]
            after = shape_quality(self.points, np.stack([onto[row], *star.others[:, left]]).T)
            bad[row[after < worst[row]]] = True
        flat = np.flatnonzero(~bad & ((self.side[away] > 0) | self.on_base[away]))
        bad[flat] = ~self._surface_allowed(away[flat], onto[flat])
        return ~bad

    def _kept(self, away: np.ndarray, onto: np.ndarray, corner: int) -> "_Star":
        """Tets whose ``corner`` is one of ``away`` and that are not lost with it."""
        row = np.full(len(self.points), -1)
        row[away] = np.arange(len(away))
        row = row[self.corners[corner]]
        tet = np.flatnonzero(row >= 0)
        row = row[tet]
        others = self.corners[np.array(OTHERS[corner])[:, None], tet]
        end = onto[row]
        stays = np.flatnonzero((others[0] != end) & (others[1] != end) & (others[2] != end))
        return _Star(row[stays], tet[stays], others[:, stays])

    def _spoils(self, star: "_Star", away: np.ndarray, onto: np.ndarray) -> np.ndarray:
        """bool (P,) tets that would join two walls, lie in one wall or in the base, or reach too far."""
        own = self.side[onto]
        ends = np.ascontiguousarray(self.points[onto].T).take(star.row, axis=1)
        across = np.ascontiguousarray(self.points.T)
        far = np.zeros(len(star.row), bool)
        for other in star.others:
            far |= ((across.take(other, axis=1) - ends) ** 2).sum(0) > self.aim.longest_mm**2
        onto_wall = np.flatnonzero((own > 0)[star.row])
        row, others = star.row[onto_wall], star.others[:, onto_wall]
        sides = self.side[others]
        far[onto_wall] |= (sides == own[row]).all(0)
        # An edge may join two walls only where the node that goes was joined to the other wall itself.
        joins = (sides > 0) & (sides != own[row]) & ~(self.on_base[others] & self.on_base[onto][row])
        far[onto_wall] |= joins.any(0) & (self.side[away] != own)[row]
        onto_base = np.flatnonzero(self.on_base[onto][star.row])
        far[onto_base] |= self.on_base[star.others[:, onto_base]].all(0)
        return far

    def _surface_allowed(self, away: np.ndarray, onto: np.ndarray) -> np.ndarray:
        """bool (C,) of surface nodes: the surface stays a manifold and in its place, no triangle turns over."""
        faces = self.faces
        row = np.full(len(self.points), -1)
        row[away] = np.arange(len(away))
        owners = row[faces]
        triangle, corner = np.nonzero(owners >= 0)
        owner, star = owners[triangle, corner], faces[triangle]
        shared = (star == onto[owner][:, None]).any(1)
        good = np.bincount(owner[shared], minlength=len(away)) == 2
        good &= self._common_neighbours(away, onto) == 2
        kept = ~shared & good[owner]
        owner, before = owner[kept], star[kept]
        after = np.where(before == away[owner][:, None], onto[owner][:, None], before)
        one, two = (np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]) for p in (self.points[before], self.points[after]))
        cosine = np.einsum("ij,ij->i", one, two)
        spoilt = cosine < TURN * np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
        wall = np.flatnonzero(~spoilt & ~self.on_base[after].all(1))
        corners = self.points[after[wall]]
        size = np.sqrt(((corners - np.roll(corners, 1, axis=1)) ** 2).sum(2).max(1))
        middles = [corners.mean(1), *(0.5 * (corners[:, n] + corners[:, n - 1]) for n in range(3))]
        off = np.max([np.abs(self.field(place)) for place in middles], axis=0)
        was = np.abs(self.field(self.points[before[wall]].mean(1)))
        spoilt[wall] |= off > np.maximum(OFF_SURFACE * size, was)
        good[owner[spoilt]] = False
        return good

    def _common_neighbours(self, away: np.ndarray, onto: np.ndarray) -> np.ndarray:
        """(C,) number of surface nodes that are neighbours of both ends along the surface."""
        size = len(self.points)
        one_way = self._keys(self.faces.T)
        low, high = np.divmod(one_way, size)
        keys = np.sort(np.concatenate([one_way, high * size + low]))
        start = np.searchsorted(keys, away * size)
        count = np.searchsorted(keys, (away + 1) * size) - start
        owner = np.repeat(np.arange(len(away)), count)
        place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(start, count)
        neighbour = keys[place] % size
        wanted = onto[owner] * size + neighbour
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.bincount(owner[keys[at] == wanted], minlength=len(away))

    def _independent(self, away: np.ndarray, onto: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A large set of collapses whose nodes share no tet and do not go onto a node that goes too, shortest first.

        Local minima of length are taken, with their neighbours left out, and so again among the rest.
        """
        length = np.linalg.norm(self.points[away] - self.points[onto], axis=1)
        rank = np.full(len(self.points), np.inf)
        rank[away] = length * self.rng.uniform(0.9, 1.1, len(away))
        taken = np.zeros(len(self.points), bool)
        near = self.corners
        for _ in range(SETS):
            of_tet = rank[near]
            best = of_tet.min(0)
            some = np.flatnonzero(np.isfinite(best))
            near, of_tet, best = near[:, some], of_tet[:, some], best[some]
            lost = np.zeros(len(self.points), bool)
            for corner, value in zip(near, of_tet, strict=True):
                lost[corner[value > best]] = True
            won = np.isfinite(rank) & ~lost
            if not won.any():
                break
            taken |= won
            rank[near[:, won[near].any(0)]] = np.inf
        chosen = taken[away]
        return away[chosen], onto[chosen]

    def _collapse(self, away: np.ndarray, onto: np.ndarray) -> None:
        target, goes = np.arange(len(self.points)), np.zeros(len(self.points), bool)
        target[away], goes[away] = onto, True
        touched = goes[self.corners].any(0)
        changed = target[self.corners[:, touched]]
        self.tried[changed.ravel()] = 0
        ordered = np.sort(changed, axis=0)
        changed = changed[:, (ordered[1:] != ordered[:-1]).all(0)]
        self.corners = np.concatenate([self.corners[:, ~touched], changed], axis=1)
        self.quality = np.concatenate([self.quality[~touched], shape_quality(self.points, changed.T)])
        faces = target[self.faces]
        a, b, c = faces.T
        self.faces = faces[(a != b) & (b != c) & (c != a)]


@dataclass(frozen=True)
class _Star:
    """Tets round nodes that go: row of the node (P,), number of the tet (P,), its other corners (3, P) in order."""

    row: np.ndarray
    tet: np.ndarray
    others: np.ndarray
