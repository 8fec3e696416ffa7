"""Cases before and after the preprocessing of a network of whole slices, with their labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from CardiacLib.datasets.hearts import LabelledHeart, read_hearts
from CardiacLib.datasets.records import UNKNOWN, CaseRecord
from CardiacLib.datasets.splits import domain_of
from CardiacSegLib.segment.whole_slice import SliceWindow
from cineheart.report.pictures import caption, dark_figure, draw_contours, grey_range, show

MOST = 4
SIDE_INCHES = 3.0


def draw_preprocessing(cases: Sequence[CaseRecord], pixel_mm: float, side: int, path: Path) -> None:
    """The middle slice of one case of each vendor (at most four): as it is above, as the network sees it below."""
    first = {domain_of(case): case for case in reversed(cases)}
    hearts = list(read_hearts(list(first.values())[:MOST]))
    figure = dark_figure(SIDE_INCHES * len(hearts), 2 * SIDE_INCHES)
    axes = figure.subplots(2, len(hearts), squeeze=False)
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=0.995, wspace=0.02, hspace=0.02)
    for column, heart in enumerate(hearts):
        _draw(axes[:, column], heart, pixel_mm, side)
    figure.savefig(path, dpi=100, facecolor="black")


def _draw(axes, heart: LabelledHeart, pixel_mm: float, side: int) -> None:
    frame, labels, spacing = heart.cine.frames[0], heart.labels[0], heart.cine.spacing
    window = SliceWindow.of(frame, spacing, pixel_mm, side)
    k = len(frame) // 2
    seen = min(max(k - window.box[0].start, 0), window.box[0].stop - window.box[0].start - 1)
    name = f"{heart.record.subject} {domain_of(heart.record)}".strip()
    pairs = (
        (frame[k], labels[k], spacing[:2], f"{name}: {spacing[0]:.2f} x {spacing[1]:.2f} mm"),
        (window.images(frame)[seen], window.labels(labels)[seen], (1.0, 1.0), f"{side} pixels of {pixel_mm:.2f} mm"),
    )
    for axis, (image, drawn, step, text) in zip(axes, pairs, strict=True):
        box = tuple(slice(0, n) for n in image.shape)
        show(axis, image, box, grey_range(image), step)
        draw_contours(axis, np.where(drawn == UNKNOWN, 0, drawn), box)
        caption(axis, text)
