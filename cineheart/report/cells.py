"""A number on the page: its text, what it is uncertain by, and whether it is shown as weak."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from CardiacLib.types.measures.marks import Mark
from CardiacLib.types.measures.ranges import NormalRanges

NOTHING = "-"


@dataclass(frozen=True)
class Cell:
    """One value.

    Attributes:
        text: with its unit where the table has no column for it; ``-`` where there is none.
        sure: plus or minus how much, in words; empty where nothing is known of it.
        light, reasons: as of :class:`~CardiacLib.types.measures.marks.Mark`.
        normal: the normal range, in words; empty where there is none.
        position: ``below``, ``within`` or ``above`` it.
    """

    text: str
    sure: str = ""
    light: str = "green"
    reasons: tuple[str, ...] = ()
    normal: str = ""
    position: str = ""

    @property
    def weak(self) -> bool:
        return self.light != "green"

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Row:
    """A measurement, of one ventricle or both: name, cells, unit."""

    name: str
    cells: tuple[Cell, ...]
    unit: str = ""


def cell(value: float | None, mark: Mark | None = None, form: str = "{:.0f}") -> Cell:
    """A value with its mark; ``form`` as for ``str.format``, its digits are those of the uncertainty too."""
    if value is None:
        return Cell(NOTHING)
    mark = mark or Mark()
    digits = form.partition(":")[2].partition("}")[0] or ".0f"
    sure = "" if mark.uncertainty is None else f"\N{PLUS-MINUS SIGN} {mark.uncertainty:{digits}}"
    return Cell(form.format(value), sure, mark.light, mark.reasons)


def with_range(shown: Cell, key: str, value: object, ranges: NormalRanges) -> Cell:
    """The cell of a measurement with its normal range, if there is one."""
    position = ranges.position(key, value)
    return replace(shown, normal=str(ranges.limits[key]), position=position) if position else shown


def reasons(rows: Iterable[Row]) -> list[tuple[str, str, str]]:
    """Light, names and sentence of the weak cells: one entry for each sentence, red ones first."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for side, shown in zip(("LV", "RV"), row.cells, strict=False):
            for reason in shown.reasons if shown.weak else ():
                one_sided = len(row.cells) == 1 or not row.cells[1].text
                name = row.name if one_sided else f"{side} {row.name[0].lower()}{row.name[1:]}"
                grouped.setdefault((shown.light, reason), []).append(name)
    ordered = sorted(grouped.items(), key=lambda item: item[0][0] != "red")
    return [(light, ", ".join(names), reason) for (light, reason), names in ordered]
