"""Accuracy of a short-axis network on the held-out ACDC patients, per structure and phase."""

from dataclasses import asdict, dataclass

import numpy as np

from CardiacLib.cine import Cine
from CardiacLib.labels import LV, MYO, RV, LabelMap
from CardiacLib.metrics import Agreement, agreement, dice, surface_distance
from CardiacLib.progress import Progress, silent
from CardiacLib.readers.acdc import AcdcPatient, read_acdc_patient

from .infer import Segmenter
from .training_data import patient_folders

STRUCTURES = {"LV": LV, "MYO": MYO, "RV": RV}
PHASES = ("ED", "ES")


@dataclass(frozen=True)
class Row:
    """One structure of one patient at one phase; distances in mm, volumes in ml."""

    patient: str
    group: str
    phase: str
    structure: str
    dice: float
    hausdorff_mm: float
    hausdorff95_mm: float
    mean_surface_distance_mm: float
    volume_ml: float
    true_volume_ml: float


@dataclass(frozen=True)
class Case:
    """One evaluated patient: images and both label maps with T = 2 (ED, ES)."""

    cine: Cine
    found: LabelMap
    true: LabelMap
    rows: tuple[Row, ...]

    @property
    def mean_dice(self) -> float:
        return float(np.mean([row.dice for row in self.rows]))


def evaluate(dataset_dir, segmenter: Segmenter, progress: Progress = silent) -> list[Case]:
    """Segment ED and ES of every validation patient in ``dataset_dir`` and compare with the experts' labels."""
    cases = []
    folders = patient_folders(dataset_dir, validation=True)
    for done, folder in enumerate(folders):
        progress(done / len(folders), folder.name)
        patient = read_acdc_patient(folder)
        cine, true = _two_frames(patient)
        found = segmenter(cine)
        cases.append(Case(cine, found, true, tuple(_rows(patient, found, true))))
    progress(1.0, "evaluated")
    return cases


def _two_frames(patient: AcdcPatient) -> tuple[Cine, LabelMap]:
    (ed, ed_labels), (es, es_labels) = patient.ed, patient.es
    cine = ed.with_changes(frames=np.concatenate([ed.frames, es.frames]), times_ms=np.array([0.0, 1.0]))
    labels = np.concatenate([ed_labels.labels, es_labels.labels])
    return cine, LabelMap(labels, ed_labels.ijk_to_lps, cine.times_ms, ed_labels.source)


def _rows(patient: AcdcPatient, found: LabelMap, true: LabelMap):
    spacing = np.linalg.norm(found.ijk_to_lps[:3, :3], axis=0)[::-1]
    for t, phase in enumerate(PHASES):
        for name, label in STRUCTURES.items():
            a, b = found.labels[t] == label, true.labels[t] == label
            volumes = float(a.sum() * found.voxel_ml), float(b.sum() * found.voxel_ml)
            yield Row(patient.name, patient.group, phase, name, dice(a, b), *surface_distance(a, b, spacing), *volumes)


def summary(cases: list[Case]) -> dict[str, object]:
    """Means, worst values and ejection fraction agreement over all cases, ready for JSON."""
    rows = [row for case in cases for row in case.rows]
    table = []
    for name in STRUCTURES:
        for phase in PHASES:
            chosen = [row for row in rows if (row.structure, row.phase) == (name, phase)]
            worst = min(chosen, key=lambda row: row.dice)
            table.append(
                {
                    "structure": name,
                    "phase": phase,
                    "dice": _mean(chosen, "dice"),
                    "worst_dice": worst.dice,
                    "worst_patient": worst.patient,
                    "missed": sum(not np.isfinite(row.hausdorff_mm) for row in chosen),
                    "hausdorff_mm": _mean(chosen, "hausdorff_mm"),
                    "hausdorff95_mm": _mean(chosen, "hausdorff95_mm"),
                    "mean_surface_distance_mm": _mean(chosen, "mean_surface_distance_mm"),
                }
            )
    fractions = {name: ejection_agreement(rows, name)._asdict() for name in ("LV", "RV")}
    mean = float(np.mean([row.dice for row in rows]))
    return {"patients": len(cases), "mean_dice": mean, "table": table, "ejection_fraction": fractions}


def ejection_agreement(rows: list[Row], structure: str) -> Agreement:
    """Agreement of measured and true ejection fraction in percent, over patients."""
    volumes = {(r.patient, r.phase): (r.volume_ml, r.true_volume_ml) for r in rows if r.structure == structure}
    patients = sorted({patient for patient, _ in volumes})
    ed, es = (np.array([volumes[p, phase] for p in patients]) for phase in PHASES)
    fraction = 100.0 * (ed - es) / np.maximum(ed, 1e-9)
    return agreement(fraction[:, 0], fraction[:, 1])


def csv_rows(cases: list[Case]) -> list[dict[str, object]]:
    """Every row of every case, ready for CSV."""
    return [asdict(row) for case in cases for row in case.rows]


def _mean(rows: list[Row], field: str) -> float | None:
    """Mean over the rows where the structure was found at all; ``missed`` counts the others. None if it never was."""
    values = np.array([getattr(row, field) for row in rows])
    found = values[np.isfinite(values)]
    return float(found.mean()) if found.size else None
