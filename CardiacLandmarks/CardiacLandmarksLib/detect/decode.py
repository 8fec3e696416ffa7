"""From heat maps to points: probability maps over cells and "absent", and their sub-pixel decoding.

For each point the network gives one logit per cell of a coarse grid over its window and one for "not in the window".
Their softmax is the probability of where the point is. A cell is STRIDE x STRIDE window pixels; row r of the window
lies at cell (r - (STRIDE - 1) / 2) / STRIDE.
"""

import numpy as np
import scipy

from CardiacLandmarksLib.train.examples import VIEWS
from CardiacLib.types.landmarks import LANDMARK_NAMES

POINTS = len(LANDMARK_NAMES)
CHANNELS = 2 * POINTS + len(VIEWS)
"""Channels of the network's output: maps of the points, then, the same in all cells, absence and view logits."""
STRIDE = 2
SIGMA_CELLS = 1.0
"""Standard deviation of the target round a point."""
REACH_CELLS = 3
"""Half side of the square that decoding averages over, and radius within which the confidence sums."""
VALVES = tuple((n, n + 1) for n in range(0, POINTS, 2))
"""The two points of each valve in each view."""


def log_probabilities(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Natural logs of places (B, 10, h * w + 1), the last absent, and views (B, 4), of outputs (B, CHANNELS, h, w)."""
    maps, absent = outputs[:, :POINTS].reshape(len(outputs), POINTS, -1), outputs[:, POINTS : 2 * POINTS, 0, 0]
    places = scipy.special.log_softmax(np.concatenate([maps, absent[..., None]], -1), -1)
    return places, log_views(outputs)


def log_views(outputs: np.ndarray) -> np.ndarray:
    """Natural logs of views (B, 4) of outputs (B, CHANNELS, h, w)."""
    return scipy.special.log_softmax(outputs[:, 2 * POINTS :, 0, 0], -1)


def mean_outputs(several: list[np.ndarray]) -> np.ndarray:
    """Outputs (B, CHANNELS, h, w) whose probabilities are the means of those of several outputs for the same images."""
    both = [log_probabilities(outputs) for outputs in several]
    places, views = (_log_mean_exp(logs) for logs in zip(*both, strict=True))
    size = several[0].shape[-2:]
    whole = np.concatenate([places[..., -1], views], 1)[..., None, None]
    maps = places[..., :-1].reshape(*places.shape[:2], *size)
    return np.concatenate([maps, np.broadcast_to(whole, (*whole.shape[:2], *size))], 1)


def _log_mean_exp(logs: tuple[np.ndarray, ...]) -> np.ndarray:
    """Logarithm of the mean of what these are the logarithms of."""
    greatest = np.maximum.reduce(logs)
    return greatest + np.log(sum(np.exp(values - greatest) for values in logs) / np.float32(len(logs)))


def decode(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points and confidence from network outputs (B, CHANNELS, h, w).

    The peak of the probability summed over 3 x 3 cells, refined to the mean over REACH_CELLS round it. Two points of
    one valve cannot lie at the same place: of two that would, the less sure one is looked for elsewhere.

    Returns:
        points (B, 10, 2), row and column in window pixels; confidence (B, 10), the probability that the point lies
        within REACH_CELLS of there.
    """
    places, _ = log_probabilities(np.asarray(outputs, np.float32))
    maps = np.exp(places[..., :-1]).reshape(*places.shape[:2], *outputs.shape[-2:])
    at, confidence = peaks(maps)
    for one, other in VALVES:
        near = np.linalg.norm(at[:, one] - at[:, other], axis=-1) < REACH_CELLS
        for weak, strong, less in ((one, other, np.less), (other, one, np.greater_equal)):
            again = near & less(confidence[:, one], confidence[:, other])
            if again.any():
                beyond = distances(at[again, strong], maps.shape[-2:]) > REACH_CELLS
                at[again, weak], confidence[again, weak] = peaks(maps[again, weak] * beyond)
    return at * STRIDE + (STRIDE - 1) / 2, confidence


def peaks(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (..., 2) in cells and probability round them (...) of probability maps (..., h, w)."""
    height, width = maps.shape[-2:]
    peak = _over_three(_over_three(maps, -2), -1).reshape(*maps.shape[:-2], -1).argmax(-1)
    at = np.stack([peak // width, peak % width], -1).astype(np.float32)
    rows, columns = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    for _ in range(3):  # the square follows the mean, else its edge would bias it towards the peak's cell
        near_rows = _soft_window(rows - at[..., 0, None])
        near_columns = _soft_window(columns - at[..., 1, None])
        by_row = near_rows * np.einsum("...hw,...w->...h", maps, near_columns)
        by_column = near_columns * np.einsum("...hw,...h->...w", maps, near_rows)
        total = np.maximum(by_row.sum(-1), 1e-12)
        at = np.stack([(by_row * rows).sum(-1) / total, (by_column * columns).sum(-1) / total], -1)
    return at, (maps * (distances(at, maps.shape[-2:]) <= REACH_CELLS)).sum((-1, -2))


def _over_three(maps: np.ndarray, axis: int) -> np.ndarray:
    """Sums over a cell and its two neighbours along an axis; nothing lies beyond the ends."""
    maps = np.moveaxis(maps, axis, -1)
    found = maps.copy()
    found[..., 1:] += maps[..., :-1]
    found[..., :-1] += maps[..., 1:]
    return np.moveaxis(found, -1, axis)


def distances(at: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(..., h, w) of every cell from places (..., 2)."""
    rows, columns = (np.arange(n, dtype=np.float32) for n in shape)
    return np.hypot(rows[:, None] - at[..., 0, None, None], columns - at[..., 1, None, None])


def _soft_window(offset: np.ndarray) -> np.ndarray:
    """1 within REACH_CELLS, falling to 0 over the next cell, so that the mean moves smoothly."""
    return np.clip(REACH_CELLS + 0.5 - np.abs(offset), 0, 1)
