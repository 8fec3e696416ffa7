"""Whether the views were taken in the same breath-hold position, and how to bring them together.

Two long-axis planes cut each other in a line near the LV axis. Along it both show the same heart: apex, blood, valve,
atrium. The shift between the two intensity profiles along the line, over the whole cycle, is how far the heart had
moved along its axis between the two breath-holds. Shifts across the axis are not seen so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
from CardiacLandmarksLib.detect.world import shown_slice
from CardiacLib.geometry import index_of, slice_normal
from CardiacLib.types.cine import Cine
from CardiacLib.types.times import frame_phases

STEP_MM = 1.0
REACH_MM = 70.0
"""Half the length of the compared profiles."""
MOST_SHIFT_MM = 15.0
PHASES = np.arange(12) / 12
SMOOTH_MM = 2.0
LEAST_CORRELATION = 0.6
"""Of two profiles; below it a pair of views says nothing."""
WARNING_MM = 4.0
LEAST_ANGLE_DEGREES = 20.0


@dataclass(frozen=True)
class Agreement:
    """How far the views lie apart along the LV axis.

    Attributes:
        offsets_mm: by view, how far its heart lies towards ``axis`` from the mean of the views; empty where the images
            do not tell.
        axis: (3,) unit LPS direction.
        correlation: of each pair of views, its best correlation.
    """

    offsets_mm: dict[str, float]
    axis: np.ndarray
    correlation: dict[tuple[str, str], float]

    @property
    def spread_mm(self) -> float:
        """Largest distance between two views; 0 where the images do not tell."""
        return max(self.offsets_mm.values()) - min(self.offsets_mm.values()) if self.offsets_mm else 0.0

    def warning(self) -> str | None:
        """One sentence if the views lie more than WARNING_MM apart."""
        if self.spread_mm <= WARNING_MM:
            return None
        apart = ", ".join(f"{view.upper()} {offset:+.0f} mm" for view, offset in self.offsets_mm.items())
        return (
            f"The views lie up to {self.spread_mm:.0f} mm apart along the long axis ({apart}): they were taken in "
            "different breath-hold positions; valve planes and diameters across views suffer."
        )


def compare_views(cines: Mapping[str, Cine], middle: np.ndarray) -> Agreement:
    """Offsets of the views along the line in which they cut each other.

    Args:
        cines: two or three long-axis cines by view.
        middle: (3,) LPS mm, about the middle of the mitral annulus.
    """
    shifts, correlations, directions = {}, {}, []
    for first, second in combinations(cines, 2):
        line = _crossing(cines[first], cines[second], middle)
        if line is None:
            continue
        start, along = line
        along = along if not directions or along @ directions[0] > 0 else -along
        directions.append(along)
        shift, correlation = _profile_shift(_profile(cines[first], start, along), _profile(cines[second], start, along))
        correlations[first, second] = correlation
        if correlation >= LEAST_CORRELATION:
            shifts[first, second] = shift
    axis = np.mean(directions, 0) if directions else np.zeros(3)
    axis /= max(np.linalg.norm(axis), 1e-9)
    return Agreement(_offsets(shifts), axis, correlations)


def align_views(study: StudyLandmarks, agreement: Agreement) -> StudyLandmarks:
    """The study with each view moved along the axis so that the views agree.

    The shift is rigid and in the plane of every view, as all of them hold the axis nearly.
    """
    if not agreement.offsets_mm:
        return study
    shifts = {view: -agreement.offsets_mm.get(view, 0.0) * agreement.axis for view in study.views}
    moved = ", ".join(f"{view.upper()} {-offset:+.1f} mm" for view, offset in agreement.offsets_mm.items())
    return study.shifted(shifts, f"Views were moved along the long axis to agree: {moved}.")


def _crossing(first: Cine, second: Cine, near: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The point nearest to ``near`` and the unit direction of the line in which two planes cut; None if parallel."""
    planes = [(slice_normal(c.ijk_to_lps), c.ijk_to_lps @ (0, 0, shown_slice(c), 1)) for c in (first, second)]
    normals = np.array([normal for normal, _ in planes])
    along = np.cross(*normals)
    if np.linalg.norm(along) < np.sin(np.radians(LEAST_ANGLE_DEGREES)):
        return None
    heights = [normal @ (point[:3] - near) for normal, point in planes]
    return near + np.linalg.lstsq(normals, np.array(heights), rcond=None)[0], along / np.linalg.norm(along)


def _profile(cine: Cine, start: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(phases, N) intensities along a line, NaN outside the image."""
    from scipy.ndimage import gaussian_filter1d, map_coordinates

    places = np.arange(-REACH_MM - MOST_SHIFT_MM, REACH_MM + MOST_SHIFT_MM + 0.5 * STEP_MM, STEP_MM)
    index = index_of(cine.ijk_to_lps, start + places[:, None] * along)
    frames = np.round(PHASES / max(_step(cine), 1e-9)).astype(int) % cine.n_frames
    lines = np.stack(
        [
            map_coordinates(cine.frames[t, shown_slice(cine)], [index[:, 1], index[:, 0]], order=1, cval=np.nan)
            for t in frames
        ]
    )
    return gaussian_filter1d(lines, SMOOTH_MM / STEP_MM, axis=1)


def _step(cine: Cine) -> float:
    phases = frame_phases(cine)
    return float(phases[-1]) / max(len(phases) - 1, 1)


def _profile_shift(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """How far what ``first`` shows lies further along than in ``second``, mm, and their correlation there."""
    most = round(MOST_SHIFT_MM / STEP_MM)
    fixed = second[:, most:-most]
    shifts = np.arange(-most, most + 1)
    scores = np.array([_correlation(first[:, most + s : first.shape[1] - most + s], fixed) for s in shifts])
    best = int(np.argmax(scores))
    if scores[best] <= 0 or best in (0, len(shifts) - 1):
        return 0.0, 0.0
    before, at, after = scores[best - 1 : best + 2]
    finer = 0.5 * (before - after) / (before - 2 * at + after) if before - 2 * at + after < 0 else 0.0
    return (shifts[best] + finer) * STEP_MM, float(at)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of what both know; 0 where less than half is known."""
    known = np.isfinite(a) & np.isfinite(b)
    if known.mean() < 0.5 or np.ptp(a[known]) == 0 or np.ptp(b[known]) == 0:
        return 0.0
    return float(np.corrcoef(a[known], b[known])[0, 1])


def _offsets(shifts: dict[tuple[str, str], float]) -> dict[str, float]:
    """Offsets of the views, their mean zero, that explain the shifts of the pairs best."""
    views = list(dict.fromkeys(view for pair in shifts for view in pair))
    if not views:
        return {}
    rows = np.zeros((len(shifts) + 1, len(views)))
    for row, (first, second) in enumerate(shifts):
        rows[row, views.index(first)], rows[row, views.index(second)] = 1.0, -1.0
    rows[-1] = 1.0
    solved = np.linalg.lstsq(rows, np.array([*shifts.values(), 0.0]), rcond=None)[0]
    return {view: float(offset) for view, offset in zip(views, solved, strict=True)}
