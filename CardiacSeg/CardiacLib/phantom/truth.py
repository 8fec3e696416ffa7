"""Exact truth of a phantom: labels, volumes, valve points, surfaces."""

from collections.abc import Sequence

import numpy as np

from CardiacLib.geometry import apply
from CardiacLib.types import labels as names
from CardiacLib.types.landmarks import LANDMARK_NAMES, Landmarks

from .anatomy import HeartShape, ventricle_fields, view_direction
from .motion import Motion, cavity_ml, myocardium_ml, rv_ml, tricuspid_hinges
from .options import PhantomOptions
from .shapes import above_plane
from .views import Grid

LEAFLET_GAP_MM = 1.5  # between the aortic and the mitral hinge in the 3CH view


def label_stack(scene, grid: Grid, shifts: np.ndarray) -> np.ndarray:
    """Labels (T, K, J, I) uint8 at the middle plane of each slice; above a valve plane a ventricle has no label.

    ``shifts`` (K, 3) LPS mm are the slices' breath-hold shifts: labels lie where the image shows the heart.
    """
    labels = np.zeros((len(scene.shapes), *grid.shape), np.uint8)
    for k in range(grid.shape[0]):
        at = scene.to_heart(grid.points(k) - shifts[k])
        for t, shape in enumerate(scene.shapes):
            fields = ventricle_fields(shape, at)
            labels[t, k][fields["rv"] < 0] = names.RV
            labels[t, k][fields["lv_epi"] < 0] = names.MYO
            labels[t, k][fields["lv"] < 0] = names.LV
    return labels


def volumes(motion: Motion, step_mm: float = 2.0) -> dict[str, np.ndarray]:
    """Volumes in ml of every frame: ``lv`` and ``myo`` exact, ``rv`` integrated (T,)."""
    return volumes_of_lv(motion) | {"rv": np.array([rv_ml(s, step_mm) for s in motion.shapes])}


def volumes_of_lv(motion: Motion) -> dict[str, np.ndarray]:
    """Volumes in ml of every frame, ``lv`` and ``myo`` (T,), exact for a heart without an infarct."""
    return {
        "lv": np.array([cavity_ml(s) for s in motion.shapes]),
        "myo": np.array([myocardium_ml(s) for s in motion.shapes]),
    }


def valve_points(options: PhantomOptions, shape: HeartShape) -> np.ndarray:
    """(10, 3) valve points in the heart frame, in the order of LANDMARK_NAMES, each in the plane of its view.

    The mitral hinges lie where the endocardium meets the valve plane, except the 3CH septal one, which adjoins the
    aortic annulus; the aortic septal hinge lies on the endocardium; the tricuspid hinges on septum and RV free wall.
    """
    aortic = np.hypot(*shape.aortic_center[:2]) - shape.aortic_radius
    (s_septal, z_septal), (s_free, z_free) = tricuspid_hinges(options, shape)
    found = {
        "mitral anterior 2CH": _on_base(shape, "2ch", _endo_reach(shape, "2ch", 1)),
        "mitral posterior 2CH": _on_base(shape, "2ch", _endo_reach(shape, "2ch", -1)),
        "mitral septal 3CH": _on_base(shape, "3ch", aortic - LEAFLET_GAP_MM),
        "mitral free wall 3CH": _on_base(shape, "3ch", _endo_reach(shape, "3ch", -1)),
        "mitral septal 4CH": _on_base(shape, "4ch", _endo_reach(shape, "4ch", 1)),
        "mitral free wall 4CH": _on_base(shape, "4ch", _endo_reach(shape, "4ch", -1)),
        "aortic septal": _on_base(shape, "3ch", _endo_reach(shape, "3ch", 1)),
        "aortic free wall": _on_base(shape, "3ch", aortic),
        "tricuspid septal": _in_view("4ch", s_septal, z_septal),
        "tricuspid free wall": _in_view("4ch", s_free, z_free),
    }
    return np.array([found[name] for name in LANDMARK_NAMES])


def landmarks(options: PhantomOptions, motion: Motion, to_lps: np.ndarray) -> Landmarks:
    """The ten valve points of every frame, LPS mm."""
    points = np.stack([apply(to_lps, valve_points(options, shape)) for shape in motion.shapes])
    return Landmarks(points, motion.times_ms)


def surfaces(shape: HeartShape, to_lps: np.ndarray, step_mm: float = 1.0) -> dict[str, dict[str, np.ndarray]]:
    """Closed triangulated surfaces ``EPI``, ``ENDO_LV``, ``ENDO_RV`` by marching cubes of the implicit fields.

    Each holds ``points`` (N, 3) LPS mm, ``triangles`` (F, 3) oriented outwards, and ``lid`` (F,) True for the
    triangles that close it at a valve plane. EPI encloses both ventricles with the RV free wall.
    """
    from skimage.measure import marching_cubes

    low = np.array([-50.0, -75.0, -6.0])
    size = np.array([160.0, 160.0, shape.base[0] + 42.0]) / step_mm
    axes = [low[c] + step_mm * np.arange(int(size[c]), dtype=np.float32) for c in range(3)]
    grid = np.meshgrid(*(a.astype(np.float32) for a in axes), indexing="ij")
    fields = ventricle_fields(shape, grid)
    closed = {"EPI": np.minimum(fields["lv_epi"], fields["rv_epi"]), "ENDO_LV": fields["lv"], "ENDO_RV": fields["rv"]}
    found = {}
    for name, field in closed.items():
        points, triangles, _, _ = marching_cubes(field, 0.0, spacing=(step_mm,) * 3)
        points = points.astype(float) + low
        middle = points[triangles].mean(axis=1)
        lid = _on_lid(shape, name, middle, 0.5 * step_mm)
        found[name] = {"points": apply(to_lps, points), "triangles": _outwards(points, triangles), "lid": lid}
    return found


def _outwards(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[triangles[:, n]] for n in range(3))
    inside_out = np.einsum("ij,ij->", a, np.cross(b, c)) < 0
    return (triangles[:, ::-1] if inside_out else triangles).astype(np.int64)


def _on_lid(shape: HeartShape, name: str, points: np.ndarray, tolerance: float) -> np.ndarray:
    near_lv = np.abs(above_plane(points.T, shape.base)) < tolerance
    near_rv = np.abs(above_plane(points.T, shape.rv_base)) < tolerance
    if name == "ENDO_LV":
        return near_lv
    if name == "ENDO_RV":
        return near_rv
    in_lv = shape.lv_epi(points.T) < tolerance
    return (near_lv & in_lv) | (near_rv & ~in_lv)


def _in_view(view: str, s: float, z: float) -> tuple[float, float, float]:
    cx, cy = view_direction(view)
    return cx * s, cy * s, z


def _on_base(shape: HeartShape, view: str, s: float) -> tuple[float, float, float]:
    cx, cy = view_direction(view)
    return cx * s, cy * s, shape.on_base(cx * s, cy * s)


def _endo_reach(shape: HeartShape, view: str, side: int) -> float:
    """Signed distance from the LV axis, along the view's trace, of the endocardium at the valve plane."""
    cx, cy = view_direction(view)
    slope = shape.base[1] * cx + shape.base[2] * cy
    height = shape.base[0] - shape.center_z
    a = 1.0 / shape.radius**2 + (slope / shape.semi_z) ** 2
    b = 2.0 * slope * height / shape.semi_z**2
    c = (height / shape.semi_z) ** 2 - 1.0
    return (-b + side * (b * b - 4.0 * a * c) ** 0.5) / (2.0 * a)


def lv_radii(shape: HeartShape, z: float) -> np.ndarray:
    """Endocardial and epicardial radius in mm of the LV, which is round, in the short-axis plane at height z."""
    endo = (shape.endo_semi[0], (z - shape.center_z) / shape.endo_semi[2])
    epi = (shape.epi_semi[0], (z - shape.epi_center_z) / shape.epi_semi[2])
    return np.array([across * max(1.0 - reach**2, 0.0) ** 0.5 for across, reach in (endo, epi)])


def lv_radii_below_base(shapes: Sequence[HeartShape], heights: Sequence[float]) -> np.ndarray:
    """(shape, plane, 2) radii of :func:`lv_radii` in those planes that no base of the shapes cuts."""
    lowest = min(s.base[0] - np.hypot(*s.base[1:]) * lv_radii(s, s.base[0])[1] for s in shapes)
    return np.array([[lv_radii(s, z) for z in heights if z < lowest] for s in shapes])
