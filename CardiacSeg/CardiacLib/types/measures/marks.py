"""How far one measurement can be trusted: a light, the reason for it, and an uncertainty where one is known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from CardiacLib.types.values import job_value

GREEN, AMBER, RED = LIGHTS = ("green", "amber", "red")
"""Best first: nothing to check; check before use; do not use before it is mended."""


@job_value
@dataclass(frozen=True)
class Mark:
    """What stands beside a measurement.

    Attributes:
        light: one of LIGHTS; everything but green is weak, and shown so.
        reasons: of a weak one, one sentence each.
        uncertainty: one standard deviation in the unit of the measurement; None where nothing is known of it.
    """

    light: str = GREEN
    reasons: tuple[str, ...] = ()
    uncertainty: float | None = None

    @property
    def weak(self) -> bool:
        """Not to be used without a look."""
        return self.light != GREEN

    @property
    def reason(self) -> str:
        """The reasons as one text; empty where there is none."""
        return " ".join(self.reasons)

    def times(self, factor: float) -> "Mark":
        """The mark of the measurement times ``factor``, as in another unit."""
        return self if self.uncertainty is None else replace(self, uncertainty=factor * self.uncertainty)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        known = None if self.uncertainty is None else round(self.uncertainty, 3 if self.uncertainty >= 0.01 else 6)
        return {"light": self.light, "reason": self.reason, "uncertainty": known}


Marks = Mapping[str, Mark]
"""By the key of the measurement."""


def worst(marks: Iterable[Mark]) -> Mark:
    """The worst light of some marks with the reasons of all weak ones, each once; without uncertainty."""
    weak = [mark for mark in marks if mark.weak]
    ordered = sorted(weak, key=lambda mark: -LIGHTS.index(mark.light))
    reasons = dict.fromkeys(reason for mark in ordered for reason in mark.reasons)
    return Mark(ordered[0].light if ordered else GREEN, tuple(reasons))


def plain_marks(marks: Marks) -> dict[str, dict[str, object]]:
    """Ready for JSON."""
    return {key: mark.to_dict() for key, mark in marks.items()}
