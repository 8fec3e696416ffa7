"""What the slice networks answer, whatever runs them: channels, sizes, and logits as probabilities."""

from collections.abc import Sequence

import numpy as np
import scipy


def channels_of(structures: int) -> int:
    """Channels of an answer: one for the one-class form, else background and the structures."""
    return 1 if structures == 1 else structures + 1


def multiple_of(widths: Sequence[Sequence[int]]) -> int:
    """What rows and columns must be a multiple of, for the widths of :class:`~.networks.CoarseToFine`."""
    return max(2 ** (len(levels) - 1 + len(widths) - 1 - n) for n, levels in enumerate(widths))


def probabilities(logits: np.ndarray, structures: int) -> np.ndarray:
    """Logits (B, S * channels, H, W) of S slices to probabilities (B, S, 5, H, W) of labels 0 to 4.

    A network of one class, as published, knows no pools: all muscle is LV myocardium then.
    """
    parts = logits.reshape(len(logits), -1, channels_of(structures), *logits.shape[-2:])
    if structures > 1:
        return scipy.special.softmax(parts, 2)
    found = scipy.special.expit(parts)
    none = np.zeros_like(found)
    return np.concatenate([1 - found, none, found, none, none], 2)
