"""What the player shows, as one JSON document: images as strips of frames, contours and points as numbers."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_hex

from CardiacLib.species import species_named
from CardiacLib.types.cine import Cine
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, VALVE_COLOURS
from CardiacLib.types.times import frame_phases
from cineheart.measures.volumes import counted_labels
from cineheart.report.pictures import CONTOURS, crop_box, grey_range

from .outlines import outlines

if TYPE_CHECKING:
    from CardiacLandmarksLib.detect.study_landmarks import ViewLandmarks
    from CardiacLib.types.labels import LabelMap
    from cineheart.results import StudyResult

MARGIN_MM = 16.0
LONG_AXIS_MARGIN_MM = 45.0
QUALITY = 82
"""Of JPEG: contours are judged on these images."""
MOST_PIXELS = 1_500_000
"""Of all frames of one slice; larger ones are made coarser, so that a page stays below 15 MB."""


def player_content(result: StudyResult) -> dict[str, str] | None:
    """``data`` (JSON) and ``script`` of the player; None where there is one frame only.

    The JSON holds ``tiles``, each with ``title``, ``strip`` (data URI: all frames side by side), ``size`` of a frame in
    pixels, ``ratio`` (width over height in mm), ``of`` (image of each frame of the cycle), ``lines`` (closed contours
    of each frame: colour, then x, y, x, y, ... in tenths of a pixel) and ``dots`` (colour and the path x, y, ... of a
    valve point over the frames); further ``curves``, ``ed``, ``es``, ``times`` (ms; empty without times) and ``unit``.
    """
    function, cine = result.function, result.study.cines["sax"]
    if cine.n_frames < 2:
        return None
    tiles = _short_axis_tiles(cine, counted_labels(result))
    if result.points is not None and result.points.found is not None:
        phases = frame_phases(cine)
        tiles += [_long_axis_tile(points, phases) for points in result.points.found.views.values()]
    factor, unit = species_named(function.species).unit("ml")
    sides = (("LV", function.lv.volume_ml, "#d13b3b"), ("RV", function.rv.volume_ml, "#c99700"))
    curves = [
        {"name": name, "colour": colour, "values": np.round(factor * values, 2).tolist()}
        for name, values, colour in sides
        if np.isfinite(values).all() and np.max(values) > 0
    ]
    times = [] if cine.times_ms is None else np.round(cine.times_ms).astype(int).tolist()
    document = {"tiles": tiles, "curves": curves, "unit": unit, "ed": function.ed, "es": function.es, "times": times}
    script = Path(__file__).with_name("player.js").read_text(encoding="utf-8")
    # "<" would let a text of the study end the script.
    return {"data": json.dumps(document, separators=(",", ":")).replace("<", "\\u003c"), "script": script}


def _short_axis_tiles(cine: Cine, labels: LabelMap) -> list[dict[str, object]]:
    box = crop_box((labels.labels > 0).any(axis=(0, 1)), cine.spacing, MARGIN_MM)
    window = grey_range(cine.frames[:, :, box[0], box[1]])
    shown = [np.isin(labels.labels[:, :, box[0], box[1]], values) for _, values, _ in CONTOURS]
    made = []
    for k in range(cine.n_slices):
        tile = _tile(f"Slice {k + 1}", cine.frames[:, k, box[0], box[1]], window, cine.spacing)
        tile["of"] = list(range(cine.n_frames))
        tile["lines"] = [
            [
                [colour, *outline]
                for inside, (_, _, colour) in zip(shown, CONTOURS, strict=True)
                for outline in outlines(inside[t, k])
            ]
            for t in range(cine.n_frames)
        ]
        made.append(tile)
    return made


def _long_axis_tile(points: ViewLandmarks, phases: np.ndarray) -> dict[str, object]:
    """A view at the frames of the short axis, by phase."""
    cine, own = points.cine, frame_phases(points.cine)
    images = cine.frames[:, cine.n_slices // 2]
    inside = np.zeros(images.shape[1:], bool)
    known = points.pixels[np.isfinite(points.pixels).all(-1)]
    rows, columns = (np.clip(np.rint(known[:, n]).astype(int), 0, inside.shape[n] - 1) for n in (0, 1))
    inside[rows, columns] = True
    box = crop_box(inside, cine.spacing, LONG_AXIS_MARGIN_MM)
    tile = _tile(cine.view.upper(), images[:, box[0], box[1]], grey_range(images), cine.spacing)
    apart = np.abs((own[None] - phases[:, None] + 0.5) % 1.0 - 0.5)
    tile["of"] = of = apart.argmin(1).tolist()
    tile["dots"] = [
        [to_hex(VALVE_COLOURS[name.split()[0]]), *_path(points.pixels[of, n] - (box[0].start, box[1].start))]
        for n, (name, view) in enumerate(zip(LANDMARK_NAMES, LANDMARK_VIEWS, strict=True))
        if view == cine.view and np.isfinite(points.pixels[of, n]).any()
    ]
    return tile


def _path(places: np.ndarray) -> list[int | None]:
    """x, y, x, y, ... in tenths of a pixel of places (T, 2) row and column; null where a point is missing."""
    flat = np.rint(places[:, ::-1] * 10).ravel().tolist()
    return [None if value != value else int(value) for value in flat]


def _tile(title: str, frames: np.ndarray, window: tuple[float, float], spacing: np.ndarray) -> dict[str, object]:
    """Images (T, J, I) side by side in one JPEG."""
    from PIL import Image

    count, height, width = frames.shape
    grey = np.clip((frames - window[0]) * (255.0 / (window[1] - window[0])), 0, 255).astype(np.uint8)
    strip = Image.fromarray(np.ascontiguousarray(grey.transpose(1, 0, 2)).reshape(height, count * width))
    coarser = (MOST_PIXELS / (count * height * width)) ** 0.5
    if coarser < 1:
        strip = strip.resize((count * max(round(width * coarser), 1), max(round(height * coarser), 1)))
    stream = io.BytesIO()
    strip.save(stream, "JPEG", quality=QUALITY)
    ratio = width * float(spacing[0]) / (height * float(spacing[1]))
    source = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    size = [width, height]
    return {"title": title, "strip": source, "size": size, "ratio": round(ratio, 4), "of": [], "lines": [], "dots": []}
