"""Atria, great vessels, valves and papillary muscles around and inside the ventricles (heart frame, mm)."""

from dataclasses import dataclass

import numpy as np

from .anatomy import HeartShape, view_direction
from .shapes import Place, above_plane, capsule, ellipsoid, smooth_union

TWIST_DEG = 8.0  # systolic turn of the papillary muscles about the LV axis
PAPILLARY_DEG = (128.0, -128.0)  # anterolateral, posteromedial


@dataclass(frozen=True)
class Surroundings:
    """What belongs to the heart at one moment besides the ventricles.

    Attributes:
        left_atrium, right_atrium: (centre, half axes) of the atrial ellipsoids.
        mitral, tricuspid: (centre, radius) of the atrioventricular rings.
        opening: 0 closed to 1 open, of both atrioventricular valves; the arterial valves are open when ``ejecting``.
    """

    left_atrium: tuple[tuple, tuple]
    right_atrium: tuple[tuple, tuple]
    mitral: tuple[tuple, float]
    tricuspid: tuple[tuple, float]
    opening: float
    ejecting: bool


def surroundings(shape: HeartShape, ed: HeartShape, hinges, opening: float, ejecting: bool) -> Surroundings:
    """Atria between the moving valve planes and their fixed roofs: they fill while the ventricles empty."""
    cx, cy = view_direction("3ch")
    shift = -0.24 * shape.base_radius
    mitral = (cx * shift, cy * shift, shape.on_base(cx * shift, cy * shift))
    ring = 0.80 * shape.base_radius
    (s_septal, z_septal), (s_free, z_free) = hinges
    dx, dy = view_direction("4ch")
    s = 0.5 * (s_septal + s_free)
    tricuspid = (dx * s + 3.0, dy * s + 5.0, 0.5 * (z_septal + z_free))
    roof = ed.base[0] + 48.0
    left = _atrium((mitral[0] - 6.0, mitral[1] - 4.0), mitral[2], roof, 25.0 + 4.0 * shape.phase, 25.0)
    right = _atrium((tricuspid[0] + 3.0, tricuspid[1] - 3.0), tricuspid[2], roof + 2.0, 23.0 + 3.0 * shape.phase, 24.0)
    return Surroundings(left, right, (mitral, ring), (tricuspid, 0.5 * (s_free - s_septal)), opening, ejecting)


def _atrium(center_xy, plane_z: float, roof_z: float, across: float, deep: float):
    height = roof_z - plane_z
    return (*center_xy, plane_z + 0.45 * height), (across, deep, 0.55 * height)


def left_atrium(around: Surroundings, at: Place):
    """Left atrium with two pulmonary veins; like the next three, not cut at the valve plane."""
    center, radius = around.mitral
    chamber = ellipsoid(at, *around.left_atrium)
    vestibule = capsule(at, center, (center[0] - 3.0, center[1] - 4.0, center[2] + 12.0), radius)
    for end in ((-30.0, -42.0, 30.0), (22.0, -50.0, 34.0)):
        vein = capsule(at, around.left_atrium[0], tuple(a + b for a, b in zip(center, end, strict=True)), 7.0, 6.0)
        chamber = smooth_union(chamber, vein, 6.0)
    return smooth_union(chamber, vestibule, 8.0)


def right_atrium(around: Surroundings, at: Place):
    center, radius = around.tricuspid
    chamber = ellipsoid(at, *around.right_atrium)
    vestibule = capsule(at, center, (center[0] + 1.0, center[1] - 2.0, center[2] + 12.0), radius)
    return smooth_union(chamber, vestibule, 8.0)


def aortic_root(shape: HeartShape, at: Place):
    """Sinuses and ascending aorta."""
    cx, cy, cz = shape.aortic_center
    radius = shape.aortic_radius
    sinus = ellipsoid(at, (cx + 5.0, cy + 4.0, cz + 10.0), (radius + 3.5, radius + 3.5, 13.0))
    tube = capsule(at, (cx, cy, cz), (cx + 8.0, cy + 14.0, cz + 34.0), radius, radius + 2.0)
    return smooth_union(sinus, tube, 5.0)


def pulmonary_root(shape: HeartShape, at: Place):
    """Pulmonary trunk: the outflow tract beyond the RV valve plane, running up and to the left."""
    start, stop, radius = shape.outflow
    trunk = capsule(at, stop, (stop[0] - 20.0, stop[1] - 6.0, stop[2] + 24.0), radius * 0.95, radius)
    outflow = capsule(at, start, stop, radius)
    return smooth_union(outflow, trunk, 6.0)


def veins_and_aorta(ed: HeartShape, around_ed: Surroundings, at: Place, up, arch) -> np.ndarray:
    """Caval veins, ascending aorta and arch, which stay still: ``up`` is the patient's axis, ``arch`` its far end."""
    (ax, ay, az), _ = around_ed.right_atrium
    field = None
    aorta = ed.aortic_center
    mouth = (aorta[0] + 8.0, aorta[1] + 14.0, aorta[2] + 34.0)
    top = _along(mouth, up, 35.0)
    upper, lower = (ax + 2.0, ay + 8.0, az + 8.0), (ax + 4.0, ay - 10.0, az - 2.0)
    for start, stop, radius in (
        (upper, _along(upper, up, 130.0), 9.0),
        (lower, _along(lower, up, -160.0), 11.5),
        (mouth, top, ed.aortic_radius + 2.5),
        (top, arch, ed.aortic_radius + 1.0),
    ):
        tube = capsule(at, start, stop, radius)
        field = tube if field is None else np.minimum(field, tube)
    return field


def _along(start, direction, reach: float) -> tuple[float, ...]:
    return tuple(a + reach * b for a, b in zip(start, direction, strict=True))


def papillary_muscles(shape: HeartShape, at: Place):
    """Two muscles from the wall to below the valve, with two heads each; they turn and thicken in systole."""
    field = None
    for base_deg in PAPILLARY_DEG:
        for fork in (-8.0, 10.0):
            foot = _in_cavity(shape, base_deg + 0.4 * fork, 0.30, 0.86)
            head = _in_cavity(shape, base_deg + fork, 0.66, 0.66)
            muscle = capsule(at, foot, head, 4.8 + 0.4 * shape.phase, 3.2 + 0.4 * shape.phase)
            field = muscle if field is None else np.minimum(field, muscle)
    return field


def _in_cavity(shape: HeartShape, angle_deg: float, height: float, out: float) -> tuple[float, float, float]:
    """Point at ``height`` (0 apex to 1 base) and ``out`` (0 axis to 1 wall) that turns with the wall."""
    z = shape.apex_z + height * shape.length
    wall = shape.radius * max(1.0 - ((z - shape.center_z) / shape.semi_z) ** 2, 0.0) ** 0.5
    angle = np.deg2rad(angle_deg + TWIST_DEG * shape.phase * (1.0 - 2.0 * height))
    return float(out * wall * np.cos(angle)), float(out * wall * np.sin(angle)), z


def moderator_band(shape: HeartShape, at: Place):
    """Muscle band crossing the RV from the septum to the free wall."""
    height = 0.40 * shape.base[0]
    start = (0.8 * shape.epi_semi[0], -6.0, height + 6.0)
    stop = (shape.rv_center[0] + 0.72 * shape.rv_semi[0], -10.0, height - 8.0)
    return capsule(at, start, stop, 2.2, 2.8)


def leaflets(ring: tuple[tuple, float], plane, opening: float, at: Place):
    """Leaflets as a sheet 1.4 mm thick hanging from a valve ring: closed a shallow tent, open a funnel.

    ``ring`` is its (centre, radius).
    """
    (center, radius), (x, y, _) = ring, at
    over = above_plane(at, plane)
    out = np.sqrt((x - center[0]) ** 2 + (y - center[1]) ** 2)
    depth, mouth = 2.5 + 12.5 * opening, 0.62 * radius * opening
    sheet = -depth * (radius - out) / max(radius - mouth, 1.0)
    steep = 1.0 / (1.0 + (depth / max(radius - mouth, 1.0)) ** 2) ** 0.5
    field = np.abs(over - sheet) * steep - 0.7
    return np.maximum(np.maximum(field, out - radius), mouth - out)
