"""Find the labelled cases of a folder or file, whatever its layout."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from CardiacLib.errors import InputError

from .acdc import acdc_cases, acdc_folders
from .layouts.manifest import SUFFIXES, is_manifest, label_beside, manifest_cases
from .layouts.mnms import MNMS2_FILE, MNMS_FILE, mnms2_cases, mnms_cases
from .layouts.monai_list import is_monai_list, monai_cases
from .layouts.nnunet import nnunet_cases
from .layouts.npz import npz_cases
from .layouts.pairs import pair_cases, pair_folders
from .layouts.subjects import subject_and_phase
from .records import CaseRecord, DataSet, Problem

MANIFEST = "manifest.csv"
"""Name by which a manifest is found in a folder, before any other layout."""
LAYOUTS = (
    "a CSV manifest, ACDC, nnU-Net raw, a MONAI data list, M&Ms, M&Ms-2, images and labels in two folders, an NPZ of "
    "slices, or images with labels beside them (_gt)"
)
Found = tuple[str, list[CaseRecord], list[Problem], tuple[str, ...]]


def find_cases(path: str | Path, order: str = "auto") -> DataSet:
    """Labelled cases of a folder, manifest, data list or archive; only names and tables are read.

    Args:
        path: what the user gave.
        order: of the label values; auto: as the layout says, else CineHeart's.

    Returns:
        Cases whose files are all there, and what does not fit.

    Raises:
        InputError: there is nothing labelled, in no layout of :data:`LAYOUTS`.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: there are no such data.")
    found = next((result for finder in (_file, _table, *FINDERS) if (result := finder(path, order))), None)
    if found is None:
        raise InputError(f"{path}: holds no labelled cases; it must be {LAYOUTS}.")
    layout, cases, problems, notes = found
    there, more = _existing(cases)
    if not there:
        reasons = [p.reason for p in [*problems, *more]]
        raise InputError(f"{path}: looks like {layout}, but no case can be used: {reasons[0] if reasons else 'none'}")
    if order != "auto" and layout not in ("CSV manifest",):
        there = [replace(case, order=order) for case in there]
    ordered = sorted(there, key=lambda case: (case.subject, case.view, case.phase, case.frame or 0, str(case.image)))
    return DataSet(path, layout, tuple(ordered), (*problems, *more), notes)


def _existing(cases: list[CaseRecord]) -> tuple[list[CaseRecord], list[Problem]]:
    there, problems = [], []
    for case in cases:
        missing = [path for path in (case.image, case.label) if path is None or not path.exists()]
        if missing:
            lacking = f"{missing[0]} does not exist." if missing[0] else f"{case.image.name} has no labels beside it."
            problems.append(Problem(case.name, lacking))
        else:
            there.append(case)
    return there, problems


def _file(path: Path, order: str) -> Found | None:
    if path.is_dir():
        return None
    if path.suffix.lower() == ".npz":
        return "NPZ of slices", npz_cases(path, order), [], ()
    if is_manifest(path):
        return "CSV manifest", *manifest_cases(path, order), ()
    if is_monai_list(path):
        return "MONAI data list", *monai_cases(path, order)
    return None


def _table(root: Path, order: str) -> Found | None:
    if not root.is_dir():
        return None
    path = root / MANIFEST if is_manifest(root / MANIFEST) else None
    return None if path is None else ("CSV manifest", *manifest_cases(path, order), ())


def _acdc(root: Path, order: str) -> Found | None:
    return ("ACDC", *acdc_cases(root), ()) if acdc_folders(root) else None


def _nnunet(root: Path, order: str) -> Found | None:
    if not ((root / "dataset.json").is_file() and (root / "imagesTr").is_dir()):
        return None
    return "nnU-Net raw", *nnunet_cases(root, order)


def _monai(root: Path, order: str) -> Found | None:
    path = next((path for path in sorted(root.glob("*.json")) if is_monai_list(path)), None)
    return None if path is None else ("MONAI data list", *monai_cases(path, order))


def _mnms2(root: Path, order: str) -> Found | None:
    if not _any(root, lambda name: bool(MNMS2_FILE.match(name))):
        return None
    cases, problems, table = mnms2_cases(root)
    return "M&Ms-2", cases, problems, (_of_table(table),)


def _mnms(root: Path, order: str) -> Found | None:
    if not _any(root, lambda name: bool(MNMS_FILE.match(name))):
        return None
    cases, problems, table = mnms_cases(root)
    return "M&Ms", cases, problems, (_of_table(table),)


def _of_table(table: str) -> str:
    return f"Vendor and disease are those of {table}." if table else "There is no table: no vendor or disease is known."


def _pairs(root: Path, order: str) -> Found | None:
    return ("images and labels in two folders", *pair_cases(root, order), ()) if pair_folders(root) else None


def _npz(root: Path, order: str) -> Found | None:
    archives = sorted(root.glob("*.npz"))
    if not archives:
        return None
    return "NPZ of slices", [case for path in archives for case in npz_cases(path, order)], [], ()


def _beside(root: Path, order: str) -> Found | None:
    cases = []
    for image in sorted(path for path in root.rglob("*") if path.name.lower().endswith(SUFFIXES)):
        label = label_beside(image)
        if label is not None:
            subject, phase = subject_and_phase(image.name.partition(".")[0])
            cases.append(CaseRecord(subject, image, label, phase, order=order))
    return ("images with labels beside them", cases, [], ()) if cases else None


def _any(root: Path, fits: Callable[[str], bool]) -> bool:
    return any(fits(path.name) for path in root.rglob("*.nii*"))


FINDERS = (_acdc, _nnunet, _monai, _mnms2, _mnms, _pairs, _npz, _beside)
"""Layouts in the order in which they are tried."""
