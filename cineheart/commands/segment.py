"""``cineheart segment``: labels of a short-axis cine, and what is measured of them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from CardiacLib.files import atomic_directory, require_output
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers.cases import read_one_image
from CardiacLib.species import species_named
from CardiacLib.types.choices import Body, SegmentChoice
from CardiacLib.types.landmarks import read_landmarks
from CardiacLib.types.patient import Patient
from CardiacLib.writers.dicom_seg import DICOM_SEG_NAMES, require_dicom_seg, write_dicom_seg
from CardiacLib.writers.dicom_sr import DICOM_SR_NAME, require_dicom_sr, write_dicom_sr
from CardiacSegLib.function import set_by_hand
from cineheart import steps
from cineheart.commands.animals.pictures import OVERLAY, write_overlay
from cineheart.console import Answer
from cineheart.measures.dicom_report import labels_report
from cineheart.outputs import require_scene_support, write_segmentation
from cineheart.provenance import provenance

from .answers import function_facts, function_marks

SOMETIMES_WRITTEN = (
    OVERLAY, "segmentation.seg.nrrd", "segmentation.seq.mrb", "segments.csv", *DICOM_SEG_NAMES, DICOM_SR_NAME,
)  # fmt: skip
"""What ``cineheart segment`` writes in some cases only: an earlier one must not stay beside new labels."""


@dataclass(frozen=True)
class SegmentOptions:
    """What ``cineheart segment`` can be told.

    Attributes:
        segment: network and measurement; the body is what the user and the image say of it.
        patient: what the user says of the patient, which goes before what the image says.
        frames: ``all``; ``ed``, ``es`` or ``ed,es``, known once all frames are labelled; or a number from 0, which is
            labelled alone.
        landmarks: a ``landmarks.json`` of the same frames, at whose valve planes the ventricles then end.
        scene: write a Slicer scene of several frames.
        dicom_seg: write DICOM segmentations of the DICOM images too.
        dicom_sr: write the measurements as a DICOM report too.
    """

    segment: SegmentChoice = field(default_factory=SegmentChoice)
    patient: Patient = Patient()
    frames: str = "all"
    landmarks: Path | None = None
    scene: bool = True
    dicom_seg: bool = False
    dicom_sr: bool = False


def segment_image(
    image: Path, output: Path, options: SegmentOptions | None = None, *, progress: Progress = silent
) -> Answer:
    """Label, measure, judge and write one image."""
    options = options or SegmentOptions()
    require_output(output)
    cine = read_one_image(image)
    if options.dicom_seg:
        require_dicom_seg(cine)
    if options.dicom_sr:
        require_dicom_sr(cine)
    points = None if options.landmarks is None else read_landmarks(options.landmarks)
    asked = options.frames.split(",")
    phases = [phase for phase in asked if phase in steps.PHASES]
    if len(phases) != len(asked) and options.frames != "all":
        number = steps.number_of(options.frames, cine.n_frames)
        if points is not None and len(points.points) == cine.n_frames:
            points = points.only([number])
        cine = cine.only([number])
    if options.scene and (len(phases) or cine.n_frames) > 1:
        require_scene_support()
    cine = cine.at_rate(options.patient.heart_rate_bpm)
    choice = replace(options.segment, body=Body.of(options.patient.completed_by(cine.patient)))
    result = steps.segment(cine, choice, landmarks=points, progress=part(progress, 0.1, 0.95))
    function, labels = result.function, result.segmentation.labels
    chosen = sorted({getattr(function, phase) for phase in phases}) or list(range(cine.n_frames))
    labels = labels.only(chosen)
    told = replace(function, notes=(*cine.notes, *function.notes))
    written = replace(result, segmentation=replace(result.segmentation, labels=labels), function=told)
    made_of = provenance([image, options.landmarks], [choice.network.bundle], output=output)
    with atomic_directory(output, replace=SOMETIMES_WRITTEN) as folder:
        write_segmentation(written, folder, sequence=options.scene)
        if not species_named(choice.species).is_human:
            write_overlay(folder / OVERLAY, cine.only(chosen), labels)
        segmentations = []
        if options.dicom_seg:
            segmentations = write_dicom_seg(folder, labels, cine, chosen, choice.network.bundle)
        if options.dicom_sr:
            report = labels_report(result, choice.by_hand, choice.network.bundle)
            named = dict(zip(chosen, segmentations, strict=False))
            write_dicom_sr(folder / DICOM_SR_NAME, report, cine, segmentations=named)
        made_of.stamp(folder)
    facts = {
        "frames": len(labels.labels),
        "slices": cine.n_slices,
        **function_facts(function),
        "quality": result.quality.light,
        "run_by": result.segmentation.run_by,
    }
    by_hand = set_by_hand(choice.by_hand)
    return Answer(facts, (*cine.notes, *by_hand, *result.quality.reasons), function_marks(function, result.marks))
