"""The curves over the cycle: volumes, filling rates, strain, motion of the annuli."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from CardiacLib.species import species_named
from CardiacLib.types.labels import RV
from CardiacLib.types.measures.marks import Mark, Marks
from CardiacLib.types.mesh_quality import MotionQuality

from .facts import in_units
from .pictures import Picture, ink, svg

if TYPE_CHECKING:
    from CardiacSegLib.function import Function

_LV, _RV = "#d13b3b", "#c99700"
_WEAK = {"LV": "#b7a3a3", "RV": "#a9a48f"}
"""Greys of weak curves, told from one another."""
_POINTS_PER_INCH = 72
"""Units of the viewBox of matplotlib's SVG."""
_STRAIN = (
    ("Radial", "radial_percent", "#1f6fb2"),
    ("Epicardial", "circumferential_epi_percent", "#219150"),
    ("Mid-wall", "circumferential_mid_percent", "#7b52be"),
    ("Endocardial", "circumferential_endo_percent", _LV),
)


def volume_curves(function: Function) -> Picture:
    """LV and RV volume over time with end-diastole and end-systole marked."""
    factor, unit = in_units(function, 1.0, "ml")
    sides = (("LV", function.lv.volume_ml, _LV), ("RV", function.rv.volume_ml, _RV))
    curves = [(name, factor * volumes, colour) for name, volumes, colour in _drawn(function, sides)]
    highest = max(1.0, *(float(np.max(volumes)) for _, volumes, _ in curves))
    phases = (function.ed, function.es)
    return _curves(
        function.times_ms,
        curves,
        phases,
        (0.0, highest * 1.18),
        f"Volume ({unit})",
        f"{_sides(function)} volume over the cardiac cycle",
    )


def rate_curves(function: Function, marks: Marks) -> Picture | None:
    """LV and RV filling rate of a ``Function``, weak ones grey; None where there is none."""
    sides = (("LV", function.lv.filling, _LV), ("RV", function.rv.filling, _RV))
    factor, unit = in_units(function, 1.0, "ml/s")
    weak = {side: marks.get(f"{side.lower()}_peak_ejection_rate_ml_per_s", Mark()).weak for side, _, _ in sides}
    curves = [
        (
            f"{name}, check" if weak[name] else name,
            factor * found.rate_ml_per_s,
            _WEAK[name] if weak[name] else colour,
        )
        for name, found, colour in _drawn(function, sides)
        if found is not None
    ]
    if not curves:
        return None
    reach = 1.3 * max(float(np.abs(values).max()) for _, values, _ in curves)
    phases = (function.ed, function.es)
    return _curves(
        function.times_ms,
        curves,
        phases,
        (-reach, reach),
        f"Filling rate ({unit})",
        f"{_sides(function)} filling rate over the cardiac cycle",
    )


def _drawn(function: Function, sides):
    """The sides that are drawn in the species."""
    return sides if RV in species_named(function.species).structures else sides[:1]


def _sides(function: Function) -> str:
    return " and ".join(name for name, _ in _drawn(function, (("LV", None), ("RV", None))))


def strain_curves(function: Function) -> Picture | None:
    """Circumferential and radial strain of the LV of a ``Function``; None without at least two frames of it."""
    values = function.to_dict()
    if not values["radial_percent"] or sum(v is not None for v in values["radial_percent"]) < 2:
        return None
    curves = [(name, np.array(values[key], float), colour) for name, key, colour in _STRAIN]
    low = min(float(np.nanmin(v)) for _, v, _ in curves)
    high = max(float(np.nanmax(v)) for _, v, _ in curves)
    room = 0.12 * (high - low) + 1.0
    limits = (low - 0.5 * room, high + 1.5 * room)
    return _curves(
        function.times_ms,
        curves,
        (function.ed, function.es),
        limits,
        "Strain (%)",
        "Radial and circumferential strain of the LV over the cardiac cycle",
    )


def mesh_volume_curves(quality: MotionQuality, phases: tuple[int, int]) -> Picture:
    """Cavities of a moving mesh and of the labels under its base."""
    known = (("lv_pool_ml", "LV", "#e79a9a", _LV), ("rv_pool_ml", "RV", "#e6d089", _RV))
    measured, curves = quality.curves(), []
    for key, side, pale, full in known:
        if key in measured:
            curves.append((f"{side} labels", np.array(measured[f"label_{key}"], float), pale))
            curves.append((f"{side} mesh", np.array(measured[key], float), full))
    highest = max(float(np.nanmax(values)) for _, values, _ in curves)
    return _curves(
        quality.times_ms,
        curves,
        phases,
        (0.0, highest * 1.18),
        "Volume (ml)",
        "Cavity volumes of the moving mesh and of the labels over the cardiac cycle",
    )


def motion_curves(times_ms, curves, phases: tuple[int, int]) -> Picture:
    """Motion of the annuli towards the apex; ``curves`` hold name, mm (T,) and colour each."""
    low = min(float(np.min(values)) for _, values, _ in curves)
    high = max(float(np.max(values)) for _, values, _ in curves)
    limits = (min(low, 0.0) - 1.0, 1.15 * max(high, 1.0) + 1.0)
    return _curves(
        times_ms,
        curves,
        phases,
        limits,
        "Motion towards the apex (mm)",
        "Motion of the mitral and tricuspid annulus over the cardiac cycle",
    )


def _curves(times_ms, curves, phases: tuple[int, int], limits, title: str, alt: str) -> Picture:
    """Curves (name, values (T,), colour) over time with ED and ES marked, named in a legend.

    Over the frames, counted from 1, where ``times_ms`` is None.
    """
    from matplotlib.figure import Figure

    times = 1.0 + np.arange(len(curves[0][1])) if times_ms is None else np.asarray(times_ms, float)
    figure = Figure(figsize=(6.4, 3.3))
    axes = figure.add_axes((0.18, 0.16, 0.795, 0.72))
    for name, values, colour in curves:
        axes.plot(times, values, color=colour, linewidth=2, marker="o", markersize=3.2, label=name)
    for frame, name in zip(phases, ("ED", "ES"), strict=True):
        axes.axvline(times[frame], color=ink(), linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.6)
        axes.text(times[frame], limits[1], name, color=ink(), ha="center", va="top", fontsize=10)
    place = {"loc": "lower left", "bbox_to_anchor": (-0.15, 0.98), "ncols": len(curves)}
    axes.legend(**place, frameon=False, labelcolor=ink(), handlelength=1.0, columnspacing=3.2)
    if limits[0] < 0.0:
        axes.axhline(0.0, color=ink(), linewidth=0.8, alpha=0.5)
    axes.set_ylim(*limits)
    room = 0.04 * max(float(np.ptp(times)), 1.0)
    axes.set_xlim(times.min() - room, times.max() + room)
    axes.set_xlabel("Frame" if times_ms is None else "Time (ms)", color=ink())
    axes.set_ylabel(title, color=ink(), labelpad=14)
    axes.tick_params(colors=ink())
    axes.grid(axis="y", color=ink(), alpha=0.12)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(ink())
    across = axes.transData.transform(np.column_stack([times, np.zeros_like(times)]))[:, 0]
    return replace(svg(figure, alt), frames=tuple(np.round(across * _POINTS_PER_INCH / figure.dpi, 2).tolist()))
