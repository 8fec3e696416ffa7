"""Which slice of a stack carries the base, and which one propagation starts from."""

from dataclasses import dataclass, replace

import numpy as np

from BiVMeshLib.prepare.labels_check import LabelStack, check_labels
from BiVMeshLib.prepare.valve_base import find_valve_base
from CardiacLib import geometry
from CardiacLib.errors import InputError
from CardiacLib.types.labels import LV
from CardiacLib.types.landmarks import valve_points

from .isotropic import SPACING

ON_A_SLICE = 1e-3
"""Slice distances by which a plane may miss a slice that it still is taken to run through."""


def named(index: int) -> str:
    """A slice of the image in words: its number from 1, and the index from 0 that options take."""
    return f"slice {index + 1} (index {index})"


@dataclass(frozen=True)
class BaseAtValves:
    """Where the plane of the valve points crosses the long axis of the LV.

    Attributes:
        place: slice index with fractions, counted from the apical end; beyond the last slice if the plane lies there.
        base_slice: slice (k) of the stack, in its own order: the most basal one that is not over the plane.
        apex_first: the stack's order.
        note: what was decided, one sentence.
    """

    place: float
    base_slice: int
    apex_first: bool
    note: str


def base_at_valves(labels: np.ndarray, ijk_to_lps: np.ndarray, points: np.ndarray) -> BaseAtValves:
    """The base slice by the plane of a frame's mitral and tricuspid points (``valve_base.find_valve_base``).

    The labels need no closed ring of myocardium anywhere; the points also tell which end of the stack is the apex.

    Args:
        labels: uint8 (K, J, I) of this frame.
        ijk_to_lps: (4, 4) of these.
        points: (10, 3) valve points of this frame, LPS mm, in the order of LANDMARK_NAMES; NaN if not seen.

    Raises:
        InputError: too few points, points of another heart, or labels that cannot be used.
    """
    held = np.flatnonzero((labels == LV).any((1, 2)))
    mitral = points[valve_points("mitral")]
    mitral = mitral[np.isfinite(mitral).all(1)]
    order, near = None, 0.0
    if len(mitral) and len(held):
        near = float(geometry.index_of(ijk_to_lps, mitral)[:, 2].mean())
        order = near > held.mean()
    stack = check_labels(labels, ijk_to_lps, order, base_slice=0)
    held = np.flatnonzero(stack.lv.any((1, 2)))
    # The axis is that of the section at the points: over it networks label what is no ventricle.
    section = held[np.abs(held - (near if order else len(labels) - 1 - near)).argmin()]
    plane = find_valve_base(points, replace(stack, base=int(section)))
    place, count = float(geometry.index_of(stack.ijk_to_lps, plane.point)[2]), len(stack.lv)
    below = min(int(np.floor(place + ON_A_SLICE)), count - 1)
    above_mm = (place - below) * float(geometry.spacing_of(stack.ijk_to_lps)[2])
    number = below if order else count - 1 - below
    note = f"The base is where the plane of {len(plane.used)} valve points crosses the LV's axis, "
    note += f"{max(above_mm, 0.0):.1f} mm above {named(number)}"
    if below == count - 1 and above_mm > SPACING:
        note += ", the last one: nothing is labelled above it"
    return BaseAtValves(place, number, bool(order), f"{note}.")


def apex_first_by(labels: np.ndarray, base_slice: int | None) -> bool | None:
    """The order of the slices, told by which end of the LV pool a chosen base slice is nearer to; None without."""
    held = np.flatnonzero((labels == LV).any((1, 2)))
    if base_slice is None or not len(held):
        return None
    return base_slice > held.mean()


def chosen_slices(stack: LabelStack, start_slice: int | None, turned: bool) -> tuple[int, int, tuple[str, ...]]:
    """Start and base slice in the order of the stack, and a note that names them in the order of the images.

    Args:
        stack: with its base.
        start_slice: slice (k) of the images; None for the middle of those with LV under the base.
        turned: whether the images have the other order.

    Raises:
        InputError: there is no slice to start from, or the chosen one is none.
    """
    count = len(stack.lv)
    held = np.flatnonzero((stack.lv & (stack.lv_epi.sum((1, 2)) > stack.lv.sum((1, 2)))[:, None, None]).any((1, 2)))
    held = held[held <= stack.base]
    if not len(held):
        raise InputError("No slice under the base has LV pool and myocardium to start from; choose another base slice.")
    if start_slice is None:
        start = int(held[len(held) // 2])
    else:
        start = count - 1 - start_slice if turned else start_slice
        if start not in held:
            raise InputError(
                f"The start, {named(start_slice)}, has no labelled LV pool and myocardium, or lies over the base."
            )
    shown = [count - 1 - k if turned else k for k in (start, stack.base)]
    return start, stack.base, (f"Propagated from {named(shown[0])}; base at {named(shown[1])}.",)
