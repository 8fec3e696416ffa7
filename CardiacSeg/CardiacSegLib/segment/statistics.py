"""Sums over the pixels of a slice that tell how sure a network was."""

from collections.abc import Callable, Sequence

import numpy as np

from CardiacLib.types.labels import likeliest
from CardiacLib.types.segmentation import SliceStatistics

SUMS = ("soft", "hard", "both", "entropy")
"""The arrays of :class:`SliceStatistics`."""
LEAST = np.finfo(np.float32).tiny
"""A probability of 0 has no entropy."""


def slice_statistics(probabilities: np.ndarray) -> SliceStatistics:
    """The sums of N slices, without the axis of frames: (N, 3) soft, hard and both, and (N,) entropy in nats.

    Args:
        probabilities: (N, 4, H, W), of background, LV, myocardium and RV; they add up to 1 in every pixel.
    """
    found = np.asarray(probabilities, np.float32)
    winner = likeliest(found)
    won = np.stack([winner == structure for structure in (1, 2, 3)], 1)
    structures = found[:, 1:]
    entropy = -(found * np.log(np.maximum(found, LEAST))).sum((1, 2, 3))
    sums = (structures.sum((2, 3)), won.sum((2, 3)), (structures * won).sum((2, 3)), entropy)
    return SliceStatistics(**{name: values.astype(np.float32) for name, values in zip(SUMS, sums, strict=True)})


def joined_statistics(
    parts: Sequence[SliceStatistics],
    join: Callable[[list[np.ndarray]], np.ndarray] = np.stack,
    *,
    spoilt: tuple[int, ...] = (),
) -> SliceStatistics:
    """Statistics of several parts as one; ``join`` makes one array of each part's."""
    return SliceStatistics(**{name: join([getattr(part, name) for part in parts]) for name in SUMS}, spoilt=spoilt)
