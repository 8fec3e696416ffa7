"""One labelled case of any data set: what every training and evaluation takes."""

from dataclasses import dataclass
from pathlib import Path

from CardiacLib.types.labels import LV, MYO, RV

UNKNOWN = 255
"""Label of pixels that nobody looked at: they are neither a structure nor background."""
NAMES = {"lv": LV, "myo": MYO, "rv": RV}
"""Structures that a data set may draw, by the name that manifests give them."""
ALL_STRUCTURES = tuple(NAMES)
PHASES = ("ED", "ES")
TRAINING, VALIDATION, TEST = "training", "validation", "test"
SPLITS = {
    "train": TRAINING, "training": TRAINING, "tr": TRAINING,
    "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "dev": VALIDATION,
    "test": TEST, "testing": TEST, "external": TEST, "ts": TEST,
}  # fmt: skip
"""What data sets call the three splits."""


@dataclass(frozen=True)
class CaseRecord:
    """One labelled image file, or one frame of it; nothing is read yet.

    Attributes:
        subject: who it is of; a subject is never in two splits.
        image: file of the image, 3-D or 4-D; or an NPZ of slices.
        label: file of the labels; the NPZ again; None where the case has none.
        phase: ED, ES, or empty where the data set does not say.
        frame: of a 4-D file, from 0; None: the file's only frame, or all of them.
        rows: of an NPZ, first slice and the one after the last; None for all other files.
        view: as of :data:`CardiacLib.types.cine.VIEWS`.
        vendor, centre, group: scanner's maker, hospital and diagnosis, as the data set calls them; empty if unknown.
        split: training, validation, test, or empty.
        fold: that the data set puts the subject in; None where it states none.
        structures: those that are drawn, of :data:`ALL_STRUCTURES`; all else is unknown, not background.
        order: of the label values, as of :func:`CardiacLib.types.label_order.in_order`.
        uncertain_mm: pixels no farther from a drawn border, within their slice, are unknown: for contours of another
            convention, which tell where a structure is but not where it ends.
        spacing_known: whether the image states its real pixel size; else distances and volumes are nominal.
    """

    subject: str
    image: Path
    label: Path | None
    phase: str = ""
    frame: int | None = None
    rows: tuple[int, int] | None = None
    view: str = "sax"
    vendor: str = ""
    centre: str = ""
    group: str = ""
    split: str = ""
    fold: int | None = None
    structures: tuple[str, ...] = ALL_STRUCTURES
    order: str = "auto"
    uncertain_mm: float = 0.0
    spacing_known: bool = True

    @property
    def name(self) -> str:
        """Subject, view where it is none of the short axis, and phase or frame, for messages."""
        frame = f"frame {self.frame + 1}" if self.frame is not None and not self.phase else ""
        return " ".join(filter(None, (self.subject, "" if self.view == "sax" else self.view, self.phase, frame)))

    @property
    def complete(self) -> bool:
        """Whether every structure is drawn."""
        return set(self.structures) == set(ALL_STRUCTURES)


@dataclass(frozen=True)
class Problem:
    """A case that cannot be used, or only with care.

    Attributes:
        case: its name.
        reason: one sentence.
        fatal: it is left out.
    """

    case: str
    reason: str
    fatal: bool = True


@dataclass(frozen=True)
class DataSet:
    """Labelled cases that were found in one folder or file.

    Attributes:
        root: where.
        layout: in what form, as ``cineheart data check`` prints it.
        cases: in the order of subject, view and phase.
        problems: what did not fit.
        notes: what was assumed, one sentence each.
    """

    root: Path
    layout: str
    cases: tuple[CaseRecord, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """All subjects, sorted."""
        return tuple(sorted({case.subject for case in self.cases}))


def value_of(row: dict[str, str], *names: str) -> str:
    """What a row of a table says under the first of several column names, case and blanks ignored; empty if nothing."""
    plain = {_plain(key): (value or "").strip() for key, value in row.items() if key}
    return next((plain[_plain(name)] for name in names if plain.get(_plain(name))), "")


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
