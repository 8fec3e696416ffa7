"""How far valve points, and what is measured of them, can be trusted (Docs/Annulus.md)."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from CardiacLandmarksLib.detect.detector import CONFIDENT, NEAR_MM
from CardiacLandmarksLib.detect.follow import FOLLOWED
from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS
from CardiacLib.types.measures.marks import AMBER, RED, Mark, worst

STEADY = 0.7
"""Share of the frames in which a point must have been found near its smooth path, not only followed to there."""
FEW_FRAMES, FEW_FOR_VELOCITY = 8, 12
"""Fewer frames of a beat leave peaks between them."""
DIAMETERS_MM = {"mitral": (15.0, 55.0), "aortic": (15.0, 38.0), "tricuspid": (20.0, 60.0)}
"""Wide limits of our own for adults, dilated annuli included: beyond them one of the two points is probably wrong."""


def point_marks(study: StudyLandmarks) -> tuple[Mark, ...]:
    """The mark of each of the ten points, green where it is not in the study."""
    marks = []
    for n, (name, view) in enumerate(zip(LANDMARK_NAMES, LANDMARK_VIEWS, strict=True)):
        found = study.views.get(view)
        if found is None or not np.isfinite(found.paths.coefficients[n]).all():
            marks.append(Mark())
            continue
        reasons = []
        if view in study.unproven:
            reasons.append(f"{view.upper()}: the network was never validated on real images of this view.")
        seen = np.isfinite(found.detection.points[:, n]).all(1)
        confidence = float(found.detection.confidence[seen, n].mean()) if seen.any() else 0.0
        if confidence < CONFIDENT:
            reasons.append(f"{name}: low confidence, {confidence:.2f} on average.")
        off = (found.detection.points[:, n] - found.pixels[:, n]) * found.cine.spacing[1::-1]
        by_itself = seen & (found.detection.confidence[:, n] > FOLLOWED)
        steady = float((by_itself & (np.linalg.norm(off, axis=1) < NEAR_MM)).mean())
        if steady < STEADY:
            reasons.append(f"{name}: found within {NEAR_MM:.1f} mm of its path in {steady:.0%} of the frames only.")
        marks.append(Mark(AMBER, tuple(reasons)) if reasons else Mark())
    return tuple(marks)


def strong_ones(points: Iterable[int], marks: Sequence[Mark]) -> tuple[int, ...]:
    """The points whose mark is green; all of them where none is: an average is of strong points, or weak itself."""
    points = tuple(points)
    return tuple(point for point in points if not marks[point].weak) or points


def left_out_note(what: str, points: Iterable[int], marks: Sequence[Mark]) -> str:
    """A sentence on the points that a mean leaves out; empty where it is of all."""
    points = tuple(points)
    out = set(points) - set(strong_ones(points, marks))
    if not out:
        return ""
    return f"{what} leaves out weak points: {', '.join(LANDMARK_NAMES[point] for point in sorted(out))}."


def of_points(points: Iterable[int], marks: Sequence[Mark]) -> Mark:
    """The worst mark of some points."""
    return worst(marks[point] for point in points)


def excursion_marks(mark: Mark, frames: int) -> Mapping[str, Mark]:
    """Marks of the ``mm`` and of the velocities (``s_cm_s`` ...) of an excursion of points with one mark."""
    few = Mark(AMBER, (f"{frames} frames only: the peak may lie between two of them.",))
    slow = Mark(AMBER, (f"{frames} frames only: velocities are told too low.",))
    distance = worst([mark, *([few] if frames < FEW_FRAMES else [])])
    velocity = worst([mark, *([slow] if frames < FEW_FOR_VELOCITY else [])])
    return {"mm": distance, "s_cm_s": velocity, "e_cm_s": velocity, "a_cm_s": velocity}


def diameter_mark(valve: str, millimetres: float, mark: Mark) -> Mark:
    """The mark of a diameter whose two points have one: red beyond what adults have."""
    low, high = DIAMETERS_MM[valve]
    if low <= millimetres <= high:
        return mark
    wrong = (
        f"{millimetres:.0f} mm between the {valve} points ({low:.0f} to {high:.0f} expected): one is probably wrong."
    )
    return worst([Mark(RED, (wrong,)), mark])
