"""Look at every case of a data set: which do not fit, and which volumes look wrong."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.geometry import voxel_ml
from CardiacLib.progress import Progress, silent

from .read import LabelledCase, read_case
from .records import NAMES, UNKNOWN, CaseRecord, DataSet, Problem
from .subjects import phases_of_pair

POSSIBLE_ML = {"lv": (10.0, 600.0), "myo": (15.0, 500.0), "rv": (10.0, 700.0)}
"""Volumes of a human heart, from a small one at end-systole to a very large one."""
POSSIBLE_MM = {"pixels": (0.3, 4.0), "slices": (0.5, 30.0)}
FAR = 5.0
"""Robust standard deviations from the median of the set beyond which a volume is told."""
FEWEST = 10
"""Volumes of one structure and phase from which such a comparison is made."""


@dataclass(frozen=True)
class Measured:
    """What one case holds.

    Attributes:
        record: of the case, with its phase where the volumes tell it.
        volumes_ml: of the drawn structures, mean over the frames in which they are known; by the nominal voxel.
        slices, unknown_slices: of all frames.
    """

    record: CaseRecord
    volumes_ml: dict[str, float]
    slices: int
    unknown_slices: int


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        cases: that can be used.
        problems: fatal ones first.
    """

    cases: tuple[Measured, ...]
    problems: tuple[Problem, ...]


def check_cases(found: DataSet, progress: Progress = silent) -> CheckReport:
    """Read every case.

    Args:
        found: the data set.
        progress: called for each case.

    Returns:
        Usable cases with their volumes, and problems: files that cannot be read or do not fit each other (fatal);
        empty labels, odd sizes, volumes beyond :data:`POSSIBLE_ML` or far from the others, an ED smaller than its ES,
        the same image under two subjects (to be looked at).
    """
    cases: list[Measured] = []
    problems = list(found.problems)
    digests: dict[str, CaseRecord] = {}
    for done, record in enumerate(found.cases):
        progress(done / len(found.cases), f"reading {record.name}")
        try:
            case = read_case(record)
        except InputError as error:
            problems.append(Problem(record.name, str(error)))
            continue
        measured = _measured(case)
        cases.append(measured)
        problems += [Problem(record.name, reason, fatal=False) for reason in _oddities(case, measured)]
        twin = digests.setdefault(hashlib.sha256(case.cine.frames.tobytes()).hexdigest(), record)
        if twin.subject != record.subject:
            problems.append(Problem(record.name, f"its image is also that of {twin.subject}.", fatal=False))
    cases = _with_phases(cases)
    problems += _between(cases)
    progress(1.0, "checked")
    return CheckReport(tuple(cases), tuple(sorted(problems, key=lambda problem: not problem.fatal)))


def _measured(case: LabelledCase) -> Measured:
    known, voxel = case.known, voxel_ml(case.cine.ijk_to_lps)
    frames = max(int(known.any(1).sum()), 1)
    volumes = {name: float((case.labels == NAMES[name]).sum() * voxel / frames) for name in case.record.structures}
    return Measured(case.record, volumes, known.size, int((~known).sum()))


def _oddities(case: LabelledCase, measured: Measured) -> list[str]:
    """Sentences about what looks wrong in one case."""
    found = []
    spacing = case.cine.spacing
    for what, value in (("pixels", float(spacing[:2].max())), ("slices", float(spacing[2]))):
        low, high = POSSIBLE_MM[what]
        if not low <= value <= high and not (what == "slices" and case.cine.n_slices == 1):
            found.append(f"its {what} are {value:.2f} mm apart, not {low:g} to {high:g}.")
    if float(np.ptp(case.cine.frames)) == 0.0:
        found.append("its image has one value everywhere.")
    labels = case.labels[case.labels != UNKNOWN]
    if not labels.size:
        found.append("no slice of it was labelled.")
    elif not labels.any():
        found.append("its labels are empty.")
    # A file that gives no voxel size, or few slices of a heart, give no volume of one.
    several = case.record.view == "sax" and case.cine.n_slices > 3
    whole = several and case.cine.grid.sized and not measured.unknown_slices
    for name, volume in measured.volumes_ml.items() if whole and labels.any() else ():
        low, high = POSSIBLE_ML[name]
        if not low <= volume <= high:
            found.append(f"its {name.upper()} has {volume:.0f} ml, not {low:.0f} to {high:.0f}.")
    return found


def _with_phases(cases: list[Measured]) -> list[Measured]:
    volumes = [case.volumes_ml.get("lv", case.volumes_ml.get("rv", 0.0)) for case in cases]
    records = phases_of_pair([case.record for case in cases], volumes)
    return [replace(case, record=record) for case, record in zip(cases, records, strict=True)]


def _between(cases: Sequence[Measured]) -> list[Problem]:
    """What is seen only beside other cases."""
    problems = []
    counts = Counter((c.record.subject, c.record.view, c.record.phase, c.record.frame) for c in cases)
    for (subject, view, phase, _), count in counts.items():
        if count > 1 and phase:
            problems.append(Problem(subject, f"has {count} cases of {view} {phase}.", fatal=False))
    pools = {(c.record.subject, c.record.phase): c.volumes_ml for c in cases if c.record.view == "sax"}
    for (subject, phase), volumes in pools.items():
        other = pools.get((subject, "ES"), {})
        for name in ("lv", "rv") if phase == "ED" else ():
            if name in volumes and name in other and volumes[name] < other[name]:
                text = f"its {name.upper()} has {volumes[name]:.0f} ml at ED and {other[name]:.0f} ml at ES."
                problems.append(Problem(subject, text, fatal=False))
    return problems + _outliers(cases)


def _outliers(cases: Sequence[Measured]) -> list[Problem]:
    by_kind = defaultdict(list)
    for case in cases:
        for name, volume in case.volumes_ml.items():
            if volume > 0:
                by_kind[name, case.record.view, case.record.phase].append((volume, case.record))
    problems = []
    for (name, _, _), values in by_kind.items():
        logs = np.log([volume for volume, _ in values])
        spread = 1.4826 * float(np.median(np.abs(logs - np.median(logs))))
        for log, (volume, record) in zip(logs, values, strict=True) if len(values) >= FEWEST and spread else ():
            if abs(log - np.median(logs)) > FAR * spread:
                middle = np.exp(np.median(logs))
                text = f"its {name.upper()} has {volume:.0f} ml, the median of the set is {middle:.0f}."
                problems.append(Problem(record.name, text, fatal=False))
    return problems
