"""Normal ranges: the limits between which measurements of healthy people lie, and where a measurement lies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from CardiacLib.types.values import job_value

BELOW, WITHIN, ABOVE = POSITIONS = ("below", "within", "above")


@job_value
@dataclass(frozen=True)
class NormalRange:
    """Limits of one measurement, in its unit; None where it has no such limit.

    Attributes:
        lower, upper: 2.5 and 97.5 % of healthy people.
        digits: decimals of the limits as they were published.
    """

    lower: float | None
    upper: float | None
    digits: int = 0

    def position(self, value: float) -> str:
        """One of POSITIONS, of the value as precise as the limits are; the limits themselves are within."""
        value = round(value, self.digits)
        if self.lower is not None and value < self.lower:
            return BELOW
        return ABOVE if self.upper is not None and value > self.upper else WITHIN

    def __str__(self) -> str:
        """For people: ``54 to 109``, ``at least 47``, ``at most 70``."""
        lower, upper = ("" if limit is None else f"{limit:.{self.digits}f}" for limit in (self.lower, self.upper))
        return f"{lower} to {upper}" if lower and upper else f"at least {lower}" if lower else f"at most {upper}"


@job_value
@dataclass(frozen=True, kw_only=True)
class ReferenceRow:
    """One line of a table of normal ranges.

    Attributes:
        measure: key of ``Function.to_dict()``.
        sex: ``male`` or ``female``.
        age_from, age_to: first and last age in completed years.
        limits: of the measurement.
        papillary: one of ``choices.PAPILLARY``, where the table counts the papillary muscles; empty where that does
            not matter.
        population: who was measured, in words.
        source: where it was published.
    """

    measure: str
    sex: str
    age_from: int
    age_to: int
    limits: NormalRange
    papillary: str = ""
    population: str = ""
    source: str


@job_value
@dataclass(frozen=True, kw_only=True)
class NormalRanges:
    """The ranges that fit one person.

    Attributes:
        limits: by key of ``Function.to_dict()``; empty where none fits.
        group: of whom they are, in words.
        sources: where they were published.
        problem: one sentence why there is none; empty where there are some.
    """

    limits: Mapping[str, NormalRange] = field(default_factory=dict)
    group: str = ""
    sources: tuple[str, ...] = ()
    problem: str = ""

    def position(self, key: str, value: object) -> str:
        """One of POSITIONS; empty where there is no range or no value."""
        return self.limits[key].position(value) if key in self.limits and isinstance(value, int | float) else ""

    def to_dict(self, values: Mapping[str, object]) -> dict[str, object]:
        """Ready for JSON, with the position of each of ``values``."""
        shown = {
            key: {"lower": limits.lower, "upper": limits.upper, "position": self.position(key, values.get(key)) or None}
            for key, limits in self.limits.items()
        }
        return {"group": self.group, "sources": list(self.sources), "problem": self.problem, "ranges": shown}
