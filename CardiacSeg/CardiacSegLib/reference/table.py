"""Tables of normal ranges: CSV files, read and checked line by line (Docs/NormalRanges.md)."""

import csv
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.resources import resource_path
from CardiacLib.types.choices import PAPILLARY
from CardiacLib.types.measures.ranges import NormalRange, ReferenceRow
from CardiacSegLib.function.records import INDEXED
from CardiacSegLib.quality.marks import NEEDS

SHIPPED = "CineHeartNormalRanges.csv"
COLUMNS = ("measure", "unit", "sex", "age_from", "age_to", "lower", "upper", "mean", "sd", "papillary", "population",
           "source")  # fmt: skip
NEEDED = ("measure", "unit", "sex", "age_from", "age_to", "source")
MEASURES = (*NEEDS, *INDEXED.values())
"""Keys of ``Function.to_dict()`` that a range can be of."""
SEXES = {"male": "male", "m": "male", "female": "female", "f": "female"}
OLDEST = 120
QUANTILE = 1.96
"""Standard deviations between the mean of a normal distribution and its limits at 2.5 and 97.5 %."""
_UNITS = {
    "_ml_per_m2": "ml/m2", "_l_per_min_per_m2": "l/min/m2", "_g_per_m2": "g/m2", "_l_per_min": "l/min",
    "_ml_per_s": "ml/s", "_percent": "%", "_ml": "ml", "_g": "g", "_mm": "mm", "_ms": "ms",
}  # fmt: skip
"""By the end of a key, longer ones first."""


def unit_of(measure: str) -> str:
    """Unit of a measurement as tables write it; empty for a ratio."""
    return next((unit for end, unit in _UNITS.items() if measure.endswith(end)), "")


@cache
def shipped_reference_ranges() -> tuple[ReferenceRow, ...]:
    """The table that comes with CineHeart."""
    return read_reference_ranges(resource_path(SHIPPED))


def read_reference_ranges(path: Path) -> tuple[ReferenceRow, ...]:
    """The rows of a table.

    Columns are COLUMNS in any order, those of NEEDED must be there. Limits are ``lower`` and ``upper``, of which one
    may be empty, or ``mean`` and ``sd``: then mean -+ 1.96 sd.

    Raises:
        InputError: names the line, what is wrong there, and what to write.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: the table of normal ranges cannot be read ({error}); give a CSV file.") from error
    if lacking := [name for name in NEEDED if not lines or name not in lines[0]]:
        raise InputError(f"{path}: has no column or no line of {', '.join(lacking)}; columns are {', '.join(COLUMNS)}.")
    rows: dict[tuple[str, str], list[tuple[int, ReferenceRow]]] = {}
    for number, line in enumerate(lines, 2):
        try:
            row = _row({name: (line.get(name) or "").strip() for name in COLUMNS})
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
        others = rows.setdefault((row.measure, row.sex), [])
        for earlier, other in others:
            if _both_fit(row, other):
                raise InputError(
                    f"{path}: lines {earlier} and {number} both give {row.measure} of the same sex and age; keep one."
                )
        others.append((number, row))
    return tuple(row for group in rows.values() for _, row in group)


def _both_fit(one: ReferenceRow, other: ReferenceRow) -> bool:
    """Whether two rows of a measurement and sex could fit the same person and the same way of counting."""
    same_age = one.age_from <= other.age_to and other.age_from <= one.age_to
    return same_age and (one.papillary == other.papillary or "" in (one.papillary, other.papillary))


def _row(line: Mapping[str, str]) -> ReferenceRow:
    """One line; ValueError says what is wrong with it."""
    measure, sex = line["measure"], SEXES.get(line["sex"].lower())
    if measure not in MEASURES:
        raise ValueError(f"there is no measurement '{measure}'; measurements.json has their names.")
    if line["unit"] != unit_of(measure):
        raise ValueError(f"{measure} is in '{unit_of(measure)}', not in '{line['unit']}'; convert the limits.")
    if sex is None:
        raise ValueError(f"the sex '{line['sex']}' is neither male nor female.")
    first, last = _age(line["age_from"]), _age(line["age_to"])
    if first > last:
        raise ValueError(f"ages from {first} to {last}; write the younger first.")
    if line["papillary"] not in ("", *PAPILLARY):
        raise ValueError(f"papillary is '{line['papillary']}'; write {' or '.join(PAPILLARY)}, or leave it empty.")
    if not line["source"]:
        raise ValueError("there is no source; write where the limits were published.")
    return ReferenceRow(
        measure=measure,
        sex=sex,
        age_from=first,
        age_to=last,
        limits=_limits(line),
        papillary=line["papillary"],
        population=line["population"],
        source=line["source"],
    )


def _limits(line: Mapping[str, str]) -> NormalRange:
    lower, upper, mean, sd = (_number(name, line[name]) for name in ("lower", "upper", "mean", "sd"))
    given = [line[name] for name in ("lower", "upper") if line[name]] or [line["mean"], line["sd"]]
    digits = max(len(text.partition(".")[2]) for text in given)
    if lower is None and upper is None:
        if mean is None or sd is None or sd <= 0:
            raise ValueError("give lower and upper, or mean and a positive sd.")
        lower, upper = (round(mean + sign * QUANTILE * sd, digits) for sign in (-1, 1))
    if lower is not None and upper is not None and lower >= upper:
        raise ValueError(f"the lower limit {lower:g} is not below the upper limit {upper:g}.")
    return NormalRange(lower, upper, digits)


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} is '{text}'; write a number.")
    return value


def _age(text: str) -> int:
    if not text.isdecimal() or int(text) > OLDEST:
        raise ValueError(f"the age '{text}' is no whole number of years up to {OLDEST}.")
    return int(text)
