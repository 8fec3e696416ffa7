"""Synthetic mice: the phantom's heart at the size, rate and sampling of a mouse, with what spoils images of mice.

A mouse's heart is a tenth of a human one in every direction. It is solved and imaged at human size, ``SCALE`` times too
large, and every length is divided by ``SCALE`` at the end. What differs is the sampling (0.1 mm pixels, 1 mm slices),
the contrast of a gradient-echo cine at high field, shading by a surface coil, ghosts of breathing and of flow, and
infarcts. Only the LV is labelled, as in the published data of mice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import BACKGROUND, LV, MYO, RV, LabelMap
from CardiacLib.types.patient import Patient

from . import truth
from .anatomy import HeartShape, Infarct, ventricle_fields
from .body import SIGNAL
from .imaging import render
from .motion import Motion, solve_motion
from .options import PhantomOptions
from .study import MYOCARDIUM_G_PER_ML, make_scene
from .views import heart_to_lps, sax_grid

SCALE = 13.0
"""Size of the heart that is solved and imaged over that of the mouse."""
GRADIENT_ECHO = {
    "lung": 14.0,
    "myocardium": 96.0,
    "muscle": 84.0,
    "liver": 92.0,
    "stomach": 60.0,
    "spleen": 90.0,
    "fat": 150.0,
    "visceral fat": 110.0,
    "epicardial fat": 104.0,
    "wall": 98.0,
    "papillary": 100.0,
    "valve": 110.0,
}
"""Signals of a spoiled gradient echo, where they differ from bSSFP: inflowing blood is bright, fat is not."""
STEP_MM = 1.0
"""Of the grid at human size that volumes with an infarct are summed on."""
SOURCE = "CineHeart phantom mouse"


@dataclass(frozen=True)
class MouseOptions:
    """Parameters of one synthetic mouse. Lengths in mm, volumes in microlitres, angles in degrees.

    Attributes:
        lv_edv_ul, lv_ef_percent: of the LV without its infarct.
        wall_mm: LV wall thickness at ED.
        mapse_mm: systolic descent of the mitral ring.
        heart_rate_bpm, n_frames: the cycle and its even sampling; frame 0 is ED.
        pixel_mm, size: short-axis pixel, and pixels per side.
        n_slices, slice_mm: slices without a gap, and their thickness.
        first_slice_mm: centre of the first slice over the epicardial apex.
        noise: as a fraction of the blood signal. bias: log amplitude of the surface coil's shading.
        breathing: strength of the ghosts that breathing leaves along the rows' direction; 0 none, 0.3 strong.
        flow: strength of the ghosts of pulsating blood and of the loss of signal in its jets.
        contrast: log standard deviation by which the tissues' signals differ from animal to animal.
        infarct_deg: angular width of an akinetic, thinned part of the LV wall; 0: none.
        infarct_at_deg: its middle; 0 is the septum, 90 anterior.
        roll_deg, image_rotation_deg: turn of the heart about its axis, and of the field of view in its plane.
        seed: of everything random.

    Raises:
        InputError: a value is out of range.
    """

    lv_edv_ul: float = 60.0
    lv_ef_percent: float = 60.0
    wall_mm: float = 0.85
    mapse_mm: float = 0.8
    heart_rate_bpm: float = 480.0
    n_frames: int = 24
    pixel_mm: float = 0.1
    size: int = 256
    n_slices: int = 9
    slice_mm: float = 1.0
    first_slice_mm: float = -0.3
    noise: float = 0.04
    bias: float = 0.5
    breathing: float = 0.05
    flow: float = 0.05
    contrast: float = 0.0
    infarct_deg: float = 0.0
    infarct_at_deg: float = 90.0
    roll_deg: float = 0.0
    image_rotation_deg: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"Phantom option {name} = {value} is out of range; use {low} to {high}.")

    @classmethod
    def drawn(cls, seed: int, **changes) -> "MouseOptions":
        """A random mouse of the range that laboratories see, healthy or with an infarct; same seed, same mouse."""
        draw = np.random.default_rng([seed, 22])
        values = {name: float(draw.uniform(*limits)) for name, limits in RANGES.items()}
        values |= {"n_slices": int(draw.integers(8, 12)), "n_frames": int(draw.integers(17, 37)), "seed": seed}
        if draw.random() < INFARCTED:
            values |= {"infarct_deg": float(draw.uniform(50, 140)), "infarct_at_deg": float(draw.uniform(40, 200))}
            values |= {"lv_edv_ul": float(draw.uniform(55, 110)), "lv_ef_percent": float(draw.uniform(25, 55))}
        return cls(**(values | changes))

    @property
    def human(self) -> PhantomOptions:
        """The same heart ``SCALE`` times larger."""
        ml = SCALE**3 / 1000.0
        return PhantomOptions(
            lv_edv_ml=self.lv_edv_ul * ml,
            lv_ef_percent=self.lv_ef_percent,
            rv_edv_ml=max(0.95 * self.lv_edv_ul * ml, 60.0),
            rv_ef_percent=min(0.9 * self.lv_ef_percent, 60.0),
            wall_mm=self.wall_mm * SCALE,
            mapse_mm=self.mapse_mm * SCALE,
            tapse_mm=1.4 * self.mapse_mm * SCALE,
            rr_ms=920.0,
            n_frames=self.n_frames,
            sax_pixel_mm=self.pixel_mm * SCALE,
            sax_size=self.size,
            slice_spacing_mm=self.slice_mm * SCALE,
            slice_thickness_mm=self.slice_mm * SCALE,
            first_slice_mm=self.first_slice_mm * SCALE,
            n_slices=self.n_slices,
            noise=self.noise,
            bias=min(self.bias, 1.0),
            roll_deg=self.roll_deg,
            image_rotation_deg=self.image_rotation_deg,
            seed=self.seed,
        )


_LIMITS = {
    "lv_edv_ul": (28.0, 150.0),
    "lv_ef_percent": (10.0, 80.0),
    "wall_mm": (0.4, 1.5),
    "mapse_mm": (0.0, 1.5),
    "heart_rate_bpm": (300.0, 700.0),
    "n_frames": (1, 60),
    "pixel_mm": (0.05, 0.35),
    "size": (32, 512),
    "n_slices": (1, 30),
    "slice_mm": (0.3, 1.5),
    "first_slice_mm": (-1.5, 4.0),
    "noise": (0.0, 0.5),
    "bias": (0.0, 1.0),
    "breathing": (0.0, 0.5),
    "flow": (0.0, 0.5),
    "contrast": (0.0, 0.5),
    "infarct_deg": (0.0, 200.0),
    "infarct_at_deg": (-360.0, 360.0),
    "roll_deg": (-180.0, 180.0),
    "image_rotation_deg": (-180.0, 180.0),
    "seed": (0, 2**32 - 1),
}
RANGES = {
    "lv_edv_ul": (38.0, 85.0),
    "lv_ef_percent": (45.0, 74.0),
    "wall_mm": (0.70, 1.05),
    "mapse_mm": (0.4, 1.0),
    "heart_rate_bpm": (400.0, 600.0),
    "first_slice_mm": (-0.6, 0.4),
    "noise": (0.02, 0.08),
    "bias": (0.2, 0.9),
    "breathing": (0.0, 0.12),
    "flow": (0.0, 0.12),
    "contrast": (0.05, 0.15),
    "roll_deg": (-60.0, 60.0),
    "image_rotation_deg": (-180.0, 180.0),
}
"""Of the options that :meth:`MouseOptions.drawn` draws evenly."""
INFARCTED = 0.35
"""Share of the drawn mice that have an infarct."""


@dataclass(frozen=True)
class Mouse:
    """A synthetic mouse with its truth.

    Attributes:
        options: what it was made from.
        cine: short-axis stack, LPS mm.
        labels: at the middle of each slice: LV pool and LV myocardium.
        lv_ul, myo_ul: (T,) volumes of the shapes, not of the voxels.
        ed, es: frames.
    """

    options: MouseOptions
    cine: Cine
    labels: LabelMap
    lv_ul: np.ndarray
    myo_ul: np.ndarray
    ed: int
    es: int

    def summary(self) -> dict[str, object]:
        """The truth as plain values."""
        edv, esv = float(self.lv_ul[self.ed]), float(self.lv_ul[self.es])
        return {
            "species": "mouse",
            "ed": self.ed,
            "es": self.es,
            "lv_edv_ul": edv,
            "lv_esv_ul": esv,
            "lv_ef_percent": 100.0 * (1.0 - esv / edv),
            "lv_mass_mg": float(self.myo_ul[self.ed]) * MYOCARDIUM_G_PER_ML,
            "heart_rate_bpm": self.options.heart_rate_bpm,
            "lv_ul": self.lv_ul.tolist(),
        }


def make_mouse(options: MouseOptions | None = None, frames: Sequence[int] | None = None) -> Mouse:
    """Make a mouse; with ``frames``, image these frames of its cycle only (``ed`` and ``es`` are then among them).

    Same options, same voxels.

    Raises:
        InputError: no heart of this form has the requested volumes.

    Example:
        >>> mouse = make_mouse(MouseOptions(n_frames=4, size=64, pixel_mm=0.2, n_slices=3))
        >>> mouse.cine.frames.shape, [round(float(mm), 2) for mm in mouse.cine.spacing]
        ((4, 3, 64, 64), [0.2, 0.2, 1.0])
    """
    options = options or MouseOptions()
    human = options.human
    motion = _infarcted(options, solve_motion(human))
    chosen = list(range(len(motion.shapes))) if frames is None else sorted({0, motion.es, *frames})
    motion = replace(
        motion,
        shapes=tuple(motion.shapes[t] for t in chosen),
        phases=motion.phases[chosen],
        times_ms=motion.times_ms[chosen],
        es=chosen.index(motion.es),
    )
    scene = make_scene(human, motion, heart_to_lps(human, motion.shapes[0]))
    draw = np.random.default_rng([options.seed, 3])
    scene = replace(scene, signal=_signals(options, draw))
    grid = sax_grid(human, scene.to_lps, motion.shapes[0])
    still = np.zeros((grid.shape[0], 3))
    images = render(scene, grid, still, draw)
    labels = truth.label_stack(scene, grid, still)
    labels[labels == RV] = BACKGROUND
    images = _spoilt(options, images, labels, draw)
    matrix = grid.ijk_to_lps.copy()
    matrix[:3] /= SCALE
    times = np.array(chosen) * 60000.0 / options.heart_rate_bpm / options.n_frames
    patient = Patient(name="Phantom mouse", id=f"mouse-{options.seed}", heart_rate_bpm=options.heart_rate_bpm)
    return Mouse(
        options=options,
        cine=Cine(np.rint(images), matrix, times, "sax", SOURCE, (), patient),
        labels=LabelMap(labels, matrix, times, SOURCE),
        **_volumes_ul(motion),
        ed=0,
        es=motion.es,
    )


def _signals(options: MouseOptions, draw) -> dict[str, float]:
    signal = SIGNAL | GRADIENT_ECHO
    return {name: value * float(np.exp(options.contrast * draw.standard_normal())) for name, value in signal.items()}


def _infarcted(options: MouseOptions, motion: Motion) -> Motion:
    """The cycle with a part of the wall that is thinned and stays where it is at ED."""
    if not options.infarct_deg:
        return motion
    ed, shapes = motion.shapes[0], []
    for shape in motion.shapes:
        # Thinned by 30 % at ED; later the healthy endocardium leaves the infarct behind.
        depth = 0.3 * ed.wall + 0.85 * (ed.radius - shape.radius)
        depth = min(depth, 0.75 * shape.wall)
        reach = (shape.apex_z - 20.0, shape.apex_z + 0.62 * shape.length)
        middle, half = np.deg2rad(options.infarct_at_deg), np.deg2rad(options.infarct_deg) / 2
        shapes.append(replace(shape, infarct=Infarct(float(middle), float(half), reach, float(depth))))
    return replace(motion, shapes=tuple(shapes))


def _volumes_ul(motion: Motion) -> dict[str, np.ndarray]:
    ul = 1000.0 / SCALE**3
    if motion.shapes[0].infarct is None:
        exact = truth.volumes_of_lv(motion)
        return {"lv_ul": exact["lv"] * ul, "myo_ul": exact["myo"] * ul}
    summed = np.array([_summed_ml(shape) for shape in motion.shapes])
    return {"lv_ul": summed[:, 0] * ul, "myo_ul": (summed[:, 1] - summed[:, 0]) * ul}


def _summed_ml(shape: HeartShape) -> tuple[float, float]:
    """Cavity, and cavity with wall, summed over a grid of ``STEP_MM`` with anti-aliased edges."""
    across = shape.epi_semi[0] + 3.0
    x = np.arange(-across, across, STEP_MM, dtype=np.float32)
    z = np.arange(-3.0, shape.base[0] + 15.0, STEP_MM, dtype=np.float32)
    fields = ventricle_fields(shape, (x[None, None, :], x[None, :, None], z[:, None, None]))
    lv, whole = (
        float(np.clip(0.5 - fields[name] / STEP_MM, 0.0, 1.0).sum(dtype=np.float64)) for name in ("lv", "lv_epi")
    )
    return lv * STEP_MM**3 / 1000.0, whole * STEP_MM**3 / 1000.0


def _spoilt(options: MouseOptions, images: np.ndarray, labels: np.ndarray, draw) -> np.ndarray:
    """Ghosts of breathing and of flow, both along the rows' direction (phase encoding), slice by slice."""
    if not (options.breathing or options.flow):
        return images
    count, slices, height, _ = images.shape
    images = images.copy()
    blood = np.where(labels == LV, images, np.float32(0)) if options.flow else None
    for k in range(slices):
        order = draw.uniform(2.2, 4.5)  # ghosts lie at these parts of the field of view
        strength = options.breathing * draw.uniform(0.3, 1.0)
        for sign in (-1, 1):
            images[:, k] += strength * draw.uniform(0.5, 1.0) * np.roll(images[:, k], sign * int(height / order), 1)
        if blood is None:
            continue
        pulse = np.sin(2 * np.pi * (np.arange(count) / max(count, 1) + draw.random()))
        for sign in (-1, 1):
            ghost = np.roll(blood[:, k], sign * int(height / draw.uniform(3.0, 6.0)), 1)
            images[:, k] += (options.flow * (0.6 + 0.4 * pulse))[:, None, None].astype(np.float32) * ghost
        for t in range(count):
            _jet(images[t, k], labels[t, k] == LV, 4.0 * options.flow * draw.random(), draw)
    return np.maximum(images, 0.0)


def _jet(image: np.ndarray, pool: np.ndarray, loss: float, draw) -> None:
    """Take a part of the signal from a round spot of the pool, where blood flows fast, in place."""
    rows, columns = np.nonzero(pool)
    if len(rows) < 20:
        return
    n = int(draw.integers(len(rows)))
    radius = 0.25 * np.sqrt(len(rows))
    box = np.s_[max(int(rows[n] - 3 * radius), 0) : int(rows[n] + 3 * radius) + 1]
    across = np.s_[max(int(columns[n] - 3 * radius), 0) : int(columns[n] + 3 * radius) + 1]
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    spot = np.exp(-((y[box] - rows[n]) ** 2 + (x[:, across] - columns[n]) ** 2) / (2 * radius**2))
    image[box, across] *= 1.0 - min(loss, 0.6) * spot * pool[box, across]


__all__ = ["GRADIENT_ECHO", "MYO", "Mouse", "MouseOptions", "make_mouse"]
