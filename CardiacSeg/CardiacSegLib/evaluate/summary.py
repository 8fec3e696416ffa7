"""What an evaluation says over patients: per structure, phase and disease group, and for the clinical numbers."""

import numpy as np

from CardiacLib.metrics import agreement
from CardiacLib.types.segmentation import STRUCTURES
from CardiacSegLib.function.volumes import MYOCARDIAL_DENSITY_G_PER_ML

from .evaluation import PHASES, Case, Row

ALL = "all"
"""Stands for every patient where a disease group would stand."""
OVERLAPS = ("dice", "jaccard", "precision", "recall")
DISTANCES = ("hausdorff_mm", "hausdorff95_mm", "mean_surface_distance_mm")
UNITS = {
    "LV EDV": "ml",
    "LV ESV": "ml",
    "LV SV": "ml",
    "LV EF": "points",
    "LV mass": "g",
    "RV EDV": "ml",
    "RV ESV": "ml",
    "RV SV": "ml",
    "RV EF": "points",
}
"""Measurements compared with the experts'. ED and ES are the experts' frames; LV mass is at ED, EF in percent."""


def summary(cases: list[Case]) -> dict[str, object]:
    """Means, spread and worst values of every metric, and agreement of every measurement, ready for JSON."""
    rows = [row for case in cases for row in case.rows]
    groups = sorted({case.patient.group for case in cases})
    table = [
        _table_row(chosen, structure, phase, group)
        for group in (ALL, *groups)
        for structure in STRUCTURES
        for phase in PHASES
        if (chosen := _choose(rows, structure, phase, group))
    ]
    return {
        "patients": len(cases),
        "groups": {group: sum(case.patient.group == group for case in cases) for group in groups},
        "mean_dice": float(np.mean([row.dice for row in rows])),
        "mean_hausdorff_mm": _statistics(rows, "hausdorff_mm")["mean"],
        "table": table,
        "measurements": measurement_agreement(cases),
    }


def _choose(rows: list[Row], structure: str, phase: str, group: str) -> list[Row]:
    return [r for r in rows if (r.structure, r.phase) == (structure, phase) and group in (ALL, r.group)]


def _table_row(rows: list[Row], structure: str, phase: str, group: str) -> dict[str, object]:
    missed = sum(not np.isfinite(row.hausdorff_mm) for row in rows)
    row = {"structure": structure, "phase": phase, "group": group, "patients": len(rows), "missed": missed}
    return row | {metric: _statistics(rows, metric) for metric in (*OVERLAPS, *DISTANCES)}


def _statistics(rows: list[Row], metric: str) -> dict[str, object]:
    """Mean, SD (n - 1), worst value and whose it is, over the rows where the metric is finite.

    Distances are infinite where a structure was missed or invented; ``missed`` counts those. None where no value is.
    """
    found = [row for row in rows if np.isfinite(getattr(row, metric))]
    if not found:
        return {"mean": None, "sd": None, "worst": None, "worst_patient": None}
    values = np.array([getattr(row, metric) for row in found])
    worst = int(np.argmax(values) if metric in DISTANCES else np.argmin(values))
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if values.size > 1 else None,
        "worst": float(values[worst]),
        "worst_patient": found[worst].patient,
    }


def measurement_rows(cases: list[Case]) -> list[dict[str, object]]:
    """One row per patient with every measurement, found and true, ready for CSV; None where EF cannot be had."""
    rows = []
    for case in cases:
        found, true = (_measurements(case, field) for field in ("volume_ml", "true_volume_ml"))
        row = {"patient": case.patient.name, "group": case.patient.group}
        for name in UNITS:
            row |= {name: found[name], f"true {name}": true[name]}
        rows.append(row)
    return rows


def _measurements(case: Case, field: str) -> dict[str, float | None]:
    volume = {(row.structure, row.phase): getattr(row, field) for row in case.rows}
    values = {"LV mass": volume["MYO", "ED"] * MYOCARDIAL_DENSITY_G_PER_ML}
    for name in ("LV", "RV"):
        edv, esv = volume[name, "ED"], volume[name, "ES"]
        fraction = 100.0 * (edv - esv) / edv if edv > 0 else None
        values |= {f"{name} EDV": edv, f"{name} ESV": esv, f"{name} SV": edv - esv, f"{name} EF": fraction}
    return values


def measurement_agreement(cases: list[Case]) -> dict[str, dict[str, object]]:
    """For each measurement its unit and, over the patients that have it, correlation, bias and limits of agreement."""
    rows = measurement_rows(cases)
    found = {}
    for name, unit in UNITS.items():
        pairs = [(row[name], row[f"true {name}"]) for row in rows if row[name] is not None]
        pairs = [pair for pair in pairs if pair[1] is not None]
        if pairs:
            found[name] = {"unit": unit} | agreement(*zip(*pairs, strict=True))._asdict()
    return found
