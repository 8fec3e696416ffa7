"""Poor tetrahedra of a moving mesh made better, first many at once, then one by one."""

from dataclasses import replace

import numpy as np

from BiVMeshLib.check.quality import shape_quality
from BiVMeshLib.shape.field import Field
from BiVMeshLib.tetra.hill_climb import climb
from BiVMeshLib.tetra.minimise import evened, slid_back
from BiVMeshLib.tetra.stuffing import Stuffed
from CardiacLib.types.bivmesh import PATCHES

from .apart import kept_apart
from .follow import Follower

GOAL, ENOUGH = 0.10, 0.12
"""Quality (lesser of scaled Jacobian and sine of dihedral angle): tets below ENOUGH are repaired till all have GOAL."""
BELOW = (0.20, 0.16, 0.14)
"""Quality of the tets round which the distortion is brought to a minimum, in turn."""
ROUNDS, TURNS = 15, 24
"""Of the hill climb, and turns of so many rounds; after each, nodes that let walls cross are put back where they were
before it. After short turns the nodes round them make do with that, after long ones they no longer can."""
LEAST, RISE, PATIENCE = 0.05, 0.004, 3
"""Quality that is good enough once the worst tet has not risen by RISE in PATIENCE turns. Below it after all turns the
repair cares for the elements alone, and lets walls cross."""
OFF_WALL = 0.5
"""mm. A surface node that is farther from its surface could not follow it, and may be moved freely in the repair."""
NOWHERE = Field(np.full((2, 2, 2), 1e3), np.zeros(3), 1.0)
"""A field without a surface: the repair leaves surface nodes where they are."""


def repaired(follower: Follower, points: np.ndarray, myocardium: Field | None, seed: int) -> np.ndarray:
    """Local nodes (N, 3) moved round elements below ENOUGH; those of the surface slide on it, if it is known.

    No more triangles cross by it than do at ``points``, unless elements stay below LEAST otherwise.
    """
    tets = follower.tets
    if _least(points, tets) >= GOAL:
        return points
    held = _held(follower, points, myocardium)
    field = NOWHERE if myocardium is None else myocardium
    for below in BELOW:
        points = kept_apart(follower, points, _evened(follower, replace(held, points=points), field, below))
        if _least(points, tets) >= GOAL:
            return points
    best, waited = _least(points, tets), 0
    for turn in range(TURNS):
        climbed = climb(replace(held, points=points), field, seed=seed + turn, rounds=ROUNDS, done=GOAL, enough=ENOUGH)
        points = kept_apart(follower, points, climbed.points)
        least = _least(points, tets)
        best, waited = (least, 0) if least > best + RISE else (best, waited + 1)
        if least >= GOAL or (least >= LEAST and waited >= PATIENCE):
            return points
    if least >= LEAST:
        return points
    free = climb(replace(held, points=points), field, seed=seed, rounds=TURNS * ROUNDS // 2, done=GOAL, enough=ENOUGH)
    return free.points if _least(free.points, tets) > least else points


def _least(points: np.ndarray, tets: np.ndarray) -> float:
    return float(shape_quality(points, tets).min())


def _held(follower: Follower, points: np.ndarray, myocardium: Field | None) -> Stuffed:
    """The mesh with what its nodes are held to."""
    side = np.zeros(len(points), np.int8)
    for wall in follower.walls:
        side[wall.nodes] = PATCHES[wall.name]
    loose = np.zeros(len(points), bool)
    if myocardium is not None:
        loose = (side > 0) & (np.abs(myocardium(points)) > OFF_WALL)
    return Stuffed(points=points, tets=follower.tets, side=side, on_base=follower.on_base, loose=loose)


def _evened(follower: Follower, mesh: Stuffed, myocardium: Field, below: float) -> np.ndarray:
    """(N, 3) places of least distortion round tets of a quality ``below``, surface nodes along their walls.

    No tet falls below GOAL, and below what it is, by putting those back onto their surfaces.
    """
    slid = evened(mesh.points, mesh.tets, follower.ways(mesh.points), below)
    return slid_back(mesh, slid, myocardium, GOAL).points
