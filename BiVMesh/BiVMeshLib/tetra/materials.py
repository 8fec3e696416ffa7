"""Which lattice points are LV pool, RV pool, myocardium or outside, with the topology of a heart by construction.

Both pools are half balls that stand on the base with a disc, the outer body is a half ball that contains them and
all their neighbours. So the myocardium between has Euler number 1, its surface 2, whatever the labels look like.
"""

from dataclasses import dataclass

import numpy as np

from BiVMeshLib.shape.heart_shape import Shape
from CardiacLib.errors import InputError

from .lattice import Lattice
from .lattice_topology import flip_simple, is_half_ball

OUTSIDE, MUSCLE, LV_POOL, RV_POOL = range(4)


@dataclass(frozen=True)
class Materials:
    """Material of every lattice point.

    Attributes:
        of: int8 (N,) OUTSIDE, MUSCLE, LV_POOL, RV_POOL.
        repaired: number of points whose material is not that of the fields.
    """

    of: np.ndarray
    repaired: int

    @property
    def muscle(self) -> np.ndarray:
        return self.of == MUSCLE


def assign_materials(lattice: Lattice, shape: Shape) -> Materials:
    """Sample the fields at the lattice points and repair the topology of each set.

    Raises:
        InputError: a pool does not reach the base plane.
    """
    lv_distance = shape.lv(lattice.points)
    lv = grown_half_ball(lattice, lv_distance, lv_distance < 0, "LV pool")
    rv = np.zeros(len(lv), bool)
    fields = [lv_distance < 0]
    if shape.rv is not None:
        rv_distance = shape.rv(lattice.points)
        rv = grown_half_ball(lattice, rv_distance, (rv_distance < 0) & ~lattice.touching(lv), "RV pool")
        fields.append(rv_distance < 0)
    outer_distance = shape.outer(lattice.points)
    body = shrunk_half_ball(lattice, outer_distance, (outer_distance < 0) | lattice.touching(lv | rv))
    of = np.where(body, MUSCLE, OUTSIDE).astype(np.int8)
    of[lv], of[rv] = LV_POOL, RV_POOL
    repaired = sum(int((a != b).sum()) for a, b in zip(fields, (lv, rv), strict=False))
    return Materials(of, repaired + int(((outer_distance < 0) != body).sum()))


def grown_half_ball(lattice: Lattice, priority: np.ndarray, wanted: np.ndarray, name: str) -> np.ndarray:
    """``wanted`` if it is a half ball, else what grows from its deepest point on the base by simple points."""
    if is_half_ball(lattice, wanted):
        return wanted
    on_base = np.flatnonzero(wanted & lattice.on_base)
    if not len(on_base):
        raise InputError(f"The {name} does not reach the base plane at this mesh size; use a smaller edge length.")
    seed = np.zeros(len(wanted), bool)
    seed[on_base[np.argmin(priority[on_base])]] = True
    return flip_simple(lattice, seed, wanted, priority)


def shrunk_half_ball(lattice: Lattice, distance: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """``wanted`` if it is a half ball, else what the whole box shrinks to around it by simple points."""
    if is_half_ball(lattice, wanted):
        return wanted
    return flip_simple(lattice, np.ones(len(wanted), bool), wanted, -distance)
