"""Agreement of two masks on the same anisotropic grid, and of two series of numbers.

Overlaps are volumes of voxels. Surface voxels are those that a 6-neighbour erosion removes, voxels at the border of the
image included; distances are between their centres in mm, in 3-D. The Hausdorff distance so measured is that of the
ACDC challenge (Bernard et al., IEEE TMI 2018, doi 10.1109/TMI.2018.2837502), which gives no 95th percentile. For that
the field has two conventions: here, as in MONAI, it is the larger of the percentiles of the two directions; others pool
both directions first, which gives the same or less.

Empty masks: two empty masks agree perfectly (overlaps 1, distances 0); one empty mask against another that is not has
overlaps 0, also precision and recall, and infinite distances, which no mean may hide: count them apart.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage


class Overlap(NamedTuple):
    """Overlap of a found with the true mask, each 0..1.

    With TP, FP, FN voxels: Dice 2TP/(2TP+FP+FN), Jaccard TP/(TP+FP+FN), precision TP/(TP+FP), recall TP/(TP+FN).
    """

    dice: float
    jaccard: float
    precision: float
    recall: float


def overlap(found: np.ndarray, true: np.ndarray) -> Overlap:
    """All overlaps of two boolean masks of the same shape; 1 if both are empty, 0 if only one is."""
    n_found, n_true = np.count_nonzero(found), np.count_nonzero(true)
    if n_found == 0 or n_true == 0:
        value = float(n_found == n_true)
        return Overlap(value, value, value, value)
    both = np.count_nonzero(found & true)
    either = n_found + n_true - both
    return Overlap(2.0 * both / (n_found + n_true), both / either, both / n_found, both / n_true)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice overlap of two boolean masks of the same shape; 1 if both are empty."""
    return overlap(a, b).dice


class SurfaceDistance(NamedTuple):
    """Distances between two surfaces in mm; all 0 if both masks are empty, infinite if only one is."""

    hausdorff: float
    hausdorff95: float
    mean: float


def surface_distance(a: np.ndarray, b: np.ndarray, spacing) -> SurfaceDistance:
    """Hausdorff distance, its 95th percentile and the mean surface distance of two masks.

    The mean is over the surface voxels of both masks together (average symmetric surface distance).

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
    """Agreement of two methods after Bland and Altman, Lancet 1986, doi 10.1016/S0140-6736(86)90837-8.

    Attributes:
        n: pairs of values.
        r: Pearson correlation; None for fewer than three pairs or where either series does not vary.
        bias: mean of measured minus true.
        sd: standard deviation of measured minus true (n - 1); None for a single pair.
        lower, upper: 95 % limits of agreement, bias -+ 1.96 SD; None with ``sd``.
    """

    n: int
    r: float | None
    bias: float
    sd: float | None
    lower: float | None
    upper: float | None


def agreement(measured, true) -> Agreement:
    """Agreement of two equally long series of at least one value."""
    measured, true = np.asarray(measured, float), np.asarray(true, float)
    difference = measured - true
    n, bias = difference.size, float(difference.mean())
    varies = n > 2 and measured.std() > 0 and true.std() > 0
    r = float(np.corrcoef(measured, true)[0, 1]) if varies else None
    if n < 2:
        return Agreement(n, r, bias, None, None, None)
    sd = float(difference.std(ddof=1))
    return Agreement(n, r, bias, sd, bias - 1.96 * sd, bias + 1.96 * sd)
