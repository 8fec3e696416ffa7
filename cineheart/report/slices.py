"""Still pictures of the images with contours: every short-axis slice, and the long-axis views."""

import math

from CardiacLib import Cine, LabelMap

from .outlines import PlaneCut, label_lines, level_lines, same_phase
from .pictures import CONTOURS, Picture, crop_box, grey_range
from .tiles import Crop, Tile, sheet

_SLICE_WIDTH = 270
_LONG_AXIS_WIDTH = 380
_COLUMNS = 5
"""At most, so that slices are large enough on paper."""


def montage(cine: Cine, labelmap: LabelMap, frame: int, name: str) -> Picture:
    """All slices of one frame with their contours, cropped alike around everything that is labelled in any frame."""
    box = crop_box((labelmap.labels > 0).any(axis=(0, 1)), cine.spacing, margin_mm=16.0)
    window = grey_range(cine.frames[:, :, box[0], box[1]])
    count = cine.n_slices
    columns = math.ceil(count / math.ceil(count / _COLUMNS))
    crop, tiles = Crop(box, cine.spacing[:2], _SLICE_WIDTH), []
    for number in range(count):
        tile = Tile(cine.frames[frame, number], crop, window)
        for (_, _, colour), lines in zip(CONTOURS, label_lines(labelmap.labels[frame, number], box), strict=True):
            tile.lines(lines, colour)
        tile.caption(f"{number + 1}")
        tiles.append(tile)
    return sheet(tiles, columns, f"{name}: {count} short-axis slices with contours")


def long_axis(cines: list[Cine], labelmap: LabelMap, phases: list[tuple[str, int]]) -> Picture:
    """Long-axis views side by side, a line for each phase, with the short-axis labels that their planes cut.

    The steps of the outlines are the slices: each is shown as thick as the distance to its neighbours.

    Args:
        cines: the views; of several slices, the middle one is shown.
        labelmap: short-axis labels.
        phases: name and short-axis frame; a view is shown at the same phase of its own cycle.
    """
    cuts = [PlaneCut(cine, labelmap, cine.n_slices // 2) for cine in cines]
    boxes = [crop_box(cut.ever(), cine.spacing, margin_mm=30.0) for cut, cine in zip(cuts, cines, strict=True)]
    tiles = []
    for name, frame in phases:
        for cine, cut, box in zip(cines, cuts, boxes, strict=True):
            shown = same_phase(frame, len(labelmap.labels), cine.n_frames)
            image = cine.frames[:, cine.n_slices // 2]
            window = grey_range(image[:, box[0], box[1]])
            tile = Tile(image[shown], Crop(box, cine.spacing[:2], _LONG_AXIS_WIDTH), window)
            for (_, _, colour), amount in zip(CONTOURS, cut.amounts(frame), strict=True):
                tile.lines(level_lines(amount, box), colour)
            tile.caption(f"{cine.view.upper()} {name.lower()}")
            tiles.append(tile)
    views = ", ".join(cine.view.upper() for cine in cines)
    return sheet(tiles, len(cines), f"Long-axis views ({views}) with the short-axis labels that they cut")
