"""Quality control on the page: light, reasons, probable Dice, and the map of confidence in every slice and frame."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from CardiacLib.types.segmentation import STRUCTURES

from .pictures import Picture, ink, svg

if TYPE_CHECKING:
    from CardiacSegLib.quality import QualityReport

MEANINGS = {
    "green": "Nothing conspicuous was found. Look at the contours all the same.",
    "amber": "Check these places before using the measurements:",
    "red": "Do not use the measurements before these places are checked and mended:",
}
NAMES = {"LV": "LV pool", "MYO": "LV myocardium", "RV": "RV pool"}
LOWEST = 0.5
"""Probable Dice at the dark end of the colours."""
_COLOURS = "viridis"
_NOTHING = "#8a8a8a"


def quality_content(report: QualityReport, structures: Collection[int]) -> dict[str, object]:
    """What the template shows of a quality report, of the labels that are drawn in this species."""
    phases = {"Frame": report.ed} if report.ed == report.es else {"ED": report.ed, "ES": report.es}
    rows = []
    if report.dice is not None:
        rows = [
            (name, *(_dice(column[t]) for t in phases.values()))
            for (key, name), column in zip(NAMES.items(), report.dice.T, strict=True)
            if STRUCTURES[key] in structures
        ]
    return {
        "light": report.light,
        "meaning": MEANINGS[report.light],
        "reasons": report.reasons,
        "heading": "Probable Dice" if report.calibrated else "Dice in the network's own opinion",
        "phases": list(phases),
        "rows": rows,
        "map": None if report.slice_dice is None else quality_map(report.slice_dice, report.ed, report.es),
        "remarks": [*(flag.sentence for flag in report.flags if flag.severity == "note"), *filter(None, [report.note])],
    }


def _dice(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"


def quality_map(slice_dice: np.ndarray, ed: int, es: int) -> Picture:
    """Probable Dice of the heart in each slice (downwards, as the stack runs) of each frame.

    Args:
        slice_dice: (T, K), NaN where there is no heart.
        ed, es: frames to mark, counted from 0.
    """
    from matplotlib.figure import Figure

    frames, slices = slice_dice.shape
    height = min(1.3 + 0.22 * slices, 6.0)
    figure = Figure(figsize=(6.4, height))
    axes = figure.add_axes((0.10, 0.55 / height, 0.72, 1 - 0.85 / height))
    edges = np.arange(frames + 1) + 0.5, np.arange(slices + 1) + 0.5
    cells = axes.pcolormesh(*edges, slice_dice.T, cmap=_COLOURS, vmin=LOWEST, vmax=1.0)
    nothing = np.argwhere(np.isnan(slice_dice)) + 1
    axes.plot(nothing[:, 0], nothing[:, 1], marker=".", markersize=3, color=_NOTHING, linestyle="none")
    axes.invert_yaxis()
    axes.set_yticks(range(1, slices + 1, 1 + slices // 16))
    axes.set_xticks([1, *range(5, frames + 1, 5)])
    axes.set_xlabel("Frame", color=ink())
    axes.set_ylabel("Slice", color=ink())
    axes.tick_params(colors=ink())
    names = {ed: "ED"} if ed == es else {ed: "ED", es: "ES"}
    for frame, name in names.items():
        axes.text(frame + 1, 0.35, name, color=ink(), ha="center", va="bottom", fontsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    place = figure.add_axes((0.84, 0.55 / height, 0.03, 1 - 0.85 / height))
    bar = figure.colorbar(cells, cax=place, extend="min")
    bar.ax.tick_params(colors=ink())
    bar.outline.set_visible(False)
    return svg(figure, f"Confidence in each of {slices} slices and {frames} frames")
