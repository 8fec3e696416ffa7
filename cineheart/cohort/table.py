"""``cohort.csv`` and ``cohort.parquet``: one row for every study."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from CardiacLib.files import atomic_file

FIRST = ("study", "status", "reason", "patient")
LAST = ("weak", "notes", "seconds", "network", "cineheart")


def columns_of(rows: Sequence[dict[str, object]]) -> list[str]:
    """All columns of all rows: what is asked for first, times and provenance last."""
    every = list(dict.fromkeys(key for row in rows for key in row))
    middle = [key for key in every if key not in FIRST + LAST and not key.startswith(("seconds_", "network_"))]
    late = [key for key in every if key.startswith(("seconds_", "network_"))]
    return [key for key in (*FIRST, *middle, *LAST, *late) if key in every]


def write_table(rows: Sequence[dict[str, object]], folder: Path) -> None:
    """Write the table as CSV, and as Parquet where pyarrow is installed."""
    columns = columns_of(rows)
    with atomic_file(folder / "cohort.csv") as work, open(work, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return
    with atomic_file(folder / "cohort.parquet") as work:
        parquet.write_table(pyarrow.table({name: pyarrow.array(_cells(rows, name)) for name in columns}), work)


def number(row: dict[str, object], name: str) -> float | None:
    """A finite number of a row; None where there is none."""
    value = row.get(name)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _cells(rows: Sequence[dict[str, object]], name: str) -> list[object]:
    """One column: numbers where all are, else texts; None where a row has nothing."""
    values = [None if row.get(name) in (None, "") else row[name] for row in rows]
    of_numbers = all(value is None or isinstance(value, (int, float)) for value in values)
    return [value if value is None else float(value) if of_numbers else str(value) for value in values]
