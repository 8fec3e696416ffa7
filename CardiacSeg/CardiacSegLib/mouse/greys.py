"""Grey values of slices as a network of single slices sees them."""

import numpy as np


def normalised(slices: np.ndarray) -> np.ndarray:
    """Each slice of (..., J, I) mapped to 0..1 by its own least and greatest value, float32; a flat one becomes 0."""
    slices = np.asarray(slices, np.float32)
    low, high = (extreme(slices, axis=(-2, -1), keepdims=True) for extreme in (np.min, np.max))
    flat = high == low
    return np.where(flat, np.float32(0), (slices - low) / np.where(flat, np.float32(1), high - low))
