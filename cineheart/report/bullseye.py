"""Bull's-eye plots of the 17 segments, seen from the apex: anterior above, septum on the left.

Layout: Cerqueira et al., Circulation 2002;105:539, doi 10.1161/hc0402.102975.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from CardiacLib.species import Species, species_named
from CardiacLib.types.measures.marks import Mark, Marks

from .pictures import Picture, ink, svg

if TYPE_CHECKING:
    from CardiacSegLib.function import Segment

Plot = tuple[str, str, tuple[float, float], str]
PLOTS: tuple[Plot, ...] = (
    ("Wall thickness at ED (mm)", "thickness_ed_mm", (4.0, 16.0), "YlGnBu"),
    ("Wall thickening (%)", "thickening_percent", (0.0, 100.0), "YlGn"),
    ("Mid-wall circumferential strain (%)", "circumferential_mid_percent", (-30.0, 0.0), "RdPu_r"),
)
"""Title, field of ``Segment``, range of the colours (the same for every patient) and colour map."""
MARKED_AS = {
    "thickness_ed_mm": "lv_wall_thickness_ed_mm",
    "thickening_percent": "lv_global_radial_percent",
    "circumferential_mid_percent": "lv_global_circumferential_mid_percent",
}
"""Field of ``Segment`` and the measurement whose light its values have."""
PALE = 0.45
"""Share of the colour that a weak value keeps."""
_EMPTY = "#9aa0a6"
_RING = 0.25


def cell(number: int) -> tuple[float, float, float, float]:
    """Where a segment lies: start and stop angle in degrees (0 right, turning over the top), inner and outer radius."""
    if number == 17:
        return 0.0, 360.0, 0.0, _RING
    if number > 12:
        start = 45.0 + 90.0 * (number - 13)
        return start, start + 90.0, _RING, 2 * _RING
    level, place = divmod(number - 1, 6)
    start = 60.0 + 60.0 * place
    return start, start + 60.0, (3 - level) * _RING, (4 - level) * _RING


def bullseyes(segments: tuple[Segment, ...], marks: Marks, species: str = "human") -> Picture | None:
    """Wall thickness, thickening and strain by segment, weak ones pale; None where no segment has any of them."""
    from matplotlib.figure import Figure

    plots = _plots(species_named(species))
    shown = [plot for plot in plots if any(getattr(segment, plot[1]) is not None for segment in segments)]
    if not shown:
        return None
    count = len(shown)
    figure = Figure(figsize=(3.5 * count, 4.1))
    for place, plot in enumerate(shown):
        weak = marks.get(MARKED_AS[plot[1]], Mark()).weak
        axes = figure.add_axes(((place + 0.08) / count, 0.06, 0.84 / count, 0.74), projection="polar")
        _draw(axes, segments, plot, weak)
    return svg(figure, "Bull's-eye plots of the 17 segments: " + ", ".join(title for title, *_ in shown))


def thickness_range(species: str) -> str:
    """Range of the colours of the thickness in mm, in words."""
    low, high = _plots(species_named(species))[0][2]
    return f"{low:g} to {high:g}"


def _plots(species: Species) -> tuple[Plot, ...]:
    """PLOTS with the range of the thickness of the species' walls."""
    (title, field, limits, colours), *others = PLOTS
    low, high = (round(limit / species.body_scale, 2) for limit in limits)
    return ((title, field, (low, high), colours), *others)


def _pale(colour, weak: bool):
    """Red, green, blue nearer to grey where the value is weak."""
    return tuple(PALE * part + (1.0 - PALE) * 0.8 for part in colour[:3]) if weak else colour


def _draw(axes, segments, plot, weak: bool) -> None:
    from matplotlib import colormaps

    title, field, limits, colours = plot
    digits = 0 if limits[1] - limits[0] > 5.0 else 1

    for segment in segments:
        start, stop, inner, outer = cell(segment.number)
        value = getattr(segment, field)
        share = None if value is None else float(np.clip((value - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0))
        colour = _EMPTY if share is None else _pale(colormaps[colours](share), weak)
        middle = np.deg2rad(0.5 * (start + stop))
        width = 0.0 if segment.number == 17 else 1.2  # the cap has no edge from its middle
        axes.bar(
            middle, outer - inner, np.deg2rad(stop - start), inner, color=colour, edgecolor="white", linewidth=width
        )
        bright = share is None or float(np.dot(colour[:3], (0.299, 0.587, 0.114))) > 0.55
        radius = 0.0 if segment.number == 17 else 0.5 * (inner + outer)
        text = "\N{EN DASH}" if value is None else f"{value:.{digits}f}"
        ink_colour = "#101418" if bright else "#ffffff"
        axes.text(middle, radius, text, ha="center", va="center", fontsize=11, color=ink_colour)
    for angle, name in ((90, "anterior"), (180, "septal"), (270, "inferior"), (0, "lateral")):
        turn = {180: 90, 0: -90}.get(angle, 0)
        axes.text(
            np.deg2rad(angle), 1.09, name, ha="center", va="center", rotation=turn, fontsize=9, color=ink(), alpha=0.7
        )
    axes.set_ylim(0.0, 1.0)
    axes.set_axis_off()
    axes.set_title(f"{title}: check" if weak else title, color=ink(), fontsize=11, pad=16)
