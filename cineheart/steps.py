"""The one way to do each step: what the command line, ``cineheart run``, the panels' worker and a cohort all call.

Each step takes typed values and returns one typed result; none reads or writes a file. Errors of the input are
``InputError``; ``progress`` may raise ``Cancelled``.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from BiVMeshLib import build_mesh
from BiVMeshLib.motion import move_mesh
from BiVMeshLib.propagation import Propagation, SlicePropagation
from BiVMeshLib.result import MeshChoice, MeshResult, PropagateChoice
from BiVMeshLib.valves import with_moving_rings, with_valve_rings
from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks, from_landmarks
from CardiacLandmarksLib.measure.annulus import measure_annulus
from CardiacLandmarksLib.measure.apex import left_ventricle_apex
from CardiacLandmarksLib.pipeline import find_landmarks
from CardiacLandmarksLib.result import PointsResult
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import has_weights
from CardiacLib.progress import Progress, part, silent
from CardiacLib.species import species_named
from CardiacLib.types.choices import LONG_AXIS_BUNDLE, PHASES, ByHand, LandmarkChoice, RunsOn, SegmentChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, LabelMap
from CardiacLib.types.landmarks import Landmarks, valve_points
from CardiacLib.types.segmentation import Segmentation
from CardiacLib.types.times import Timed, frame_phases
from CardiacSegLib import measure
from CardiacSegLib.function import Function, correct, end_frames
from CardiacSegLib.function.volume_table import label_rows
from CardiacSegLib.long_axis import LongAxisResult, label_long_axis
from CardiacSegLib.quality import assess, frame_marks, mark_measurements
from CardiacSegLib.reference import normal_ranges
from CardiacSegLib.result import SegmentResult
from CardiacSegLib.segment.memory import segment_within_memory
from CardiacSegLib.segment.slice_network import OnFrame
from CardiacSegLib.segment.valve_plane import cut_at_valve_plane

NO_RINGS = (
    "No valve rings: they need the valve points of these frames, and there are none; find them in long-axis views "
    "(cineheart landmarks) and give their landmarks.json, or leave the rings out."
)


def segment(
    cine: Cine,
    choice: SegmentChoice | None = None,
    *,
    landmarks: Landmarks | None = None,
    on_frame: OnFrame | None = None,
    progress: Progress = silent,
) -> SegmentResult:
    """Label every frame of a short-axis cine, measure the ventricles, and judge the labels.

    Args:
        cine: short-axis stack.
        choice: network and measurement.
        landmarks: valve points of the same frames: the ventricles then end at the planes of their valves.
        on_frame: told number and labels, uint8 (K, J, I), of every frame as it is finished.
        progress: called with the fraction done.

    Raises:
        InputError: the cine or the network cannot be used.
    """
    choice = choice or SegmentChoice()
    labelling = part(progress, 0.0, 0.9)
    found = segment_within_memory(cine, choice.network, landmarks=landmarks, on_frame=on_frame, progress=labelling)
    progress(0.9, "measuring")
    return measure_labels(found, choice, cine=cine)


def measure_labels(found: Segmentation, choice: SegmentChoice | None = None, *, cine: Cine) -> SegmentResult:
    """Measure labels of all frames, or of one, and judge them where the network's probabilities are known.

    The labels of the result are those that were measured: without the slices that a person leaves out.

    Args:
        found: labels, and what else the network gave.
        choice: how they are measured, and the network that made them.
        cine: their images.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> phantom = make_phantom(PhantomOptions.small())
        >>> known = Segmentation(labels=phantom.labels, statistics=None)
        >>> result = measure_labels(known, cine=phantom.cines["sax"])
        >>> round(result.function.lv.ef_percent), result.quality
        (59, None)
    """
    choice = choice or SegmentChoice()
    function = measure(found.labels, choice, cine=cine, cut=found.cut)
    found = replace(found, labels=_counted(found.labels, choice.by_hand, function))
    known = found.statistics is not None
    quality = assess(found.labels, function, found.statistics, choice.network.bundle, cine=cine) if known else None
    report = quality or assess(found.labels, function)
    marks, frames = mark_measurements(function, found.labels, report), frame_marks(report, function.n_frames)
    rows, ranges = label_rows(function, found.cut), normal_ranges(choice)
    return SegmentResult(found, function, quality, marks, rows, frames, ranges)


def _counted(labels: LabelMap, by_hand: ByHand, function: Function) -> LabelMap:
    """The labels that were measured."""
    if not (by_hand.left_out or by_hand.added):
        return labels
    if labels.n_frames > 1:  # corrections of one phase are of the frames that were measured
        by_hand = replace(by_hand, ed_frame=function.ed, es_frame=function.es)
    return correct(labels, by_hand).labels


def measure_given(
    labels: LabelMap, cine: Cine, choice: SegmentChoice | None = None, *, landmarks: Landmarks | None = None
) -> SegmentResult:
    """Measure labels that no network has made now, and judge them by rules.

    Args:
        labels: of the frames of the cine, on its grid.
        cine: their images.
        choice: how they are measured.
        landmarks: valve points of the same frames: the ventricles then end at the planes of their valves.

    Raises:
        InputError: labels and points are of different frames, or what was set by hand does not fit the labels.
    """
    cut = None if landmarks is None else cut_at_valve_plane(labels, landmarks)
    found = Segmentation(labels if cut is None else cut.labels, None, () if cut is None else cut.notes, cut)
    measured = measure_labels(found, choice, cine=cine)
    quality = None if measured.function is None else assess(measured.segmentation.labels, measured.function)
    return replace(measured, quality=quality)


def find_points(
    cines: Mapping[str, Cine],
    choice: LandmarkChoice | None = None,
    *,
    labels: LabelMap | None = None,
    progress: Progress = silent,
) -> PointsResult:
    """Find the valve points of the long-axis cines and measure the motion of the annuli.

    Args:
        cines: view (2ch, 3ch, 4ch) to cine; other views are not looked at.
        choice: network, and whether views are aligned.
        labels: of the short axis of the same study, if there are any: the LV axis then goes through their apex.
        progress: called with the fraction done.

    Raises:
        InputError: no long-axis view, or the network cannot be used.
    """
    return measure_points(find_landmarks(cines, choice or LandmarkChoice(), progress=progress), labels)


def measure_points(
    found: StudyLandmarks,
    labels: LabelMap | None = None,
    *,
    frames: Timed | None = None,
    ends: tuple[int, int] | None = None,
) -> PointsResult:
    """Measure the motion of the annuli.

    Args:
        found: the valve points.
        labels: as of :func:`find_points`; their end-diastole and end-systole are those of the points too.
        ends: these two frames of the labels, where something else than their LV volume tells them.
        frames: cine or labels at whose frames points and curves are given; by default the cine with the most.
    """
    mitral = found.at(np.zeros(1))[0, valve_points("mitral")]
    apex = None
    if labels is not None and np.isfinite(mitral).any():
        apex = left_ventricle_apex(labels, np.nanmean(mitral, 0))
    if not all(points.cine.grid.sized for points in found.views.values()):
        found = found.with_note("The voxel size is not known: no displacements, no diameters.")
        return PointsResult(found.landmarks(frames), None, found)
    annulus = measure_annulus(found, frames, apex_lps=apex, ends=_end_phases(labels, ends))
    return PointsResult(found.landmarks(frames), annulus, found)


def _end_phases(labels: LabelMap | None, ends: tuple[int, int] | None) -> tuple[float, float] | None:
    """Phases of end-diastole and end-systole of labels; None where these do not tell them."""
    if labels is None or labels.n_frames < 2 or not (labels.labels == LV).any():
        return None
    ed, es = ends or end_frames(labels.volume_ml(LV))
    phases = frame_phases(labels)
    return (float(phases[ed]), float(phases[es])) if ed != es else None


def measure_edited_points(
    landmarks: Landmarks,
    cines: Mapping[str, Cine],
    labels: LabelMap | None = None,
    *,
    ends: tuple[int, int] | None = None,
) -> PointsResult:
    """Measure points that are known already, as an editor left them.

    Args:
        landmarks: points of frames that cover one beat.
        cines: view to cine, which give the planes of the images.
        labels: as of :func:`find_points`.
        ends: as of :func:`measure_points`.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> phantom = make_phantom(PhantomOptions.small())
        >>> result = measure_edited_points(phantom.landmarks, phantom.cines, phantom.labels)
        >>> result.annulus.axis_source, round(result.annulus.values()["mapse_mm"])
        ('apex of the segmentation', 12)
    """
    return replace(measure_points(from_landmarks(landmarks, cines), labels, ends=ends), landmarks=landmarks)


def label_four_chamber(
    cine: Cine, found: StudyLandmarks, runs_on: RunsOn | None = None, *, progress: Progress = silent
) -> LongAxisResult:
    """Label the four-chamber view and measure its LV pool: volume by area and length, strain of its outline.

    Args:
        cine: of the view.
        found: valve points of the study; the mitral ones of this view tell its base.
        runs_on: device and backend.
        progress: called with the fraction done.

    Raises:
        InputError: the view or the network cannot be used.
    """
    points = found.views["4ch"].pixels if "4ch" in found.views else None
    mitral = None if points is None else points[:, valve_points("mitral")][:, -2:]
    return label_long_axis(cine, mitral, runs_on=runs_on, progress=progress)


def four_chamber(
    points: PointsResult | None,
    cines: Mapping[str, Cine],
    runs_on: RunsOn | None = None,
    *,
    progress: Progress = silent,
) -> tuple[LongAxisResult | None, tuple[str, ...]]:
    """Labels and measures of the 4CH view of a study, and what is to be said of them.

    Args:
        points: just found, of a study; None where there are none.
        cines: of the same study, by view.
        runs_on: device and backend.
        progress: called with the fraction done.

    Returns:
        None and nothing where there is no such cine, no point in it, or no weights; None and the reason where the
        network cannot be used.
    """
    cine, found = cines.get("4ch"), points.found if points is not None else None
    if cine is None or found is None or "4ch" not in found.views or not has_weights(LONG_AXIS_BUNDLE):
        return None, ()
    try:
        labelled = label_four_chamber(cine, found, runs_on, progress=progress)
    except InputError as error:
        return None, (f"No labels of the 4CH view: {error}",)
    return labelled, labelled.notes


def mesh(
    labels: LabelMap,
    choice: MeshChoice | None = None,
    *,
    valves: Landmarks | None = None,
    progress: Progress = silent,
) -> MeshResult:
    """Mesh one frame of the labels and, if asked for, carry the mesh over all frames.

    A mesh whose motion or valve rings fail is not lost: ``problem`` of the result then says why they are missing.

    Args:
        labels: of all frames; of one frame, this is the one.
        choice: frame, mesh and motion.
        valves: valve points of the same frames: their plane is the base (unless the choice says otherwise) and guides
            the motion.
        progress: called with the fraction done.

    Raises:
        InputError: the frame cannot be meshed, or the labels' file has lost its voxel size.
    """
    choice = choice or MeshChoice()
    _require_size(labels)
    if valves is not None and len(valves.points) != len(labels.labels):
        raise InputError(
            f"There are valve points of {len(valves.points)} frames and labels of {len(labels.labels)}; "
            "give those of the same frames."
        )
    number = frame_number(choice.frame, labels)
    base = valves.points[number] if valves is not None and choice.base_at_valves else None
    stage = part(progress, 0.0, 0.3 if choice.motion else 1.0)
    built = build_mesh(labels.labels[number], labels.ijk_to_lps, choice.options, progress=stage, valves=base)
    built = replace(built, notes=(*labels.notes, *built.notes))
    still = MeshResult(built, number)
    if choice.valve_rings:
        still = _with_rings(still, valves)
    return move(still, labels, choice, valves=valves, progress=part(progress, 0.3, 1.0)) if choice.motion else still


def _with_rings(meshed: MeshResult, valves: Landmarks | None) -> MeshResult:
    """A mesh with valve rings, or the mesh and why it has none."""
    if valves is None:
        return meshed.missing(NO_RINGS)
    try:
        return replace(meshed, mesh=with_valve_rings(meshed.mesh, valves.points[meshed.frame]))
    except InputError as error:
        return meshed.missing(str(error))


def move(
    meshed: MeshResult,
    labels: LabelMap,
    choice: MeshChoice | None = None,
    *,
    valves: Landmarks | None = None,
    progress: Progress = silent,
) -> MeshResult:
    """Carry a mesh over all frames of the labels that it was made of; arguments as of :func:`mesh`."""
    if len(labels.labels) < 2:
        return meshed.missing("No motion of the mesh: the study has one frame.")
    options = (choice or MeshChoice()).options
    if not species_named(options.species).is_human:
        return meshed.missing(f"No motion of the mesh of a {options.species}: it is made for human hearts.")
    try:
        moving = move_mesh(meshed.mesh, labels, meshed.frame, options, valves=valves, progress=progress)
    except InputError as error:
        return meshed.missing(f"No motion of the mesh: {error}")
    if moving.mesh.rings and valves is not None:
        moving = with_moving_rings(moving, valves.points)
    return replace(meshed, moving=moving)


def propagate(
    cine: Cine,
    frame: int = 0,
    choice: PropagateChoice | None = None,
    *,
    labels: LabelMap | None = None,
    valves: np.ndarray | None = None,
    progress: Progress = silent,
) -> Propagation:
    """Carry the labels of one slice through the stack by the propagation networks.

    Args:
        cine: short-axis stack.
        frame: of the cine, counted from 0.
        choice: slices, evidence, and what runs the networks.
        labels: on the grid of the cine, of all frames or of that one; None starts from the initialization network.
        valves: (10, 3) LPS mm, valve points of that frame: they tell the base.
        progress: called with the fraction done.

    Raises:
        InputError: stack, labels, slices or points cannot be used, or the file has lost its voxel size.
    """
    choice = choice or PropagateChoice()
    _require_size(cine)
    progress(0.0, "loading the networks")
    networks = SlicePropagation(choice.runs_on)
    progress(0.1, networks.propagator.said)
    return networks(cine, frame, labels, choice.options, progress=part(progress, 0.1, 1.0), valves=valves)


def _require_size(grid: Cine | LabelMap) -> None:
    if not grid.grid.sized:
        raise InputError(
            f"{grid.source or 'The labels'}: the file has lost its voxel size, without which nothing is known in mm; "
            "export it again with its voxel size."
        )


def frame_number(which: str | int, labels: LabelMap) -> int:
    """The frame that ``which`` names, counted from 0: a number, ``ed`` (largest LV volume) or ``es`` (smallest).

    Raises:
        InputError: it is neither, or there is no such frame.
    """
    count = len(labels.labels)
    if which in PHASES:
        return end_frames(labels.volume_ml(LV))[PHASES.index(which)]
    return number_of(which, count)


def number_of(which: str | int, count: int) -> int:
    """A frame's number as the command line states it, of ``count`` frames counted from 0.

    Raises:
        InputError: it is no number, or there is no such frame.
    """
    try:
        number = int(which)
    except ValueError as error:
        raise InputError(f"--frame(s) {which}: is neither a phase (ed, es) nor a frame number.") from error
    if not 0 <= number < count:
        raise InputError(f"--frame(s) {number}: the image has frames 0 to {count - 1}.")
    return number
