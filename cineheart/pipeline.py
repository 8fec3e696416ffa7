"""The main job: one study from its images to labels, function, mesh, report and scene."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from BiVMeshLib.exporters import DEFAULT_FORMATS
from BiVMeshLib.result import MeshChoice, MeshResult
from CardiacLandmarksLib.detect.detector import DETECTED_VIEWS
from CardiacLandmarksLib.detect.study_landmarks import from_landmarks
from CardiacLandmarksLib.pipeline import find_landmarks
from CardiacLandmarksLib.result import PointsResult
from CardiacLib.clock import Clock
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, require_output
from CardiacLib.networks.bundles import has_weights
from CardiacLib.networks.device import leaving_cores, usable_threads
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers import Study
from CardiacLib.readers.cases import read_one_study
from CardiacLib.species import species_named
from CardiacLib.types.choices import Body, LandmarkChoice, SegmentChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.patient import Patient
from CardiacLib.writers.dicom_seg import require_dicom_seg, write_dicom_seg
from CardiacLib.writers.dicom_sr import DICOM_SR_NAME, require_dicom_sr, write_dicom_sr
from CardiacSegLib.function import set_by_hand
from CardiacSegLib.long_axis import LongAxisResult
from CardiacSegLib.result import SegmentResult

from . import steps
from .corrected import CorrectedFiles, read_corrected_labels, read_corrected_points
from .landmark_files import write_landmarks
from .measures.dicom_report import study_report
from .measures.volumes import marks_at_valves
from .outputs import (
    LONG_AXIS_FOLDER,
    require_scene_support,
    summary_row,
    write_long_axis,
    write_mesh,
    write_rows,
    write_segmentation,
    write_study_summary,
    write_volumes,
)
from .provenance import Provenance, provenance
from .report import draw_without_mesh, write_report
from .report.paper import PDF_NAME, require_browser, write_pdf
from .results import HIDDEN, WAITED, StudyResult, anonymised
from .scene import scene_without_mesh
from .workers import Beside, beside


@dataclass(frozen=True)
class FurtherFiles:
    """What ``cineheart run`` writes beside the tables, the images and the report.

    Attributes:
        scene: ``scene.mrb`` and ``segmentation.seq.mrb`` (needs slicer-core outside Slicer).
        dicom_seg: the labels as DICOM segmentations.
        dicom_sr: the measurements as a DICOM report.
        pdf: the report printed as ``report.pdf``.
    """

    scene: bool = True
    dicom_seg: bool = False
    dicom_sr: bool = False
    pdf: bool = False


@dataclass(frozen=True)
class RunOptions:
    """What ``cineheart run`` can be told.

    Attributes:
        segment: network for the short axis, and how its labels are measured; the study's body takes the place of its
            own where the study says something.
        landmarks: the network for the valve points of the long-axis views.
        mesh: of end-diastole; ``base_at_valves`` is as ``cut_at_valves`` says. None makes no mesh.
        formats: files of the mesh.
        patient: what the user says of the patient, which goes before what the files say.
        anonymise: no name, ID or file name of the patient in any result.
        views: the view of a series or file where geometry should not decide, by series description, UID or file name.
        study_uid: StudyInstanceUID of the study to take where the folder holds several of one patient.
        corrected: labels and valve points that take the place of what the networks find.
        cut_at_valves: end the ventricles' labels at the planes of these points, and the mesh at one plane through them.
        files: what else is written.
    """

    segment: SegmentChoice = field(default_factory=SegmentChoice)
    landmarks: LandmarkChoice = field(default_factory=LandmarkChoice)
    mesh: MeshChoice | None = field(default_factory=MeshChoice)
    formats: tuple[str, ...] = DEFAULT_FORMATS
    patient: Patient = Patient()
    anonymise: bool = False
    views: dict[str, str] = field(default_factory=dict)
    study_uid: str = ""
    corrected: CorrectedFiles = field(default_factory=CorrectedFiles)
    cut_at_valves: bool = False
    files: FurtherFiles = FurtherFiles()


@dataclass(frozen=True)
class _Points:
    """Valve points of a study; none where there is no long-axis view or no network for them, as ``note`` says."""

    result: PointsResult | None = None
    note: str = ""

    def at_valves(self, options: RunOptions) -> Landmarks | None:
        """The points that labels and mesh end at."""
        return self.result.landmarks if self.result is not None and options.cut_at_valves else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Why there are none, or what their detection says."""
        return (self.note,) if self.note else self.result.landmarks.notes if self.result else ()


@dataclass(frozen=True)
class _Given:
    """What a person has corrected, read and checked; None where nothing was given."""

    labels: LabelMap | None = None
    landmarks: Landmarks | None = None

    @classmethod
    def read(cls, files: CorrectedFiles, study: Study) -> _Given:
        """Raise InputError where a file does not fit the study."""
        labels = landmarks = None
        if files.labels is not None:
            labels = read_corrected_labels(files.labels, study.cines["sax"], files.order)
        if files.landmarks is not None:
            landmarks = read_corrected_points(files.landmarks, study.cines)
        return cls(labels, landmarks)

    def named(self, options: RunOptions) -> dict[str, str]:
        """The files by kind; in anonymised results without their names."""
        named = options.corrected.named()
        return dict.fromkeys(named, HIDDEN) if options.anonymise else named

    def sentences(self, options: RunOptions) -> list[str]:
        """What was given, for people."""
        texts = {"labels": "The labels are those of", "landmarks": "The valve points are those of"}
        return [f"{texts[kind]} {name}, as a person corrected them." for kind, name in self.named(options).items()]


@dataclass(frozen=True)
class _Meshed:
    """A mesh, why there is none or no motion, and the seconds of its steps."""

    made: MeshResult | None = None
    problem: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def added_to(self, result: StudyResult) -> StudyResult:
        """The result of the study with it."""
        moving = self.made.moving if self.made else None
        notes = (*((self.problem,) if self.problem else ()), *(moving.notes if moving else ()))
        result.seconds.update(self.seconds)
        return replace(result, meshed=self.made, notes=(*result.notes, *notes))


_Meshing = Callable[[Progress], _Meshed]
"""Gives the mesh, which was made before or is being made."""


def run_study(
    source: Path,
    output: Path,
    options: RunOptions | None = None,
    *,
    progress: Progress = silent,
    overlap: bool = False,
) -> StudyResult:
    """Process one study folder and write all results into ``output``, atomically.

    A study whose mesh cannot be built keeps its other results; ``notes`` and the report then say why.

    Args:
        source: DICOM folder, or folder of images.
        output: folder of the results.
        options: what is done and written.
        progress: called with the fraction done.
        overlap: where there is more than one core, make a mesh of one frame in a process of its own while the rest
            goes on; the results are the same. A script needs ``if __name__ == "__main__":`` for it
            (:mod:`multiprocessing`).

    Raises:
        InputError: the study cannot be used; nothing is written.
    """
    options = options or RunOptions()
    require_output(output)
    if options.anonymise and (options.files.dicom_seg or options.files.dicom_sr):
        option = "--dicom-seg" if options.files.dicom_seg else "--dicom-sr"
        raise InputError(f"{option} writes the patient's name and ID, as DICOM asks for; leave out --anonymise.")
    clock = Clock()
    if options.files.scene:
        require_scene_support()
    if options.files.pdf:
        require_browser()
    # A mesh over the cycle takes minutes and more than one core by itself: it gets them all.
    still = options.mesh is not None and not options.mesh.motion
    with beside(_get_ready) if overlap and still and usable_threads() > 1 else nullcontext() as mesher:
        with clock.step("read"):
            study = _read(source, options, part(progress, 0.0, 0.1))
            if options.files.dicom_seg:
                require_dicom_seg(study.cines["sax"])
            if options.files.dicom_sr:
                require_dicom_sr(study.cines["sax"], _valve_views(study))
            given = _Given.read(options.corrected, study)
        if mesher is None:
            result, meshed = _analyse(study, given, options, clock, progress)
        else:
            result, meshed = _analyse_beside(study, given, options, clock, progress, mesher)
        replaced = ("landmarks", LONG_AXIS_FOLDER, "mesh", "scene.mrb", PDF_NAME)
        result = replace(result, provenance=_provenance(source, output, result, options))
        with atomic_directory(output, replace=replaced) as folder:
            writing = part(progress, 0.4 if mesher else 0.75, 1.0)
            result = _write_all(result, folder, options, clock=clock, progress=writing, meshed=meshed)
            result.provenance.stamp(folder)
    return result


def _get_ready() -> None:
    """Load what meshing needs, while this process reads the study."""
    for name in ("scipy.ndimage", "scipy.sparse.linalg", "scipy.spatial", "SimpleITK", "skimage.measure"):
        importlib.import_module(name)


def _read(source: Path, options: RunOptions, progress: Progress) -> Study:
    study = read_one_study(source, options.views, progress, study_uid=options.study_uid)
    rate = options.patient.heart_rate_bpm
    cines = {view: cine.at_rate(rate) for view, cine in study.cines.items()}
    study = replace(study, cines=cines, patient=options.patient.completed_by(study.patient))
    return anonymised(study) if options.anonymise else study


def _provenance(source: Path, output: Path, result: StudyResult, options: RunOptions) -> Provenance:
    given = options.corrected
    bundles = [result.bundle, options.landmarks.network.bundle if result.landmarks and not given.landmarks else ""]
    bundles.append(result.long_axis.bundle if result.long_axis else "")
    hidden = {}
    if options.anonymise:
        hidden = {str(source): "study", str(output): "results"}
        hidden |= {str(path): kind for kind in given.named() if (path := getattr(given, kind))}
        hidden |= {f"{name}={view}": f"series={view}" for name, view in options.views.items()}
    return provenance([source, given.labels, given.landmarks], bundles, output=output, names=hidden)


def _analyse(
    study: Study, given: _Given, options: RunOptions, clock: Clock, progress: Progress
) -> tuple[StudyResult, _Meshing]:
    """One step after the other: the result without its mesh, and the mesh."""
    points = _find_points(study, given, options, clock, part(progress, 0.1, 0.2))
    segmented = _segment(study, given.labels, options, points.at_valves(options), part(progress, 0.2, 0.4), clock)
    points, segmented = _judged(points, segmented, study, given, options)
    four_chamber = _four_chamber(points, study, given, options, clock)
    meshed = _Meshed()
    if options.mesh is not None:
        meshed = _mesh(*_to_mesh(segmented, points, options), part(progress, 0.4, 0.75))
    return _result(study, segmented, points, four_chamber, (given, options), clock), lambda progress: meshed


def _analyse_beside(
    study: Study, given: _Given, options: RunOptions, clock: Clock, progress: Progress, mesher: Beside
) -> tuple[StudyResult, _Meshing]:
    """The same, and the mesh is being made: from the labels on, or from the points on where it needs them."""
    points = None
    if options.cut_at_valves or options.mesh.valve_rings:
        points = _find_points(study, given, options, clock, part(progress, 0.1, 0.15))
    valves = points.at_valves(options) if points else None
    segmented = _segment(study, given.labels, options, valves, part(progress, 0.15, 0.3), clock)
    with leaving_cores(1):
        if points is None:
            mesher.begin(_mesh, *_to_mesh(segmented, _Points(), options))
            points = _find_points(study, given, options, clock, part(progress, 0.3, 0.35))
            points, segmented = _judged(points, segmented, study, given, options)
        else:
            points, segmented = _judged(points, segmented, study, given, options)
            mesher.begin(_mesh, *_to_mesh(segmented, points, options))
        four_chamber = _four_chamber(points, study, given, options, clock)

    def meshed(progress: Progress) -> _Meshed:
        with clock.step(WAITED):
            try:
                return mesher.result(progress)
            except InputError as error:
                return _Meshed(problem=f"No mesh: {error}")

    return _result(study, segmented, points, four_chamber, (given, options), clock), meshed


def _judged(
    points: _Points, segmented: SegmentResult, study: Study, given: _Given, options: RunOptions
) -> tuple[_Points, SegmentResult]:
    """Valve points with their measures, and labels with marks that know where they were cut."""
    if segmented.segmentation.cut is not None:
        segmented = replace(segmented, marks=marks_at_valves(segmented.marks, points.result.found))
    human = species_named(options.segment.species).is_human
    if points.result is not None and human:  # annuli are measured against the limits of people
        ends = segmented.function.ed, segmented.function.es
        labels = segmented.segmentation.labels
        points = _Points(_measured(points.result, given.landmarks, study, labels, ends))
    return points, segmented


def _four_chamber(
    points: _Points, study: Study, given: _Given, options: RunOptions, clock: Clock
) -> tuple[LongAxisResult | None, tuple[str, ...]]:
    if given.labels is not None and given.landmarks is not None:  # where a person gave both, no network runs
        return None, ()
    with clock.step("long axis"):
        return steps.four_chamber(points.result, study.cines, options.landmarks.network.runs_on)


def _to_mesh(
    segmented: SegmentResult, points: _Points, options: RunOptions
) -> tuple[LabelMap, MeshChoice, Landmarks | None]:
    """What :func:`_mesh` is told."""
    choice = replace(options.mesh, frame=segmented.function.ed, base_at_valves=options.cut_at_valves)
    return segmented.segmentation.labels, choice, points.result.landmarks if points.result else None


def _result(
    study: Study,
    segmented: SegmentResult,
    points: _Points,
    four_chamber: tuple[LongAxisResult | None, tuple[str, ...]],
    of: tuple[_Given, RunOptions],
    clock: Clock,
) -> StudyResult:
    """Everything but the mesh."""
    (given, options), (long_axis, told) = of, four_chamber
    by_hand = (*given.sentences(options), *set_by_hand(options.segment.by_hand))
    return StudyResult(
        study=study,
        segmented=segmented,
        points=points.result,
        seconds=clock.seconds,
        long_axis=long_axis,
        notes=(*by_hand, *points.notes, *told),
        bundle="" if given.labels else options.segment.network.bundle,
        corrected=given.named(options),
    )


def _measured(
    found: PointsResult, given: Landmarks | None, study: Study, labels: LabelMap, ends: tuple[int, int]
) -> PointsResult:
    """The measures of valve points at the frames of the labels; points that a person gave for these are kept."""
    if given is not None and given.n_frames == labels.n_frames:
        return steps.measure_edited_points(replace(given, times_ms=labels.times_ms), study.cines, labels, ends=ends)
    return steps.measure_points(found.found, labels, frames=labels, ends=ends)


def _segment(
    study: Study,
    given: LabelMap | None,
    options: RunOptions,
    valves: Landmarks | None,
    progress: Progress,
    clock: Clock,
) -> SegmentResult:
    choice = replace(options.segment, body=Body.of(study.patient))
    if given is not None:
        with clock.step("measure"):
            return steps.measure_given(given, study.cines["sax"], choice, landmarks=valves)
    with clock.step("segment"):
        segmented = steps.segment(study.cines["sax"], choice, landmarks=valves, progress=progress)
    if not (segmented.segmentation.labels.labels == LV).any():
        raise InputError(
            f"{study.source}: the network found no left ventricle in the short-axis stack; "
            "check that it is a cine of the ventricles."
        )
    return segmented


def _find_points(study: Study, given: _Given, options: RunOptions, clock: Clock, progress: Progress) -> _Points:
    if given.landmarks is not None:
        found = from_landmarks(given.landmarks, study.cines)
        return _Points(PointsResult(found.landmarks(study.cines["sax"]), None, found))
    if not any(view in study.cines for view in DETECTED_VIEWS):
        return _Points()
    if not species_named(options.segment.species).is_human:
        return _Points(note=f"No valve points: their network is not made for a {options.segment.species}.")
    bundle = options.landmarks.network.bundle
    if not has_weights(bundle):
        return _Points(note=f"No valve points: the weights of '{bundle}' are not here.")
    with clock.step("landmarks"):
        try:
            found = find_landmarks(study.cines, options.landmarks, progress=progress)
        except InputError as error:
            return _Points(note=f"No valve points: {error}")
    return _Points(PointsResult(found.landmarks(study.cines["sax"]), None, found))


def _mesh(labels: LabelMap, choice: MeshChoice, valves: Landmarks | None, progress: Progress) -> _Meshed:
    """The mesh of end-diastole with its motion if asked for, and why one of them is missing."""
    clock = Clock()
    with clock.step("mesh"):
        try:
            still = replace(choice, motion=False)
            made = steps.mesh(labels, still, valves=valves, progress=part(progress, 0.0, 0.3 if choice.motion else 1.0))
        except InputError as error:
            return _Meshed(problem=f"No mesh: {error}")
    if choice.motion:
        with clock.step("motion"):
            made = steps.move(made, labels, choice, valves=valves, progress=part(progress, 0.3, 1.0))
    return _Meshed(made, made.problem, clock.seconds)


def _valve_views(study: Study) -> list[Cine]:
    """The long-axis views that were read from DICOM."""
    return [study.cines[view] for view in DETECTED_VIEWS if view in study.cines and study.cines[view].files]


def _write_dicom(result: StudyResult, folder: Path, options: RunOptions) -> None:
    """The DICOM segmentations and the report that are asked for."""
    cine, segmentations = result.study.cines["sax"], []
    if options.files.dicom_seg:
        segmentations = write_dicom_seg(folder, result.labels, cine, bundle=result.bundle)
    if options.files.dicom_sr:
        points = "" if options.corrected.landmarks else options.landmarks.network.bundle
        report = study_report(result, options.segment.by_hand, points)
        views = _valve_views(result.study)
        named = dict(enumerate(segmentations))
        write_dicom_sr(folder / DICOM_SR_NAME, report, cine, segmentations=named, long_axis=views)


def _write_all(
    result: StudyResult,
    folder: Path,
    options: RunOptions,
    *,
    clock: Clock,
    progress: Progress,
    meshed: _Meshing,
) -> StudyResult:
    """Write every file of the contract into ``folder``: first what needs no mesh, then the mesh and what shows it."""
    with clock.step("write labels and measurements"):
        progress(0.0, "writing labels and measurements")
        write_segmentation(result.segmented, folder / "segmentation", sequence=options.files.scene)
        _write_dicom(result, folder / "segmentation", options)
    if result.points is not None:
        write_landmarks(result.points, folder / "landmarks")
    if result.long_axis is not None:
        write_long_axis(result.long_axis, folder / LONG_AXIS_FOLDER)
    with clock.step("draw report"):
        progress(0.2, "drawing the report")
        drawn = draw_without_mesh(result)
    with ExitStack() as opened:
        if options.files.scene:
            with clock.step("fill scene"):
                write_scene = opened.enter_context(scene_without_mesh(result, folder / "scene.mrb"))
        result = meshed(part(progress, 0.4, 0.6)).added_to(result)
        if result.meshed is not None:
            with clock.step("write mesh"):
                progress(0.6, "writing the mesh")
                write_mesh(result.meshed, folder / "mesh", options.formats, marks=result.segmented.marks)
        if options.files.scene:
            with clock.step("write scene"):
                progress(0.7, "writing the scene")
                write_scene(result)
    with clock.step("write report"):
        progress(0.8, "writing the report")
        write_report(result, folder / "report.html", drawn)
    if options.files.pdf:
        with clock.step("print report"):
            progress(0.9, "printing the report")
            write_pdf(folder / "report.html", folder / PDF_NAME)
    write_study_summary(result, folder / "study.json")
    write_volumes(result, folder)
    write_rows(folder / "summary.csv", [summary_row(result)])
    progress(1.0, "done")
    return result
