"""Measurements with their lights as rows of a file."""

from __future__ import annotations

from collections.abc import Mapping

from CardiacLib.types.measures.marks import Mark, Marks
from CardiacLib.types.measures.ranges import NormalRanges

MEASURES, VOLUMES = "measures.csv", "volumes.csv"
"""One row per measurement that has a value; one per ventricle and way of counting."""
OF_MEASURES = ("measurement", "value", "uncertainty", "light", "reason")
OF_RANGES = ("normal_lower", "normal_upper", "position")
"""Normal range of a measurement, and where it lies; empty where there is none."""
COLUMNS = (*OF_MEASURES, *OF_RANGES)
VOLUME_COLUMNS = ("ventricle", "source", "reported", "ed_ml", "es_ml", "ef_percent", "reason")


def measure_rows(
    values: Mapping[str, object], marks: Marks, ranges: NormalRanges | None = None
) -> list[dict[str, object]]:
    """The numbers among ``values`` that have a mark, ready for CSV, with their normal ranges."""
    ranges = ranges or NormalRanges()
    rows = []
    for key, mark in marks.items():
        value = values.get(key)
        if isinstance(value, (int, float)):
            row = measure_row(key, value, mark, digits=6 if "species" in values else 3)
            if (limits := ranges.limits.get(key)) is not None:
                row |= dict(zip(OF_RANGES, (limits.lower, limits.upper, limits.position(value)), strict=True))
            rows.append(row)
    return rows


def measure_row(key: str, value: float, mark: Mark, digits: int = 3) -> dict[str, object]:
    """One measurement; its unit is the end of its key. The volumes of animals need more digits."""
    sure = "" if mark.uncertainty is None else round(mark.uncertainty, digits)
    return dict(zip(OF_MEASURES, (key, round(value, digits), sure, mark.light, mark.reason), strict=True))


def weak_ones(values: Mapping[str, object], marks: Marks) -> dict[str, str]:
    """Reason by key of those that have a value and are weak."""
    return {key: mark.reason for key, mark in marks.items() if mark.weak and values.get(key) is not None}
