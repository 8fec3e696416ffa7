"""The two ventricles at one moment: their shape parameters and implicit fields in the heart frame (mm)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .shapes import Place, above_plane, capsule, ellipsoid, smooth_union

# Directions of the long-axis views around the LV axis; 0 is the middle of the septum, 90 the anterior side.
# The three planes are 60 degrees apart, as in the 17-segment model (inferoseptal, anteroseptal, anterior).
VIEW_ANGLES_DEG = {"4ch": -30.0, "3ch": 30.0, "2ch": 90.0}
APEX_WALL = 0.7  # apical wall thickness over the mid wall's
EPI_DROP = 0.6  # the epicardial ellipsoid sits lower by this many wall thicknesses, so the wall thins towards the base
RV_BLEND_MM = 8.0  # blending of the RV body into its outflow tract
AORTIC_CENTER = 0.60  # aortic annulus centre on the 3CH line, over the LV radius at the base
AORTIC_RADIUS_MM = 10.0


def view_direction(view: str) -> tuple[float, float]:
    """Unit (x, y) of a long-axis view's trace in the short-axis plane, towards its septal or anterior side."""
    angle = np.deg2rad(VIEW_ANGLES_DEG[view])
    return float(np.cos(angle)), float(np.sin(angle))


@dataclass(frozen=True)
class Infarct:
    """A part of the LV wall that the endocardium lies deeper in.

    Attributes:
        middle, half_width: angles about the LV axis, radians; 0 is the septum.
        reach: lowest and highest z.
        depth: by which the wall is thinner in the middle, mm; it fades towards the edges.
    """

    middle: float
    half_width: float
    reach: tuple[float, float]
    depth: float

    def at(self, at: Place):
        """Depth in mm at every place."""
        x, y, z = at
        angle = np.abs((np.arctan2(y, x) - self.middle + np.pi) % (2 * np.pi) - np.pi)
        side = np.clip(2.0 * (1.0 - angle / self.half_width), 0.0, 1.0)
        low, high = self.reach
        fade = 0.15 * (high - low)
        along = np.clip((z - low) / fade, 0.0, 1.0) * np.clip((high - z) / fade, 0.0, 1.0)
        return self.depth * side * side * (3.0 - 2.0 * side) * along


@dataclass(frozen=True)
class HeartShape:
    """Both ventricles at one moment, heart frame, mm.

    Attributes:
        phase: contraction, 0 at end-diastole, 1 at end-systole.
        radius, wall: LV endocardial half axis across and wall thickness.
        center_z, semi_z: centre and half axis along the LV axis, of the endocardial ellipsoid.
        base: LV valve plane (h0, hx, hy): z = h0 + hx x + hy y.
        rv_center, rv_semi, rv_shear: RV body ellipsoid; its centre leans by ``rv_shear`` mm in x per mm in z.
        outflow: RV outflow tract as (start, stop, radius).
        rv_base: RV valve plane.
        rv_wall: RV free wall thickness.
        infarct: of the LV; volumes in closed form do not know it.
    """

    phase: float
    radius: float
    wall: float
    center_z: float
    semi_z: float
    base: tuple[float, float, float]
    rv_center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rv_semi: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rv_shear: float = 0.0
    outflow: tuple[tuple, tuple, float] = ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 1.0)
    rv_base: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rv_wall: float = 3.5
    infarct: Infarct | None = None

    @property
    def endo_semi(self) -> tuple[float, float, float]:
        return self.radius, self.radius, self.semi_z

    @property
    def epi_semi(self) -> tuple[float, float, float]:
        across = self.radius + self.wall
        return across, across, self.semi_z + (APEX_WALL - EPI_DROP) * self.wall

    @property
    def epi_center_z(self) -> float:
        return self.center_z - EPI_DROP * self.wall

    @property
    def apex_z(self) -> float:
        """Height of the endocardial apex."""
        return self.center_z - self.semi_z

    @property
    def length(self) -> float:
        """LV cavity length on its axis, apex to valve plane."""
        return self.base[0] - self.apex_z

    @cached_property
    def base_radius(self) -> float:
        """LV cavity radius where its axis meets the valve plane."""
        return self.radius * max(1.0 - ((self.base[0] - self.center_z) / self.semi_z) ** 2, 0.0) ** 0.5

    @property
    def aortic_center(self) -> tuple[float, float, float]:
        """Centre of the aortic annulus, on the valve plane and the 3CH plane."""
        cx, cy = view_direction("3ch")
        s = AORTIC_CENTER * self.base_radius
        return cx * s, cy * s, self.on_base(cx * s, cy * s)

    @property
    def aortic_radius(self) -> float:
        return min(AORTIC_RADIUS_MM, 0.42 * self.base_radius + 2.5)

    def on_base(self, x, y):
        """Height of the LV valve plane over (x, y)."""
        return self.base[0] + self.base[1] * x + self.base[2] * y

    def lv_endo(self, at: Place):
        """Whole endocardial ellipsoid (not cut at the base)."""
        whole = ellipsoid(at, (0.0, 0.0, self.center_z), self.endo_semi)
        return whole if self.infarct is None else whole - self.infarct.at(at)

    def lv_epi(self, at: Place):
        """Whole epicardial ellipsoid (not cut at the base)."""
        return ellipsoid(at, (0.0, 0.0, self.epi_center_z), self.epi_semi)

    def rv_body(self, at: Place):
        """RV body and outflow tract, neither cut by the LV nor at the base."""
        (x, y, z), (cx, cy, cz) = at, self.rv_center
        body = ellipsoid((x - self.rv_shear * (z - cz), y, z), (cx, cy, cz), self.rv_semi)
        start, stop, radius = self.outflow
        return smooth_union(body, capsule(at, start, stop, radius), RV_BLEND_MM)


def ventricle_fields(shape: HeartShape, at: Place) -> dict[str, np.ndarray]:
    """Approximate signed distances (mm, negative inside), each cut at its valve plane.

    ``lv`` cavity, ``lv_epi`` cavity and wall, ``rv`` cavity, ``rv_epi`` cavity and free wall; and, for the images,
    ``lv_open`` and ``rv_open``, the cavities not cut, and ``over_lv`` and ``over_rv``, heights over the valve planes.
    """
    over_lv, over_rv = above_plane(at, shape.base), above_plane(at, shape.rv_base)
    endo, epi, body = shape.lv_endo(at), shape.lv_epi(at), shape.rv_body(at)
    rv_open = np.maximum(body, -epi)
    return {
        "lv": np.maximum(endo, over_lv),
        "lv_epi": np.maximum(epi, over_lv),
        "rv": np.maximum(rv_open, over_rv),
        "rv_epi": np.maximum(np.maximum(body - shape.rv_wall, -epi), over_rv),
        "lv_open": endo,
        "rv_open": rv_open,
        "over_lv": over_lv,
        "over_rv": over_rv,
    }
