"""Mitral and tricuspid points by the whole beat: where a network doubts a frame, the others and the motion tell.

The place of each point is the state of a hidden Markov chain over the frames, closed to a ring: a frame's evidence is
the network's map of it, and from frame to frame the place moves with the image (optical flow) and a little at random.
Forward and backward messages give the probability of every place by the maps of all frames (Rabiner, Proceedings of
the IEEE 1989, doi 10.1109/5.18626). Aortic points take no part: blood shoots through their valve in systole.
"""

from dataclasses import dataclass

import numpy as np
import scipy

from CardiacLib.types.landmarks import valve_points

from .decode import REACH_CELLS, STRIDE, VALVES, distances, log_probabilities, peaks

LEAST_BEAT = 8
"""Frames from which motion from one to the next can be followed."""
WANDER_CELLS = 1.2
"""Standard deviation of what a point moves from frame to frame beside the image's motion: 3 mm."""
TRUST = 0.25
"""Power of each frame's map: neighbouring frames show nearly the same and err alike."""
FLOOR = 1e-2
"""Probability, over all cells, of a place of which the map says nothing."""
BLUR_CELLS = 0.7
"""Of the maps, which are sharper than they are right."""
ROUNDS = 2
"""Times that messages go round the beat: in the first they do not know yet what comes before the first frame."""
LEAST_LIKELY = 1e-12
"""Probability of a cell in a message: none is impossible, also where all moves out of the window."""
FLOW_RADIUS = 4
"""Half the side of the optical flow's window, in cells."""
FLOW_STEPS = 2
"""Refinements of the flow."""


def beat_places(outputs: np.ndarray, windows: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest places of points in each frame by the maps of a whole beat.

    Two points of one valve are not at one place: of two that come nearer than REACH_CELLS, the one whose place the
    network thinks less likely is looked for elsewhere.

    Args:
        outputs: (T, CHANNELS, h, w) of the network.
        windows: (T, H, W) that it saw, H = STRIDE h and W = STRIDE w, one beat in even steps.
        wanted: (10,) boolean, the points to place.

    Returns:
        places (T, 10, 2), row and column in window pixels, NaN for points that are not wanted, that are aortic, or
        where there are fewer than LEAST_BEAT frames; probability (T, 10) that the network itself gives them, within
        REACH_CELLS.
    """
    count, points = len(outputs), len(wanted)
    cells, own = np.full((count, points, 2), np.nan), np.zeros((count, points))
    wanted = np.asarray(wanted, bool) & ~np.isin(np.arange(points), valve_points("aortic"))
    if count < LEAST_BEAT or not wanted.any():
        return cells, own
    places, _ = log_probabilities(np.asarray(outputs, np.float32))
    maps = np.exp(places[..., :-1]).reshape(*places.shape[:2], *outputs.shape[-2:])
    motion = image_motion(windows)
    for n in np.flatnonzero(wanted):
        cells[:, n], own[:, n] = _placed(maps[:, n], motion)
    for one, other in VALVES:
        if not (wanted[one] and wanted[other]):
            continue
        if (np.linalg.norm(cells[:, one] - cells[:, other], axis=1) < REACH_CELLS).any():
            weak, strong = sorted((one, other), key=lambda n: own[:, n].mean())
            beyond = distances(cells[:, strong], maps.shape[-2:]) > REACH_CELLS
            cells[:, weak], own[:, weak] = _placed(maps[:, weak] * beyond, motion)
    return cells * STRIDE + (STRIDE - 1) / 2, own


@dataclass(frozen=True)
class Motion:
    """How the images of a beat move, in cells of STRIDE x STRIDE window pixels.

    Attributes:
        onwards: (T, 2, h, w), rows and columns that what is in each cell goes until the next frame; the last goes to
            the first.
        back: (T, 2, h, w), from each cell of the next frame to where it was.
    """

    onwards: np.ndarray
    back: np.ndarray


def image_motion(windows: np.ndarray, steps: int = FLOW_STEPS) -> Motion:
    """Iterative Lucas-Kanade optical flow (Le Besnerais and Champagnat, ICIP 2005, doi 10.1109/ICIP.2005.1529706).

    Args:
        windows: (T, STRIDE h, STRIDE w), one beat.
        steps: refinements of the flow.
    """
    from skimage.registration import optical_flow_ilk

    count, height, width = windows.shape
    coarse = windows.reshape(count, height // STRIDE, STRIDE, width // STRIDE, STRIDE).mean((2, 4))
    onwards = np.stack(
        [optical_flow_ilk(coarse[t], coarse[(t + 1) % count], radius=FLOW_RADIUS, num_warp=steps) for t in range(count)]
    )
    return Motion(onwards, np.stack([_turned_round(flow) for flow in onwards]))


def ring_posterior(evidence: np.ndarray, motion: Motion, wander: float = WANDER_CELLS) -> np.ndarray:
    """(T, h, w) probability of each place by the evidence of all frames.

    Args:
        evidence: (T, h, w), proportional to the likelihood of each frame by itself.
        motion: of the images.
        wander: standard deviation, in cells, of what a point moves from frame to frame beside the image's motion.
    """
    before = _messages(evidence, motion.back, wander)
    after = _messages(evidence[::-1], np.roll(motion.onwards[::-1], -1, axis=0), wander)[::-1]
    posterior = evidence * before * after
    return posterior / posterior.sum((1, 2), keepdims=True)


def _placed(maps: np.ndarray, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Cells (T, 2), and the network's own probability (T,) of each, of one point's maps (T, h, w)."""
    share = maps / np.maximum(maps.sum((1, 2), keepdims=True), 1e-12)
    blurred = scipy.ndimage.gaussian_filter(share, (0.0, BLUR_CELLS, BLUR_CELLS))
    cells, _ = peaks(ring_posterior((blurred + FLOOR / share[0].size) ** TRUST, motion))
    return cells, (maps * (distances(cells, maps.shape[-2:]) <= REACH_CELLS)).sum((1, 2))


def _messages(evidence: np.ndarray, sources: np.ndarray, wander: float) -> np.ndarray:
    """(T, h, w) what the earlier frames of a ring say of each.

    Args:
        evidence: (T, h, w).
        sources: (T, 2, h, w), from each cell of the frame after frame t to where it lies in frame t.
        wander: as of :func:`ring_posterior`.
    """
    said, message = np.empty_like(evidence), np.full(evidence.shape[1:], 1.0 / evidence[0].size)
    for t in [*range(len(evidence))] * ROUNDS:
        said[t] = message
        message = scipy.ndimage.gaussian_filter(_drawn(message * evidence[t], sources[t]), wander) + LEAST_LIKELY
        message /= message.sum()
    return said


def _drawn(image: np.ndarray, offset: np.ndarray, mode: str = "constant") -> np.ndarray:
    """An image (h, w) as it is ``offset`` (2, h, w) from every cell."""
    return scipy.ndimage.map_coordinates(image, np.indices(image.shape) + offset, order=1, mode=mode)


def _turned_round(flow: np.ndarray) -> np.ndarray:
    """The flow (2, h, w) back: where each cell of the later image was, from that cell."""
    back = -flow
    for _ in range(3):
        back = -np.stack([_drawn(part, back, "nearest") for part in flow])
    return back
