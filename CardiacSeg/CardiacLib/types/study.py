"""The Study: the cines of one examination."""

from dataclasses import dataclass

from .cine import Cine
from .patient import Patient
from .values import job_value


@job_value
@dataclass(frozen=True)
class Study:
    """The cines of one examination.

    Attributes:
        cines: view (sax, 2ch, 3ch, 4ch) -> Cine; sax is always there.
        left_out: what was found and not used, with the reason, one sentence each.
        notes: what was assumed, repaired or decided, one sentence each.
        patient: facts that the files gave.
        source: the path that was read.
    """

    cines: dict[str, Cine]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    patient: Patient = Patient()
    source: str = ""
