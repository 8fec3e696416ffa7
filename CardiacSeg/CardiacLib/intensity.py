"""Intensities of a series as networks see them."""

import numpy as np

PERCENTILES = (1.0, 99.0)


def normalise(volume: np.ndarray) -> np.ndarray:
    """Map the 1st..99th percentile of a whole volume or cine to 0..1 and clip; a flat image becomes zeros."""
    low, high = np.percentile(volume, PERCENTILES)
    if high <= low:
        return np.zeros(volume.shape, np.float32)
    # In single precision throughout: a cine has tens of millions of voxels.
    scaled = (volume - np.float32(low)) / np.float32(high - low)
    return np.clip(scaled, 0.0, 1.0, out=scaled).astype(np.float32, copy=False)
