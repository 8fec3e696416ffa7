"""Sums over the pixels of a slice that tell how sure a network was."""

import numpy as np

from CardiacLib.types.labels import likeliest


def slice_statistics(probabilities) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The fields of :class:`SliceStatistics` for N slices.

    Args:
        probabilities: torch (N, 4, H, W), of background, LV, myocardium and RV; they add up to 1 in every pixel.

    Returns:
        float32 (N, 3) soft, (N, 3) hard, (N, 3) both, and (N,) entropy in nats.
    """
    import torch

    found = probabilities.float()
    winner = likeliest(found)
    won = torch.stack([winner == structure for structure in (1, 2, 3)], 1)
    structures = found[:, 1:]
    entropy = torch.special.entr(found).sum((1, 2, 3))
    sums = (structures.sum((2, 3)), won.sum((2, 3)), (structures * won).sum((2, 3)), entropy)
    return tuple(values.float().cpu().numpy() for values in sums)
