"""Intensities of a series as networks see them."""

import numpy as np

PERCENTILES = (1.0, 99.0)
MANY = 1_000_000
"""Voxels from which a percentile is looked for between two bounds."""
SAMPLED = 97
"""Of the voxels of a series, one in so many tells the bounds."""


def normalise(volume: np.ndarray) -> np.ndarray:
    """Map the 1st..99th percentile of a whole volume or cine to 0..1 and clip; a flat image becomes zeros."""
    # In single precision and in place throughout: a cine has tens of millions of voxels.
    low, high = (percentile(volume, percent) for percent in PERCENTILES)
    if high <= low:
        return np.zeros(volume.shape, np.float32)
    scaled = np.subtract(volume, np.float32(low), dtype=np.float32)
    scaled /= np.float32(high - low)
    return np.clip(scaled, 0.0, 1.0, out=scaled)


def percentile(values: np.ndarray, percent: float) -> float:
    """``np.percentile(values, percent)`` of finite values, without the copy of them all that it makes.

    A sample tells two bounds; only the values between them are ordered.
    """
    values = values.reshape(-1)
    if values.size < MANY:
        return float(np.percentile(values, percent))
    sample = np.sort(values[::SAMPLED])
    place = percent / 100 * (len(sample) - 1)
    spread = 2 + 4 * np.sqrt(place * (1 - percent / 100))
    low, high = sample[np.clip([place - spread, place + spread + 1], 0, len(sample) - 1).astype(int)]
    between = values[(values >= low) & (values <= high)]
    rank, rest = divmod(percent / 100 * (values.size - 1), 1)
    first = int(rank) - np.count_nonzero(values < low)
    if not 0 <= first < len(between) - 1:  # the values repeat with the step of the sample
        return float(np.percentile(values, percent))
    below, above = np.partition(between, (first, first + 1))[first : first + 2].astype(float)
    return float(below + rest * (above - below))
