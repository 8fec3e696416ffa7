"""A small picture of a study: the middle slice of the LV at end-diastole and end-systole, with contours."""

from pathlib import Path

import numpy as np

from CardiacLib.types.labels import LV
from cineheart.report.outlines import label_lines
from cineheart.report.pictures import CONTOURS, crop_box, grey_range
from cineheart.results import StudyResult

THUMBNAIL = "thumbnail.jpg"
SIDE = 120
"""Pixels of one of the two pictures."""


def write_thumbnail(result: StudyResult, path: Path) -> None:
    """Write the picture."""
    from PIL import Image, ImageDraw

    cine, labels, function = result.study.cines["sax"], result.labels.labels, result.function
    middle = np.flatnonzero((labels[function.ed] == LV).any((1, 2)))
    k = int(middle[len(middle) // 2]) if middle.size else cine.n_slices // 2
    rows, columns = crop_box((labels[:, k] > 0).any(0), cine.spacing, 20.0)
    low, high = grey_range(cine.frames[:, :, rows, columns])
    picture = Image.new("RGB", (2 * SIDE, SIDE))
    for number, frame in enumerate((function.ed, function.es)):
        image = cine.frames[frame, k, rows, columns]
        grey = np.clip((image - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
        wide, tall = image.shape[1] * float(cine.spacing[0]), image.shape[0] * float(cine.spacing[1])
        size = max(round(SIDE * wide / max(wide, tall)), 1), max(round(SIDE * tall / max(wide, tall)), 1)
        shown = Image.fromarray(grey).convert("RGB").resize(size, Image.Resampling.BILINEAR)
        lines = ImageDraw.Draw(shown)
        scale = np.array(size) / (image.shape[1], image.shape[0])
        found = label_lines(labels[frame, k], (rows, columns))
        for of_structure, (_, _, colour) in zip(found, CONTOURS, strict=True):
            for line in of_structure:
                points = (line - (columns.start, rows.start) + 0.5) * scale
                lines.line([tuple(point) for point in points], fill=colour, width=1)
        picture.paste(shown, (SIDE * number + (SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    picture.save(path, "JPEG", quality=85)
