"""The table of volumes: what is reported of a ventricle, and what other ways of counting give, with the reason."""

from dataclasses import dataclass, replace

from CardiacLib.types.values import job_value

LEFT, RIGHT = "LV", "RV"
SMALL_ML = 2.0
"""A ventricle that holds less is an animal's."""


@job_value
@dataclass(frozen=True, kw_only=True)
class VolumeRow:
    """One ventricle at end-diastole and end-systole, counted in one way.

    Attributes:
        source: the way of counting, in words.
        ventricle: LEFT or RIGHT.
        ed_ml, es_ml: None where this way gives none.
        reason: what is counted, or why it differs from what is reported; one or more sentences.
        reported: this is the one that every page, table and file gives; one row of each ventricle.
    """

    source: str
    ventricle: str
    ed_ml: float | None
    es_ml: float | None
    reason: str
    reported: bool = False

    @property
    def ef_percent(self) -> float | None:
        """Ejection fraction; None where a volume is missing."""
        if not self.ed_ml or self.es_ml is None:
            return None
        return 100.0 * (self.ed_ml - self.es_ml) / self.ed_ml

    def because(self, more: str) -> "VolumeRow":
        """The same with more sentences of reason."""
        return replace(self, reason=f"{self.reason} {more}".strip())

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON and CSV; numbers rounded to hundredths, volumes of a small heart to 0.01 ul."""
        largest = max((abs(ml) for ml in (self.ed_ml, self.es_ml) if ml is not None), default=0.0)
        digits = 2 if largest >= SMALL_ML else 5
        rounded = {
            name: None if value is None else round(float(value), places)
            for name, value, places in (
                ("ed_ml", self.ed_ml, digits),
                ("es_ml", self.es_ml, digits),
                ("ef_percent", self.ef_percent, 2),
            )
        }
        told = {"ventricle": self.ventricle, "source": self.source, "reported": self.reported}
        return told | rounded | {"reason": self.reason}
