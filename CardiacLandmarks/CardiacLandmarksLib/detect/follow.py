"""Aortic points followed through the beat by the image, where a network has left what it had found.

At the frame of the R wave the aortic valve is closed and stands out; later a network may slide down the septum. Such a
path goes farther than any annulus.
"""

from dataclasses import replace

import numpy as np

from CardiacLib.networks.intensity import normalise
from CardiacLib.networks.sampling import sample
from CardiacLib.types.landmarks import LANDMARK_NAMES, valve_points

from .beat import LEAST_BEAT, image_motion, ring_posterior
from .decode import STRIDE, peaks
from .detector import CONFIDENT, Detection
from .trajectories import LEAST_FRAMES, fit_trajectories

FAR_MM = 18.0
"""Wide limit of our own for adults: an aortic annulus does not go farther from its place at the R wave."""
FOLLOWED = 0.3
"""Confidence of a followed point: it is there, and weak."""
PIXEL_MM, SIDE = 1.25, 160
"""Pixels of the window round a followed point, and how many there are on a side."""
WANDER_CELLS = 0.4
"""Standard deviation of what a followed point moves from frame to frame beside the image's motion: 1 mm."""
FLOW_STEPS = 4
"""Refinements of the flow: errors add up where nothing else holds the point."""


def steady(
    frames: np.ndarray, detection: Detection, phases: np.ndarray, spacing_mm: tuple[float, float]
) -> tuple[Detection, list[str]]:
    """A detection whose aortic points go no farther than an annulus does.

    Where one goes farther, both are followed from frame 0 by the image, as far as the network was sure of them there:
    they are the hinges of one ring. The point that went too far is missing where the network was not sure of it in
    frame 0, the followed point goes too far as well, or there are fewer than LEAST_BEAT frames.

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
    far = [_goes_far(path, spacing) for path in np.swapaxes(paths, 0, 1)]
    if not any(far):
        return detection, []
    for n, left in zip(aortic, far, strict=True):
        name, start = LANDMARK_NAMES[n], points[0, n]
        if len(points) >= LEAST_BEAT and np.isfinite(start).all() and confidence[0, n] >= CONFIDENT:
            found = follow(frames, start, spacing)
            if not _goes_far(found, spacing):
                points[1:, n], confidence[1:, n] = found[1:], FOLLOWED
                why = "the network leaves the valve" if left else "the network leaves the other point of the valve"
                notes.append(f"{name}: {why}; it is followed from the first frame by the image, check it by eye.")
                continue
        if left:
            points[:, n], confidence[:, n] = np.nan, 0.0
            notes.append(f"{name}: moves more than {FAR_MM:.0f} mm, as no aortic annulus does; it is left out.")
    return replace(detection, points=points, confidence=confidence), notes


def follow(frames: np.ndarray, start: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """(T, 2) rows and columns of a point of frame 0 in every frame of a beat.

    Known in frame 0 alone, it moves with the image, forwards and backwards round the beat
    (:func:`~CardiacLandmarksLib.detect.beat.ring_posterior`).

    Args:
        frames: (T, H, W), one beat.
        start: row and column in frame 0.
        spacing_mm: between rows and between columns.
    """
    start, step = np.asarray(start, float), PIXEL_MM / np.asarray(spacing_mm, float)
    away = np.arange(SIDE) - (SIDE - 1) / 2
    windows = sample(normalise(frames), *(c + s * away for c, s in zip(start, step, strict=True)), "zeros")
    middle = (SIDE / STRIDE - 1) / 2
    rows, columns = np.indices((SIDE // STRIDE, SIDE // STRIDE)) - middle
    evidence = np.ones((len(windows), *rows.shape))
    evidence[0] = np.exp(-0.5 * (rows**2 + columns**2)) + 1e-6
    cells, _ = peaks(ring_posterior(evidence, image_motion(windows, FLOW_STEPS), WANDER_CELLS))
    return start + (cells - middle) * STRIDE * step


def _goes_far(path: np.ndarray, spacing: np.ndarray) -> bool:
    return bool((np.linalg.norm((path - path[0]) * spacing, axis=1) > FAR_MM).any())
