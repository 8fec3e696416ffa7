"""Tell 2CH, 3CH and 4CH planes apart by geometry.

The three long-axis views share the LV long axis and are 60 degrees apart around it (the AHA 17-segment model,
Cerqueira et al., Circulation 2002): 4CH cuts the inferoseptal and anterolateral wall, 2CH the anterior and
inferior, 3CH the anteroseptal and inferolateral wall. Their order around the axis is fixed; which of them is
which follows from the patient's right (the 4CH plane is nearly horizontal) and from the side of the RV.
Right-ventricular and outflow views miss the LV axis. What a series is called counts only between equals.
"""

import re
from dataclasses import dataclass
from itertools import product

import numpy as np

from .heart import HeartPose

LAX_VIEWS = ("4ch", "2ch", "3ch")
EXPECTED_DEGREES = {"4ch": 5.0, "2ch": 65.0, "3ch": 125.0}
"""Angle of each plane around the LV axis: 0 towards the patient's right, positive from there by the right-hand rule
about the axis from base to apex; planes have no sense, so modulo 180."""
RV_DEGREES = 0.0
"""Where ``find_heart`` sees the RV when the views lie as expected: the RV lies between the 4CH and the 3CH plane (-25),
and on 100 ACDC patients its moving pixels were seen about 25 degrees to the inferior side of its centre."""
MISS_MM, TILT_DEGREES, SPREAD_DEGREES, ROTATION_DEGREES, RV_SPREAD_DEGREES = 8.0, 12.0, 12.0, 22.0, 30.0
"""Standard deviations: plane past the LV centre, plane out of the axis, angle between views, rotation of hearts."""
RV_COST_LIMIT = 6.0
UNUSED_COST = 9.0
"""Cost of a view without a plane: a plane more than three standard deviations off is no such view."""
NAME_BONUS = 1.0
ROTATIONS = np.arange(-60.0, 61.0, 2.0)
MOST_CANDIDATES = 8


@dataclass(frozen=True)
class LongAxisPlane:
    """A candidate: ``point`` (3,) on the plane and unit ``normal`` (3,) in LPS, and what it is called."""

    point: np.ndarray
    normal: np.ndarray
    hint: str = ""


@dataclass(frozen=True)
class ViewDecision:
    """``view`` is 2ch, 3ch, 4ch or other; ``reason`` says why in words."""

    view: str
    reason: str


def named_view(text: str) -> str | None:
    """The view that a name speaks of, None if none or several. ``other`` for right-ventricular views."""
    text = text.lower()
    words = {"two": "2", "three": "3", "four": "4"}
    chambers = re.findall(r"(?<![0-9a-z])(?:lax[_\- ]?)?([234]|two|three|four)[_\- ]?ch", text)
    found = {f"{words.get(number, number)}ch" for number in chambers}
    if re.search(r"rvot|rv[_\- ]?[23]ch|(?<![a-z])rv(?![a-z])", text):
        return "other"
    if not found and re.search(r"(?<![a-z])(sax|sa|short[_\- ]?ax)", text):
        return "sax"
    return found.pop() if len(found) == 1 else None


def hint_of(*names: str) -> str:
    """The first of several names that speaks of a view, else an empty text."""
    return next((name for name in names if named_view(name)), "")


def angle_about_axis(pose: HeartPose, direction) -> float:
    """Degrees of a direction around the LV axis, 0 towards the patient's right (see EXPECTED_DEGREES)."""
    axis = pose.apex_direction
    right = np.array([-1.0, 0.0, 0.0]) + axis[0] * axis
    right /= np.linalg.norm(right)
    return float(np.degrees(np.arctan2(direction @ np.cross(axis, right), direction @ right)))


def decide_views(planes: list[LongAxisPlane], poses: tuple[HeartPose, ...]) -> list[ViewDecision]:
    """One decision per plane; each of the three views is given at most once.

    Minimises over the possible poses, over all assignments and over the rotation of the heart the squared
    deviations (in standard deviations) of distance, tilt and angle from what each view should have.
    """
    decided = [_decide(planes, pose) for pose in poses]
    return min(decided, key=lambda pair: pair[0])[1]


def _decide(planes: list[LongAxisPlane], pose: HeartPose) -> tuple[float, list[ViewDecision]]:
    """Cost and decisions for one pose."""
    miss = np.array([abs(p.normal @ (pose.lv_center - p.point)) for p in planes])
    tilt = np.degrees(np.arcsin(np.clip([abs(p.normal @ pose.apex_direction) for p in planes], 0, 1)))
    off = (miss / MISS_MM) ** 2 + (tilt / TILT_DEGREES) ** 2
    chosen = [int(n) for n in np.argsort(off)[:MOST_CANDIDATES] if off[n] < UNUSED_COST + NAME_BONUS]
    cost = _view_costs([planes[n] for n in chosen], off[chosen], pose)
    total, assignment = _cheapest(cost, _rotation_cost(pose))
    views = {chosen[n]: view for view, n in zip(LAX_VIEWS, assignment, strict=True) if n is not None}
    return total + pose.cost, [
        ViewDecision(views.get(n, "other"), _reason(views.get(n), miss[n], tilt[n], n in chosen))
        for n in range(len(planes))
    ]


def _view_costs(planes: list[LongAxisPlane], off: np.ndarray, pose: HeartPose) -> np.ndarray:
    """(planes, views, rotations) cost of taking a plane for a view if the heart is rotated by ROTATIONS."""
    cost = np.zeros((len(planes), len(LAX_VIEWS), len(ROTATIONS)))
    for n, plane in enumerate(planes):
        angle = angle_about_axis(pose, np.cross(plane.normal, pose.apex_direction))
        for v, view in enumerate(LAX_VIEWS):
            deviation = (angle - EXPECTED_DEGREES[view] - ROTATIONS + 90.0) % 180.0 - 90.0
            bonus = NAME_BONUS if named_view(plane.hint) == view else 0.0
            cost[n, v] = off[n] + (deviation / SPREAD_DEGREES) ** 2 - bonus
    return cost


def _rotation_cost(pose: HeartPose) -> np.ndarray:
    """(rotations,) how unlikely a heart is rotated so, from the spread of hearts and the seen side of the RV."""
    rv = angle_about_axis(pose, pose.rv_direction) - RV_DEGREES
    seen = (rv - ROTATIONS + 180.0) % 360.0 - 180.0
    return (ROTATIONS / ROTATION_DEGREES) ** 2 + np.minimum((seen / RV_SPREAD_DEGREES) ** 2, RV_COST_LIMIT)


def _cheapest(cost: np.ndarray, rotation_cost: np.ndarray) -> tuple[float, tuple[int | None, ...]]:
    """The cost of the cheapest assignment, and for each of LAX_VIEWS its plane or None."""
    options = [None, *range(len(cost))]
    best, best_cost = (None,) * len(LAX_VIEWS), np.inf
    for assignment in product(options, repeat=len(LAX_VIEWS)):
        used = [n for n in assignment if n is not None]
        if len(set(used)) < len(used):
            continue
        total = rotation_cost + UNUSED_COST * (len(LAX_VIEWS) - len(used))
        for v, n in enumerate(assignment):
            if n is not None:
                total = total + cost[n, v]
        if total.min() < best_cost:
            best, best_cost = assignment, float(total.min())
    return best_cost, best


def _reason(view: str | None, miss: float, tilt: float, along: bool) -> str:
    place = f"{miss:.0f} mm from the LV centre, {tilt:.0f} degrees off the long axis"
    if view:
        return place
    if tilt > 80.0:
        return "parallel to the short-axis stack, but of another technique"
    return f"another plane fits every view better ({place})" if along else f"not along the LV long axis ({place})"
