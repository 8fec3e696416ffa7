"""What files say of the patient."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from .values import job_value


@job_value
@dataclass(frozen=True)
class Patient:
    """Facts of the patient; None where the files do not give them.

    Attributes:
        name, id, sex, age: as DICOM writes them; an age may be a number of years too.
        height_m, weight_kg: of the body.
        heart_rate_bpm: while the images were taken.
    """

    name: str | None = None
    id: str | None = None
    sex: str | None = None
    age: str | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    heart_rate_bpm: float | None = None

    @property
    def age_years(self) -> int | None:
        """Completed years of ``age``, which DICOM writes as ``055Y``, ``018M``, ``003W``, ``010D``; None if unknown."""
        match = re.fullmatch(r"\s*(\d{1,3})(?:\.0+)?\s*([YMWD]?)\s*", self.age or "", re.IGNORECASE)
        if match is None:
            return None
        number, unit = match.groups()
        return int(number) // {"M": 12, "W": 52, "D": 365}.get(unit.upper(), 1)

    def known(self) -> dict[str, str | float]:
        """The facts that are known, in the order above: for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def completed_by(self, other: "Patient") -> "Patient":
        """These facts, and the other's where this says nothing."""
        facts: dict[str, Any] = other.known() | self.known()
        return Patient(**facts)
