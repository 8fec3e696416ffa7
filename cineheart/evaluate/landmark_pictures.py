"""Valve points of single images as pictures: found in colour, labelled in white."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from CardiacLandmarksLib.evaluation import FoundFrame
from cineheart.report.pictures import dark_figure, grey_range

COLUMNS = 5
COLOURS = ("#ff4d4d", "#ff9f43", "#ff4d4d", "#ff9f43", "#ff4d4d", "#ff9f43", "#c77dff", "#e0aaff", "#3ddc84", "#ffd23f")
"""By point: mitral red and orange, aortic violet, tricuspid green (septal) and yellow (free wall)."""


def draw_worst(frames: Sequence[FoundFrame], path: Path) -> None:
    """Images with labelled points as white rings and found points as crosses, worst first."""
    rows = -(-len(frames) // COLUMNS)
    figure = dark_figure(3.2 * COLUMNS, 3.5 * rows)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=0.95, wspace=0.03, hspace=0.12)
    for axis in axes:
        axis.axis("off")
    for axis, frame in zip(axes, frames, strict=False):
        low, high = grey_range(frame.image)
        axis.imshow(frame.image, cmap="gray", vmin=low, vmax=high)
        axis.scatter(frame.true[:, 1], frame.true[:, 0], s=60, facecolors="none", edgecolors="white", linewidths=1.0)
        seen = np.isfinite(frame.found[:, 0])
        colours = [c for c, s in zip(COLOURS, seen, strict=True) if s]
        axis.scatter(frame.found[seen, 1], frame.found[seen, 0], s=50, marker="+", c=colours)
        axis.set_title(f"{frame.name}: {frame.worst:.1f} px", color="white", fontsize=9)
    figure.savefig(path, dpi=90, facecolor="black")
