"""Agreement of two masks on the same anisotropic grid, and of two series of numbers.

Surface voxels are those that a 6-neighbour erosion removes; distances are between their centres in mm, as the ACDC
challenge measures them (Bernard et al., IEEE TMI 2018).
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice overlap of two boolean masks of the same shape; 1 if both are empty."""
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2.0 * np.count_nonzero(a & b) / total if total else 1.0


class SurfaceDistance(NamedTuple):
    """Distances between two surfaces in mm; all 0 if both masks are empty, infinite if only one is."""

    hausdorff: float
    hausdorff95: float
    mean: float


def surface_distance(a: np.ndarray, b: np.ndarray, spacing) -> SurfaceDistance:
    """Hausdorff distance, its 95th percentile and the mean surface distance of two masks.

    Args:
        a, b: boolean masks (K, J, I).
        spacing: mm along k, j, i.
    """
    if not a.any() or not b.any():
        value = float("inf") if a.any() != b.any() else 0.0
        return SurfaceDistance(value, value, value)
    box = ndimage.find_objects((a | b).astype(np.uint8))[0]
    edge_a, edge_b = (_surface(np.pad(mask[box], 1)) for mask in (a, b))
    from_a = ndimage.distance_transform_edt(~edge_b, sampling=spacing)[edge_a]
    from_b = ndimage.distance_transform_edt(~edge_a, sampling=spacing)[edge_b]
    return SurfaceDistance(
        float(max(from_a.max(), from_b.max())),
        float(max(np.percentile(from_a, 95), np.percentile(from_b, 95))),
        float(np.concatenate([from_a, from_b]).mean()),
    )


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


class Agreement(NamedTuple):
    """Pearson correlation, and bias and standard deviation of measured minus true (Bland and Altman 1986).

    The correlation is None where either series does not vary.
    """

    r: float | None
    bias: float
    sd: float


def agreement(measured, true) -> Agreement:
    """Agreement of two equally long series, at least three values each."""
    measured, true = np.asarray(measured, float), np.asarray(true, float)
    difference = measured - true
    varies = measured.std() > 0 and true.std() > 0
    r = float(np.corrcoef(measured, true)[0, 1]) if varies else None
    return Agreement(r, float(difference.mean()), float(difference.std(ddof=1)))
