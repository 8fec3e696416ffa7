"""Pictures of the images with contours: every short-axis slice, and the long-axis views."""

import math

import numpy as np
from scipy.ndimage import map_coordinates

from CardiacLib import Cine, LabelMap
from CardiacLib.geometry import apply, index_of

from .pictures import (
    CONTOURS,
    Picture,
    caption,
    crop_box,
    dark_figure,
    draw_contours,
    draw_level,
    grey_range,
    png,
    show,
)

_TILE_INCHES = 1.85
_LONG_AXIS_INCHES = 3.2
_COLUMNS = 7


def montage(cine: Cine, labelmap: LabelMap, frame: int, name: str) -> Picture:
    """All slices of one frame with their contours, cropped alike around everything that is labelled in any frame."""
    spacing = cine.spacing
    box = crop_box((labelmap.labels > 0).any(axis=(0, 1)), spacing, margin_mm=16.0)
    window = grey_range(cine.frames[:, :, box[0], box[1]])
    count = cine.n_slices
    lines = math.ceil(count / _COLUMNS)
    columns = math.ceil(count / lines)
    proportion = _height_mm(box, spacing) / _width_mm(box, spacing)
    figure = dark_figure(_TILE_INCHES * columns, _TILE_INCHES * proportion * lines)
    for number in range(count):
        axes = figure.add_axes(_tile(number, columns, lines))
        show(axes, cine.frames[frame, number], box, window, spacing)
        draw_contours(axes, labelmap.labels[frame, number], box)
        caption(axes, f"{number + 1}")
    return png(figure, f"{name}: {count} short-axis slices with contours", dpi=150)


def long_axis(cines: list[Cine], labelmap: LabelMap, phases: list[tuple[str, int]]) -> Picture:
    """Long-axis views side by side, a line for each phase, with the short-axis labels that their planes cut.

    The steps of the outlines are the slices: each is shown as thick as the distance to its neighbours.

    Args:
        cines: the views; of several slices, the middle one is shown.
        labelmap: short-axis labels.
        phases: name and short-axis frame; a view is shown at the same phase of its own cycle.
    """
    cuts = [[cut_labels(cine, labelmap, frame, cine.n_slices // 2) for _, frame in phases] for cine in cines]
    inside = [np.any([amount > 0.5 for cut in of_view for amount in cut], axis=0) for of_view in cuts]
    boxes = [crop_box(mask, cine.spacing, margin_mm=30.0) for mask, cine in zip(inside, cines, strict=True)]
    sizes = [
        max(_width_mm(box, cine.spacing), _height_mm(box, cine.spacing)) for box, cine in zip(boxes, cines, strict=True)
    ]
    figure = dark_figure(_LONG_AXIS_INCHES * len(cines), _LONG_AXIS_INCHES * len(phases))
    for column, (cine, box, of_view) in enumerate(zip(cines, boxes, cuts, strict=True)):
        window = grey_range(cine.frames[:, :, box[0], box[1]])
        whole = (slice(0, cine.frames.shape[2]), slice(0, cine.frames.shape[3]))
        for line, ((name, frame), cut) in enumerate(zip(phases, of_view, strict=True)):
            axes = figure.add_axes(_tile(line * len(cines) + column, len(cines), len(phases)))
            shown = same_phase(frame, len(labelmap.labels), cine.n_frames)
            show(axes, cine.frames[shown, cine.n_slices // 2], whole, window, cine.spacing)
            for (_, _, colour), amount in zip(CONTOURS, cut, strict=True):
                draw_level(axes, amount, whole, colour)
            _centre_on(axes, box, cine.spacing, max(sizes))
            caption(axes, f"{cine.view.upper()} {name.lower()}")
    views = ", ".join(cine.view.upper() for cine in cines)
    return png(figure, f"Long-axis views ({views}) with the short-axis labels that they cut", dpi=150)


def cut_labels(cine: Cine, labelmap: LabelMap, frame: int, slice_number: int = 0) -> list[np.ndarray]:
    """How much of each contour's inside a plane of a cine cuts, (J, I) in 0..1, in the order of CONTOURS.

    Linear within a short-axis slice, nearest across slices, nothing beyond half a slice outside the stack.
    """
    j, i = np.meshgrid(*(np.arange(n) for n in cine.frames.shape[2:]), indexing="ij")
    points = apply(cine.ijk_to_lps, np.stack([i, j, np.full_like(i, slice_number)], -1))
    index = index_of(labelmap.ijk_to_lps, points)
    nearest = np.rint(index[..., 2])
    cuts = []
    for _, values, _ in CONTOURS:
        mask = np.isin(labelmap.labels[frame], values).astype(np.float32)
        amount = np.zeros(i.shape, np.float32)
        for k in range(len(mask)):
            here = nearest == k
            amount[here] = map_coordinates(mask[k], [index[here][:, 1], index[here][:, 0]], order=1, cval=0.0)
        cuts.append(amount)
    return cuts


def same_phase(frame: int, n_frames: int, n_other: int) -> int:
    """Frame of a cine with ``n_other`` frames at the phase of ``frame`` of ``n_frames``."""
    return round(frame * n_other / n_frames) % n_other


def _tile(number: int, columns: int, lines: int) -> tuple[float, float, float, float]:
    """Left, bottom, width, height of one of many pictures side by side, in figure fractions, with thin gaps."""
    column, line = number % columns, number // columns
    gap = 0.004
    return column / columns + gap / 2, 1 - (line + 1) / lines + gap / 2, 1 / columns - gap, 1 / lines - gap


def _centre_on(axes, box, spacing, size_mm: float) -> None:
    """Show a square of ``size_mm`` around the middle of a box; all views then have the same scale."""
    for set_limits, span, step, turned in (
        (axes.set_xlim, box[1], spacing[0], 1),
        (axes.set_ylim, box[0], spacing[1], -1),
    ):
        middle, half = (span.start + span.stop - 1) / 2, size_mm / float(step) / 2
        set_limits(middle - turned * half, middle + turned * half)


def _width_mm(box, spacing) -> float:
    return (box[1].stop - box[1].start) * float(spacing[0])


def _height_mm(box, spacing) -> float:
    return (box[0].stop - box[0].start) * float(spacing[1])
