"""Folders of the M&Ms (2020) and M&Ms-2 (2021) challenges with their tables; labels 1 LV, 2 myocardium, 3 RV.

M&Ms (Campello et al., IEEE TMI 2021, doi 10.1109/TMI.2021.3090082): one folder per subject anywhere below the root with
``CODE_sa.nii.gz`` and ``CODE_sa_gt.nii.gz`` of all frames, of which the table's columns ED and ES, from 0, are drawn.

M&Ms-2 (Martin-Isla et al., IEEE JBHI 2023, doi 10.1109/JBHI.2023.3267857): ``NNN/NNN_SA_ED.nii.gz`` with
``NNN_SA_ED_gt.nii.gz``, the same of ES and, in four-chamber view, of LA.
"""

import re
from pathlib import Path

from CardiacLib.datasets.records import SPLITS, CaseRecord, Problem, value_of

from .tables import read_table

MNMS2_FILE = re.compile(r"(?P<code>.+)_(?P<axis>SA|LA)_(?P<phase>ED|ES)\.nii(\.gz)?$", re.IGNORECASE)
MNMS_FILE = re.compile(r"(?P<code>.+)_sa\.nii(\.gz)?$", re.IGNORECASE)
VIEWS = {"SA": "sax", "LA": "4ch"}
ORDER = "lv,myo,rv"


def mnms_cases(root: Path) -> tuple[list[CaseRecord], list[Problem], str]:
    """Cases of an M&Ms folder, problems, and what the table was.

    Raises:
        InputError: the table cannot be read.
    """
    table, rows = _table(root, ("External code", "SUBJECT_CODE"))
    cases, problems = [], []
    for image in sorted(path for path in root.rglob("*_sa.nii*") if MNMS_FILE.match(path.name)):
        code = _code(MNMS_FILE, image)
        label, row = _beside(image), rows.get(code.lower())
        if row is None:
            problems.append(Problem(code, f"{image.name}: the table {table} has no row for it."))
            continue
        frames = {phase: value_of(row, phase) for phase in ("ED", "ES")}
        if not label.is_file():
            problems.append(Problem(code, f"{label.name} is missing."))
        elif not all(frame.isdigit() for frame in frames.values()):
            problems.append(Problem(code, f"{table} states no frame of ED and ES for it."))
        else:
            cases += [_record(code, image, phase, row, int(frame)) for phase, frame in frames.items()]
    return cases, problems, table


def mnms2_cases(root: Path) -> tuple[list[CaseRecord], list[Problem], str]:
    """Cases of an M&Ms-2 folder, problems, and what the table was; without a table no vendor is known."""
    table, rows = _table(root, ("SUBJECT_CODE", "External code"))
    cases, problems = [], []
    for image in sorted(path for path in root.rglob("*.nii*") if MNMS2_FILE.match(path.name)):
        found = MNMS2_FILE.match(image.name)
        assert found is not None
        code, phase = found["code"], found["phase"].upper()
        if not _beside(image).is_file():
            problems.append(Problem(f"{code} {found['axis']} {phase}", f"{_beside(image).name} is missing."))
            continue
        row = rows.get(code.lower(), rows.get(code.lstrip("0").lower(), {}))
        cases.append(_record(code, image, phase, row, None, VIEWS[found["axis"].upper()]))
    return cases, problems, table


def _record(
    code: str, image: Path, phase: str, row: dict[str, str], frame: int | None, view: str = "sax"
) -> CaseRecord:
    return CaseRecord(
        subject=code,
        image=image,
        label=_beside(image),
        phase=phase,
        frame=frame,
        view=view,
        vendor=value_of(row, "VendorName", "Vendor"),
        centre=value_of(row, "Centre", "Center"),
        group=value_of(row, "Pathology", "Disease"),
        split=next((SPLITS[part.lower()] for part in image.parts[::-1] if part.lower() in SPLITS), ""),
        order=ORDER,
    )


def _beside(image: Path) -> Path:
    stem, _, suffix = image.name.partition(".")
    return image.with_name(f"{stem}_gt.{suffix}")


def _code(pattern: re.Pattern[str], image: Path) -> str:
    found = pattern.match(image.name)
    assert found is not None
    return found["code"]


def _table(root: Path, codes: tuple[str, ...]) -> tuple[str, dict[str, dict[str, str]]]:
    """Name of the first table at or above the root that has a column of codes, and its rows by code in lower case."""
    for folder in (root, root.parent):
        for path in sorted(folder.glob("*.csv")):
            rows = read_table(path)
            by_code = {value_of(row, *codes).lower(): row for row in rows if value_of(row, *codes)}
            if by_code:
                return path.name, by_code
    return "", {}
