"""Image formation: tissues at sub-planes of each slice, averaged over its thickness, shaded, with Rician noise."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from CardiacLib.progress import Progress, silent

from . import vessels as v
from .anatomy import HeartShape, ventricle_fields, view_direction
from .body import AORTA_TOP, SIGNAL, Texture, body_signal, paint
from .options import PhantomOptions
from .shapes import above_plane, smooth_union
from .views import Grid

SUBPLANE_MM = 2.0  # the slice profile is sampled at least this finely
EDGE_PIXELS = 1.3  # width of a tissue edge in the image
HEART_BOX = ((-52.0, -62.0, -14.0), (92.0, 82.0, 62.0))  # heart frame; the last is above the ED base


@dataclass(frozen=True)
class Scene:
    """All that image formation needs: options, pose (heart frame to LPS), per frame shape and surroundings.

    ``texture`` is the tissues' grain and ``signal`` their relative brightness, by the names of ``SIGNAL``.
    """

    options: PhantomOptions
    to_lps: np.ndarray
    shapes: tuple[HeartShape, ...]
    around: tuple[v.Surroundings, ...]
    texture: Texture
    signal: Mapping[str, float] = field(default_factory=SIGNAL.copy)

    def to_heart(self, points: np.ndarray) -> list[np.ndarray]:
        """LPS points (..., 3) to three float32 arrays in the heart frame."""
        local = (points - self.to_lps[:3, 3]) @ self.to_lps[:3, :3]
        return [np.ascontiguousarray(local[..., c], np.float32) for c in range(3)]

    def still_vessels(self, x, y, z) -> np.ndarray:
        """Field of the great vessels away from the heart, at heart-frame points."""
        axes = self.to_lps[:3, :3]
        arch = (np.asarray(AORTA_TOP) - self.to_lps[:3, 3]) @ axes
        up, arch = (tuple(float(c) for c in vector) for vector in (axes[2], arch))
        return v.veins_and_aorta(self.shapes[0], self.around[0], x, y, z, up, arch)


def render(scene: Scene, grid: Grid, shifts: np.ndarray, rng, progress: Progress = silent) -> np.ndarray:
    """Images (T, K, J, I) float32 of one view.

    ``shifts`` (K, 3) LPS mm moves the heart of each slice (breath-hold position). The body is evaluated once per
    slice, the heart in its bounding box once per frame; ``SUBPLANE_MM`` sets how a thick slice is averaged.
    """
    count = max(int(np.ceil(grid.thickness / SUBPLANE_MM)), 1)
    offsets = ((np.arange(count) + 0.5) / count - 0.5) * grid.thickness
    images = np.empty((len(scene.shapes), *grid.shape), np.float32)
    for k in range(grid.shape[0]):
        points = np.stack([grid.points(k, offset) for offset in offsets])
        images[:, k] = _render_slice(scene, points, shifts[k], float(np.linalg.norm(grid.ijk_to_lps[:3, 0])))
        progress((k + 1) / grid.shape[0], f"imaging {grid.view}")
    for k in range(grid.shape[0]):
        images[:, k] *= _shading(scene.options, grid.points(k))
    return _rician(images, scene.options.noise * scene.signal["lv blood"], rng)


def _render_slice(scene: Scene, points: np.ndarray, shift: np.ndarray, pixel: float) -> np.ndarray:
    edge = EDGE_PIXELS * pixel
    heart = scene.to_heart(points - shift)
    still = scene.still_vessels(*heart)
    body, signal = body_signal(points, scene.texture, edge, scene.signal), scene.signal
    paint(body, still - 1.2, signal["wall"], edge)
    paint(body, still, signal["vessel"], edge)
    box = _box_of(heart, scene.shapes[0])
    images = np.repeat(body.mean(axis=0)[None], len(scene.shapes), axis=0)
    if box is None:
        return images
    rows, columns = box
    x, y, z = (np.ascontiguousarray(c[:, rows, columns]) for c in heart)
    body, still = body[:, rows, columns], still[:, rows, columns]
    grain = scene.texture(x[:1], y[:1], z[:1], 4.0)
    for t, (shape, around) in enumerate(zip(scene.shapes, scene.around, strict=True)):
        image = body.copy()
        _paint_heart(image, scene.signal, shape, around, still, grain, x, y, z, edge)
        images[t, rows, columns] = image.mean(axis=0)
    return images


def _box_of(heart, ed: HeartShape) -> tuple[slice, slice] | None:
    """Rows and columns of a slice that may show the heart."""
    (x0, y0, z0), (x1, y1, z1) = HEART_BOX
    x, y, z = heart
    near = (x > x0) & (x < x1) & (y > y0) & (y < y1) & (z > z0) & (z < z1 + ed.base[0])
    near = near.any(axis=0)
    if not near.any():
        return None
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _paint_heart(image, signal, shape, around, still, grain, x, y, z, edge) -> None:
    """From the outside in: fat, vessels, atria, right ventricle, left ventricle, what lies in the cavities."""
    fields = ventricle_fields(shape, x, y, z)
    base_in_reach = float(z.max()) > shape.base[0] - 20.0
    hull = smooth_union(fields["lv_epi"], fields["rv_epi"], 12.0)
    chambers = {}
    if base_in_reach:
        chambers = _base_chambers(shape, around, fields, x, y, z)
        hull = smooth_union(smooth_union(hull, chambers["la"][0], 10.0), chambers["ra"][0], 10.0)
    groove = np.clip(0.08 * (z - shape.base[0]) + 2.5, 0.0, 3.0)
    fat_mm = 0.5 + np.clip(0.06 * x + 0.5, 0.0, 3.5) + groove + 1.2 * grain
    paint(image, np.maximum(hull - fat_mm - 1.6, -hull), signal["wall"], edge)
    paint(image, hull - fat_mm, signal["epicardial fat"] * (1.0 + 0.08 * grain), edge)
    paint(image, still - 1.2, signal["wall"], edge)
    paint(image, still, signal["vessel"], edge)
    if base_in_reach:
        _paint_base(image, signal, chambers, grain, edge)
    _paint_right(image, signal, shape, fields, grain, x, y, z, edge)
    _paint_left(image, signal, shape, fields, grain, x, y, z, edge)
    if base_in_reach:
        _open_base(image, signal, fields, chambers, edge)
        _paint_valves(image, signal, shape, around, x, y, z, edge)


def _base_chambers(shape, around, fields, x, y, z) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What lies above the valve planes: name to (field cut at the plane, field not cut)."""
    whole = {
        "trunk": (v.pulmonary_root(shape, x, y, z), fields["over_rv"]),
        "ra": (v.right_atrium(around, x, y, z), fields["over_rv"]),
        "la": (v.left_atrium(around, x, y, z), fields["over_lv"]),
        "root": (v.aortic_root(shape, x, y, z), fields["over_lv"]),
    }
    found = {name: (np.maximum(field, -over), field) for name, (field, over) in whole.items()}
    # The root's wall bulges into the atrium only around the 3CH plane; the other views pass beside it.
    cx, cy = view_direction("3ch")
    beside = np.maximum(whole["la"][0], 8.0 - np.abs(cx * y - cy * x))
    found["root wall"] = (np.maximum(found["root"][0] - 1.6, -beside), whole["root"][0])
    return found


def _paint_base(image, signal, chambers, grain, edge) -> None:
    blood = signal["atrial blood"] * (1.0 + 0.05 * grain)
    for name, wall in (("trunk", 1.3), ("ra", 1.8), ("la", 1.8)):
        paint(image, chambers[name][0] - wall, signal["wall"], edge)
        paint(image, chambers[name][0], blood, edge)
    paint(image, chambers["root wall"][0], signal["wall"], edge)
    paint(image, chambers["root"][0], blood, edge)


def _open_base(image, signal, fields, chambers, edge) -> None:
    """Blood is continuous through the valve rings: cover the seam where two tissue edges meet at a valve plane."""
    for side, above in (("rv", ("ra", "trunk")), ("lv", ("la", "root"))):
        ring = np.minimum(chambers[above[0]][1], chambers[above[1]][1])
        seam = np.maximum(np.maximum(fields[f"{side}_open"], ring) + 0.5, np.abs(fields[f"over_{side}"]) - 0.8 * edge)
        paint(image, seam, signal["atrial blood"], edge)


def _trabeculae(shape: HeartShape, x, y, z, turns: float) -> np.ndarray:
    """0..1 ridges running along the wall, strongest towards the apex (images only; labels count them as cavity)."""
    angle = np.arctan2(y, x)
    height = np.clip((z - shape.apex_z) * (1.0 / shape.length), 0.0, 1.0)
    ridges = np.sin(turns * angle + 5.0 * height) + 0.8 * np.sin((turns + 4.0) * angle - 9.0 * height + 1.0)
    ridges += 0.9 * np.sin((turns - 4.0) * angle + 3.0 * height + 2.0) - 0.3
    return np.clip(ridges, 0.0, 1.6) * np.clip(1.15 - 1.2 * height, 0.0, 1.0)


def _paint_right(image, signal, shape, fields, grain, x, y, z, edge) -> None:
    rv = fields["rv"]
    paint(image, fields["rv_epi"], signal["myocardium"] + 6.0, edge)
    paint(image, rv, signal["rv blood"] * (1.0 + 0.07 * grain), edge)
    if float(z.min()) < shape.base[0] - 10.0:
        ridge = 5.5 * _trabeculae(shape, x - shape.rv_center[0], y, z, 9.0) - edge
        paint(image, np.maximum(rv, -rv - ridge), 1.3 * signal["papillary"], edge)
        paint(image, np.maximum(rv, v.moderator_band(shape, x, y, z)), signal["papillary"], edge)


def _paint_left(image, signal, shape, fields, grain, x, y, z, edge) -> None:
    lv = fields["lv"]
    paint(image, fields["lv_epi"], signal["myocardium"] * (1.0 + 0.06 * grain), edge)
    paint(image, lv, signal["lv blood"] * (1.0 + 0.05 * grain), edge)
    if float(z.min()) < shape.base[0] - 10.0:
        ridge = 4.0 * _trabeculae(shape, x, y, z, 7.0) - edge  # no rim where there is no ridge
        paint(image, np.maximum(lv, -lv - ridge), 1.2 * signal["papillary"], edge)
        paint(image, np.maximum(lv, v.papillary_muscles(shape, x, y, z)), signal["papillary"], edge)


def _paint_valves(image, signal, shape, around, x, y, z, edge) -> None:
    """Leaflets stay thinner than a pixel, so that they darken the blood without hiding it."""
    mitral = v.leaflets(*around.mitral, shape.base, around.opening, x, y, z)
    tricuspid = v.leaflets(*around.tricuspid, shape.rv_base, around.opening, x, y, z)
    for valve in (mitral, tricuspid):
        paint(image, valve, signal["valve"], edge)
    if not around.ejecting:
        out = np.hypot(x - shape.aortic_center[0], y - shape.aortic_center[1]) - shape.aortic_radius
        cusps = np.abs(above_plane(x, y, z, shape.base) - 1.5) - 0.6
        paint(image, np.maximum(cusps, out), signal["valve"], edge)


def _shading(options: PhantomOptions, points: np.ndarray) -> np.ndarray:
    """Receive coil sensitivity: brighter towards the chest wall, with a slow seed-dependent drift."""
    phase = np.random.default_rng([options.seed, 1]).uniform(0.0, 2.0 * np.pi, 2)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    drift = 0.35 * np.sin(x / 90.0 + phase[0]) + 0.25 * np.sin(z / 110.0 + phase[1])
    return np.exp(options.bias * (drift - 0.8 * (y + 40.0) / 110.0)).astype(np.float32)


def _rician(images: np.ndarray, sigma: float, rng) -> np.ndarray:
    """Magnitude of the signal with independent Gaussian noise in its two channels."""
    if sigma <= 0.0:
        return images
    for frame in images:
        real = frame + sigma * rng.standard_normal(frame.shape, np.float32)
        frame[...] = np.hypot(real, sigma * rng.standard_normal(frame.shape, np.float32))
    return images
