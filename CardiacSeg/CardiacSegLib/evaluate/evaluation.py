"""Accuracy of a short-axis network on held-out patients: every structure of every patient at ED and ES."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from CardiacLib.datasets.acdc import patient_folders, read_acdc_patient
from CardiacLib.metrics import overlap, surface_distance
from CardiacLib.progress import Progress, silent
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import STRUCTURES, Segmentation
from CardiacSegLib.segment.segmenter import Segmenter

PHASES = ("ED", "ES")


@dataclass(frozen=True)
class Patient:
    """One patient with experts' labels: images and labels with T = 2 (ED, ES) on the same grid."""

    name: str
    group: str
    cine: Cine
    true: LabelMap


@dataclass(frozen=True)
class Row:
    """One structure of one patient at one phase; distances in mm, volumes in ml (see ``CardiacLib.metrics``)."""

    patient: str
    group: str
    phase: str
    structure: str
    dice: float
    jaccard: float
    precision: float
    recall: float
    hausdorff_mm: float
    hausdorff95_mm: float
    mean_surface_distance_mm: float
    volume_ml: float
    true_volume_ml: float


@dataclass(frozen=True)
class Case:
    """One evaluated patient: what was found, and one row per structure and phase."""

    patient: Patient
    segmentation: Segmentation
    rows: tuple[Row, ...]

    @property
    def found(self) -> LabelMap:
        return self.segmentation.labels

    @property
    def mean_dice(self) -> float:
        return float(np.mean([row.dice for row in self.rows]))


def evaluate(dataset_dir, segmenter: Segmenter, progress: Progress = silent) -> list[Case]:
    """Segment ED and ES of every validation patient in ``dataset_dir`` and compare with the experts' labels."""
    cases = []
    folders = patient_folders(dataset_dir, validation=True)
    for done, patient in enumerate(acdc_patients(folders)):
        progress(done / len(folders), patient.name)
        segmentation = segmenter.segment(patient.cine)
        cases.append(Case(patient, segmentation, tuple(compare(patient, segmentation.labels))))
    progress(1.0, "evaluated")
    return cases


def acdc_patients(folders) -> Iterator[Patient]:
    """ED and ES of ACDC patient folders, read one after the other; all that is particular to ACDC is here."""
    for folder in folders:
        patient = read_acdc_patient(folder)
        (ed, ed_labels), (es, es_labels) = patient.ed, patient.es
        cine = ed.with_changes(frames=np.concatenate([ed.frames, es.frames]), times_ms=None)
        labels = np.concatenate([ed_labels.labels, es_labels.labels])
        true = LabelMap(labels, ed_labels.ijk_to_lps, cine.times_ms, ed_labels.source)
        yield Patient(patient.name, patient.group, cine, true)


def compare(patient: Patient, found: LabelMap) -> Iterator[Row]:
    """One row per phase and structure; ``found`` is on the grid of the patient's labels."""
    spacing = patient.cine.spacing[::-1]
    for t, phase in enumerate(PHASES):
        for name, label in STRUCTURES.items():
            a, b = found.labels[t] == label, patient.true.labels[t] == label
            yield Row(
                patient.name,
                patient.group,
                phase,
                name,
                *overlap(a, b),
                *surface_distance(a, b, spacing),
                volume_ml=float(a.sum() * found.voxel_ml),
                true_volume_ml=float(b.sum() * found.voxel_ml),
            )


def csv_rows(cases: list[Case]) -> list[dict[str, object]]:
    """Every row of every case, ready for CSV."""
    return [asdict(row) for case in cases for row in case.rows]
