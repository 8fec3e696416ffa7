"""What surrounds the heart and stays still: chest wall, lungs, diaphragm, liver, stomach, spine and great vessels.

Positions are LPS mm around the middle of the chest. Signals are relative, on the scale of ``SIGNAL``.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from .shapes import capsule, ellipsoid, smooth_union

# Relative bSSFP signal at 1.5 T, near the medians of clinical short-axis cines (blood bright, fat bright, lung dark).
SIGNAL = {
    "air": 2.0,
    "lung": 16.0,
    "myocardium": 72.0,
    "muscle": 52.0,
    "liver": 62.0,
    "stomach": 44.0,
    "spleen": 105.0,
    "marrow": 88.0,
    "fluid": 190.0,
    "vessel": 205.0,
    "fat": 240.0,
    "visceral fat": 150.0,
    "epicardial fat": 165.0,
    "lv blood": 238.0,
    "rv blood": 214.0,
    "atrial blood": 220.0,
    "papillary": 84.0,
    "valve": 95.0,
    "wall": 92.0,
}
TORSO = (176.0, 116.0)  # half axes left-right and front-back
AORTA_TOP = (25.0, 44.0, 70.0)  # upper end of the descending aorta
DOMES = (  # centre and half axes of the diaphragm's right, middle and left domes
    ((-82.0, 8.0, -118.0), (88.0, 88.0, 86.0)),
    ((18.0, -34.0, -122.0), (88.0, 72.0, 76.0)),
    ((86.0, -4.0, -124.0), (80.0, 88.0, 80.0)),
)


class Texture:
    """Smooth periodic unit-variance noise in space, sampled at any point (same seed, same values)."""

    def __init__(self, seed: int, size: int = 48):
        noise = np.random.default_rng(seed).standard_normal((size, size, size))
        smooth = gaussian_filter(noise, 1.2, mode="wrap")
        self.values = (smooth / smooth.std()).astype(np.float32)

    def __call__(self, x, y, z, scale_mm: float) -> np.ndarray:
        points = np.stack(np.broadcast_arrays(x, y, z)) * np.float32(1.0 / scale_mm)
        return map_coordinates(self.values, points, order=1, mode="grid-wrap", output=np.float32)


def paint(image: np.ndarray, field: np.ndarray, signal, edge_mm: float) -> None:
    """Blend ``signal`` into ``image`` in place where ``field`` (mm) is negative, over an edge ``edge_mm`` wide."""
    cover = np.clip(0.5 - field * (1.0 / edge_mm), 0.0, 1.0)
    image += cover * (signal - image)


def torso_depth(x, y, z) -> np.ndarray:
    """Depth under the skin in mm along the radius of a rounded-box cross-section that narrows upwards."""
    narrow = np.clip(1.0 - 0.0009 * (z - 20.0), 0.8, 1.05)
    ax, ay = TORSO[0] * narrow, TORSO[1] * narrow
    q = (np.abs(x / ax) ** 2.6 + np.abs(y / ay) ** 2.6) ** (1.0 / 2.6) + 1e-6
    return np.sqrt(x * x + y * y) * (1.0 / q - 1.0)


def body_signal(points: np.ndarray, texture: Texture, edge_mm: float, signal=SIGNAL) -> np.ndarray:
    """Signal (float32) of everything but the heart at LPS points (..., 3); ``signal`` by tissue."""
    x, y, z = (np.ascontiguousarray(points[..., c], np.float32) for c in range(3))
    depth = torso_depth(x, y, z)
    image = np.full(x.shape, signal["air"], np.float32)
    rough = texture(x, y, z, 9.0)
    fat_depth = 15.0 + 7.0 * np.abs(x) / TORSO[0] + 2.0 * texture(x, y, z, 25.0)
    paint(image, -depth, signal["fat"] * (1.0 + 0.04 * rough), edge_mm)
    paint(image, fat_depth - depth, signal["muscle"] * (1.0 + 0.10 * rough), edge_mm)
    ribs = np.abs((z + 0.55 * y - 0.1 * np.abs(x)) % 29.0 - 14.5) - 3.0
    paint(image, np.maximum(ribs, np.abs(depth - fat_depth - 5.5) - 2.0), 0.75 * signal["visceral fat"], edge_mm)
    inside = fat_depth + 11.0 - depth
    vessels = texture(x, y, z, 5.0)
    lung = signal["lung"] * (1.0 + 0.25 * rough) + 170.0 * np.clip(vessels - 1.9, 0.0, 1.0)
    paint(image, inside, lung, edge_mm)
    _paint_mediastinum(image, signal, x, y, z, inside, rough, edge_mm)
    _paint_abdomen(image, signal, x, y, z, inside, rough, vessels, edge_mm)
    _paint_back(image, signal, x, y, z, depth, rough, edge_mm)
    return image


def _paint_mediastinum(image, signal, x, y, z, inside, rough, edge_mm) -> None:
    middle = ellipsoid(x, y, z, (6.0, 38.0, 20.0), (26.0, 40.0, 200.0))
    front = ellipsoid(x, y, z, (2.0, -62.0, 40.0), (17.0, 30.0, 150.0))
    tissue = np.maximum(smooth_union(middle, front, 15.0) + 2.0 * rough, inside)
    paint(image, tissue, signal["visceral fat"] * (0.70 + 0.15 * rough), edge_mm)
    paint(image, capsule(x, y, z, (6.0, 36.0, -150.0), (4.0, 42.0, 150.0), 7.0), signal["muscle"] + 20.0, edge_mm)


def _paint_abdomen(image, signal, x, y, z, inside, rough, vessels, edge_mm) -> None:
    dome = ellipsoid(x, y, z, *DOMES[0])
    for center, semi in DOMES[1:]:
        dome = smooth_union(dome, ellipsoid(x, y, z, center, semi), 18.0)
    below = np.maximum(np.maximum(dome, inside), -z - 260.0)
    below = np.minimum(below, np.maximum(inside, z + 125.0))
    paint(image, below - 2.5, signal["muscle"], edge_mm)
    paint(image, below, signal["visceral fat"] * (0.9 + 0.2 * rough), edge_mm)
    liver = np.maximum(below + 1.0, (x - 44.0 + 0.25 * (z + 90.0) + 4.0 * rough) * 0.9)
    paint(image, np.maximum(liver, y - 62.0), signal["liver"] * (1.0 + 0.07 * rough), edge_mm)
    branches = np.maximum(liver + 8.0, (1.7 - vessels) * 4.0)
    paint(image, np.maximum(branches, y - 56.0), 0.7 * signal["vessel"], edge_mm)
    stomach = np.maximum(ellipsoid(x, y, z, (74.0, -12.0, -112.0), (40.0, 44.0, 46.0)), below + 5.0)
    paint(image, stomach, 1.6 * signal["stomach"], edge_mm)
    paint(image, stomach + 4.0, signal["stomach"] * (1.0 + 0.5 * rough), edge_mm)
    spleen = np.maximum(ellipsoid(x, y, z, (118.0, 52.0, -108.0), (30.0, 36.0, 48.0)), below + 4.0)
    paint(image, spleen, signal["spleen"] * (1.0 + 0.05 * rough), edge_mm)


def _paint_back(image, signal, x, y, z, depth, rough, edge_mm) -> None:
    for side in (-1.0, 1.0):
        muscle = ellipsoid(x, y, z, (side * 33.0, 84.0, 0.0), (27.0, 19.0, 400.0))
        paint(image, np.maximum(muscle, 9.0 - depth), signal["muscle"] * (1.0 + 0.15 * rough), edge_mm)
    vertebra = ellipsoid(x, y, z, (0.0, 62.0, 0.0), (20.0, 17.0, 900.0))
    discs = np.abs((z + 11.0) % 26.0 - 13.0) - 10.0
    paint(image, vertebra, signal["muscle"], edge_mm)
    paint(image, np.maximum(vertebra + 1.5, discs), signal["marrow"] * (1.0 + 0.08 * rough), edge_mm)
    paint(image, capsule(x, y, z, (0.0, 86.0, -300.0), (0.0, 86.0, 300.0), 8.0), signal["fluid"], edge_mm)
    paint(image, capsule(x, y, z, (0.0, 86.0, -300.0), (0.0, 86.0, 300.0), 4.0), signal["spleen"], edge_mm)
    aorta = capsule(x, y, z, (10.0, 40.0, -300.0), AORTA_TOP, 10.5)
    paint(image, aorta - 1.5, signal["wall"], edge_mm)
    paint(image, aorta, signal["vessel"], edge_mm)
