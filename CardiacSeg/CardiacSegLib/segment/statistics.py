"""Sums over the pixels of a slice that tell how sure a network was."""

from collections.abc import Callable, Sequence

import numpy as np

from CardiacLib.types.labels import likeliest
from CardiacLib.types.segmentation import SliceStatistics

SUMS = ("soft", "hard", "both", "entropy")
"""The arrays of :class:`SliceStatistics`."""


def slice_statistics(probabilities) -> SliceStatistics:
    """The sums of N slices, without the axis of frames: (N, 3) soft, hard and both, and (N,) entropy in nats.

    Args:
        probabilities: torch (N, 4, H, W), of background, LV, myocardium and RV; they add up to 1 in every pixel.
    """
    import torch

    found = probabilities.float()
    winner = likeliest(found)
    won = torch.stack([winner == structure for structure in (1, 2, 3)], 1)
    structures = found[:, 1:]
    entropy = torch.special.entr(found).sum((1, 2, 3))
    sums = (structures.sum((2, 3)), won.sum((2, 3)), (structures * won).sum((2, 3)), entropy)
    return SliceStatistics(
        **{name: values.float().cpu().numpy() for name, values in zip(SUMS, sums, strict=True)},
    )


def joined_statistics(
    parts: Sequence[SliceStatistics],
    join: Callable[[list[np.ndarray]], np.ndarray] = np.stack,
    *,
    spoilt: tuple[int, ...] = (),
) -> SliceStatistics:
    """Statistics of several parts as one; ``join`` makes one array of each part's."""
    return SliceStatistics(**{name: join([getattr(part, name) for part in parts]) for name in SUMS}, spoilt=spoilt)
