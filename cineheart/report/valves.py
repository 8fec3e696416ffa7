"""The report's section on the valves: points in the images, curves of the annuli, and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_hex

from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, VALVE_COLOURS
from CardiacLib.types.measures.marks import Mark
from CardiacLib.types.times import frame_phases

from .cells import Row, reasons
from .curves import motion_curves
from .facts import single_rows
from .pictures import Picture, crop_box, grey_range, show
from .tiles import Crop, Tile, sheet

if TYPE_CHECKING:
    from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks, ViewLandmarks
    from CardiacLandmarksLib.measure.annulus import Annulus

_TILE_WIDTH = 380
_MARGIN_MM = 45.0
_ROWS = (
    ("MAPSE, septal and lateral", "mapse_mm", "{:.1f} mm"),
    ("MAPSE, septal", "mapse_septal_mm", "{:.1f} mm"),
    ("MAPSE, lateral", "mapse_lateral_mm", "{:.1f} mm"),
    ("MAPSE, mean of all views", "mapse_all_views_mm", "{:.1f} mm"),
    ("TAPSE", "tapse_mm", "{:.1f} mm"),
    ("Mitral s' (septal and lateral)", "mapse_s_cm_s", "{:.1f} cm/s"),
    ("Mitral e' (septal and lateral)", "mapse_e_cm_s", "{:.1f} cm/s"),
    ("Tricuspid s'", "tapse_s_cm_s", "{:.1f} cm/s"),
    ("Mitral diameter 4CH, end-diastole", "mitral_4ch_ed_mm", "{:.0f} mm"),
    ("Mitral diameter 2CH, end-diastole", "mitral_2ch_ed_mm", "{:.0f} mm"),
    ("Mitral diameter 3CH, end-diastole", "mitral_3ch_ed_mm", "{:.0f} mm"),
    ("Aortic diameter 3CH, end-systole", "aortic_3ch_es_mm", "{:.0f} mm"),
    ("Tricuspid diameter 4CH, end-diastole", "tricuspid_4ch_ed_mm", "{:.0f} mm"),
    ("Length of the LV, end-diastole", "lv_length_ed_mm", "{:.0f} mm"),
    ("Length of the LV, end-systole", "lv_length_es_mm", "{:.0f} mm"),
    ("Long-axis strain of the LV", "lv_long_axis_strain_percent", "{:.1f} %"),
)
_CURVES = (
    ("MAPSE septal", "mapse_septal", "#d13b3b"),
    ("MAPSE lateral", "mapse_lateral", "#7b52be"),
    ("TAPSE", "tapse", "#c99700"),
)
_GREYS = ("#8d8d93", "#a9a9b2", "#c2c2c8")
"""Of weak curves, told from one another."""


def valve_content(found: StudyLandmarks, annulus: Annulus | None) -> dict[str, object]:
    """What the template shows of the valves."""
    ends = (0, 0) if annulus is None else (annulus.ed, annulus.es)
    phases = frame_phases(found.frames if annulus is None else annulus)
    rows = [] if annulus is None else valve_rows(annulus)
    return {
        "picture": point_montage(found, phases[list(ends)]),
        "legend": [(valve.capitalize(), to_hex(colour)) for valve, colour in VALVE_COLOURS.items()],
        "curves": None if annulus is None else _excursion_curves(annulus),
        "rows": rows,
        "weak": reasons(rows),
        "axis": "" if annulus is None else annulus.axis_source,
        "notes": () if annulus is None else annulus.notes,
    }


def valve_rows(annulus: Annulus) -> list[Row]:
    """What was measured, units with the values."""
    return single_rows(annulus.values(), _ROWS, annulus.marks)


def point_montage(found: StudyLandmarks, phases: np.ndarray) -> Picture:
    """The views side by side at ED and ES, with their points; crosses are the network's own, dots the smooth paths."""
    tiles = []
    for name, phase in zip(("end-diastole", "end-systole"), phases, strict=True):
        for points in found.views.values():
            frame = int(np.argmin(np.abs(frame_phases(points.cine) - phase)))
            tiles.append(_tile(points, frame, f"{points.cine.view.upper()} {name}"))
    views = ", ".join(view.upper() for view in found.views)
    return sheet(tiles, len(found.views), f"Valve points in {views} at end-diastole and end-systole")


def _tile(points: ViewLandmarks, frame: int, caption: str) -> Tile:
    """One frame of a view with its points, as :func:`draw_points` shows them."""
    cine = points.cine
    image = cine.frames[:, cine.n_slices // 2]
    tile = Tile(image[frame], Crop(_box(points), cine.spacing[:2], _TILE_WIDTH), grey_range(image))
    for n, colour in _own(cine.view):
        for place, draw in ((points.detection.points[frame, n], tile.cross), (points.pixels[frame, n], tile.dot)):
            if np.isfinite(place).all():
                draw(place[::-1], to_hex(colour))
    tile.caption(caption)
    return tile


def _own(view: str):
    """(number, colour) of the points that belong to a view."""
    for n, (name, of_view) in enumerate(zip(LANDMARK_NAMES, LANDMARK_VIEWS, strict=True)):
        if of_view == view:
            yield n, VALVE_COLOURS[name.split()[0]]


def draw_points(axes, points: ViewLandmarks, frame: int) -> None:
    """One frame with the points of its view; crosses are the network's own, dots the smooth paths."""
    cine = points.cine
    image = cine.frames[:, cine.n_slices // 2]
    show(axes, image[frame], _box(points), grey_range(image), cine.spacing)
    smooth, raw = points.pixels[frame], points.detection.points[frame]
    for n, colour in _own(cine.view):
        axes.plot(*raw[n, ::-1], "+", color=colour, markersize=7, markeredgewidth=0.9)
        axes.plot(*smooth[n, ::-1], "o", color=colour, markersize=4.5, markeredgecolor="black", markeredgewidth=0.5)


def _box(points: ViewLandmarks) -> tuple[slice, slice]:
    """Rows and columns round all points of the beat; the whole image where there are none."""
    shape = points.cine.frames.shape[2:]
    inside = np.zeros(shape, bool)
    known = points.pixels[np.isfinite(points.pixels).all(-1)]
    rows, columns = (np.clip(np.rint(known[:, axis]).astype(int), 0, shape[axis] - 1) for axis in (0, 1))
    inside[rows, columns] = True
    return crop_box(inside, points.cine.spacing, _MARGIN_MM)


def _excursion_curves(annulus: Annulus) -> Picture | None:
    known = [(name, key, colour) for name, key, colour in _CURVES if key in annulus.excursions]
    weak = {key: annulus.marks.get(f"{key}_mm", Mark()).weak for _, key, _ in known}
    curves = [
        (f"{name}, check" if weak[key] else name, annulus.excursions[key].curve_mm, grey if weak[key] else colour)
        for (name, key, colour), grey in zip(known, _GREYS, strict=False)
    ]
    if not curves or annulus.n_frames < 2:
        return None
    return motion_curves(annulus.times_ms, curves, (annulus.ed, annulus.es))
