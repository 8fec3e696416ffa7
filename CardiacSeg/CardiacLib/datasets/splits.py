"""Which subjects are trained on and which are held out."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from CardiacLib.errors import InputError

from .find import find_cases
from .layouts.nnunet import read_document
from .layouts.tables import read_table
from .records import SPLITS, TEST, TRAINING, VALIDATION, CaseRecord, DataSet, value_of

FOLDS = 5
SEED = 20261126
"""Of the order in which subjects of a group are dealt to folds."""


@dataclass(frozen=True)
class CaseChoice:
    """How labelled cases are read and split; the first that applies decides.

    1. ``hold_out``: cases of these vendors (or centres) are held out.
    2. ``split_file``: what it says.
    3. What the data set states: its splits, where it holds out any subject; else its folds.
    4. Folds of subjects, the diagnoses (or else vendors) spread evenly over them.

    Attributes:
        order: of the label values.
        fold: which fold is held out.
        folds: how many there are where the data set states none.
        split_file: CSV with columns subject and split, or JSON of lists of subjects by split.
        hold_out: vendors or centres, separated by commas.
        view: only cases of this view; None: all.
    """

    order: str = "auto"
    fold: int = 0
    folds: int = FOLDS
    split_file: str | None = None
    hold_out: str | None = None
    view: str | None = None


@dataclass(frozen=True)
class SplitCases:
    """Cases to train on, and held-out ones to validate on; test cases are in neither.

    Attributes:
        training, validation: disjoint in subjects.
        how: one sentence that says how they were told apart.
        found: all that was found.
    """

    training: tuple[CaseRecord, ...]
    validation: tuple[CaseRecord, ...]
    how: str
    found: DataSet

    @property
    def told(self) -> str:
        """One sentence for the user."""
        return f"Trained on {_count(self.training)}, held out {_count(self.validation)}: {self.how}."

    @property
    def stated(self) -> tuple[CaseRecord, ...]:
        """All cases of both, each with its split."""
        training = (replace(case, split=TRAINING) for case in self.training)
        return (*training, *(replace(case, split=VALIDATION) for case in self.validation))


def open_cases(path: str | Path, choice: CaseChoice = CaseChoice()) -> SplitCases:
    """Find the labelled cases of a folder and split them.

    Raises:
        InputError: there are none, none of the chosen view, none to train on, or a subject is in two splits.
    """
    found = find_cases(path, choice.order)
    cases = [case for case in found.cases if choice.view in (None, case.view)]
    if not cases:
        views = ", ".join(sorted({case.view for case in found.cases}))
        raise InputError(f"{path}: has no cases of the view {choice.view}, only of {views}.")
    splits, how = split_of(cases, choice)
    parts = {name: tuple(c for c in cases if splits.get(c.subject) == name) for name in (TRAINING, VALIDATION)}
    if not parts[TRAINING]:
        raise InputError(f"{path}: no case is left to train on ({how}).")
    return SplitCases(parts[TRAINING], parts[VALIDATION], how, found)


def split_of(cases: Sequence[CaseRecord], choice: CaseChoice) -> tuple[dict[str, str], str]:
    """Subject to training, validation or test, and how that was told.

    Raises:
        InputError: a subject is in two splits, or the choice names nothing that there is.
    """
    if choice.hold_out:
        return _without(cases, choice.hold_out)
    if choice.split_file:
        return _from_file(cases, Path(choice.split_file))
    stated = _stated(cases)
    if VALIDATION in stated.values():
        return stated, "as the data set states"
    rest = [case for case in cases if stated.get(case.subject) != TEST]
    tests = {subject: TEST for subject, split in stated.items() if split == TEST}
    if not rest:
        return tests, "as the data set states"
    folds = {case.subject: case.fold for case in rest if case.fold is not None}
    if folds and all(case.subject in folds for case in rest):
        how = f"fold {choice.fold} of the data set is held out"
    else:
        folds, how = stratified_folds(rest, choice.folds), f"fold {choice.fold} of {choice.folds} is held out"
    held_out = {s: VALIDATION if fold == choice.fold else TRAINING for s, fold in folds.items()}
    return held_out | tests, how


def stratified_folds(cases: Iterable[CaseRecord], folds: int = FOLDS) -> dict[str, int]:
    """Subject to fold: the subjects of every diagnosis (or vendor, where none is stated) spread evenly over the folds.

    The same for the same subjects, in whatever order they come.

    Raises:
        InputError: there are fewer subjects than folds.
    """
    groups = {case.subject: case.group or case.vendor for case in cases}
    if len(groups) < folds or folds < 2:
        raise InputError(f"{len(groups)} subjects cannot be split into {folds} folds; give --folds or a split file.")
    by_group = defaultdict(list)
    for subject in sorted(groups):
        by_group[groups[subject]].append(subject)
    dealt = []
    for group in sorted(by_group):
        random.Random(f"{SEED}{group}").shuffle(by_group[group])
        dealt += by_group[group]
    return {subject: place % folds for place, subject in enumerate(dealt)}


def domain_of(case: CaseRecord) -> str:
    """Vendor of a case, or centre where that is unknown; empty if both are."""
    return case.vendor or case.centre


def _count(cases: Sequence[CaseRecord]) -> str:
    subjects = len({case.subject for case in cases})
    return f"{len(cases)} cases of {subjects} subject{'' if subjects == 1 else 's'}"


def _without(cases: Sequence[CaseRecord], names: str) -> tuple[dict[str, str], str]:
    chosen = {name.strip().lower() for name in names.split(",") if name.strip()}
    known = {name.lower() for case in cases for name in (case.vendor, case.centre) if name}
    if unknown := sorted(chosen - known):
        raise InputError(f"No case is of '{unknown[0]}'; there are {', '.join(sorted(known)) or 'no vendors'}.")
    held = {case.subject for case in cases if chosen & {case.vendor.lower(), case.centre.lower()}}
    return {c.subject: VALIDATION if c.subject in held else TRAINING for c in cases}, f"{names} is held out"


def _stated(cases: Sequence[CaseRecord]) -> dict[str, str]:
    found: dict[str, str] = {}
    for case in cases:
        if case.split and found.setdefault(case.subject, case.split) != case.split:
            raise InputError(f"{case.subject}: is in {found[case.subject]} and in {case.split}; give it one split.")
    return {case.subject: found.get(case.subject, TRAINING) for case in cases}


def _from_file(cases: Sequence[CaseRecord], path: Path) -> tuple[dict[str, str], str]:
    if path.suffix.lower() == ".json":
        document = read_document(path)
        pairs = [(str(s), key) for key, listed in document.items() if isinstance(listed, list) for s in listed]
    else:
        pairs = [(value_of(row, "subject", "patient"), value_of(row, "split", "use")) for row in read_table(path)]
    known = {case.subject for case in cases}
    found: dict[str, str] = {}
    for subject, name in pairs:
        split = SPLITS.get(name.lower(), "")
        if not split:
            raise InputError(f"{path}: '{name}' is no split; use training, validation or test.")
        if found.setdefault(subject, split) != split:
            raise InputError(f"{path}: {subject} is in {found[subject]} and in {split}.")
    if not known & set(found):
        raise InputError(f"{path}: names none of the subjects, such as {min(known)}.")
    return {s: split for s, split in found.items() if s in known}, f"as {path.name} says"
