"""Size of the patient and shape of the LV cavity."""

import numpy as np

from CardiacLib.geometry import spacing_of
from CardiacLib.types.labels import LV, LabelMap


def body_surface_m2(height_m: float | None, weight_kg: float | None) -> float | None:
    """Body surface area: sqrt(height in cm x weight in kg / 3600), Mosteller, N Engl J Med 1987;317:1098.

    None if height or weight is unknown or not that of a person (scanners store 0 or other fillings).
    """
    if height_m is None or weight_kg is None or not (0.3 <= height_m <= 2.5 and 1.5 <= weight_kg <= 400.0):
        return None
    return float(np.sqrt(100.0 * height_m * weight_kg / 3600.0))


def cavity_length_mm(labels: LabelMap, frame: int, towards_base: int) -> float | None:
    """LV cavity length on the slice axis, apex to base; None with fewer than three slices that hold the cavity.

    Ends between slices: at the apex, where the areas of the last two slices extrapolate linearly to none (exact for
    an ellipsoid's tip), at most one slice beyond; at the base, at the share of the last slice's area that the valve
    plane has left of its neighbour's.
    """
    area = (labels.labels[frame] == LV).sum(axis=(1, 2)).astype(float)
    held = np.flatnonzero(area)
    if held.size < 3:
        return None
    along = area[held[0] : held[-1] + 1][::towards_base]
    growth = max(along[1] - along[0], 1e-9)
    apex = min(along[0] / growth, 1.0)
    base = min(along[-1] / max(along[-2], 1.0), 1.0) - 0.5
    return float((len(along) - 1 + apex + base) * spacing_of(labels.ijk_to_lps)[2])


def sphericity(labels: LabelMap, frame: int, towards_base: int) -> float | None:
    """Linear sphericity index of the LV cavity: diameter across / length along its axis.

    The diameter is that of the circle with the area of the slice with the largest cavity.
    """
    length = cavity_length_mm(labels, frame, towards_base)
    if length is None:
        return None
    spacing = spacing_of(labels.ijk_to_lps)
    largest = float((labels.labels[frame] == LV).sum(axis=(1, 2)).max()) * float(spacing[0] * spacing[1])
    return float(2.0 * np.sqrt(largest / np.pi) / length)
