"""What real long-axis images show and the phantom does not: uneven tissue, trabeculae, organs and vessels all round."""

import numpy as np
from scipy.ndimage import gaussian_filter

MOST_ORGANS, MOST_STRANDS = 14, 9


def clutter(
    image: np.ndarray, heart: np.ndarray, apex: np.ndarray, base: np.ndarray, pixel_mm: float, rng
) -> np.ndarray:
    """An image with random uneven tissue everywhere, bodies beside the heart, and strands of muscle in the LV.

    Args:
        image: (H, W), any scale.
        heart: (H, W), 0..1, how much of each pixel is heart.
        apex, base: (2,) row and column of the LV's apex and the middle of its base; NaN where there is none.
        pixel_mm: side of a pixel.
        rng: numpy random generator.
    """
    blood = float(np.percentile(image[heart > 0.5], 80)) if (heart > 0.5).any() else float(image.max())
    out = image.astype(np.float64)
    if rng.random() < 0.7:
        out = _organs(out, heart, blood, pixel_mm, rng)
    if np.isfinite(apex).all() and np.isfinite(base).all() and rng.random() < 0.8:
        out = _strands(out, np.asarray(apex, float), np.asarray(base, float), pixel_mm, rng)
    fine, coarse = (rough(image.shape, mm / pixel_mm, rng) for mm in (rng.uniform(1.5, 4.0), rng.uniform(5.0, 20.0)))
    return out * np.exp(rng.uniform(0.0, 0.12) * fine + rng.uniform(0.0, 0.2) * coarse)


def rough(shape: tuple[int, int], pixels: float, rng) -> np.ndarray:
    """Smooth noise of zero mean and unit variance whose grains are about ``pixels`` wide."""
    noise = gaussian_filter(rng.standard_normal(shape), pixels, mode="wrap")
    return (noise - noise.mean()) / noise.std()


def _organs(image, heart, blood: float, pixel_mm: float, rng) -> np.ndarray:
    """Rounded bodies of any brightness, size and texture, beside the heart and behind it."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(float)
    wavy = rough(image.shape, 8.0 / pixel_mm, rng)
    seen = np.argwhere(heart > 0.5)
    middle = seen.mean(0) if len(seen) else np.array(image.shape) / 2
    behind = image.copy()
    for _ in range(rng.integers(3, MOST_ORGANS + 1)):
        angle, turn = rng.uniform(0.0, 2.0 * np.pi, 2)
        row, column = middle + rng.uniform(30.0, 110.0) / pixel_mm * np.array([np.sin(angle), np.cos(angle)])
        small = np.exp(rng.uniform(np.log(4.0), np.log(28.0))) / pixel_mm
        semi = small * np.exp(rng.uniform(0.0, 1.5)), small
        along = (rows - row) * np.sin(turn) + (columns - column) * np.cos(turn)
        across = (rows - row) * np.cos(turn) - (columns - column) * np.sin(turn)
        depth = (1.0 - np.hypot(along / semi[0], across / semi[1]) + 0.12 * wavy) * small
        cover = np.clip(0.5 + depth / rng.uniform(1.0, 4.0), 0.0, 1.0)
        signal = blood * rng.choice([rng.uniform(0.02, 0.35), rng.uniform(0.2, 1.2)])
        texture = 1.0 + rng.uniform(0.0, 0.5) * rough(image.shape, rng.uniform(1.5, 6.0) / pixel_mm, rng)
        behind += cover * (np.maximum(signal * texture, 0.0) - behind)
    return behind + np.clip(1.5 * heart, 0.0, 1.0) * (image - behind)


def _strands(image, apex, base, pixel_mm: float, rng) -> np.ndarray:
    """Dark strands along the LV: papillary muscles and trabeculae, most of them near the apex and the wall."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(float)
    axis = base - apex
    length = float(np.linalg.norm(axis))
    axis = axis / max(length, 1e-6)
    normal = np.array([-axis[1], axis[0]])
    out = image.copy()
    for _ in range(rng.integers(2, MOST_STRANDS + 1)):
        height = rng.uniform(0.05, 0.7)
        wide = 22.0 / pixel_mm * np.sqrt(max(1.0 - (1.0 - height) ** 2, 0.05))
        row, column = apex + height * length * axis + rng.uniform(-1.0, 1.0) * wide * normal
        tilt = rng.normal(0.0, 0.3)
        way = np.cos(tilt) * axis + np.sin(tilt) * normal
        along = (rows - row) * way[0] + (columns - column) * way[1]
        across = (rows - row) * way[1] - (columns - column) * way[0]
        semi = rng.uniform(5.0, 16.0) / pixel_mm, rng.uniform(0.8, 3.5) / pixel_mm
        out *= 1.0 - rng.uniform(0.25, 0.7) * np.exp(-0.5 * ((along / semi[0]) ** 4 + (across / semi[1]) ** 2))
    return out
