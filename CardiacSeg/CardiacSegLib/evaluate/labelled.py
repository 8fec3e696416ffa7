"""Accuracy of any segmenter on labelled cases of any data set: what is drawn and where it is known, nothing else."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from CardiacLib.datasets.hearts import LabelledHeart, read_hearts
from CardiacLib.datasets.records import NAMES, UNKNOWN, CaseRecord
from CardiacLib.geometry import voxel_ml
from CardiacLib.metrics import agreement, overlap, surface_distance
from CardiacLib.progress import Progress, silent
from CardiacLib.types.cine import Cine

Segment = Callable[[Cine], np.ndarray]
"""A cine to labels, uint8 (T, K, J, I)."""
OVERLAPS = ("dice", "iou", "precision", "recall", "f1")
DISTANCES = ("hausdorff_mm", "hausdorff95_mm", "hausdorff_voxels", "mean_surface_distance_mm")
BY = ("phase", "view", "vendor", "centre", "group")
"""What accuracy is also told by."""
ALL = "all"


@dataclass(frozen=True)
class LabelledRow:
    """One structure of one frame.

    Overlaps as of :mod:`CardiacLib.metrics`; IoU is Jaccard's index, F1 of voxels is their Dice. ``hausdorff_voxels``
    counts every voxel as 1 along all axes, as tools without spacing do. Volumes are of the slices that are known.
    """

    subject: str
    view: str
    phase: str
    vendor: str
    centre: str
    group: str
    structure: str
    dice: float
    iou: float
    precision: float
    recall: float
    f1: float
    hausdorff_mm: float
    hausdorff95_mm: float
    hausdorff_voxels: float
    mean_surface_distance_mm: float
    volume_ml: float
    true_volume_ml: float


@dataclass(frozen=True)
class LabelledResult:
    """One heart, labelled by the network."""

    heart: LabelledHeart
    found: np.ndarray
    rows: tuple[LabelledRow, ...]

    @property
    def mean_dice(self) -> float:
        """Over structures and frames; 1 where nothing was to be found."""
        return float(np.mean([row.dice for row in self.rows])) if self.rows else 1.0


def evaluate_labelled(
    cases: Sequence[CaseRecord], segment: Segment, progress: Progress = silent
) -> Iterator[LabelledResult]:
    """Segment every heart of the cases, all its labelled frames together, and compare what is drawn."""
    count = len({(case.subject, case.view) for case in cases})
    for done, heart in enumerate(read_hearts(cases)):
        progress(min(done / count, 1.0), f"evaluating {heart.record.subject}")
        found = segment(heart.cine)
        yield LabelledResult(heart, found, tuple(compare_heart(heart, found)))
    progress(1.0, "evaluated")


def compare_heart(heart: LabelledHeart, found: np.ndarray) -> Iterator[LabelledRow]:
    """One row for each drawn structure of each frame; slices that nobody looked at count neither way."""
    spacing, voxel = heart.cine.spacing[::-1], voxel_ml(heart.cine.ijk_to_lps)
    for t, record in enumerate(heart.records):
        true, labels = heart.labels[t], found[t]
        unknown = true == UNKNOWN
        slices = ~unknown.all((1, 2))
        if not slices.any():
            continue
        for name in record.structures:
            b = (true == NAMES[name])[slices]
            a = ((labels == NAMES[name]) & ~unknown)[slices]
            found_overlap, distance = overlap(a, b), surface_distance(a, b, spacing)
            yield LabelledRow(
                record.subject,
                record.view,
                record.phase or _frame(record, t),
                record.vendor,
                record.centre,
                record.group,
                name.upper(),
                *found_overlap,
                f1=found_overlap.dice,
                hausdorff_mm=distance.hausdorff,
                hausdorff95_mm=distance.hausdorff95,
                hausdorff_voxels=surface_distance(a, b, (1.0, 1.0, 1.0)).hausdorff,
                mean_surface_distance_mm=distance.mean,
                volume_ml=float(a.sum() * voxel),
                true_volume_ml=float(b.sum() * voxel),
            )


def _frame(record: CaseRecord, t: int) -> str:
    return f"frame {t if record.frame is None else record.frame}"


def labelled_summary(results: Iterable[LabelledResult]) -> dict[str, object]:
    """Means over volumes, of each structure over all and by phase, view, vendor, centre and group, ready for JSON.

    A structure that was missed, or found where there is none, has infinite distances: it is counted as missed and left
    out of their means.
    """
    results = list(results)
    rows = [row for result in results for row in result.rows]
    tables = {ALL: [_table_row(rows, structure, ALL) for structure in _structures(rows)]}
    for by in BY:
        values = sorted({_value(row, by) for row in rows})
        if len(values) > 1:
            tables[by] = [
                _table_row([r for r in rows if _value(r, by) == value], structure, value)
                for value in values
                for structure in _structures(r for r in rows if _value(r, by) == value)
            ]
    return {
        "subjects": len({row.subject for row in rows}),
        "volumes": len({(row.subject, row.view, row.phase) for row in rows}),
        "mean_dice": float(np.mean([row.dice for row in rows])) if rows else None,
        "tables": tables,
        "ejection_fraction": _ejection_fractions(rows),
    }


def labelled_rows(results: Iterable[LabelledResult]) -> list[dict[str, object]]:
    """Every row, ready for CSV."""
    return [asdict(row) for result in results for row in result.rows]


def _structures(rows: Iterable[LabelledRow]) -> list[str]:
    found = {row.structure for row in rows}
    return [name.upper() for name in NAMES if name.upper() in found]


def _value(row: LabelledRow, by: str) -> str:
    value = str(getattr(row, by))
    return "other frames" if by == "phase" and value.startswith("frame") else value or "not stated"


def _table_row(rows: Sequence[LabelledRow], structure: str, value: str) -> dict[str, object]:
    own = [row for row in rows if row.structure == structure]
    finite = [row for row in own if np.isfinite(row.hausdorff_mm)]
    means = {name: float(np.mean([getattr(row, name) for row in own])) for name in OVERLAPS}
    means |= {name: float(np.mean([getattr(r, name) for r in finite])) if finite else None for name in DISTANCES}
    volumes = agreement([row.volume_ml for row in own], [row.true_volume_ml for row in own])
    worst = min(own, key=lambda row: row.dice)
    return {
        "value": value,
        "structure": structure,
        "volumes": len(own),
        "missed": len(own) - len(finite),
        **means,
        "worst_dice": worst.dice,
        "worst_subject": worst.subject,
        "volume_bias_ml": volumes.bias,
        "volume_sd_ml": volumes.sd,
    }


def _ejection_fractions(rows: Sequence[LabelledRow]) -> dict[str, object]:
    """Agreement of the ejection fraction, in points, of short-axis subjects with an ED and an ES."""
    found: dict[str, object] = {}
    for name in ("LV", "RV"):
        own = {(r.subject, r.phase): r for r in rows if r.structure == name and r.view == "sax"}
        pairs = [(own[s, "ED"], own[s, "ES"]) for s, phase in own if phase == "ED" and (s, "ES") in own]
        usable = [(ed, es) for ed, es in pairs if ed.volume_ml > 0 and ed.true_volume_ml > 0]
        if usable:
            measured, true = (
                [100 * (1 - getattr(es, field) / getattr(ed, field)) for ed, es in usable]
                for field in ("volume_ml", "true_volume_ml")
            )
            found[f"{name} EF"] = {"unit": "points"} | agreement(measured, true)._asdict()
    return found
