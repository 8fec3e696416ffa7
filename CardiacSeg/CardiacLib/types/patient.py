"""What files say of the patient."""

from dataclasses import asdict, dataclass
from typing import Any

from .values import job_value


@job_value
@dataclass(frozen=True)
class Patient:
    """Facts of the patient; None where the files do not give them.

    Attributes:
        name, id, sex, age: as DICOM writes them.
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

    def known(self) -> dict[str, str | float]:
        """The facts that are known, in the order above: for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def completed_by(self, other: "Patient") -> "Patient":
        """These facts, and the other's where this says nothing."""
        facts: dict[str, Any] = other.known() | self.known()
        return Patient(**facts)
