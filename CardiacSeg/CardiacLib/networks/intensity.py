"""Intensities of a series as networks see them."""

import numpy as np

PERCENTILES = (1.0, 99.0)
MANY = 1_000_000
"""Voxels from which a percentile is looked for between two bounds."""
SAMPLED = 97
"""Of the voxels of a series, one in so many tells the bounds."""
BLOCK = 1 << 18
"""Voxels compared with the bounds at a time; those of more are not in the processor's cache any longer."""


def normalise(volume: np.ndarray) -> np.ndarray:
    """Map the 1st..99th percentile of a whole volume or cine to 0..1 and clip; a flat image becomes zeros."""
    return rescale(volume, *intensity_limits(volume))


def intensity_limits(volume: np.ndarray) -> tuple[float, float]:
    """The intensities of a whole volume or cine that are mapped to 0 and 1."""
    low, high = (percentile(volume, percent) for percent in PERCENTILES)
    return low, high


def rescale(volume: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map ``low``..``high`` to 0..1 and clip, float32; zeros where the two are the same.

    Frame by frame this takes a tenth of the time of a whole cine, whose copy is memory the process has not touched yet.
    """
    if high <= low:
        return np.zeros(volume.shape, np.float32)
    # In single precision and in place throughout: a cine has tens of millions of voxels.
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
    blocks = [values[start : start + BLOCK] for start in range(0, values.size, BLOCK)]
    between = np.concatenate([block[(block >= low) & (block <= high)] for block in blocks])
    rank, rest = divmod(percent / 100 * (values.size - 1), 1)
    first = int(rank) - sum(np.count_nonzero(block < low) for block in blocks)
    if not 0 <= first < len(between) - 1:  # the values repeat with the step of the sample
        return float(np.percentile(values, percent))
    below, above = np.partition(between, (first, first + 1))[first : first + 2].astype(float)
    return float(below + rest * (above - below))
