"""Find the left ventricle and the side of the right ventricle in a short-axis cine, by motion and shape.

The LV is the most circular thing that beats: edges that move (first harmonic of the pixel's time course, as in
Lin et al., MICCAI 2006) vote along their gradient for the centre of the bright disc that they bound.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from CardiacLib.geometry import HUMAN_APEX, apply, slice_normal
from CardiacLib.types.cine import Cine

LV_RADII_MM = np.arange(12.0, 36.0, 2.0)
VOTE_SMOOTHING_MM = 5.0
MOTION_SMOOTHING_MM = 20.0
FIELD_MM = 80.0
"""Short-axis fields of view are centred on the heart within about this distance (standard deviation)."""
MOST_PLACES = 5
PLACES_APART_MM = 20.0
VOTE_COST = 4.0
"""Cost of a place with e times fewer votes than the best, in squared standard deviations."""
RV_RANGE_MM = (42.0, 95.0)
"""Distances from the LV centre between which motion is taken for the right ventricle's."""
RV_REACH_MM = 50.0


@dataclass(frozen=True)
class HeartPose:
    """Where the heart lies, in LPS.

    Attributes:
        lv_center: (3,) mm, LV centre at mid-ventricular level.
        apex_direction: (3,) unit vector along the long axis from base to apex.
        rv_direction: (3,) unit vector in the short-axis plane from the LV centre towards the RV.
        cost: 0 for the best of several possible places, else how much worse, in squared standard deviations.
    """

    lv_center: np.ndarray
    apex_direction: np.ndarray
    rv_direction: np.ndarray
    cost: float = 0.0


def find_heart(cine: Cine) -> tuple[HeartPose, ...]:
    """Possible poses of the heart in a short-axis cine (T >= 2, K >= 1), the best first.

    The apex is on the side where the patient's left, front and feet are, which needs a true orientation.
    """
    middle = _middle_slices(cine.n_slices)
    frames = cine.frames[:, middle]
    spacing = cine.spacing[:2]
    motion = np.abs(np.fft.rfft(frames, axis=0)[1])
    motion = gaussian_filter(motion, (0, *(2.0 / spacing[::-1])))
    axis = slice_normal(cine.ijk_to_lps)
    axis = axis if axis @ HUMAN_APEX >= 0 else -axis
    poses = []
    for row, column, cost in _peaks(_lv_votes(frames, motion, spacing), spacing):
        center = apply(cine.ijk_to_lps, [column, row, float(np.mean(middle))])
        toward_rv = cine.ijk_to_lps[:3, :2] @ (_rv_side(frames, motion, (row, column), spacing) / spacing)
        poses.append(HeartPose(center, axis, toward_rv / np.linalg.norm(toward_rv), cost))
    return tuple(poses)


def _middle_slices(n: int) -> list[int]:
    """Indices of the central part of the stack, without the base and the apex."""
    margin = n // 4
    return list(range(margin, n - margin))


def _peaks(votes: np.ndarray, spacing: np.ndarray) -> list[tuple[float, float, float]]:
    """(row, column, cost) of the highest places of a map, apart from each other."""
    j, i = np.mgrid[: votes.shape[0], : votes.shape[1]]
    rest, best = votes.copy(), float(votes.max())
    found: list[tuple[float, float, float]] = []
    while len(found) < MOST_PLACES:
        row, column = np.unravel_index(rest.argmax(), rest.shape)
        value = float(rest[row, column])
        if found and value <= 0.02 * best:
            break
        found.append((float(row), float(column), VOTE_COST * float(np.log(best / value)) if value > 0 else 0.0))
        rest[np.hypot((i - column) * spacing[0], (j - row) * spacing[1]) < PLACES_APART_MM] = 0.0
    return found


def _lv_votes(frames: np.ndarray, motion: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(J, I) votes for the LV centre, of moving edges of all given slices in up to six frames."""
    n_j, n_i = frames.shape[2:]
    votes = np.zeros(n_j * n_i)
    weight = motion / (np.percentile(motion, 99.5) + 1e-9)
    for t in np.unique(np.linspace(0, len(frames), 6, endpoint=False).astype(int)):
        smooth = gaussian_filter(frames[t], (0, *(2.0 / spacing[::-1])))
        gj, gi = np.gradient(smooth, spacing[1], spacing[0], axis=(1, 2))
        size = np.hypot(gj, gi)
        strength = np.minimum(size / (np.percentile(size, 99) + 1e-9), 1.0) * np.minimum(weight, 1.0)
        chosen = strength > max(np.percentile(strength, 95), 1e-6)
        _, j, i = np.nonzero(chosen)
        s, uj, ui = strength[chosen], gj[chosen] / size[chosen], gi[chosen] / size[chosen]
        # Blood is brighter than the wall: the gradient at the endocardium points to the centre.
        for radius in LV_RADII_MM:
            vj = np.rint(j + radius * uj / spacing[1]).astype(int)
            vi = np.rint(i + radius * ui / spacing[0]).astype(int)
            inside = (vj >= 0) & (vj < n_j) & (vi >= 0) & (vi < n_i)
            votes += np.bincount(vj[inside] * n_i + vi[inside], s[inside], minlength=n_j * n_i)
    smoothed = gaussian_filter(votes.reshape(n_j, n_i), VOTE_SMOOTHING_MM / spacing[::-1])
    # Vessels and flow artefacts move too, but not over an area as large as the heart.
    beating = gaussian_filter(_clipped(motion).mean(0), MOTION_SMOOTHING_MM / spacing[::-1])
    j, i = np.mgrid[:n_j, :n_i]
    off_middle = np.hypot((i - (n_i - 1) / 2) * spacing[0], (j - (n_j - 1) / 2) * spacing[1])
    return smoothed * beating * np.exp(-0.5 * (off_middle / FIELD_MM) ** 2)


def _clipped(motion: np.ndarray) -> np.ndarray:
    return np.minimum(motion, np.percentile(motion, 98))


def _rv_side(frames: np.ndarray, motion: np.ndarray, center: tuple[float, float], spacing: np.ndarray) -> np.ndarray:
    """Direction (i, j), in mm, from the LV centre to bright moving pixels beside the LV."""
    j, i = np.mgrid[: frames.shape[2], : frames.shape[3]]
    x, y = (i - center[1]) * spacing[0], (j - center[0]) * spacing[1]
    distance = np.hypot(x, y)
    ring = (distance > RV_RANGE_MM[0]) & (distance < RV_RANGE_MM[1])
    brightness = np.clip(frames.mean(0) / (frames.mean() + 1e-9), 0.0, 3.0)
    weight = (_clipped(motion) * brightness).sum(0) * np.exp(-((distance / RV_REACH_MM) ** 2)) * ring
    direction = np.array([(weight * x / np.maximum(distance, 1)).sum(), (weight * y / np.maximum(distance, 1)).sum()])
    length = np.linalg.norm(direction)
    return direction / length if length > 0 else np.array([1.0, 0.0])
