"""Hill climbing on the nodes of bad tets: small moves, kept if the worst tet at the node gets better.

Where that stalls, the nodes around drift too, as long as their own tets stay good, and so make room.

Every other move is random, the others lift the node off the opposite face of its worst tet.
Nodes that move in one step share no tet, so each move is judged by itself. A fixed seed and a fixed number of
steps make the result reproducible.
"""

from dataclasses import replace

import numpy as np

from BiVMeshLib.check.quality import shape_quality
from BiVMeshLib.check.topology import FACES, with_any
from BiVMeshLib.shape.field import Field

from .minimise import even_out
from .stuffing import Stuffed, slid

READY, READY_ROUNDS = 0.40, 2
"""Quality below which tets are made more even together before the climb, and how often: that leaves it a tenth."""
ENOUGH = 0.375
"""Quality (lesser of scaled Jacobian and sine of dihedral angle; 22 degrees) that a tet need not exceed."""
DONE = 0.34
"""Worst quality (20 degrees) with which the climb ends."""
PATIENCE, RISE = 15, 1e-4
"""Rounds in which the worst quality rises by less than RISE before the nodes around the worst tets move too."""
GIVE_UP = 80
"""Rounds without such a rise after which the climb ends."""
WINDOW, WORTH = 30, 0.2
"""Rounds that are worth their time: they take away this share of what all tets together lack of DONE."""
NEAR, FAR, STEEP = 0.03, 0.06, 0.01
"""The climb ends after rounds that were not, if the worst quality lies within NEAR of DONE, or FAR from it and they
raised it by less than STEEP."""
STEPS = 12
"""Moves of each independent set of nodes in a round."""
STRIDE = 0.35
"""Length scale of a random move, in mean edge lengths."""
OFF_SURFACE = 0.05
"""mm that a surface node may lie off the zero level after a move."""


def readied(mesh: Stuffed, myocardium: Field) -> Stuffed:
    """Poor tets made more even together, which leaves few of them to the climb; none falls below DONE by it."""
    for _ in range(READY_ROUNDS):
        mesh = even_out(mesh, myocardium, READY, DONE)
    return mesh


def climb(
    mesh: Stuffed,
    myocardium: Field,
    *,
    seed: int = 0,
    rounds: int = 300,
    done: float = DONE,
    enough: float = ENOUGH,
) -> Stuffed:
    """Raise the quality of the worst tets; stops early when every tet is good enough, or when little is gained.

    ``done`` and ``enough`` as DONE and ENOUGH.
    """
    rng = np.random.default_rng(seed)
    points = mesh.points.copy()
    quality = shape_quality(points, mesh.tets)
    best, stalled, last = -np.inf, 0, (-np.inf, np.inf)
    for n in range(rounds):
        worst = float(quality.min())
        best, stalled = (worst, 0) if worst > best + RISE else (best, stalled + 1)
        if worst >= done or stalled > GIVE_UP:
            break
        if n % WINDOW == 0:
            before, last = last, (worst, float(np.maximum(done - quality, 0.0).sum()))
            if _not_worth(before, last, done):
                break
        bad = quality < (enough if stalled < PATIENCE else done)
        active = np.zeros(len(points), bool)
        active[mesh.tets[bad].ravel()] = True
        if stalled >= PATIENCE:
            active[mesh.tets[with_any(active, mesh.tets)].ravel()] = True
        near = np.flatnonzero(with_any(active, mesh.tets))
        nodes, local = np.unique(mesh.tets[near], return_inverse=True)
        patch = _Patch(points[nodes], local.reshape(-1, 4), active[nodes], mesh, nodes, enough)
        for _ in range(STEPS):
            patch.step(rng, myocardium)
        points[nodes] = patch.points
        quality[near] = shape_quality(points, mesh.tets[near])
    return replace(mesh, points=points)


def _not_worth(before: tuple[float, float], now: tuple[float, float], done: float) -> bool:
    """Whether the climb ends; worst quality, and what all tets together lack, WINDOW rounds ago and now."""
    stays = now[1] > (1.0 - WORTH) * before[1]
    hopeless = now[0] < done - FAR and now[0] < before[0] + STEEP
    return stays and (hopeless or now[0] >= done - NEAR)


class _Patch:
    """The tets around bad ones, with local node numbers."""

    def __init__(self, points, tets, active, mesh: Stuffed, nodes, enough: float):
        self.points, self.tets, self.active, self.enough = points, tets, active, enough
        self.on_base = mesh.on_base[nodes]
        self.bound = (mesh.side[nodes] > 0) & ~mesh.loose[nodes]
        self.fixed = mesh.loose[nodes] & mesh.on_base[nodes]
        self.stride = STRIDE * float(np.median(np.linalg.norm(points[tets[:, 0]] - points[tets[:, 1]], axis=1)))
        self.quality = shape_quality(points, tets)

    def step(self, rng, myocardium: Field) -> None:
        """Try one move of an independent set of nodes."""
        winners = self._independent(rng)
        mine = np.full(len(self.points), -1)
        mine[winners] = np.arange(len(winners))
        owner = np.maximum.reduce([mine[self.tets[:, n]] for n in range(4)])
        touched = np.flatnonzero(owner >= 0)
        move = rng.normal(size=(len(winners), 3))
        lifted = rng.random(len(winners)) < 0.5
        move[lifted] = (self._lift(winners, owner, touched) + 0.3 * move)[lifted]
        move *= self.stride * rng.random((len(winners), 1)) ** 2
        move[self.on_base[winners], 2] = 0.0
        places, allowed = self._placed(self.points[winners] + move, winners, myocardium)
        trial = self.points.copy()
        trial[winners[allowed]] = places[allowed]
        after = shape_quality(trial, self.tets[touched])
        old, new = np.full(len(winners), np.inf), np.full(len(winners), np.inf)
        np.minimum.at(old, owner[touched], self.quality[touched])
        np.minimum.at(new, owner[touched], after)
        better = (new > old) | (new >= self.enough)
        self.points[winners[better]] = trial[winners[better]]
        kept = better[owner[touched]]
        self.quality[touched[kept]] = after[kept]

    def _lift(self, winners, owner, touched) -> np.ndarray:
        """(W, 3) unit vectors that raise each node over the opposite face of its worst tet."""
        order = touched[np.lexsort((self.quality[touched], owner[touched]))]
        worst = self.tets[order[np.unique(owner[order], return_index=True)[1]]]
        corner = (worst == winners[:, None]).argmax(1)
        a, b, c = (self.points[np.take_along_axis(worst, FACES[corner, n][:, None], 1)[:, 0]] for n in range(3))
        normal = np.cross(b - a, c - a)
        return -normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)

    def _independent(self, rng) -> np.ndarray:
        """Active nodes that drew the highest number in all their tets."""
        draw = np.where(self.active & ~self.fixed, rng.random(len(self.points)), -1.0)
        drawn = [draw[self.tets[:, n]] for n in range(4)]
        highest = np.maximum.reduce(drawn)
        loser = np.zeros(len(self.points), bool)
        for n in range(4):
            loser[self.tets[:, n][drawn[n] < highest]] = True
        return np.flatnonzero((draw >= 0) & ~loser)

    def _placed(self, places, winners, myocardium) -> tuple[np.ndarray, np.ndarray]:
        """Places with surface nodes put back on the surface, and which of them may be used."""
        bound = self.bound[winners]
        allowed = np.ones(len(winners), bool)
        if bound.any():
            start, in_plane = self.points[winners[bound]], self.on_base[winners][bound]
            places[bound] = slid(start, places[bound], myocardium, in_plane, steps=2)
            allowed[bound] = np.abs(myocardium(places[bound])) < OFF_SURFACE
        return places, allowed
