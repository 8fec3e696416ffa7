"""Images at other places than their pixels: bilinear, along rows and columns by themselves.

What torch's ``grid_sample`` with ``align_corners`` gives where the places form a grid, but faster for that.
"""

import numpy as np

BEYOND = ("border", "zeros")
"""What lies beyond an image: its border goes on, or zeros."""


def sample(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, beyond: str = BEYOND[0]) -> np.ndarray:
    """Float32 (..., len(rows), len(columns)) of images (..., H, W).

    Args:
        images: float32.
        rows, columns: places in pixels, pixel centres at whole numbers.
        beyond: one of BEYOND.
    """
    values = np.asarray(images, np.float32)
    for axis, places in ((-2, rows), (-1, columns)):
        values = _along(values, axis, np.asarray(places, np.float64), beyond)
    return values


def _along(values: np.ndarray, axis: int, places: np.ndarray, beyond: str) -> np.ndarray:
    last = values.shape[axis] - 1
    if beyond == "border":
        places = np.clip(places, 0, last)
    low = np.floor(places).astype(int)
    shares = (places - low).astype(np.float32)
    parts = []
    for index, weights in ((low, 1 - shares), (low + 1, shares)):
        weights = np.where((index >= 0) & (index <= last), weights, np.float32(0))
        part = np.take(values, np.clip(index, 0, last), axis)
        part *= weights[:, None] if axis == -2 else weights
        parts.append(part)
    parts[0] += parts[1]
    return parts[0]
