"""CSV manifests: a row for every labelled image, written by ``cineheart data check`` and read by everything.

Columns are :data:`COLUMNS`, of which only ``image`` is needed; frames are counted from 0. Other tables are read by the
column names that others use for the same (``file``, ``classes``, ``set``, ``use``, ``site``, ``disease``, ...); paths
are relative to the manifest.
"""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from CardiacLib.datasets.records import ALL_STRUCTURES, NAMES, PHASES, SPLITS, CaseRecord, Problem, value_of
from CardiacLib.errors import InputError

from .tables import read_table

COLUMNS = (
    "subject", "image", "label", "phase", "frame", "rows", "view", "vendor", "centre", "group", "split", "fold",
    "structures", "order", "uncertain_mm", "spacing_known",
)  # fmt: skip
IMAGE = ("image", "file", "img", "volume")
SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".npz")
LABEL_ENDS = ("_gt", "_seg", "_label", "_labels", "_mask")
BY_VALUE = {str(value): name for name, value in NAMES.items()}


def is_manifest(path: Path) -> bool:
    """Whether a CSV table names images."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    try:
        return bool(value_of(read_table(path)[0], *IMAGE))
    except InputError:
        return False


def manifest_cases(path: Path, order: str) -> tuple[list[CaseRecord], list[Problem]]:
    """Cases of a manifest, and rows that do not fit.

    Args:
        path: of the table.
        order: of labels whose row names none.
    """
    cases, problems = [], []
    for number, row in enumerate(read_table(path), 2):
        try:
            cases.append(_record(path.parent, row, order))
        except InputError as error:
            problems.append(Problem(value_of(row, "subject", "patient") or f"line {number}", str(error)))
    return cases, problems


def _record(folder: Path, row: dict[str, str], order: str) -> CaseRecord:
    named = value_of(row, *IMAGE)
    if not named:
        raise InputError("the row names no image.")
    image = folder / named
    label = value_of(row, "label", "labels", "mask", "segmentation", "gt")
    phase = value_of(row, "phase").upper()
    rows = value_of(row, "rows")
    fold = value_of(row, "fold")
    return CaseRecord(
        subject=value_of(row, "subject", "patient", "case", "id") or image.name.partition(".")[0],
        image=image,
        label=folder / label if label else label_beside(image),
        phase=phase if phase in PHASES else "",
        frame=_number(value_of(row, "frame"), "frame"),
        rows=_range(rows) if rows else None,
        view=value_of(row, "view").lower() or "sax",
        vendor=value_of(row, "vendor", "manufacturer", "scanner"),
        centre=value_of(row, "centre", "center", "site", "hospital", "set"),
        group=value_of(row, "group", "disease", "pathology", "diagnosis"),
        split=SPLITS.get(value_of(row, "split", "use", "partition").lower(), ""),
        fold=_number(fold, "fold"),
        structures=structures_of(value_of(row, "structures", "classes", "drawn")),
        order=value_of(row, "order", "label_order") or order,
        uncertain_mm=_length(value_of(row, "uncertain_mm")),
        spacing_known=not value_of(row, "spacing_known").lower().startswith(("no", "false", "0")),
    )


def structures_of(text: str) -> tuple[str, ...]:
    """Structures that a manifest says are drawn, by name or value, as ``lv myo`` or ``1,2``; all if it says none.

    Raises:
        InputError: a name is not known.
    """
    parts = text.lower().replace(",", " ").replace(";", " ").split()
    names = [BY_VALUE.get(part, part) for part in parts]
    if unknown := [name for name in names if name not in NAMES]:
        raise InputError(f"'{unknown[0]}' is no structure; name {', '.join(NAMES)}.")
    return tuple(name for name in NAMES if name in names) if names else ALL_STRUCTURES


def label_beside(image: Path) -> Path | None:
    """The labels beside an image, named as it is with ``_gt``, ``_seg``, ``_label`` or ``_mask``; None without any."""
    stem, _, suffix = image.name.partition(".")
    candidates = (image.with_name(f"{stem}{end}.{suffix}") for end in LABEL_ENDS)
    return next((path for path in candidates if path.is_file()), None)


def write_manifest(path: Path, cases: Iterable[CaseRecord]) -> None:
    """Write cases as a manifest, with paths relative to it where they lie below its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f".{path.name}.part")
    with open(work, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(_row(case, path.parent.resolve()) for case in cases)
    os.replace(work, path)


def _row(case: CaseRecord, folder: Path) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(case, name) for name in COLUMNS}
    for name in ("image", "label"):
        file = getattr(case, name)
        row[name] = "" if file is None else _relative(Path(file), folder)
    row["rows"] = f"{case.rows[0]}:{case.rows[1]}" if case.rows else ""
    row["structures"] = " ".join(case.structures)
    row["uncertain_mm"], row["spacing_known"] = case.uncertain_mm or "", "yes" if case.spacing_known else "no"
    return {name: "" if value is None else value for name, value in row.items()}


def _relative(path: Path, folder: Path) -> str:
    full = path.resolve()
    return full.relative_to(folder).as_posix() if full.is_relative_to(folder) else str(full)


def _number(text: str, what: str) -> int | None:
    if not text:
        return None
    if not text.isdigit():
        raise InputError(f"its {what} '{text}' is no number from 0.")
    return int(text)


def _length(text: str) -> float:
    try:
        mm = float(text or 0)
    except ValueError:
        mm = -1.0
    if not 0 <= mm < 100:
        raise InputError(f"its uncertain_mm '{text}' is no length in mm.")
    return mm


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit() and int(first) < int(last)):
        raise InputError(f"its rows '{text}' are not FIRST:END, from 0.")
    return int(first), int(last)
