"""The 17 segments of the American Heart Association on a short-axis stack.

Cerqueira et al., Circulation 2002;105:539, doi 10.1161/hc0402.102975: thirds of the slices with a whole ring of
myocardium, six segments of 60 degrees in the basal and the middle third, four of 90 degrees in the apical one, and
the apical cap beyond the cavity. The attachment of the RV tells the septum.
"""

import numpy as np

from CardiacLib.aha import apical_segment, basal_segment
from CardiacLib.geometry import HUMAN_APEX, direction_of, has_patient_axes, towards_anterior
from CardiacLib.label_axes import trend
from CardiacLib.types.labels import LV, MYO, RV, LabelMap

from .rings import DIRECTIONS, Ring

LEVELS = ("basal", "mid", "apical")
HUMAN_ANTERIOR = np.array([0.3, -0.5, 0.8])
"""LPS direction from the LV's axis to its anterior wall in a typical patient: left, front, head."""
NO_ORIENTATION = (
    "The file gives no patient orientation (its axes are exactly the patient's, which no short axis is): "
    "the first image row is taken as anterior."
)
DOUBTFUL_ORIENTATION = (
    "The position of the heart does not fit the patient axes of the file (apex to the left, front and feet): "
    "if the axes are wrong or mirrored, anterior and inferior segments are exchanged."
)


def base_direction(labels: LabelMap, frame: int) -> np.ndarray | None:
    """LPS unit vector along the slice axis from apex to base, told by the ventricles; None if one slice holds them.

    Both ventricles grow towards the base, whatever order or direction the slices have in the file.
    """
    size = np.isin(labels.labels[frame], (LV, MYO, RV)).sum(axis=(1, 2)).astype(float)
    held = np.flatnonzero(size)
    if held.size < 2:
        return None
    return direction_of(labels.ijk_to_lps)[:, 2] * (1.0 if trend(held, size[held]) >= 0 else -1.0)


def septum_directions(rings: list[list[Ring | None]], turning: int) -> np.ndarray | None:
    """(K,) direction of the middle of the septum in each slice, as in Ring; None where no slice shows an RV.

    The inferior insertion of the slice plus half the usual width of the RV contact (median of the stack): along the
    heart the anterior attachment of the RV turns far more than the inferior one, with the outflow tract (in 27 of the
    ACDC challenge's training patients by 51 and 18 degrees, medians). Mean over the frames, because insertions move
    little and single frames err; slices without RV contact take the direction of the nearest one that has it.

    Args:
        rings: [frame][slice].
        turning: +1 if directions turn from the septum to the anterior wall, -1 if to the inferior wall.
    """
    touching = [ring for frame in rings for ring in frame if ring is not None and ring.insertions_rad is not None]
    if not touching:
        return None
    half = 0.5 * float(np.median([ring.insertions_rad[1] - ring.insertions_rad[0] for ring in touching]))
    found = np.full(len(rings[0]), np.nan, complex)
    for k in range(len(found)):
        here = [frame[k] for frame in rings if frame[k] is not None and frame[k].insertions_rad is not None]
        if here:
            inferior = np.array([ring.insertions_rad[0 if turning > 0 else 1] for ring in here])
            found[k] = np.exp(1j * (inferior + turning * half)).mean()
    known = np.flatnonzero(np.isfinite(found))
    nearest = known[np.abs(np.arange(len(found))[:, None] - known).argmin(axis=1)]
    return np.angle(found[nearest])


def segments_of_directions(septum_rad: float, turning: int, level: str) -> np.ndarray:
    """(DIRECTIONS,) segment number of each step of a ring between direction n and n + 1.

    Args:
        septum_rad: direction of the middle of the septum.
        turning: +1 if directions turn from the septum to the anterior wall, -1 if to the inferior wall.
        level: one of LEVELS.
    """
    middle = 2.0 * np.pi * (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    turned = np.rad2deg(turning * (middle - septum_rad)) % 360.0
    if level == "apical":
        return apical_segment(turned)
    return basal_segment(turned) + (6 if level == "mid" else 0)


def turning_to_anterior(matrix: np.ndarray, base: np.ndarray, rings: list[list[Ring | None]]) -> tuple[int, str]:
    """Which way directions turn from the septum to the anterior wall, and what to know about it (a sentence or empty).

    +1 if i towards j turns there, else -1. Seen from the apex the order septum, anterior, lateral, inferior is
    clockwise in every heart: anterior is base direction x septum direction, whatever the handedness of the index axes.
    Files whose axes are exactly the patient's say nothing about a short axis, and are often mirrored: there the first
    image row counts as anterior, as short-axis images are displayed.
    """
    direction = direction_of(matrix)
    middles = [r.septum_rad for frame in rings for r in frame if r is not None and r.septum_rad is not None]
    if not middles:
        return 1, ""
    septum = float(np.angle(np.exp(1j * np.array(middles)).mean()))
    if has_patient_axes(matrix):
        quarter_turn = np.cos(septum) * direction[:, 1] - np.sin(septum) * direction[:, 0]
        return (1 if quarter_turn @ towards_anterior(matrix) > 0 else -1), NO_ORIENTATION
    turning = 1 if np.cross(direction[:, 0], direction[:, 1]) @ base > 0 else -1
    towards_rv = np.cos(septum) * direction[:, 0] + np.sin(septum) * direction[:, 1]
    fits = -base @ HUMAN_APEX > 0 and np.cross(base, towards_rv) @ HUMAN_ANTERIOR > 0
    return turning, "" if fits else DOUBTFUL_ORIENTATION


def levels_of_slices(closed: np.ndarray, towards_base: int) -> list[str | None]:
    """Level of each slice (K,): thirds of those with a closed ring, from apex to base; None for the others.

    Args:
        closed: bool (K,).
        towards_base: +1 if the base lies towards higher slice numbers, else -1.
    """
    order = np.flatnonzero(closed)[::towards_base]
    levels: list[str | None] = [None] * len(closed)
    for rank, k in enumerate(order):
        levels[k] = LEVELS[2 - int(3 * (rank + 0.5) / len(order))]
    return levels
