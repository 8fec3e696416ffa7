"""Closed outlines of a mask, half way between the centres of pixels inside and outside."""

import numpy as np


def outlines(inside: np.ndarray) -> list[list[int]]:
    """Outlines of a mask bool (J, I): each x, y, x, y, ... in tenths of a pixel, the first pixel's centre at 0."""
    from skimage.measure import find_contours

    if not inside.any():
        return []
    padded = np.pad(inside, 1).astype(np.float32)
    found = find_contours(padded, 0.5)
    return [np.rint((line[:-1, ::-1] - 1) * 10).astype(int).ravel().tolist() for line in found]
