"""Image formation: tissues at sub-planes of each slice, averaged over its thickness, shaded, with Rician noise."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from CardiacLib.networks.device import usable_threads
from CardiacLib.progress import Progress, silent

from . import vessels as v
from .anatomy import HeartShape, ventricle_fields, view_direction
from .body import AORTA_TOP, SIGNAL, Canvas, Texture, body_signal
from .options import PhantomOptions
from .shapes import Place, above_plane, smooth_union
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

    def still_vessels(self, at: Place) -> np.ndarray:
        """Field of the great vessels away from the heart, at heart-frame points."""
        axes = self.to_lps[:3, :3]
        arch = (np.asarray(AORTA_TOP) - self.to_lps[:3, 3]) @ axes
        up, arch = (tuple(float(c) for c in vector) for vector in (axes[2], arch))
        return v.veins_and_aorta(self.shapes[0], self.around[0], at, up, arch)


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
    still = scene.still_vessels(heart)
    body, signal = body_signal(points, scene.texture, edge, scene.signal), scene.signal
    canvas = Canvas(body, signal, edge)
    canvas.paint(still - 1.2, signal["wall"])
    canvas.paint(still, signal["vessel"])
    box = _box_of(heart, scene.shapes[0])
    images = np.repeat(body.mean(axis=0)[None], len(scene.shapes), axis=0)
    if box is None:
        return images
    rows, columns = box
    at = tuple(np.ascontiguousarray(c[:, rows, columns]) for c in heart)
    body, still = body[:, rows, columns], still[:, rows, columns]
    grain = scene.texture([c[:1] for c in at], 4.0)

    def paint(t: int) -> None:
        image = body.copy()
        _paint_heart(Canvas(image, signal, edge), scene.shapes[t], scene.around[t], still, grain, at)
        images[t, rows, columns] = image.mean(axis=0)

    # Frames do not depend on one another, and NumPy lets other threads run.
    with ThreadPoolExecutor(usable_threads()) as pool:
        list(pool.map(paint, range(len(scene.shapes))))
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


def _paint_heart(canvas: Canvas, shape: HeartShape, around: v.Surroundings, still, grain, at: Place) -> None:
    """From the outside in: fat, vessels, atria, right ventricle, left ventricle, what lies in the cavities."""
    x, _, z = at
    fields = ventricle_fields(shape, at)
    base_in_reach = float(z.max()) > shape.base[0] - 20.0
    hull = smooth_union(fields["lv_epi"], fields["rv_epi"], 12.0)
    chambers = {}
    if base_in_reach:
        chambers = _base_chambers(shape, around, fields, at)
        hull = smooth_union(smooth_union(hull, chambers["la"][0], 10.0), chambers["ra"][0], 10.0)
    groove = np.clip(0.08 * (z - shape.base[0]) + 2.5, 0.0, 3.0)
    fat_mm = 0.5 + np.clip(0.06 * x + 0.5, 0.0, 3.5) + groove + 1.2 * grain
    canvas.paint(np.maximum(hull - fat_mm - 1.6, -hull), canvas.signal["wall"])
    canvas.paint(hull - fat_mm, canvas.signal["epicardial fat"] * (1.0 + 0.08 * grain))
    canvas.paint(still - 1.2, canvas.signal["wall"])
    canvas.paint(still, canvas.signal["vessel"])
    if base_in_reach:
        _paint_base(canvas, chambers, grain)
    _paint_right(canvas, shape, fields, grain, at)
    _paint_left(canvas, shape, fields, grain, at)
    if base_in_reach:
        _open_base(canvas, fields, chambers)
        _paint_valves(canvas, shape, around, at)


def _base_chambers(shape, around, fields, at: Place) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What lies above the valve planes: name to (field cut at the plane, field not cut)."""
    whole = {
        "trunk": (v.pulmonary_root(shape, at), fields["over_rv"]),
        "ra": (v.right_atrium(around, at), fields["over_rv"]),
        "la": (v.left_atrium(around, at), fields["over_lv"]),
        "root": (v.aortic_root(shape, at), fields["over_lv"]),
    }
    found = {name: (np.maximum(field, -over), field) for name, (field, over) in whole.items()}
    x, y, _ = at
    # The root's wall bulges into the atrium only around the 3CH plane; the other views pass beside it.
    cx, cy = view_direction("3ch")
    beside = np.maximum(whole["la"][0], 8.0 - np.abs(cx * y - cy * x))
    found["root wall"] = (np.maximum(found["root"][0] - 1.6, -beside), whole["root"][0])
    return found


def _paint_base(canvas: Canvas, chambers, grain) -> None:
    blood = canvas.signal["atrial blood"] * (1.0 + 0.05 * grain)
    for name, wall in (("trunk", 1.3), ("ra", 1.8), ("la", 1.8)):
        canvas.paint(chambers[name][0] - wall, canvas.signal["wall"])
        canvas.paint(chambers[name][0], blood)
    canvas.paint(chambers["root wall"][0], canvas.signal["wall"])
    canvas.paint(chambers["root"][0], blood)


def _open_base(canvas: Canvas, fields, chambers) -> None:
    """Blood is continuous through the valve rings: cover the seam where two tissue edges meet at a valve plane."""
    for side, above in (("rv", ("ra", "trunk")), ("lv", ("la", "root"))):
        ring = np.minimum(chambers[above[0]][1], chambers[above[1]][1])
        seam = np.maximum(
            np.maximum(fields[f"{side}_open"], ring) + 0.5, np.abs(fields[f"over_{side}"]) - 0.8 * canvas.edge_mm
        )
        canvas.paint(seam, canvas.signal["atrial blood"])


def _trabeculae(shape: HeartShape, at: Place, turns: float) -> np.ndarray:
    """0..1 ridges running along the wall, strongest towards the apex (images only; labels count them as cavity)."""
    x, y, z = at
    angle = np.arctan2(y, x)
    height = np.clip((z - shape.apex_z) * (1.0 / shape.length), 0.0, 1.0)
    ridges = np.sin(turns * angle + 5.0 * height) + 0.8 * np.sin((turns + 4.0) * angle - 9.0 * height + 1.0)
    ridges += 0.9 * np.sin((turns - 4.0) * angle + 3.0 * height + 2.0) - 0.3
    return np.clip(ridges, 0.0, 1.6) * np.clip(1.15 - 1.2 * height, 0.0, 1.0)


def _paint_right(canvas: Canvas, shape: HeartShape, fields, grain, at: Place) -> None:
    rv = fields["rv"]
    canvas.paint(fields["rv_epi"], canvas.signal["myocardium"] + 6.0)
    canvas.paint(rv, canvas.signal["rv blood"] * (1.0 + 0.07 * grain))
    if float(at[2].min()) < shape.base[0] - 10.0:
        ridge = 5.5 * _trabeculae(shape, (at[0] - shape.rv_center[0], *at[1:]), 9.0) - canvas.edge_mm
        canvas.paint(np.maximum(rv, -rv - ridge), 1.3 * canvas.signal["papillary"])
        canvas.paint(np.maximum(rv, v.moderator_band(shape, at)), canvas.signal["papillary"])


def _paint_left(canvas: Canvas, shape: HeartShape, fields, grain, at: Place) -> None:
    lv = fields["lv"]
    canvas.paint(fields["lv_epi"], canvas.signal["myocardium"] * (1.0 + 0.06 * grain))
    canvas.paint(lv, canvas.signal["lv blood"] * (1.0 + 0.05 * grain))
    if float(at[2].min()) < shape.base[0] - 10.0:
        ridge = 4.0 * _trabeculae(shape, at, 7.0) - canvas.edge_mm  # no rim where there is no ridge
        canvas.paint(np.maximum(lv, -lv - ridge), 1.2 * canvas.signal["papillary"])
        canvas.paint(np.maximum(lv, v.papillary_muscles(shape, at)), canvas.signal["papillary"])


def _paint_valves(canvas: Canvas, shape: HeartShape, around: v.Surroundings, at: Place) -> None:
    """Leaflets stay thinner than a pixel, so that they darken the blood without hiding it."""
    mitral = v.leaflets(around.mitral, shape.base, around.opening, at)
    tricuspid = v.leaflets(around.tricuspid, shape.rv_base, around.opening, at)
    for valve in (mitral, tricuspid):
        canvas.paint(valve, canvas.signal["valve"])
    if not around.ejecting:
        x, y, _ = at
        out = np.hypot(x - shape.aortic_center[0], y - shape.aortic_center[1]) - shape.aortic_radius
        cusps = np.abs(above_plane(at, shape.base) - 1.5) - 0.6
        canvas.paint(np.maximum(cusps, out), canvas.signal["valve"])


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
