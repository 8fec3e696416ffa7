"""The base of the mesh at the valves: one plane through the mitral and tricuspid points of a frame.

A mesh has one flat base, so both valves share a plane. Labels rarely end there: sections that stop at the plane, as
those of ventricles cut at their valves do, or a little below it, go on up to it.
"""

from dataclasses import dataclass, replace

import numpy as np

from CardiacLib import geometry
from CardiacLib.errors import InputError
from CardiacLib.types.labels import LV, MYO, RV, RV_WALL
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, valve_points
from CardiacLib.types.mesh_quality import VALVE_POINTS, MeshBase

from .frame import HeartFrame
from .labels_check import MIN_RV_SHARE, MIN_SLICES, LabelStack

SPREAD_MM = {"4ch": 2.0, "2ch": 4.0, "3ch": 4.0}
"""Standard deviation of a point's height by its view; those of 2CH and 3CH are the less certain ones."""
TILT = np.tan(np.deg2rad(30.0))
"""Standard deviation of the base's slope against the slices, known before any point is seen."""
STEEPEST = np.cos(np.deg2rad(45.0))
"""A base that stands steeper on the long axis belongs to other images."""
MOST_ABOVE, MOST_ABOVE_MM = 1.5, 12.0
"""Slice distances, or mm where that is more, by which the base may lie above the labels' last section, on the long
axis. The mm are those of usual slices of 8 mm: of thin ones, as propagation gives, more may be missing."""
ASIDE_MM = 35.0
"""Most distance in the slices' plane from the mitral points' middle to the LV's centre."""
CUT_SHARE = 0.5
"""Labels that cover less than this share of what lies below them, beyond the base, end there."""


@dataclass(frozen=True)
class ValveBase:
    """The base plane of one frame, LPS mm.

    Attributes:
        point: (3,) on the plane. normal: (3,) unit, from the apex to the atria.
        used: names of the points. rms_mm: how far they lie from the plane, root mean square.
        tilt_deg: of the plane against the slices.
    """

    point: np.ndarray
    normal: np.ndarray
    used: tuple[str, ...]
    rms_mm: float
    tilt_deg: float

    def report(self) -> MeshBase:
        """For the quality report."""
        return MeshBase(
            base_from=VALVE_POINTS,
            base_points=len(self.used),
            base_points_rms_mm=self.rms_mm,
            base_tilt_deg=self.tilt_deg,
        )


def find_valve_base(points: np.ndarray, stack: LabelStack) -> ValveBase:
    """The plane nearest to the mitral and tricuspid points, weighted by view, and as little tilted as they allow.

    Heights over the slices' plane are fitted by least squares with the prior TILT on the slope, so that points of one
    view, which lie along a line, leave the base across it as the slices are.

    Args:
        points: (10, 3) LPS mm in the order of LANDMARK_NAMES, NaN where not seen.

    Raises:
        InputError: too few points, or they do not lie at the base of these labels.
    """
    valves = [*valve_points("mitral"), *valve_points("tricuspid")]
    used = [n for n in valves if np.isfinite(points[n]).all()]
    mitral = [n for n in used if n in valve_points("mitral")]
    if len(mitral) < 2:
        raise InputError(f"A base at the valves needs two mitral points or more, this frame has {len(mitral)}.")
    axes, places = _slice_axes(stack), points[used]
    middle = _axis_at_base(stack)
    local = (places - middle) @ axes
    weight = np.array([SPREAD_MM[LANDMARK_VIEWS[n]] for n in used]) ** -2.0
    design = np.column_stack([np.ones(len(local)), local[:, :2]])
    prior = np.diag([0.0, TILT**-2.0, TILT**-2.0])
    height, *slope = np.linalg.solve(design.T @ (weight[:, None] * design) + prior, design.T @ (weight * local[:, 2]))
    normal = np.array([-slope[0], -slope[1], 1.0]) / np.sqrt(1.0 + slope[0] ** 2 + slope[1] ** 2)
    missed = (local[:, 2] - design @ [height, *slope]) * normal[2]
    _require_at_base(stack, float(height), float(normal[2]), (points[mitral].mean(0) - middle) @ axes)
    return ValveBase(
        point=middle + height * axes[:, 2],
        normal=axes @ normal,
        used=tuple(LANDMARK_NAMES[n] for n in used),
        rms_mm=float(np.sqrt(np.mean(missed**2))),
        tilt_deg=float(np.degrees(np.arccos(normal[2]))),
    )


def _slice_axes(stack: LabelStack) -> np.ndarray:
    """(3, 3) columns: two directions in the slices, and their normal towards the base."""
    axes = geometry.direction_of(stack.ijk_to_lps).copy()
    normal = geometry.slice_normal(stack.ijk_to_lps)
    axes[:, 2] = normal * np.sign(normal @ stack.ijk_to_lps[:3, 2])
    return axes


def _axis_at_base(stack: LabelStack) -> np.ndarray:
    """(3,) LPS centre of the LV pool's section that carries the base of the labels."""
    j, i = np.nonzero(stack.lv[stack.base])
    return stack.to_lps(i.mean(), j.mean(), stack.base)


def _require_at_base(stack: LabelStack, height: float, upright: float, mitral: np.ndarray) -> None:
    """Raise InputError for a plane elsewhere.

    ``height`` over the labels' base on the long axis, mm; ``upright``: cosine of the tilt; ``mitral``: the points'
    middle from the LV's centre, first two along the slices.
    """
    gap = float(_slice_axes(stack)[:, 2] @ stack.ijk_to_lps[:3, 2])
    filled = np.flatnonzero(stack.lv.any((1, 2)))
    above = height - gap * (filled[-1] - stack.base)
    below = int((filled <= stack.base + height / gap).sum())
    aside = float(np.linalg.norm(mitral[:2]))
    problem = None
    if aside > ASIDE_MM:
        problem = f"their mitral points lie {aside:.0f} mm beside the LV"
    elif above > max(MOST_ABOVE * gap, MOST_ABOVE_MM):
        problem = f"their plane lies {above:.0f} mm above the last labelled slice"
    elif below < MIN_SLICES:
        problem = f"their plane leaves {below} slices of the LV below it"
    elif upright < STEEPEST:
        problem = f"their plane is tilted by {np.degrees(np.arccos(upright)):.0f} degrees against the slices"
    if problem:
        raise InputError(
            f"The valve points do not lie at the base of these labels: {problem}; use those of this study."
        )


def continued(stack: LabelStack, frame: HeartFrame) -> tuple[LabelStack, int]:
    """The stack with sections that go on up to the base plane of ``frame``, and the number of slices that were changed.

    Beyond the plane labels are kept where there are any, else the section below goes on. Below it, over the last
    section with a closed ring, a structure that has vanished or all but vanished goes on as well: its section is the
    closing roof of a ventricle that by the valve points is still open. Slices are added as far as the plane needs them.
    """
    stack = _with_more_slices(stack, frame)
    parts = {"lv": stack.lv.copy(), "lv_epi": stack.lv_epi.copy(), "rv": stack.rv.copy()}
    if stack.wall is not None:
        parts["wall"] = stack.wall.copy()
    changed = 0
    j, i = np.indices(stack.lv.shape[1:])
    for k in range(1, len(stack.lv)):
        beyond = frame.from_lps(stack.to_lps(i, j, k).reshape(-1, 3))[:, 2].reshape(i.shape) > 0
        before = {name: part[k].copy() for name, part in parts.items()}
        for group in (("lv", "lv_epi"), ("rv",), ("wall",)):
            if group[0] in parts:
                _continue(parts, group, k, beyond, k > stack.base)
        parts["rv"][k] &= ~parts["lv_epi"][k]
        if "wall" in parts:
            parts["wall"][k] |= parts["lv_epi"][k] | parts["rv"][k]
        changed += any((part[k] != before[name]).any() for name, part in parts.items())
    given = _relabelled(stack.given, parts)
    return replace(stack, given=given, **parts), changed


def _continue(parts: dict[str, np.ndarray], group: tuple[str, ...], k: int, beyond: np.ndarray, over: bool) -> None:
    """Let a structure go on from section k - 1 to k; ``over``: this section is over those with a closed ring."""
    body = parts[group[-1]]
    here, last = body[k], body[k - 1]
    if over and here.sum() < MIN_RV_SHARE * last.sum():
        where = np.ones_like(beyond)
    elif (here & beyond & last).sum() < CUT_SHARE * (beyond & last).sum():
        where = beyond & ~here
    else:
        return
    for name in group:
        parts[name][k] = np.where(where, parts[name][k - 1], parts[name][k])


def _with_more_slices(stack: LabelStack, frame: HeartFrame) -> LabelStack:
    """Empty slices added at the basal end until the last lies beyond the base plane all over the heart."""
    j, i = np.nonzero((stack.lv_epi | stack.rv).any(0))
    heights = frame.from_lps(stack.to_lps(i, j, len(stack.lv) - 1))[:, 2]
    rise = float(frame.axes[:, 2] @ stack.ijk_to_lps[:3, 2])
    more = int(np.ceil(max(-heights.min(), 0.0) / rise))
    if not more:
        return stack

    def padded(part):
        return None if part is None else np.pad(part, ((0, more), (0, 0), (0, 0)))

    return replace(
        stack,
        lv=padded(stack.lv),
        lv_epi=padded(stack.lv_epi),
        rv=padded(stack.rv),
        wall=padded(stack.wall),
        given=padded(stack.given),
        shifts=np.pad(stack.shifts, ((0, more), (0, 0)), mode="edge"),
    )


def _relabelled(given: np.ndarray, parts: dict[str, np.ndarray]) -> np.ndarray:
    """``given`` with what the structures gained by going on; what clean-up removed stays in it."""
    body = parts["lv_epi"] | parts["rv"] | parts.get("wall", False)
    codes = np.where(parts["lv"], LV, np.where(parts["lv_epi"], MYO, np.where(parts["rv"], RV, RV_WALL)))
    return np.where(body & (given == 0), codes, given).astype(np.uint8)
