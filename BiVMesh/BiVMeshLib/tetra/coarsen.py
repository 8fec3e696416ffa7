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

from .hill_climb import DONE
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
EVEN_EVERY, EVEN_BELOW = 3, 0.4
"""Rounds after which the tets below this shape quality are made more even, which makes room for more collapses."""
SLOW = 0.95
"""Share of the tets that are left after these rounds, above which no more are tried."""
READY, READY_ROUNDS = 0.40, 2
"""Shape quality below which tets are made more even at the end, and how often: the hill climb then has little to do."""


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
    before = len(work.tets)
    for n in range(ROUNDS):
        if len(work.tets) <= aim.tets or not work.round():
            break
        if n % EVEN_EVERY == EVEN_EVERY - 1:
            if len(work.tets) > SLOW * before:
                break
            before = len(work.tets)
            work.even_out()
    mesh = work.mesh()
    for _ in range(READY_ROUNDS):
        mesh = even_out(mesh, myocardium, READY, DONE)
    return mesh


class _Work:
    """A mesh that shrinks; nodes keep their numbers and places."""

    def __init__(self, mesh: Stuffed, myocardium: Field, aim: Aim, seed: int):
        self.given, self.points, self.tets = mesh, mesh.points, mesh.tets
        self.side, self.on_base, self.field, self.aim = mesh.side, mesh.on_base, myocardium, aim
        self.faces = boundary_faces(self.tets)
        self.tried = np.zeros(len(mesh.points), np.int64)
        self.rng = np.random.default_rng(seed)

    def mesh(self) -> Stuffed:
        """What is left, its nodes numbered anew."""
        used, tets = np.unique(self.tets, return_inverse=True)
        given = self.given
        return replace(
            given,
            points=self.points[used],
            tets=tets.reshape(-1, 4),
            side=given.side[used],
            on_base=given.on_base[used],
            loose=given.loose[used],
        )

    def even_out(self) -> None:
        """Move the nodes that are left to better places; what could not be collapsed is tried again."""
        used = np.unique(self.tets)
        self.points = self.points.copy()
        self.points[used] = even_out(self.mesh(), self.field, EVEN_BELOW, WORST).points
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
        """(H,) sorted number of each edge of tets or triangles, both ways: start times the number of nodes, and end."""
        width = cells.shape[1]
        one, two = np.array([(i, j) for i in range(width) for j in range(width) if i != j]).T
        keys = np.sort((cells[:, one].astype(np.int64) * len(self.points) + cells[:, two]).ravel())
        return keys[np.append(True, keys[1:] != keys[:-1])]

    def _candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes (C,) and where each would go: the shortest of its edges that its kind allows and that was not tried."""
        size = len(self.points)
        keys = self._keys(self.tets)
        start, end = keys // size, keys % size
        faces = self.faces
        base = self.on_base[faces].all(1)

        in_wall, in_base = np.zeros(len(keys), bool), np.zeros(len(keys), bool)
        in_wall[np.searchsorted(keys, self._keys(faces[~base]))] = True
        in_base[np.searchsorted(keys, self._keys(faces[base]))] = True
        wall, ground = self.side[start] > 0, self.on_base[start]
        ok = ~(wall | ground)
        ok |= wall & ~ground & in_wall & (self.side[end] == self.side[start])
        ok |= ground & ~wall & in_base
        ok |= wall & ground & in_wall & in_base & (self.side[end] == self.side[start]) & self.on_base[end]
        start, end = start[ok], end[ok]
        length = np.linalg.norm(self.points[start] - self.points[end], axis=1)
        order = np.lexsort((length, start))
        start, end, length = start[order], end[order], length[order]
        nodes, first, count = np.unique(start, return_index=True, return_counts=True)
        left = self.tried[nodes] < count
        chosen = first[left] + self.tried[nodes[left]]
        short = length[chosen] < 0.75 * self.aim.longest_mm
        self.tried[nodes[left][~short]] = size  # its other edges are longer still
        chosen = chosen[short]
        return start[chosen], end[chosen]

    def _stars(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tets around each node: (P,) row in ``nodes`` and (P,) number of the tet."""
        row = np.full(len(self.points), -1)
        row[nodes] = np.arange(len(nodes))
        owner = row[self.tets]
        tet, corner = np.nonzero(owner >= 0)
        return owner[tet, corner], tet

    def _allowed(self, away: np.ndarray, onto: np.ndarray) -> np.ndarray:
        """bool (C,) whether each collapse, alone, keeps every guard."""
        row, tet = self._stars(away)
        before = self.tets[tet]
        stays = ~with_any_of(before, onto[row])
        row, tet, before = row[stays], tet[stays], before[stays]
        after = np.where(before == away[row][:, None], onto[row][:, None], before)
        bad = np.zeros(len(away), bool)
        sides = self.side[after]
        own = self.side[onto][row]
        rim = self.on_base[after]
        # An edge may join two walls only where the node that goes was joined to the other wall itself.
        joins = (sides > 0) & (sides != own[:, None]) & (own > 0)[:, None] & ~(rim & self.on_base[onto][row][:, None])
        had = (self.side[before] > 0) & (self.side[before] != self.side[away][row][:, None])
        bad[row[columns_or(joins & ~(had & (self.side[away] == self.side[onto])[row][:, None]))]] = True
        bad[row[~columns_or(sides != own[:, None]) & (own > 0)]] = True  # all corners on one wall
        bad[row[~columns_or(~rim)]] = True
        place = self.points[onto][row]
        for n in range(4):
            reach = ((self.points[after[:, n]] - place) ** 2).sum(1)
            bad[row[reach > self.aim.longest_mm**2]] = True
        left = ~bad[row]
        row, tet, after = row[left], tet[left], after[left]
        worst = np.full(len(away), WORST)
        np.minimum.at(worst, row, shape_quality(self.points, self.tets)[tet])
        bad[row[shape_quality(self.points, after) < worst[row]]] = True
        flat = np.flatnonzero(~bad & ((self.side[away] > 0) | self.on_base[away]))
        bad[flat] = ~self._surface_allowed(away[flat], onto[flat])
        return ~bad

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
        good &= self._common_neighbours(faces, away, onto) == 2
        owner, before = owner[~shared], star[~shared]
        after = np.where(before == away[owner][:, None], onto[owner][:, None], before)
        one, two = (np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]) for p in (self.points[before], self.points[after]))
        cosine = np.einsum("ij,ij->i", one, two)
        spoilt = cosine < TURN * np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
        wall = ~self.on_base[after].all(1)
        corners = self.points[after]
        size = np.sqrt(((corners - np.roll(corners, 1, axis=1)) ** 2).sum(2).max(1))
        middles = [corners.mean(1), *(0.5 * (corners[:, n] + corners[:, n - 1]) for n in range(3))]
        off = np.max([np.abs(self.field(place)) for place in middles], axis=0)
        was = np.abs(self.field(self.points[before].mean(1)))
        spoilt |= wall & (off > np.maximum(OFF_SURFACE * size, was))
        good[owner[spoilt]] = False
        return good

    def _common_neighbours(self, faces: np.ndarray, away: np.ndarray, onto: np.ndarray) -> np.ndarray:
        """(C,) number of surface nodes that are neighbours of both ends along the surface."""
        size = len(self.points)
        keys = self._keys(faces)
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
        near = self.tets[np.isfinite(rank[self.tets]).any(1)]
        for _ in range(SETS):
            of_tet = rank[near]
            best = of_tet.min(1)
            lost = np.zeros(len(self.points), bool)
            lost[near[of_tet > best[:, None]]] = True
            won = np.isfinite(rank) & ~lost
            if not won.any():
                break
            taken |= won
            rank[near[won[near].any(1)]] = np.inf
        chosen = taken[away]
        return away[chosen], onto[chosen]

    def _collapse(self, away: np.ndarray, onto: np.ndarray) -> None:
        target = np.arange(len(self.points))
        target[away] = onto
        touched = np.isin(self.tets, away).any(1)
        changed = target[self.tets[touched]]
        ordered = np.sort(changed, axis=1)
        whole = (ordered[:, 1:] != ordered[:, :-1]).all(1)
        self.tried[changed.ravel()] = 0
        self.tets = np.concatenate([self.tets[~touched], changed[whole]])
        self.faces = boundary_faces(self.tets)


def columns_or(marks: np.ndarray) -> np.ndarray:
    """bool (M,) rows of bool (M, 4) with a mark."""
    return marks[:, 0] | marks[:, 1] | marks[:, 2] | marks[:, 3]


def with_any_of(tets: np.ndarray, node: np.ndarray) -> np.ndarray:
    """bool (M,) tets (M, 4) that have ``node`` (M,) of their own row as a corner."""
    return columns_or(tets == node[:, None])
