"""Found contours over drawn ones, of every phase of one labelled heart, in whatever view."""

from pathlib import Path

import numpy as np

from CardiacLib.datasets.records import UNKNOWN
from CardiacSegLib.evaluate.labelled import LabelledResult
from cineheart.report.pictures import CONTOURS, caption, crop_box, dark_figure, draw_level, grey_range, show

MARGIN_MM = 18.0
MOST_FRAMES, MOST_SLICES = 4, 12
LEGEND = "drawn white; found: LV endocardium red, epicardium green, RV yellow"


def draw_result(result: LabelledResult, path: Path) -> None:
    """One row of slices for each frame, at most four frames and twelve slices evenly among those that are known."""
    heart, cine, spacing = result.heart, result.heart.cine, result.heart.cine.spacing
    true = np.where(heart.labels == UNKNOWN, 0, heart.labels)
    frames = _evenly(np.arange(len(true)), MOST_FRAMES)
    known = np.flatnonzero((heart.labels[frames] != UNKNOWN).any((0, 2, 3)))
    slices = _evenly(known, MOST_SLICES)
    box = crop_box(((true > 0) | (result.found > 0)).any((0, 1)), spacing[:2], MARGIN_MM)
    window = grey_range(cine.frames)
    height, width = (n * mm for n, mm in zip((s.stop - s.start for s in box), spacing[1::-1], strict=True))
    side = 1.75 if len(slices) > 2 else 4.0
    figure = dark_figure(max(side * len(slices), 7.0), len(frames) * side * height / width + 0.4)
    axes = figure.subplots(len(frames), len(slices), squeeze=False)
    top = 1 - 0.4 / figure.get_figheight()
    figure.subplots_adjust(left=0.002, right=0.998, bottom=0.002, top=top, wspace=0.02, hspace=0.02)
    for row, t in enumerate(frames):
        for column, k in enumerate(slices):
            panel = axes[row, column]
            show(panel, cine.frames[t, k], box, window, spacing)
            for _, values, colour in CONTOURS:
                draw_level(panel, np.isin(true[t, k], values).astype(float), box, "white", 1.6)
                draw_level(panel, np.isin(result.found[t, k], values).astype(float), box, colour, 1.1)
            caption(panel, f"{heart.phases[t] or f'frame {t + 1}'} {heart.record.view} {k + 1}")
    facts = ", ".join(filter(None, (heart.record.view, heart.record.vendor, heart.record.group)))
    title = f"{heart.record.subject} ({facts}), mean Dice {result.mean_dice:.3f}; {LEGEND}"
    figure.text(0.01, 1 - 0.2 / figure.get_figheight(), title, color="white", va="center", fontsize=9)
    figure.savefig(path, dpi=110, facecolor="black")


def _evenly(places: np.ndarray, most: int) -> np.ndarray:
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).round().astype(int)]
