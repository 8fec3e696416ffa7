"""Measurements with their lights as rows of a file."""

from __future__ import annotations

from collections.abc import Mapping

from CardiacLib.types.measures.marks import Mark, Marks

MEASURES, VOLUMES = "measures.csv", "volumes.csv"
"""One row per measurement that has a value; one per ventricle and way of counting."""
COLUMNS = ("measurement", "value", "uncertainty", "light", "reason")
VOLUME_COLUMNS = ("ventricle", "source", "reported", "ed_ml", "es_ml", "ef_percent", "reason")


def measure_rows(values: Mapping[str, object], marks: Marks) -> list[dict[str, object]]:
    """The numbers among ``values`` that have a mark, ready for CSV."""
    rows = []
    for key, mark in marks.items():
        value = values.get(key)
        if isinstance(value, (int, float)):
            rows.append(measure_row(key, value, mark, digits=6 if "species" in values else 3))
    return rows


def measure_row(key: str, value: float, mark: Mark, digits: int = 3) -> dict[str, object]:
    """One measurement; its unit is the end of its key. The volumes of animals need more digits."""
    sure = "" if mark.uncertainty is None else round(mark.uncertainty, digits)
    return dict(zip(COLUMNS, (key, round(value, digits), sure, mark.light, mark.reason), strict=True))


def weak_ones(values: Mapping[str, object], marks: Marks) -> dict[str, str]:
    """Reason by key of those that have a value and are weak."""
    return {key: mark.reason for key, mark in marks.items() if mark.weak and values.get(key) is not None}
