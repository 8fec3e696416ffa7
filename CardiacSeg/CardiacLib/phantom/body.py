"""What surrounds the heart and stays still: chest wall, lungs, diaphragm, liver, stomach, spine and great vessels.

Positions are LPS mm around the middle of the chest. Signals are relative, on the scale of ``SIGNAL``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from .shapes import Place, capsule, ellipsoid, smooth_union

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

    def __call__(self, at: Place, scale_mm: float) -> np.ndarray:
        points = np.stack(np.broadcast_arrays(*at)) * np.float32(1.0 / scale_mm)
        return map_coordinates(self.values, points, order=1, mode="grid-wrap", output=np.float32)


@dataclass(frozen=True)
class Canvas:
    """An image that tissues are painted into.

    Attributes:
        image: float32, changed in place.
        signal: relative brightness of the tissues, by the names of ``SIGNAL``.
        edge_mm: width of a tissue's edge.
    """

    image: np.ndarray
    signal: Mapping[str, float]
    edge_mm: float

    def paint(self, field: np.ndarray, signal) -> None:
        """Blend a signal in where ``field`` (mm) is negative."""
        cover = np.clip(0.5 - field * (1.0 / self.edge_mm), 0.0, 1.0)
        image = self.image
        image += cover * (signal - image)


def torso_depth(at: Place) -> np.ndarray:
    """Depth under the skin in mm along the radius of a rounded-box cross-section that narrows upwards."""
    x, y, z = at
    narrow = np.clip(1.0 - 0.0009 * (z - 20.0), 0.8, 1.05)
    ax, ay = TORSO[0] * narrow, TORSO[1] * narrow
    q = (np.abs(x / ax) ** 2.6 + np.abs(y / ay) ** 2.6) ** (1.0 / 2.6) + 1e-6
    return np.sqrt(x * x + y * y) * (1.0 / q - 1.0)


def body_signal(points: np.ndarray, texture: Texture, edge_mm: float, signal=SIGNAL) -> np.ndarray:
    """Signal (float32) of everything but the heart at LPS points (..., 3); ``signal`` by tissue."""
    at = x, y, z = tuple(np.ascontiguousarray(points[..., c], np.float32) for c in range(3))
    depth = torso_depth(at)
    canvas = Canvas(np.full(x.shape, signal["air"], np.float32), signal, edge_mm)
    rough = texture(at, 9.0)
    fat_depth = 15.0 + 7.0 * np.abs(x) / TORSO[0] + 2.0 * texture(at, 25.0)
    canvas.paint(-depth, signal["fat"] * (1.0 + 0.04 * rough))
    canvas.paint(fat_depth - depth, signal["muscle"] * (1.0 + 0.10 * rough))
    ribs = np.abs((z + 0.55 * y - 0.1 * np.abs(x)) % 29.0 - 14.5) - 3.0
    canvas.paint(np.maximum(ribs, np.abs(depth - fat_depth - 5.5) - 2.0), 0.75 * signal["visceral fat"])
    inside = fat_depth + 11.0 - depth
    vessels = texture(at, 5.0)
    lung = signal["lung"] * (1.0 + 0.25 * rough) + 170.0 * np.clip(vessels - 1.9, 0.0, 1.0)
    canvas.paint(inside, lung)
    _paint_mediastinum(canvas, at, inside, rough)
    _paint_abdomen(canvas, at, inside, rough, vessels)
    _paint_back(canvas, at, depth, rough)
    return canvas.image


def _paint_mediastinum(canvas: Canvas, at: Place, inside, rough) -> None:
    signal = canvas.signal
    middle = ellipsoid(at, (6.0, 38.0, 20.0), (26.0, 40.0, 200.0))
    front = ellipsoid(at, (2.0, -62.0, 40.0), (17.0, 30.0, 150.0))
    tissue = np.maximum(smooth_union(middle, front, 15.0) + 2.0 * rough, inside)
    canvas.paint(tissue, signal["visceral fat"] * (0.70 + 0.15 * rough))
    canvas.paint(capsule(at, (6.0, 36.0, -150.0), (4.0, 42.0, 150.0), 7.0), signal["muscle"] + 20.0)


def _paint_abdomen(canvas: Canvas, at: Place, inside, rough, vessels) -> None:
    (x, y, z), signal = at, canvas.signal
    dome = ellipsoid(at, *DOMES[0])
    for center, semi in DOMES[1:]:
        dome = smooth_union(dome, ellipsoid(at, center, semi), 18.0)
    below = np.maximum(np.maximum(dome, inside), -z - 260.0)
    below = np.minimum(below, np.maximum(inside, z + 125.0))
    canvas.paint(below - 2.5, signal["muscle"])
    canvas.paint(below, signal["visceral fat"] * (0.9 + 0.2 * rough))
    liver = np.maximum(below + 1.0, (x - 44.0 + 0.25 * (z + 90.0) + 4.0 * rough) * 0.9)
    canvas.paint(np.maximum(liver, y - 62.0), signal["liver"] * (1.0 + 0.07 * rough))
    branches = np.maximum(liver + 8.0, (1.7 - vessels) * 4.0)
    canvas.paint(np.maximum(branches, y - 56.0), 0.7 * signal["vessel"])
    stomach = np.maximum(ellipsoid(at, (74.0, -12.0, -112.0), (40.0, 44.0, 46.0)), below + 5.0)
    canvas.paint(stomach, 1.6 * signal["stomach"])
    canvas.paint(stomach + 4.0, signal["stomach"] * (1.0 + 0.5 * rough))
    spleen = np.maximum(ellipsoid(at, (118.0, 52.0, -108.0), (30.0, 36.0, 48.0)), below + 4.0)
    canvas.paint(spleen, signal["spleen"] * (1.0 + 0.05 * rough))


def _paint_back(canvas: Canvas, at: Place, depth, rough) -> None:
    z, signal = at[2], canvas.signal
    for side in (-1.0, 1.0):
        muscle = ellipsoid(at, (side * 33.0, 84.0, 0.0), (27.0, 19.0, 400.0))
        canvas.paint(np.maximum(muscle, 9.0 - depth), signal["muscle"] * (1.0 + 0.15 * rough))
    vertebra = ellipsoid(at, (0.0, 62.0, 0.0), (20.0, 17.0, 900.0))
    discs = np.abs((z + 11.0) % 26.0 - 13.0) - 10.0
    canvas.paint(vertebra, signal["muscle"])
    canvas.paint(np.maximum(vertebra + 1.5, discs), signal["marrow"] * (1.0 + 0.08 * rough))
    canvas.paint(capsule(at, (0.0, 86.0, -300.0), (0.0, 86.0, 300.0), 8.0), signal["fluid"])
    canvas.paint(capsule(at, (0.0, 86.0, -300.0), (0.0, 86.0, 300.0), 4.0), signal["spleen"])
    aorta = capsule(at, (10.0, 40.0, -300.0), AORTA_TOP, 10.5)
    canvas.paint(aorta - 1.5, signal["wall"])
    canvas.paint(aorta, signal["vessel"])
