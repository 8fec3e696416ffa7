"""Synthetic long-axis images with all ten points: the phantom with everything about it drawn at random.

Anatomy, motion, pose, plane, field of view, tissue contrast, coil shading, noise and flow voids vary far beyond what
patients show, so that a network cannot lean on any of them (training by synthesis, as in Billot et al., "SynthSeg",
Medical Image Analysis 2023, doi 10.1016/j.media.2023.102789, there from label maps).
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.geometry import apply, matrix_from
from CardiacLib.phantom import PhantomOptions
from CardiacLib.phantom.body import SIGNAL
from CardiacLib.phantom.imaging import Scene, render
from CardiacLib.phantom.motion import Motion, solve_motion
from CardiacLib.phantom.study import make_scene
from CardiacLib.phantom.truth import valve_points
from CardiacLib.phantom.views import Grid, heart_to_lps, lax_grid, sax_grid
from CardiacLib.progress import Progress, silent
from CardiacLib.types.landmarks import LANDMARK_VIEWS

from .clutter import clutter
from .examples import ABSENT, CANVAS, PRESENT, VIEWS, Cutouts, Examples, to_bytes

FRAMES = 3
"""Frames of each heart: end-diastole, end-systole and one more."""
SHORT_AXIS_SLICES = 1
"""Slices of each heart that show none of the three views."""
PART = 20
"""Hearts in one file of the corpus."""
TILT_DEG, OFFSET_MM = 7.0, 3.0
"""Largest turn and shift of a plane away from the exact one; the points are then projected into the plane."""


HEART_SIGNALS = ("lv blood", "rv blood", "atrial blood", "papillary", "valve", "myocardium", "epicardial fat", "wall")
"""Tissues of the heart in ``phantom.body.SIGNAL``."""


def synthetic_hearts(seed: int) -> Cutouts:
    """Images of one random heart: three views and ``SHORT_AXIS_SLICES`` short-axis slices at ``FRAMES`` moments."""
    rng = np.random.default_rng(seed)
    options, motion = random_heart(rng)
    ed = motion.shapes[0]
    scene = random_scene(options, motion, rng)
    points = np.stack([apply(scene.to_lps, valve_points(options, shape)) for shape in scene.shapes])
    found = []
    for view in VIEWS[:-1]:
        grid = moved(lax_grid(options, scene.to_lps, ed, view), points, view, rng)
        found.append(imaged(scene, grid, view, points, rng))
    stack = sax_grid(options, scene.to_lps, ed)
    for k in rng.choice(stack.shape[0], SHORT_AXIS_SLICES, replace=False):
        matrix = stack.ijk_to_lps.copy()
        matrix[:3, 3] += k * matrix[:3, 2]
        found.append(imaged(scene, Grid(matrix, (1, *stack.shape[1:]), stack.thickness, "sax"), "other", None, rng))
    return Cutouts.join(found)


def random_heart(rng) -> tuple[PhantomOptions, Motion]:
    """Options and motion reduced to ``FRAMES`` frames; draws again where no such heart exists."""
    while True:
        options = _random_options(rng)
        try:
            motion = solve_motion(options, step_mm=3.0)
        except InputError:
            continue
        chosen = [0, motion.es, int(rng.integers(1, options.n_frames))]
        return options, replace(
            motion,
            phases=motion.phases[chosen],
            times_ms=motion.times_ms[chosen],
            shapes=tuple(motion.shapes[t] for t in chosen),
            es=1,
        )


def _random_options(rng) -> PhantomOptions:
    size = float(np.exp(rng.normal(0.0, 0.28)))
    axis = np.array([0.62, -0.50, -0.60]) + rng.normal(0.0, 0.12, 3)
    pixel = float(rng.uniform(1.1, 1.8))
    return PhantomOptions(
        lv_edv_ml=float(np.clip(140.0 * size, 62.0, 340.0)),
        lv_ef_percent=float(rng.uniform(15.0, 72.0)),
        rv_edv_ml=float(np.clip(150.0 * size * np.exp(rng.normal(0.0, 0.12)), 62.0, 345.0)),
        rv_ef_percent=float(rng.uniform(20.0, 65.0)),
        wall_mm=float(rng.uniform(6.0, 15.0)),
        rv_wall_mm=float(rng.uniform(1.5, 5.0)),
        mapse_mm=float(rng.uniform(2.0, 18.0)),
        tapse_mm=float(rng.uniform(5.0, 27.0)),
        n_frames=20,
        sax_pixel_mm=pixel,
        sax_size=min(int(300.0 / pixel), CANVAS),
        slice_spacing_mm=10.0,
        lax_pixel_mm=pixel,
        lax_size=min(int(rng.uniform(240.0, 400.0) / pixel), CANVAS),
        lax_thickness_mm=float(rng.uniform(4.0, 8.0)),
        noise=float(rng.uniform(0.0, 0.05)),
        bias=float(rng.uniform(0.0, 0.8)),
        long_axis_lps=tuple(float(c) for c in axis / np.linalg.norm(axis)),
        roll_deg=float(rng.normal(0.0, 12.0)),
        image_rotation_deg=float(rng.uniform(-180.0, 180.0)),
        seed=int(rng.integers(2**31)),
    )


def random_scene(options: PhantomOptions, motion: Motion, rng) -> Scene:
    """Tissues brighter or darker each on its own, atria of any size and place, valves open or shut at any moment."""
    scene = make_scene(options, motion, heart_to_lps(options, motion.shapes[0]))
    signal = {name: value * float(np.exp(rng.normal(0.0, 0.25))) for name, value in SIGNAL.items()}
    blood = float(np.exp(rng.normal(0.0, 0.15)))
    for name in ("lv blood", "rv blood", "atrial blood", "vessel"):  # blood differs little between the chambers
        signal[name] = SIGNAL[name] * blood * float(np.exp(rng.normal(0.0, 0.05)))
    for name in ("fat", "epicardial fat", "visceral fat"):  # from suppressed to the brightest of all
        signal[name] *= float(rng.uniform(0.3, 1.5))
    signal["lung"] *= float(rng.uniform(0.3, 2.5))
    grow = np.exp(rng.normal(0.0, 0.18, (2, 3)))
    move = rng.normal(0.0, 3.0, (2, 2))
    openings = [0.0, 0.0, float(rng.choice([0.0, rng.uniform(0.2, 1.0)]))]
    around = [
        replace(
            a,
            left_atrium=_changed(a.left_atrium, grow[0], move[0]),
            right_atrium=_changed(a.right_atrium, grow[1], move[1]),
            opening=opening,
        )
        for a, opening in zip(scene.around, openings, strict=True)
    ]
    return replace(scene, signal=signal, around=tuple(around))


def _changed(atrium, grow, move):
    (x, y, z), semi = atrium[0], np.asarray(atrium[1])
    top = z + semi[2] * (grow[2] - 1.0)  # grows away from the valve
    return (x + float(move[0]), y + float(move[1]), float(top)), tuple(float(s) for s in semi * grow)


def moved(grid: Grid, points: np.ndarray, view: str, rng) -> Grid:
    """The plane turned and shifted a little about the valves, as an operator's plane is."""
    own = [n for n, of in enumerate(LANDMARK_VIEWS) if of == view]
    pivot = points[0, own].mean(axis=0)
    axes = grid.ijk_to_lps[:3, :3] / np.linalg.norm(grid.ijk_to_lps[:3, :3], axis=0)
    angles = np.deg2rad(rng.uniform(-TILT_DEG, TILT_DEG, 2))
    turn = _rotation(axes[:, 0], angles[0]) @ _rotation(axes[:, 1], angles[1])
    origin = turn @ (grid.ijk_to_lps[:3, 3] - pivot) + pivot + rng.uniform(-OFFSET_MM, OFFSET_MM) * axes[:, 2]
    spacing = np.linalg.norm(grid.ijk_to_lps[:3, :3], axis=0)
    return replace(grid, ijk_to_lps=matrix_from(origin, turn @ axes, tuple(spacing)))


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    cross = np.cross(np.eye(3), axis) * -1.0
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross


def imaged(scene: Scene, grid: Grid, view: str, points: np.ndarray | None, rng) -> Cutouts:
    images = render(scene, grid, np.zeros((1, 3)), rng)[:, 0]
    cover = _cover(scene, grid)
    apex = np.stack([apply(scene.to_lps, np.array([0.0, 0.0, shape.apex_z])) for shape in scene.shapes])
    apex = apply(np.linalg.inv(grid.ijk_to_lps), apex)[:, 1::-1].astype(np.float32)
    count, side = len(images), images.shape[-1]
    pixels = np.full((count, len(LANDMARK_VIEWS), 2), np.nan, np.float32)
    state = np.full(pixels.shape[:2], ABSENT, np.uint8)
    pixel_mm = float(np.linalg.norm(grid.ijk_to_lps[:3, 0]))
    if points is None:
        apex[:] = np.nan
    else:
        own = [n for n, of in enumerate(LANDMARK_VIEWS) if of == view]
        pixels[:, own] = apply(np.linalg.inv(grid.ijk_to_lps), points[:, own])[..., 1::-1]
        inside = ((pixels[:, own] >= 0) & (pixels[:, own] <= side - 1)).all(-1)
        state[:, own] = np.where(inside, PRESENT, ABSENT)
        images = np.stack([_flow_voids(image, near, rng) for image, near in zip(images, pixels[:, own], strict=True)])
    bases = np.nanmean(pixels, axis=1) if points is not None else apex
    parts = zip(images, cover / 255.0, apex, bases, strict=True)
    images = [clutter(image, heart, tip, base, pixel_mm, rng) for image, heart, tip, base in parts]
    examples = Examples(
        images=np.stack([to_bytes(image) for image in images]),
        points=pixels,
        state=state,
        doubt=np.zeros(state.shape, np.float32),
        view=np.full(count, VIEWS.index(view), np.uint8),
        pixel_mm=np.full(count, pixel_mm, np.float32),
        size=np.full((count, 2), side, np.int32),
    )
    canvas = np.zeros((count, CANVAS, CANVAS), np.uint8)
    canvas[:, :side, :side] = cover
    return Cutouts(examples, apex, canvas)


def _cover(scene: Scene, grid: Grid) -> np.ndarray:
    """Uint8 (T, side, side): how much of each pixel is heart, found by imaging a heart that alone gives signal."""
    bright = 1e4
    signal = {name: bright if name in HEART_SIGNALS else 0.0 for name in scene.signal}
    still = replace(scene, signal=signal, options=replace(scene.options, noise=0.0, bias=0.0))
    images = render(still, grid, np.zeros((1, 3)), np.random.default_rng(0))[:, 0]
    return np.rint(255 * np.clip(images / (0.8 * bright), 0.0, 1.0)).astype(np.uint8)


def _flow_voids(image: np.ndarray, points: np.ndarray, rng) -> np.ndarray:
    """Dark streaks of fast or turbulent blood near the valves, in about half of the images."""
    if rng.random() < 0.5:
        return image
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    out = image.copy()
    for _ in range(rng.integers(1, 4)):
        row, column = points[rng.integers(len(points))] + rng.normal(0.0, 9.0, 2)
        angle, length, width = rng.uniform(0.0, np.pi), rng.uniform(4.0, 16.0), rng.uniform(1.0, 4.0)
        along = (rows - row) * np.sin(angle) + (columns - column) * np.cos(angle)
        across = (rows - row) * np.cos(angle) - (columns - column) * np.sin(angle)
        shape = np.exp(-0.5 * ((along / length) ** 2 + (across / width) ** 2))
        out *= 1.0 - rng.uniform(0.2, 0.8) * shape
    return out


def synthetic_corpus(folder: str | Path, hearts: int, progress: Progress = silent) -> Cutouts:
    """Images of the hearts with seeds 0, 1, ...: read from ``folder`` where they lie there, else made and kept."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in range(0, hearts, PART):
        seeds = range(first, min(first + PART, hearts))
        path = folder / f"cutouts_{seeds[0]:04d}_{seeds[-1]:04d}.npz"
        if not path.is_file():
            work = path.with_suffix(".part.npz")
            made = Cutouts.join([synthetic_hearts(seed) for seed in seeds])
            np.savez_compressed(work, **made.examples.to_dict(), apex=made.apex, cover=made.cover)
            os.replace(work, path)
        with np.load(path) as arrays:
            known = dict(arrays)
            parts.append(Cutouts(apex=known.pop("apex"), cover=known.pop("cover"), examples=Examples(**known)))
        progress((seeds[-1] + 1) / hearts, f"{seeds[-1] + 1} of {hearts} synthetic hearts")
    return Cutouts.join(parts)
