"""``cineheart measure``: what labels of a file say of the ventricles."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, require_output, write_json
from CardiacLib.label_grid import on_images
from CardiacLib.progress import Progress, silent
from CardiacLib.readers import read_labels
from CardiacLib.readers.cases import read_one_image
from CardiacLib.readers.labels.point_files import read_points
from CardiacLib.types.choices import Body, SegmentChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, RV, LabelMap
from CardiacLib.types.patient import Patient
from CardiacLib.types.times import times_at_rate
from cineheart import steps
from cineheart.console import Answer
from cineheart.outputs import write_measurements
from cineheart.provenance import provenance

from .answers import function_facts, function_marks

SOMETIMES_WRITTEN = ("segments.csv",)


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What ``cineheart measure`` can be told.

    Attributes:
        choice: papillary muscles, and what a person set; the body is what the user and the image say of it.
        order: of the label values, as of ``read_labels``.
        image: on the grid of the labels; its frame times and its patient count, and papillary muscles need it.
        landmarks: valve points of the same frames, at whose planes the ventricles then end.
        patient: what the user says of the patient.
    """

    choice: SegmentChoice = field(default_factory=SegmentChoice)
    order: str = "auto"
    image: Path | None = None
    landmarks: Path | None = None
    patient: Patient = Patient()


def measure_labels(
    path: Path, output: Path, options: MeasureOptions | None = None, *, progress: Progress = silent
) -> Answer:
    """Measure one label file, judge its labels by rules, and write ``measurements.json``, ``.csv`` and more."""
    options = options or MeasureOptions()
    require_output(output)
    labels = read_labels(path, options.order)
    if not np.isin(labels.labels, (LV, RV)).any():
        raise InputError(f"{path}: holds neither a left nor a right ventricle.")
    cine = _images_of(labels, options)
    if cine.times_ms is not None:
        labels = replace(labels, times_ms=cine.times_ms)
    labels = on_images(labels, cine) if options.image else labels
    points = None if options.landmarks is None else read_points(options.landmarks)
    body = Body.of(options.patient.completed_by(cine.patient))
    progress(0.3, "measuring")
    result = steps.measure_given(labels, cine, replace(options.choice, body=body), landmarks=points)
    made_of = provenance([path, options.image, options.landmarks], output=output)
    with atomic_directory(output, replace=SOMETIMES_WRITTEN) as folder:
        write_measurements(result, folder)
        write_json(folder / "quality.json", result.quality.to_dict())
        made_of.stamp(folder)
    return Answer(
        {"frames": labels.n_frames, **function_facts(result.function), "quality": result.quality.light},
        (*result.notes, *result.quality.reasons),
        function_marks(result.function, result.marks),
    )


def _images_of(labels: LabelMap, options: MeasureOptions) -> Cine:
    """The images of the labels; where none are given, black ones on their grid."""
    rate = options.patient.heart_rate_bpm
    if options.image is None:
        times = labels.times_ms
        if times is None and rate is not None:
            times = times_at_rate(labels.n_frames, rate)
        blank = np.zeros(labels.labels.shape, np.float32)
        if options.choice.papillary != "cavity":
            raise InputError("--papillary myocardium tells papillary muscles by their signal: give --image.")
        return Cine(blank, labels.ijk_to_lps, times, "sax", labels.source, grid=labels.grid)
    cine = read_one_image(options.image).at_rate(rate)
    if cine.n_frames != labels.n_frames:
        raise InputError(
            f"{options.image}: has {cine.n_frames} frames, {labels.source} {labels.n_frames}; give the labels' image."
        )
    return cine
