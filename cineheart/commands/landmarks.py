"""``cineheart landmarks``: valve points of long-axis cines, and the motion of the annuli."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from CardiacLandmarksLib.detect.detector import DETECTED_VIEWS
from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
from CardiacLandmarksLib.result import PointsResult
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, require_output
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers.cases import read_one_image
from CardiacLib.types.choices import LandmarkChoice
from CardiacLib.types.cine import Cine
from cineheart import steps
from cineheart.console import Answer
from cineheart.landmark_files import write_landmarks
from cineheart.provenance import provenance

SHOWN = ("mapse_mm", "tapse_mm")


def find_in_files(
    files: Mapping[str, Path],
    output: Path,
    choice: LandmarkChoice | None = None,
    *,
    pictures: bool = False,
    progress: Progress = silent,
) -> Answer:
    """Find, measure and write the valve points of one cine per view; with ``pictures`` draw those of every frame."""
    choice = choice or LandmarkChoice()
    require_output(output)
    if not files:
        raise InputError("Give at least one long-axis cine: --2ch FILE, --3ch FILE or --4ch FILE.")
    cines = {view: read_one_image(path, view) for view, path in files.items()}
    result = _with_notes(steps.find_points(cines, choice, progress=part(progress, 0.05, 0.9)), cines)
    made_of = provenance(tuple(files.values()), [choice.network.bundle], output=output)
    drawn = tuple(f"valves_{view}.{kind}" for view in DETECTED_VIEWS for kind in ("png", "gif"))
    with atomic_directory(output, replace=("markups", *drawn)) as folder:
        write_landmarks(result, folder)
        if pictures:
            _draw(result.found, folder)
        made_of.stamp(folder)
    known = np.isfinite(result.landmarks.points).all((0, 2))
    frames = len(result.landmarks.points)
    facts: dict[str, object] = {"views": list(result.found.views), "frames": frames, "points": int(known.sum())}
    facts["run_by"] = result.found.run_by
    if result.annulus is not None:
        values = result.annulus.values()
        facts |= {name: values[name] for name in SHOWN if name in values}
    return Answer(facts, result.notes, result.annulus.marks if result.annulus else {})


def _with_notes(result: PointsResult, cines: Mapping[str, Cine]) -> PointsResult:
    """The result with what the reader said of the files."""
    read = tuple(f"{view.upper()}: {note}" for view, cine in cines.items() for note in cine.notes)
    landmarks = replace(result.landmarks, notes=(*read, *result.landmarks.notes))
    return replace(result, landmarks=landmarks, found=replace(result.found, notes=(*read, *result.found.notes)))


def _draw(found: StudyLandmarks, folder: Path) -> None:
    from cineheart.report.valve_motion import write_valve_pictures

    for points in found.views.values():
        write_valve_pictures(points, folder)
