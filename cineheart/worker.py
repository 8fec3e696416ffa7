"""``python -m cineheart.worker job.json``: the one worker process of all panels (see :mod:`CardiacLib.jobs`).

Every task is a step of :mod:`cineheart.steps`, or the reading, fetching and writing of files.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from BiVMeshLib.exporters import choose_formats, export, write_quality, write_rings
from BiVMeshLib.propagation import Propagation
from BiVMeshLib.result import MeshChoice, MeshResult, PropagateChoice
from CardiacLandmarksLib.result import PointsResult
from CardiacLib.files import atomic_directory
from CardiacLib.jobs import Task, run_worker
from CardiacLib.networks.model_store import fetch, import_file
from CardiacLib.phantom import PhantomOptions, make_phantom
from CardiacLib.progress import Progress, part
from CardiacLib.readers import read_study
from CardiacLib.types.bivmesh import BiVMesh
from CardiacLib.types.choices import LandmarkChoice, SegmentChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.patient import Patient
from CardiacLib.types.study import Study
from CardiacLib.writers.dicom_seg_study import DicomSegChoice, write_dicom_seg_of_study
from CardiacLib.writers.dicom_sr import DICOM_SR_NAME, write_dicom_sr
from CardiacSegLib.result import SegmentResult
from CardiacSegLib.segment.slice_network import OnFrame

from . import steps
from .measures.dicom_report import labels_report
from .outputs import RINGS_NAME


def segment(cine: Cine, choice: SegmentChoice, *, progress: Progress, on_frame: OnFrame) -> SegmentResult:
    """Label, measure and judge all frames of a cine."""
    return steps.segment(cine, choice, progress=progress, on_frame=on_frame)


def measure_labels(labels: LabelMap, cine: Cine, choice: SegmentChoice, *, progress: Progress) -> SegmentResult:
    """The measures of labels that were edited."""
    progress(0.1, "measuring")
    return steps.measure_given(labels, cine, choice)


def find_points(
    cines: Mapping[str, Cine], choice: LandmarkChoice, labels: LabelMap | None = None, *, progress: Progress
) -> PointsResult:
    """Valve points at the frames of the cine with the most, and their measures; labels of the 4CH view."""
    points = steps.find_points(cines, choice, labels=labels, progress=part(progress, 0.0, 0.8))
    runs_on = choice.network.runs_on
    labelled, notes = steps.four_chamber(points, cines, runs_on, progress=part(progress, 0.8, 1.0))
    landmarks = replace(points.landmarks, notes=(*points.landmarks.notes, *notes))
    points = replace(_without_images(points), landmarks=landmarks)
    if labelled is None:
        return points
    volume = labelled.measures.row() if labelled.measures is not None else None
    return replace(points, four_chamber=labelled.labels, volume=volume)


def measure_points(
    landmarks: Landmarks, cines: Mapping[str, Cine], labels: LabelMap | None = None, *, progress: Progress
) -> PointsResult:
    """The measures of points that were edited."""
    progress(0.1, "measuring")
    return _without_images(steps.measure_edited_points(landmarks, cines, labels))


def _without_images(result: PointsResult) -> PointsResult:
    """What the scene has already is not sent back."""
    return replace(result, found=None)


def mesh(labels: LabelMap, choice: MeshChoice, valves: Landmarks | None = None, *, progress: Progress) -> MeshResult:
    """Mesh one frame and perhaps its motion; InputError where one of them cannot be made."""
    return steps.mesh(labels, choice, valves=valves, progress=progress).complete()


def propagate(
    cine: Cine,
    frame: int,
    choice: PropagateChoice,
    labels: LabelMap | None = None,
    valves: np.ndarray | None = None,
    *,
    progress: Progress,
) -> Propagation:
    """Labels at 1.25 mm of one frame, carried from one slice."""
    return steps.propagate(cine, frame, choice, labels=labels, valves=valves, progress=progress)


def study(path: str, files: tuple[str, ...] = (), *, progress: Progress) -> Study:
    """The cines of a study, perhaps of some files only."""
    return read_study(path, progress=progress, files=files)


def export_mesh(mesh: BiVMesh, folder: str, formats: str, *, progress: Progress) -> None:
    """Write a mesh in formats separated by commas, its quality report, and the rings that it has."""
    progress(0.1, "writing the mesh")
    with atomic_directory(folder) as work:
        export(mesh, work, choose_formats(formats))
        if mesh.rings:
            write_rings(mesh, work / RINGS_NAME)
        write_quality(mesh, work / "quality.json")


def phantom(name: str, small: bool, *, progress: Progress) -> Study:
    """A synthetic study of this name."""
    options = PhantomOptions.small() if small else PhantomOptions()
    return Study(make_phantom(options, progress).cines, patient=Patient(id=name), source=name)


def fetch_weights(name: str, cache: str, *, progress: Progress) -> None:
    """Download the published weights of a bundle into the cache."""
    fetch(name, cache, progress)


def import_weights(name: str, cache: str, path: str, *, progress: Progress) -> None:
    """Take the weights of a bundle from a file into the cache."""
    progress(0.1, "checking the weights")
    import_file(name, path, cache)


def dicom_seg(
    folder: str,
    labels: LabelMap,
    study: str,
    choice: DicomSegChoice,
    measured: SegmentChoice | None = None,
    *,
    progress: Progress,
) -> None:
    """Write labels into a folder as DICOM segmentations of a study; of all its frames also what ``measured`` finds."""
    written = write_dicom_seg_of_study(Path(folder), labels, study, choice, progress=part(progress, 0.0, 0.8))
    if measured is None or not written.complete:
        return
    progress(0.8, "measuring")
    found = steps.measure_given(written.labels, written.cine, measured)
    report = labels_report(found, measured.by_hand)
    write_dicom_sr(Path(folder) / DICOM_SR_NAME, report, written.cine, segmentations=written.files)


TASKS: dict[str, Task] = {
    task.__name__: task
    for task in (
        segment, measure_labels, find_points, measure_points, mesh, propagate, study, fetch_weights, import_weights,
        dicom_seg, export_mesh, phantom,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(run_worker(TASKS, sys.argv[1:]))
