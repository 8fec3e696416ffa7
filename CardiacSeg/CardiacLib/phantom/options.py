"""What a phantom study looks like: one frozen set of numbers."""

from dataclasses import dataclass, fields
from typing import Any

from CardiacLib.errors import InputError


@dataclass(frozen=True)
class PhantomOptions:
    """Parameters of one synthetic study. Lengths in mm, volumes in ml, angles in degrees, times in ms.

    Attributes:
        lv_edv_ml, lv_ef_percent, rv_edv_ml, rv_ef_percent: met exactly at the ED frame (0) and the ES frame.
        wall_mm: LV wall thickness at ED; later thickness follows from a constant myocardial volume.
        rv_wall_mm: thickness of the RV free wall.
        mapse_mm, tapse_mm: systolic descent along the LV axis of the mitral ring and of the tricuspid free-wall hinge.
        base_tilt: rise of the LV valve plane per mm towards the aortic side; 0.22 is about 12 degrees.
        rr_ms, n_frames: the cycle and its even sampling; frame 0 is ED.
        sax_pixel_mm, sax_size: short-axis pixel and number of pixels per side.
        slice_spacing_mm, slice_thickness_mm: between slice centres, and what one slice averages.
        first_slice_mm: position of the first slice's centre on the LV axis, relative to the epicardial apex.
        n_slices: 0 covers the heart: one slice beyond the apex, at least one above the base.
        lax_pixel_mm, lax_size, lax_thickness_mm: the three long-axis views.
        noise: standard deviation of the Rician noise's two channels, as a fraction of the blood signal.
        bias: log amplitude of the coil's smooth shading.
        breath_hold_shift_mm: standard deviation of each short-axis slice's in-plane shift of the heart.
        long_axis_lps: direction from base to apex. roll_deg: turn of the heart about it.
        image_rotation_deg: turn of the short-axis field of view in its plane.
        apex_first: slice 0 is at the apex, else at the base.
        left_handed: the index axes form a left-handed frame. Both flags only reorder voxels; the heart stays in place.
        seed: of noise, texture and shifts.
    """

    lv_edv_ml: float = 140.0
    lv_ef_percent: float = 60.0
    rv_edv_ml: float = 150.0
    rv_ef_percent: float = 56.0
    wall_mm: float = 9.0
    rv_wall_mm: float = 3.0
    mapse_mm: float = 12.0
    tapse_mm: float = 20.0
    base_tilt: float = 0.22
    rr_ms: float = 920.0
    n_frames: int = 25
    sax_pixel_mm: float = 1.4
    sax_size: int = 208
    slice_spacing_mm: float = 8.0
    slice_thickness_mm: float = 8.0
    first_slice_mm: float = -4.0
    n_slices: int = 0
    lax_pixel_mm: float = 1.4
    lax_size: int = 224
    lax_thickness_mm: float = 6.0
    noise: float = 0.02
    bias: float = 0.25
    breath_hold_shift_mm: float = 0.0
    long_axis_lps: tuple[float, float, float] = (0.62, -0.50, -0.60)
    roll_deg: float = 0.0
    image_rotation_deg: float = 0.0
    apex_first: bool = True
    left_handed: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"Phantom option {name} = {value} is out of range; use {low} to {high}.")
        if not 0.5 < sum(c * c for c in self.long_axis_lps) < 2.0:
            raise InputError(
                f"Phantom option long_axis_lps = {self.long_axis_lps} must be a unit vector (base to apex)."
            )

    @classmethod
    def small(cls, **changes: Any) -> "PhantomOptions":
        """A study for tests: 8 frames, coarse pixels, thick slices, made in about a second."""
        values = {"n_frames": 8, "sax_pixel_mm": 2.2, "sax_size": 96, "slice_spacing_mm": 10.0}
        values |= {"slice_thickness_mm": 8.0, "lax_pixel_mm": 2.5, "lax_size": 96}
        return cls(**(values | changes))

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


_LIMITS = {
    "lv_edv_ml": (60.0, 350.0),
    "lv_ef_percent": (10.0, 80.0),
    "rv_edv_ml": (60.0, 350.0),
    "rv_ef_percent": (10.0, 75.0),
    "wall_mm": (5.0, 20.0),
    "rv_wall_mm": (1.0, 8.0),
    "mapse_mm": (0.0, 20.0),
    "tapse_mm": (0.0, 30.0),
    "base_tilt": (0.0, 0.6),
    "rr_ms": (300.0, 2500.0),
    "n_frames": (1, 200),
    "sax_pixel_mm": (0.5, 5.0),
    "sax_size": (32, 512),
    "slice_spacing_mm": (1.0, 25.0),
    "slice_thickness_mm": (0.5, 20.0),
    "first_slice_mm": (-25.0, 60.0),
    "n_slices": (0, 200),
    "lax_pixel_mm": (0.5, 5.0),
    "lax_size": (32, 512),
    "lax_thickness_mm": (0.5, 20.0),
    "noise": (0.0, 0.5),
    "bias": (0.0, 1.0),
    "breath_hold_shift_mm": (0.0, 15.0),
    "roll_deg": (-180.0, 180.0),
    "image_rotation_deg": (-180.0, 180.0),
    "seed": (0, 2**32 - 1),
}
