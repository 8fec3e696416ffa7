"""How far the base plane moves along the slice normal over the cycle, from valve points or from the labels alone.

Labels show the base in steps of the slice distance only. Two things say more. The most basal slice with a closed ring
of myocardium bounds the plane's place to one slice distance either way. Within that, the myocardium under the plane
keeps its volume, as muscle does. A Fourier series of low order takes out what is left of the steps.
"""

import numpy as np

from BiVMeshLib.prepare.frame import HeartFrame, slice_maps
from BiVMeshLib.prepare.labels_check import LabelStack
from CardiacLib.types.landmarks import Landmarks, valve_points

from .cycle import Cycle

HARMONICS = 3
LOWEST, HIGHEST = -25.0, 3.0
"""mm from its place in the mesh's frame that the base may move, up is positive."""
STEP = 0.1
"""mm between the heights that are tried."""


def base_from_labels(stacks: list[LabelStack | None], frame: HeartFrame, cycle: Cycle) -> np.ndarray:
    """(T,) height of the base plane in mm over its place in the mesh's frame, where it is zero.

    Args:
        stacks: cleaned labels by frame, None where they cannot be used.
        frame: of the mesh; its plane z = 0 is the base.
    """
    at_rest = stacks[cycle.frame]
    volume = _muscle_under(at_rest, frame, np.zeros(1))[0]
    rest = slice_maps(at_rest, frame)[0]
    gap, bottom = rest[1] - rest[0], rest[at_rest.base]
    heights = np.zeros(len(stacks))
    for t, stack in enumerate(stacks):
        if stack is None or t == cycle.frame:
            continue
        step = slice_maps(stack, frame)[0][stack.base] - bottom
        low, high = max(step - gap, LOWEST), min(step + gap, HIGHEST)
        tried = np.arange(min(low, high), high + STEP, STEP)
        heights[t] = tried[np.abs(_muscle_under(stack, frame, tried) - volume).argmin()]
    return cycle.smooth(heights, HARMONICS)


def base_from_valves(valves: Landmarks, frame: HeartFrame, cycle: Cycle) -> np.ndarray | None:
    """(T,) as above, the mean over the mitral and tricuspid points seen in all frames; None if there are none."""
    points = valves.points[:, [*valve_points("mitral"), *valve_points("tricuspid")]]
    height = points @ frame.axes[:, 2]
    seen = np.isfinite(height).all(0)
    if not seen.any():
        return None
    height = height[:, seen].mean(1)
    return cycle.smooth(height - height[cycle.frame], HARMONICS)


def _muscle_under(stack: LabelStack, frame: HeartFrame, planes: np.ndarray) -> np.ndarray:
    """(P,) volume in mm^3 of the LV myocardium under each plane, a slice counted as a slab of the slice distance."""
    heights, steps, _ = slice_maps(stack, frame)
    gap = heights[1] - heights[0]
    slabs = (stack.lv_epi & ~stack.lv).sum((1, 2)) * gap * abs(float(np.linalg.det(steps)))
    return np.clip(0.5 + (planes[:, None] - heights) / gap, 0.0, 1.0) @ slabs
