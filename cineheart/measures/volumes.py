"""The table of volumes of a study, built here and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from BiVMeshLib.check.marks import mesh_rows
from CardiacLandmarksLib.measure.marks import of_points, point_marks
from CardiacLib.types.landmarks import valve_points
from CardiacLib.types.measures.marks import Mark, Marks, worst
from CardiacLib.types.measures.volumes import LEFT, RIGHT, VolumeRow
from CardiacSegLib.function.papillary import papillary_to_myocardium
from CardiacSegLib.function.records import INDEXED
from CardiacSegLib.function.volume_table import cut_rows
from CardiacSegLib.quality.marks import NEEDS
from CardiacSegLib.segment.valve_plane import cut_at_valve_plane, off_plane_mm, valve_planes

if TYPE_CHECKING:
    from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
    from CardiacLib.types.labels import LabelMap
    from cineheart.results import StudyResult


def study_volumes(result: StudyResult) -> tuple[VolumeRow, ...]:
    """What is reported of each ventricle, then what other ways of counting give: another way is another row here."""
    function = result.function
    rows = [*result.segmented.volumes]
    if result.segmented.segmentation.cut is None:
        rows += _at_valves(result)
    if result.long_axis is not None and result.long_axis.measures is not None:
        rows.append(result.long_axis.measures.row())
    if result.mesh is not None:
        rows += mesh_rows(result.mesh, result.motion, (function.ed, function.es))
    return tuple(sorted(rows, key=lambda row: (row.ventricle, not row.reported)))


def counted_labels(result: StudyResult) -> LabelMap:
    """The labels that the reported volumes count, in the frames of ED and ES; other frames are as drawn.

    Papillary muscles that count as myocardium are myocardium here; labels that end at the valves end there already.
    """
    labels = result.labels
    if result.function.papillary == "cavity":
        return labels
    frames = sorted({result.function.ed, result.function.es})
    counted = labels.labels.copy()
    some = papillary_to_myocardium(labels.only(frames), result.study.cines["sax"].only(frames))
    counted[frames] = some.labels
    return replace(labels, labels=counted)


def marks_at_valves(marks: Marks, found: StudyLandmarks) -> dict[str, Mark]:
    """Marks of measurements of ventricles that end at valve planes: they are as weak as the points of these planes."""
    told = point_marks(found)
    weak = {side: of_points(valve_points(valve), told) for side, valve in (("lv", "mitral"), ("rv", "tricuspid"))}
    whole = {key for key, needs in NEEDS.items() if needs.whole}
    whole |= {INDEXED[key] for key in whole if key in INDEXED}
    marked = {key: worst([mark, weak[key[:2]]]) for key, mark in marks.items() if key in whole}
    return dict(marks) | {key: replace(mark, uncertainty=marks[key].uncertainty) for key, mark in marked.items()}


def _at_valves(result: StudyResult) -> list[VolumeRow]:
    """What the labels would give if they ended at the valves, where their planes are known at ED and ES."""
    found, function = result.landmarks, result.function
    if found is None or not result.labels.grid.sized:
        return []
    frames = sorted({function.ed, function.es})
    labels, points = result.labels.only(frames), found.landmarks(result.labels).only(frames)
    planes = valve_planes(labels, points)
    known = dict(zip((LEFT, RIGHT), np.isfinite(planes.normals).all((0, 2)), strict=True))
    places = frames.index(function.ed), frames.index(function.es)
    rows = [row for row in cut_rows(function, cut_at_valve_plane(labels, points), places) if known[row.ventricle]]
    marks = point_marks(found)
    weak = {LEFT: of_points(valve_points("mitral"), marks), RIGHT: of_points(valve_points("tricuspid"), marks)}
    off = f"At ED and ES the mitral points lie within {off_plane_mm(points).max():.1f} mm of one plane."
    told = {LEFT: off, RIGHT: ""}
    return [row.because(told[row.ventricle]).because(weak[row.ventricle].reason) for row in rows]
