"""The main job: one study from its images to labels, function, mesh, report and scene."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from BiVMeshLib import MeshOptions, build_mesh
from BiVMeshLib.motion import move_mesh
from CardiacLandmarksLib.detect.detector import DETECTED_VIEWS
from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers import Study, read_study, require_cine_stack
from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import Segmentation
from CardiacLib.writers.dicom_seg import require_dicom_seg, write_dicom_seg
from CardiacSegLib import measure
from CardiacSegLib.quality import assess
from cineheart.commands.landmarks import LandmarkOptions, measure_with_labels, write_landmarks

from .network import NetworkOptions
from .outputs import require_scene_support, write_mesh, write_segmentation, write_study_summary
from .report import write_report
from .results import StudyResult
from .scene import write_scene


@dataclass(frozen=True)
class RunOptions:
    """What ``cineheart run`` can be told.

    Attributes:
        network: for the short axis, and how it is run.
        views: the view of a series or file where geometry should not decide, by series description, UID or file name.
        mesh: options of the mesh.
        scene: write ``scene.mrb`` and ``segmentation.seq.mrb`` (needs slicer-core outside Slicer).
        papillary: ``cavity`` or ``myocardium``, where volumes and mass count the papillary muscles.
        landmarks: the network for the valve points of the long-axis views.
        cut_at_valves: end the ventricles' labels at the planes of these points, and the mesh at one plane through them.
        motion: carry the mesh over the cycle.
        dicom_seg: write the labels as DICOM segmentations too.
    """

    network: NetworkOptions = field(default_factory=NetworkOptions)
    views: dict[str, str] = field(default_factory=dict)
    mesh: MeshOptions = field(default_factory=MeshOptions)
    scene: bool = True
    papillary: str = "cavity"
    landmarks: LandmarkOptions = field(default_factory=LandmarkOptions)
    cut_at_valves: bool = False
    motion: bool = False
    dicom_seg: bool = False


class _Clock:
    """Wall time of the named steps, in the order they ran."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def run_study(
    source: Path, output: Path, options: RunOptions | None = None, progress: Progress = silent
) -> StudyResult:
    """Process one study folder and write all results into ``output``, atomically.

    A study whose mesh cannot be built keeps its other results; ``notes`` and the report then say why.

    Raises:
        InputError: the study cannot be used; nothing is written.
    """
    options = options or RunOptions()
    clock = _Clock()
    if options.scene:
        require_scene_support()
    with clock.step("read"):
        study = read_study(source, options.views or None, part(progress, 0.0, 0.1))
        require_cine_stack(study.cines["sax"])
        if options.dicom_seg:
            require_dicom_seg(study.cines["sax"])
    result = _analyse(study, options, clock, progress)
    with atomic_directory(output, replace=("landmarks", "mesh", "scene.mrb")) as folder:
        write_all(result, folder, options.scene, clock, part(progress, 0.75, 1.0), options.dicom_seg)
    return result


def _analyse(study: Study, options: RunOptions, clock: _Clock, progress: Progress) -> StudyResult:
    valves, valve_notes = _landmarks(study, options, clock, part(progress, 0.1, 0.2))
    with clock.step("segment"):
        found = _segment(study, options, valves, part(progress, 0.2, 0.4))
        labels = found.labels
    with clock.step("measure"):
        known = ("heart_rate_bpm", "height_m", "weight_kg")
        facts = [study.patient.get(fact) for fact in known]
        function = measure(labels, *facts, options.papillary, study.cines["sax"], found.cut)
        if function.lv_edv_ml is None:
            raise InputError(
                f"{study.source}: the network found no left ventricle in the short-axis stack; "
                "check that it is a cine of the ventricles."
            )
    with clock.step("check"):
        quality = assess(labels, function, found.statistics, options.network.bundle)
    annulus = None if valves is None else measure_with_labels(valves, labels)
    mesh, moving, mesh_notes = _mesh(labels, function.ed, valves, options, clock, part(progress, 0.4, 0.75))
    notes = (*valve_notes, *mesh_notes)
    return StudyResult(
        study, labels, function, mesh, clock.seconds, notes, options.network.bundle, quality, valves, annulus, moving,
        found.notes,
    )  # fmt: skip


def _mesh(
    labels: LabelMap, ed: int, valves: StudyLandmarks | None, options: RunOptions, clock: _Clock, progress: Progress
) -> tuple[BiVMesh | None, MovingMesh | None, tuple[str, ...]]:
    """The mesh of end-diastole, its motion if asked for, and why one of them is missing."""
    alone = not options.motion or len(labels.labels) < 2
    points = None if valves is None else valves.landmarks(labels.times_ms)
    base = points.points[ed] if options.cut_at_valves and points is not None else None
    with clock.step("mesh"):
        try:
            stage = part(progress, 0.0, 1.0 if alone else 0.3)
            mesh = build_mesh(labels.labels[ed], labels.ijk_to_lps, options.mesh, stage, base)
        except InputError as error:
            return None, None, (f"No mesh: {error}",)
    if alone:
        return mesh, None, ("No motion of the mesh: the study has one frame.",) if options.motion else ()
    with clock.step("motion"):
        try:
            moving = move_mesh(mesh, labels, ed, options.mesh, points, part(progress, 0.3, 1.0))
        except InputError as error:
            return mesh, None, (f"No motion of the mesh: {error}",)
    return mesh, moving, moving.notes


def _segment(study: Study, options: RunOptions, valves: StudyLandmarks | None, progress: Progress) -> Segmentation:
    cine = study.cines["sax"]
    points = valves.landmarks(cine.times_ms) if options.cut_at_valves and valves is not None else None
    return options.network.open().segment(cine, progress, points)


def _landmarks(
    study: Study, options: RunOptions, clock: _Clock, progress: Progress
) -> tuple[StudyLandmarks | None, tuple[str, ...]]:
    """The valve points, and notes; no points where there is no long-axis view or no network for them."""
    if not any(view in study.cines for view in DETECTED_VIEWS):
        return None, ()
    if not options.landmarks.has_weights():
        return None, (f"No valve points: the weights of '{options.landmarks.bundle}' are not here.",)
    with clock.step("landmarks"):
        try:
            found = options.landmarks.find(study.cines, progress)
        except InputError as error:
            return None, (f"No valve points: {error}",)
    return found, found.notes


def write_all(
    result: StudyResult, folder: Path, scene: bool, clock: _Clock, progress: Progress, dicom_seg: bool = False
) -> None:
    """Write every file of the contract into ``folder``."""
    with clock.step("write labels and measurements"):
        progress(0.0, "writing labels and measurements")
        write_segmentation(result.labels, result.function, folder / "segmentation", scene, result.quality)
        if dicom_seg:
            write_dicom_seg(folder / "segmentation", result.labels, result.study.cines["sax"], bundle=result.bundle)
    if result.landmarks is not None:
        write_landmarks(result.landmarks, result.annulus, folder / "landmarks", result.labels.times_ms)
    if result.mesh is not None:
        with clock.step("write mesh"):
            progress(0.2, "writing the mesh")
            write_mesh(result.mesh, folder / "mesh", moving=result.motion)
    if scene:
        with clock.step("write scene"):
            progress(0.3, "writing the scene")
            write_scene(result, folder / "scene.mrb")
    with clock.step("write report"):
        progress(0.7, "writing the report")
        write_report(result, folder / "report.html")
    write_study_summary(result, folder / "study.json")
    progress(1.0, "done")
