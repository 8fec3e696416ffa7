"""The outline of the LV pool in one long-axis image: its corners at the mitral valve, its apex, its endocardium."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

SMOOTH_MM = 1.5
"""Standard deviation of the blur of the pool before its outline is drawn: less staircase, rounder corners."""
BASEWARDS = 1.2
"""How much more a corner lies towards the base than to its side, along the axis and across it."""


@dataclass(frozen=True)
class PoolOutline:
    """Of one frame, in mm along rows and columns of the image.

    Attributes:
        area_mm2: of the pool.
        corners: (2, 2) where the outline meets the mitral valve: septal, free wall.
        apex: (2,) the point of the outline farthest from the middle between the corners.
        endocardium: (N, 2) the outline from the septal corner by the apex to that of the free wall.
    """

    area_mm2: float
    corners: np.ndarray
    apex: np.ndarray
    endocardium: np.ndarray

    @property
    def length_mm(self) -> float:
        """From the middle of the mitral valve to the apex."""
        return float(np.linalg.norm(self.corners.mean(0) - self.apex))

    @property
    def volume_ml(self) -> float:
        """Area-length method in one plane, 8 A^2 / (3 pi L) (Dodge et al., American Heart Journal 1960)."""
        return 8.0 * self.area_mm2**2 / (3.0 * np.pi * self.length_mm) / 1000.0

    @property
    def endocardium_mm(self) -> float:
        """Length of the endocardial outline."""
        return float(np.linalg.norm(np.diff(self.endocardium, axis=0), axis=1).sum())


def pool_outline(pool: np.ndarray, spacing: tuple[float, float], mitral: np.ndarray) -> PoolOutline | None:
    """Outline of the LV pool of one frame.

    Args:
        pool: bool (rows, columns).
        spacing: mm from row to row and from column to column.
        mitral: (2, 2) row and column, in pixels, of about the septal and the free-wall mitral point: they tell which
            end is the base, and which side the septum.

    Returns:
        None where there is no pool, no points, or the pool reaches an edge of the image.
    """
    if pool.sum() < 20 or not np.isfinite(mitral).all() or _at_edge(pool):
        return None
    from skimage.measure import find_contours

    scale = np.asarray(spacing, float)
    smooth = gaussian_filter(pool.astype(np.float32), SMOOTH_MM / scale)
    contours = find_contours(smooth, 0.5)
    if not contours:
        return None
    outline = max(contours, key=len)[:-1] * scale
    points = mitral * scale
    middle = np.argwhere(pool).mean(0) * scale
    axis = points.mean(0) - middle
    length = np.linalg.norm(axis)
    if length == 0.0:
        return None
    axis /= length
    across = points[0] - points[1] - ((points[0] - points[1]) @ axis) * axis
    if not across.any():
        return None
    across /= np.linalg.norm(across)
    up, side = (outline - middle) @ axis, (outline - middle) @ across
    septal, free = int((BASEWARDS * up + side).argmax()), int((BASEWARDS * up - side).argmax())
    base = (outline[septal] + outline[free]) / 2
    apex = int(np.linalg.norm(outline - base, axis=1).argmax())
    return PoolOutline(
        area_mm2=float(pool.sum() * scale.prod()),
        corners=outline[[septal, free]],
        apex=outline[apex],
        endocardium=_arc(outline, septal, free, apex),
    )


def _at_edge(pool: np.ndarray) -> bool:
    return bool(pool[[0, -1]].any() or pool[:, [0, -1]].any())


def _arc(outline: np.ndarray, start: int, end: int, through: int) -> np.ndarray:
    """The part of a closed outline from one of its points to another that holds a third."""
    count = len(outline)
    ahead = (np.arange((end - start) % count + 1) + start) % count
    if through in ahead:
        return outline[ahead]
    return outline[(start - np.arange((start - end) % count + 1)) % count]
