"""The cycle: the contraction curve, and the shape of every moment solved to the requested volumes."""

from dataclasses import dataclass, replace

import numpy as np
import scipy

from CardiacLib.errors import InputError

from .anatomy import APEX_WALL, HeartShape, ventricle_fields, view_direction
from .options import PhantomOptions
from .shapes import cap_volume

OUTFLOW_RISE_MM = 6.0  # the RV's upper end at the outflow tract over the LV valve plane's centre
APEX_RISE_MM = 1.5  # the apex is nearly still
WIDEST, RV_WIDEST = 0.68, 0.80  # where each ventricle is widest, from apex to base
RV_NODES = (0.0, 0.12, 0.4, 0.7, 0.9, 1.0)  # phases where the RV's size is solved; between them it is interpolated
# (fraction of the cycle, emptied part of the stroke volume): ejection, rapid filling, diastasis, atrial kick
CURVE_DIASTOLE = ((0.04, 0.985), (0.14, 0.55), (0.22, 0.28), (0.30, 0.21), (0.46, 0.17), (0.55, 0.06), (0.62, 0.012))
CURVE_SYSTOLE = ((0.10, 0.015), (0.40, 0.42), (0.75, 0.90), (1.0, 1.0))
ES_FRACTION = 0.36


@dataclass(frozen=True)
class Motion:
    """Shapes of all frames. ``phases`` (T,) contraction, ``times_ms`` (T,), ``shapes`` T HeartShapes, ``es`` frame."""

    phases: np.ndarray
    times_ms: np.ndarray
    shapes: tuple[HeartShape, ...]
    es: int


def contraction_curve(n_frames: int) -> tuple[np.ndarray, int]:
    """Emptied part of the stroke volume (T,) in 0..1, 0 at frame 0 only, and the ES frame, where it is exactly 1."""
    es = max(round(ES_FRACTION * n_frames), 1 if n_frames > 1 else 0)
    if n_frames == 1:
        return np.zeros(1), 0
    es_time, rest = es / n_frames, 1.0 - es / n_frames
    knots = [(0.0, 0.0)] + [(es_time * t, v) for t, v in CURVE_SYSTOLE]
    knots += [(es_time + rest * t / 0.64, v) for t, v in CURVE_DIASTOLE] + [(1.0, 0.0)]
    times, values = np.array(knots).T
    return np.clip(scipy.interpolate.PchipInterpolator(times, values)(np.arange(n_frames) / n_frames), 0.0, 1.0), es


def solve_motion(options: PhantomOptions, step_mm: float = 2.0) -> Motion:
    """Shapes of all frames with the requested ED and ES volumes.

    LV: per frame, cavity volume and a constant myocardial volume give radius and wall in closed form of ellipsoid caps.
    RV: its size at a few phases gives the volume found by numerical integration with ``step_mm``.

    Raises:
        InputError: no heart of this form has the requested volumes.
    """
    phases, es = contraction_curve(options.n_frames)
    length = 86.0 * (options.lv_edv_ml / 140.0) ** (1.0 / 3.0)
    start = _start_shape(options, length)
    myo = myocardium_ml(start)
    base_ed = start.base[0]

    def lv(phase: float) -> HeartShape:
        volume = options.lv_edv_ml * (1.0 - phase * options.lv_ef_percent / 100.0)
        return _solve_lv(options, phase, volume, myo, base_ed)

    sizes = [_solve_rv(options, lv(p), step_mm) for p in RV_NODES]
    size_at = scipy.interpolate.BarycentricInterpolator(RV_NODES, sizes)
    shapes = tuple(_with_rv(options, lv(float(p)), float(size_at(p))) for p in phases)
    times = np.arange(options.n_frames) * options.rr_ms / options.n_frames
    return Motion(phases, times, shapes, es)


def myocardium_ml(shape: HeartShape) -> float:
    """LV myocardium below the valve plane, exact."""
    return cap_volume(shape.epi_semi, shape.epi_center_z, shape.base) / 1000.0 - cavity_ml(shape)


def cavity_ml(shape: HeartShape) -> float:
    """LV cavity below the valve plane, exact."""
    return cap_volume(shape.endo_semi, shape.center_z, shape.base) / 1000.0


def rv_ml(shape: HeartShape, step_mm: float = 2.0) -> float:
    """RV cavity: anti-aliased occupancy summed at two grid steps and extrapolated (within 0.1 %, see the tests)."""
    return (4.0 * _rv_occupied_ml(shape, step_mm) - _rv_occupied_ml(shape, 2.0 * step_mm)) / 3.0


def _rv_occupied_ml(shape: HeartShape, step_mm: float) -> float:
    (cx, cy, cz), (bx, by, bz) = shape.rv_center, shape.rv_semi
    _, stop, radius = shape.outflow
    lean = abs(shape.rv_shear) * bz
    low = (min(cx - bx - lean, stop[0] - radius), min(cy - by, stop[1] - radius), cz - bz)
    high = (cx + bx + lean, max(cy + by, stop[1] + radius), shape.base[0] + 30.0)
    x, y, z = (np.arange(a - 4.0, b + 4.0, step_mm, dtype=np.float32) for a, b in zip(low, high, strict=True))
    total = 0.0
    for zs in np.array_split(z, max(len(z) // 8, 1)):
        rv = ventricle_fields(shape, (x[None, None, :], y[None, :, None], zs[:, None, None]))["rv"]
        total += float(np.clip(0.5 - rv / step_mm, 0.0, 1.0).sum(dtype=np.float64))
    return total * step_mm**3 / 1000.0


def _tilted(options: PhantomOptions, h0: float) -> tuple[float, float, float]:
    cx, cy = view_direction("3ch")
    return h0, options.base_tilt * cx, options.base_tilt * cy


def _lv_shape(options: PhantomOptions, phase: float, radius: float, wall: float, h0: float) -> HeartShape:
    apex = APEX_RISE_MM * phase + APEX_WALL * wall
    length = h0 - apex
    return HeartShape(
        phase=phase,
        radius=radius,
        wall=wall,
        center_z=apex + WIDEST * length,
        semi_z=WIDEST * length,
        base=_tilted(options, h0),
        rv_wall=options.rv_wall_mm,
    )


def _start_shape(options: PhantomOptions, length: float) -> HeartShape:
    """ED shape: length from the size of the heart, wall as asked, radius from the cavity volume."""
    h0 = length + APEX_WALL * options.wall_mm

    def miss(radius: float) -> float:
        return cavity_ml(_lv_shape(options, 0.0, radius, options.wall_mm, h0)) - options.lv_edv_ml

    return _lv_shape(options, 0.0, scipy.optimize.brentq(miss, 5.0, 80.0), options.wall_mm, h0)


def _solve_lv(options: PhantomOptions, phase: float, volume: float, myo: float, base_ed: float) -> HeartShape:
    h0 = base_ed - options.mapse_mm * phase

    def miss(unknown):
        shape = _lv_shape(options, phase, unknown[0], unknown[1], h0)
        return cavity_ml(shape) / volume - 1.0, myocardium_ml(shape) / myo - 1.0

    guess = (25.0 * (volume / 140.0) ** 0.5, options.wall_mm * (1.0 + 0.4 * phase))
    found = scipy.optimize.root(miss, guess, tol=1e-10)
    if not found.success or found.x[0] < 5.0 or h0 < 30.0:
        raise InputError(
            f"No phantom heart has a cavity of {volume:.0f} ml with a wall volume of {myo:.0f} ml; "
            "ask for a larger lv_edv_ml, a smaller lv_ef_percent or a thinner wall_mm."
        )
    return _lv_shape(options, phase, float(found.x[0]), float(found.x[1]), h0)


def _solve_rv(options: PhantomOptions, lv: HeartShape, step_mm: float) -> float:
    volume = options.rv_edv_ml * (1.0 - lv.phase * options.rv_ef_percent / 100.0)

    def miss(size: float) -> float:
        return rv_ml(_with_rv(options, lv, size), step_mm) - volume

    low, high = 0.35, 1.9
    if miss(low) > 0.0 or miss(high) < 0.0:
        raise InputError(
            f"No phantom right ventricle of {volume:.0f} ml fits this left ventricle; "
            "ask for RV volumes nearer to those of the LV."
        )
    return float(scipy.optimize.brentq(miss, low, high, xtol=2e-4))


def _with_rv(options: PhantomOptions, lv: HeartShape, size: float) -> HeartShape:
    """Add the RV: insertions follow the LV, the free wall and the outflow tract follow ``size`` (1 is usual at ED)."""
    epi = lv.epi_semi[0]
    scale = (options.lv_edv_ml / 140.0) ** (1.0 / 3.0)
    h0 = lv.base[0]
    apex = 0.13 * h0
    reach = RV_WIDEST * (h0 - 5.0 - apex)
    center = (0.80 * epi, -0.08 * epi, apex + reach)
    semi = (37.0 * scale * size, (0.60 + 0.42 * size) * epi, reach)
    start = (0.75 * epi, 0.58 * epi, h0 - 26.0)
    stop = (0.16 * epi, 1.36 * epi, h0 + 26.0)
    shape = replace(
        lv, rv_center=center, rv_semi=semi, rv_shear=0.16, outflow=(start, stop, 12.5 * scale * (0.55 + 0.45 * size))
    )
    return replace(shape, rv_base=_rv_base(options, shape))


def _rv_base(options: PhantomOptions, shape: HeartShape) -> tuple[float, float, float]:
    """RV upper end: the plane through both tricuspid hinges of the 4CH plane and a point of the outflow tract."""
    septal, free = tricuspid_hinges(options, shape)
    cx, cy = view_direction("4ch")
    epi = shape.epi_semi[0]
    outflow_z = _base_ed(options, shape) + OUTFLOW_RISE_MM - 0.9 * options.mapse_mm * shape.phase
    rows = [(1.0, cx * s, cy * s) for s, _ in (septal, free)] + [(1.0, 0.30 * epi, 1.15 * epi)]
    plane = np.linalg.solve(np.array(rows), np.array([septal[1], free[1], outflow_z]))
    return tuple(float(c) for c in plane)


def tricuspid_hinges(options: PhantomOptions, shape: HeartShape) -> tuple[tuple[float, float], tuple[float, float]]:
    """(s, z) of the septal and the free-wall hinge in the 4CH plane, s measured from the LV axis."""
    cx, cy = view_direction("4ch")
    septal_ed = _base_ed(options, shape) + _slope_along("4ch", shape) * 34.0 - 6.0
    z_septal = septal_ed - 0.9 * options.mapse_mm * shape.phase
    z_free = septal_ed + 3.0 - options.tapse_mm * shape.phase
    reach = 1.0 - ((z_septal - shape.epi_center_z) / shape.epi_semi[2]) ** 2
    s_septal = shape.epi_semi[0] * max(reach, 0.0) ** 0.5
    c_x, c_y, c_z = shape.rv_center
    bx, by, bz = shape.rv_semi
    mid = c_x + shape.rv_shear * (z_free - c_z)
    a = (cx / bx) ** 2 + (cy / by) ** 2
    b = -2.0 * (cx * mid / bx**2 + cy * c_y / by**2)
    c = (mid / bx) ** 2 + (c_y / by) ** 2 + ((z_free - c_z) / bz) ** 2 - 1.0
    root_of = max(b * b - 4.0 * a * c, 0.0) ** 0.5
    return (s_septal, z_septal), ((-b + root_of) / (2.0 * a), z_free)


def _base_ed(options: PhantomOptions, shape: HeartShape) -> float:
    return shape.base[0] + options.mapse_mm * shape.phase


def _slope_along(view: str, shape: HeartShape) -> float:
    cx, cy = view_direction(view)
    return shape.base[1] * cx + shape.base[2] * cy
