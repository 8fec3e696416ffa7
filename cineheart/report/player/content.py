"""What the player plays: strips of grey frames, outlines and points, as one JSON document."""

from __future__ import annotations

import base64
import io
import json
import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_hex

from CardiacLib.types.labels import LV
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, VALVE_COLOURS
from cineheart.measures.volumes import counted_labels
from cineheart.report.facts import VIEW_NAMES
from cineheart.report.outlines import PlaneCut, label_lines, level_lines, same_phase
from cineheart.report.pictures import CONTOURS, crop_box, grey_range
from cineheart.report.tiles import as_bytes

if TYPE_CHECKING:
    from CardiacLandmarksLib.detect.study_landmarks import ViewLandmarks
    from CardiacLib import Cine, LabelMap
    from cineheart.results import StudyResult

MARGIN_MM = 35.0
"""Of image around everything that is labelled."""
MOST_PIXELS = 24e6
"""Of all frames of all slices of a view together; larger ones are shown with every second, third, ... pixel."""
OWN_CONTOUR = ("LV of the 4CH view itself", "#4dc3ff")
"""Name and colour of the outline that the network of this view draws; the others are cuts through the short axis."""
QUALITY = 82
"""Of the JPEG strips."""
_STEPS = 4
"""Points of outlines are rounded to a quarter of a pixel."""


def player_content(result: StudyResult) -> str:
    """JSON of the frames, the outlines and the points of every view; it may stand in a script element.

    ``frames`` and ``times`` are of the short axis; a view with other frames gives its own for each of these in
    ``shown``. Each slice has ``strip``, a JPEG with ``columns`` frames a line, and ``outlines`` by frame and contour:
    x, y, x, y, ... in quarters of a pixel of the strip.
    """
    cines, labels = result.study.cines, counted_labels(result)
    function = result.function
    views = [_short_axis(cines["sax"], labels)]
    found = result.landmarks.views if result.landmarks else {}
    own = {} if result.long_axis is None else {"4ch": result.long_axis.labels.labels == LV}
    for view in VIEW_NAMES:
        if view in cines and view not in ("sax", "other"):
            views.append(_long_axis(cines[view], labels, found.get(view), own.get(view)))
    times = labels.times_ms
    document = {
        "frames": function.n_frames,
        "times": None if times is None else [round(float(t), 1) for t in times],
        "marks": [] if function.n_frames < 2 else [["ED", function.ed], ["ES", function.es]],
        "contours": [{"name": name, "colour": colour} for name, colour in contours(result)],
        "steps": _STEPS,
        "views": views,
    }
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")


def contours(result: StudyResult) -> list[tuple[str, str]]:
    """Name and colour of each contour that the player can show."""
    drawn = [(name, colour) for name, _, colour in CONTOURS]
    return drawn if result.long_axis is None else [*drawn, OWN_CONTOUR]


def _short_axis(cine: Cine, labelmap: LabelMap) -> dict[str, object]:
    box = crop_box((labelmap.labels > 0).any(axis=(0, 1)), cine.spacing, MARGIN_MM)
    drawn = [[label_lines(labels, box) for labels in frame] for frame in labelmap.labels]
    lines = [[frame[k] for frame in drawn] for k in range(cine.n_slices)]
    return _view(cine, box, range(cine.n_slices), lines)


def _long_axis(
    cine: Cine, labelmap: LabelMap, points: ViewLandmarks | None, own: np.ndarray | None
) -> dict[str, object]:
    """A view with the cuts of the short axis, its points, and an LV (T, 1, J, I) that was drawn in itself."""
    middle, count = cine.n_slices // 2, len(labelmap.labels)
    cut = PlaneCut(cine, labelmap, middle)
    inside = cut.ever()
    if points is not None:
        known = np.rint(points.pixels[np.isfinite(points.pixels).all(-1)]).astype(int)
        known = np.clip(known, 0, np.array(inside.shape) - 1)
        inside[known[:, 0], known[:, 1]] = True
    box = crop_box(inside, cine.spacing, MARGIN_MM)
    lines = [[[level_lines(amount, box) for amount in cut.amounts(frame)] for frame in range(count)]]
    shown = [same_phase(frame, count, cine.n_frames) for frame in range(count)]
    if own is not None:
        for of_frame, frame in zip(lines[0], shown, strict=True):
            of_frame.append(level_lines(own[frame, middle].astype(np.float32), box))
    return _view(cine, box, [middle], lines) | {"shown": shown, "points": _points(points, box)}


def _view(cine: Cine, box: tuple[slice, slice], slices, lines) -> dict[str, object]:
    """One view; ``lines`` by slice, frame and contour, in pixels of the image."""
    rows, columns = box
    shown = cine.frames[:, :, rows, columns]
    window = grey_range(shown)
    step = max(1, math.ceil(math.sqrt(shown[:, list(slices)].size / MOST_PIXELS)))
    height, width = shown[0, 0, ::step, ::step].shape
    across = math.ceil(math.sqrt(cine.n_frames))
    corner = np.array([columns.start, rows.start])
    return {
        "name": VIEW_NAMES[cine.view],
        "width": width,
        "height": height,
        "columns": across,
        "proportion": round(float(cine.spacing[1] / cine.spacing[0]), 5),
        "step": step,
        "slices": [
            {
                "number": k + 1,
                "strip": _strip(as_bytes(shown[:, k, ::step, ::step], window), across),
                "outlines": [
                    [[_numbers(line - corner) for line in of_contour] for of_contour in of_frame]
                    for of_frame in of_slice
                ],
            }
            for k, of_slice in zip(slices, lines, strict=True)
        ],
    }


def _strip(frames: np.ndarray, across: int) -> str:
    """Data URI of frames (T, J, I) uint8, ``across`` a line."""
    from PIL import Image

    count, height, width = frames.shape
    whole = np.zeros((math.ceil(count / across), across, height, width), np.uint8)
    whole.reshape(-1, height, width)[:count] = frames
    stream = io.BytesIO()
    image = Image.fromarray(whole.swapaxes(1, 2).reshape(-1, across * width))
    image.save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _points(points: ViewLandmarks | None, box: tuple[slice, slice]) -> list[dict[str, object]]:
    """Name, colour and path (x, y of each frame of the view) of the points that belong to a view."""
    if points is None:
        return []
    found = []
    for n, (name, view) in enumerate(zip(LANDMARK_NAMES, LANDMARK_VIEWS, strict=True)):
        path = points.pixels[:, n, ::-1] - (box[1].start, box[0].start)
        if view == points.cine.view and np.isfinite(path).all():
            found.append({"name": name, "colour": to_hex(VALVE_COLOURS[name.split()[0]]), "path": _numbers(path)})
    return found


def _numbers(xy: np.ndarray) -> list[int]:
    return np.rint(_STEPS * xy).astype(int).ravel().tolist()
