"""Points followed through the beat by their surroundings, where a network has left what it had found.

At the frame of the R wave the aortic valve is closed and stands out; later a network may slide down the septum. Such a
path goes farther than any annulus.
"""

from dataclasses import replace

import numpy as np
import scipy

from CardiacLib.types.landmarks import LANDMARK_NAMES, valve_points

from .detector import CONFIDENT, NEAR_MM, Detection
from .trajectories import LEAST_FRAMES, fit_trajectories

FAR_MM = 18.0
"""Wide limit of our own for adults: an aortic annulus does not go farther from its place at the R wave."""
FOLLOWED = 0.3
"""Confidence of a followed point: it is there, and weak."""
PATCH_MM = 12.5
"""Half the side of the surroundings that are looked for."""
REACH_MM = 4.5
"""As far they are looked for from one frame to the next: 11 cm/s at 25 frames a beat of one second."""


def steady(
    frames: np.ndarray, detection: Detection, phases: np.ndarray, spacing_mm: tuple[float, float]
) -> tuple[Detection, list[str]]:
    """A detection whose aortic points go no farther than an annulus does.

    A point that goes farther is followed from frame 0 by its surroundings, and keeps what the network found within
    NEAR_MM of there. Where the network was not sure in frame 0, or the followed point goes too far as well, it is
    missing.

    Args:
        frames: (T, H, W) of one beat, the first at the R wave.
        detection: of these frames.
        phases: (T,), one beat being 1.
        spacing_mm: between rows and between columns.

    Returns:
        the detection, and a sentence on each point that was changed.
    """
    spacing, points, confidence = np.asarray(spacing_mm, float), detection.points.copy(), detection.confidence.copy()
    aortic, notes = valve_points("aortic"), []
    if len(points) < LEAST_FRAMES or not np.isfinite(points[:, aortic]).any():
        return detection, []
    paths = fit_trajectories(points[:, aortic], confidence[:, aortic], phases).at(phases)
    for n, path in zip(aortic, np.swapaxes(paths, 0, 1), strict=True):
        if not _goes_far(path, spacing):
            continue
        name, start = LANDMARK_NAMES[n], points[0, n]
        if np.isfinite(start).all() and confidence[0, n] >= CONFIDENT:
            found = follow(frames, start, spacing)
            if not _goes_far(found, spacing):
                off = np.linalg.norm((points[:, n] - found) * spacing, axis=1)
                lost = ~(off <= NEAR_MM)
                points[lost, n], confidence[lost, n] = found[lost], FOLLOWED
                notes.append(
                    f"{name}: the network leaves the valve in {lost.sum()} of {len(lost)} frames; there it is followed "
                    "from the first frame by the image, check it by eye."
                )
                continue
        points[:, n], confidence[:, n] = np.nan, 0.0
        notes.append(f"{name}: moves more than {FAR_MM:.0f} mm, as no aortic annulus does; it is left out.")
    return (replace(detection, points=points, confidence=confidence), notes) if notes else (detection, [])


def follow(frames: np.ndarray, start: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """(T, 2) rows and columns of a point of frame 0 in every frame of a beat.

    Its surroundings are found again from frame to frame by normalised cross-correlation, forwards and backwards round
    the beat; each frame takes the mean of both, weighted by how near in time it was reached.

    Args:
        frames: (T, H, W), one beat.
        start: row and column in frame 0.
        spacing_mm: between rows and between columns.
    """
    spacing, count = np.asarray(spacing_mm, float), len(frames)
    ways = []
    for step in (1, -1):
        way = [np.asarray(start, float)]
        for t in range(1, count):
            way.append(_again(frames[step * (t - 1) % count], frames[step * t % count], way[-1], spacing))
        ways.append(np.array(way))
    behind = ways[1][-np.arange(count) % count]
    late = (np.arange(count) / count)[:, None]
    return (1.0 - late) * ways[0] + late * behind


def _again(image: np.ndarray, other: np.ndarray, point: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Where the surroundings of a point of one image are in another, to a fraction of a pixel."""
    from skimage.feature import match_template

    half, reach = (np.maximum(np.round(mm / spacing).astype(int), 1) for mm in (PATCH_MM, REACH_MM))
    match = match_template(_around(other, point, half + reach), _around(image, point, half))
    best = np.array(np.unravel_index(match.argmax(), match.shape))
    finer = np.zeros(2)
    for axis in np.flatnonzero((best > 0) & (best < 2 * reach)):
        aside = np.eye(2, dtype=int)[axis]
        before, here, after = (match[tuple(best + n * aside)] for n in (-1, 0, 1))
        if before + after < 2.0 * here:
            finer[axis] = 0.5 * (before - after) / (before - 2.0 * here + after)
    return point + best - reach + finer


def _around(image: np.ndarray, point: np.ndarray, half: np.ndarray) -> np.ndarray:
    """The image within ``half`` rows and columns of a point; beyond its border the last pixel goes on."""
    rows, columns = np.meshgrid(*(np.arange(-n, n + 1.0) for n in half), indexing="ij")
    return scipy.ndimage.map_coordinates(image, [rows + point[0], columns + point[1]], order=1, mode="nearest")


def _goes_far(path: np.ndarray, spacing: np.ndarray) -> bool:
    return bool((np.linalg.norm((path - path[0]) * spacing, axis=1) > FAR_MM).any())
