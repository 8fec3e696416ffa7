"""Between the pixels of a long-axis view and the patient: rows and columns to LPS mm and back."""

import numpy as np

from CardiacLib.geometry import apply, index_of
from CardiacLib.types.cine import Cine


def shown_slice(cine: Cine) -> int:
    """The slice of a cine that is looked at: the middle one."""
    return cine.n_slices // 2


def pixels_to_lps(cine: Cine, points: np.ndarray) -> np.ndarray:
    """LPS mm (..., 3) of rows and columns (..., 2) in the shown slice; NaN stays NaN."""
    points = np.asarray(points, float)
    k = np.full(points.shape[:-1], float(shown_slice(cine)))
    return apply(cine.ijk_to_lps, np.stack([points[..., 1], points[..., 0], k], -1))


def lps_to_pixels(cine: Cine, points: np.ndarray) -> np.ndarray:
    """Rows and columns (..., 2) in the shown slice nearest to LPS mm (..., 3); NaN stays NaN."""
    return index_of(cine.ijk_to_lps, points)[..., [1, 0]]
