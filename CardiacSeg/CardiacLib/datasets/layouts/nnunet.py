"""Raw folders of nnU-Net: ``imagesTr``, ``labelsTr`` and a ``dataset.json`` that names the label values.

Versions 1 (``labels`` from value to name) and 2 (from name to value). ``imagesTs`` with ``labelsTs`` is the test split.
A ``splits_final.json`` beside ``dataset.json`` gives the folds.
"""

import json
import re
from pathlib import Path
from typing import Any

from CardiacLib.datasets.records import NAMES, TEST, CaseRecord, Problem
from CardiacLib.errors import InputError

from .subjects import subject_and_phase

KNOWN = {
    "lv": (
        "lv",
        "lvc",
        "lvpool",
        "lvbloodpool",
        "leftventricle",
        "lvcavity",
        "lvendo",
        "leftventricularcavity",
        "lvbp",
    ),
    "myo": ("myo", "myocardium", "lvm", "mlv", "lvmyo", "lvmyocardium", "leftventricularmyocardium", "lvwall"),
    "rv": ("rv", "rvc", "rvpool", "rvbloodpool", "rightventricle", "rvcavity", "rvbp"),
}
"""What others call the structures, letters only."""


def nnunet_cases(root: Path, order: str) -> tuple[list[CaseRecord], list[Problem], tuple[str, ...]]:
    """Cases, problems and notes of an nnU-Net raw folder.

    Args:
        root: folder with ``dataset.json``.
        order: of the label values; auto: as ``dataset.json`` names them.

    Raises:
        InputError: ``dataset.json`` is broken, or names structures that are not known.
    """
    document = read_document(root / "dataset.json")
    stated, drawn = order, tuple(NAMES)
    notes: tuple[str, ...] = ()
    if order == "auto":
        stated, drawn, notes = order_of_names(document.get("labels", {}), root / "dataset.json")
    ending = str(document.get("file_ending", ".nii.gz"))
    folds = _folds(root / "splits_final.json")
    cases, problems = [], []
    for part, split in (("Tr", ""), ("Ts", TEST)):
        labels = root / f"labels{part}"
        for image in sorted((root / f"images{part}").glob(f"*_0000{ending}")):
            name = image.name.removesuffix(f"_0000{ending}")
            label = labels / f"{name}{ending}"
            if not label.is_file():
                if part == "Tr" or labels.is_dir():
                    problems.append(Problem(name, f"{label.relative_to(root)} is missing."))
                continue
            subject, phase = subject_and_phase(name)
            cases.append(
                CaseRecord(
                    subject, image, label, phase, split=split, fold=folds.get(name), structures=drawn, order=stated
                )
            )
    return cases, problems, notes


def read_document(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: there is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no JSON document ({error}).") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds no JSON object.")
    return document


def order_of_names(labels: Any, path: Path) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Order, drawn structures and notes of the names that ``dataset.json`` gives its label values.

    Raises:
        InputError: there are no names, or one of them is not known.
    """
    if not isinstance(labels, dict) or not labels:
        raise InputError(f"{path}: names no labels; say what they are with --label-order, as 1=LV,2=MYO,3=RV.")
    pairs = [(k, v) if str(k).isdigit() else (v, k) for k, v in labels.items()]
    named = {int(value): str(name) for value, name in pairs if str(value).isdigit() and int(value) > 0}
    found = {value: _structure(name) for value, name in named.items()}
    if unknown := [named[value] for value, structure in found.items() if structure is None]:
        raise InputError(
            f"{path}: calls a label '{unknown[0]}', which is not known; say what the values are with --label-order, "
            "as 1=LV,2=MYO,3=RV."
        )
    order = ",".join(f"{value}={structure}" for value, structure in sorted(found.items()))
    drawn = tuple(name for name in NAMES if name in found.values())
    note = (f"The labels are {order}, as {path.name} names them.",)
    return order, drawn, note


def _structure(name: str) -> str | None:
    plain = re.sub(r"[^a-z]", "", name.lower())
    return next((structure for structure, known in KNOWN.items() if plain in known), None)


def _folds(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))
        return {name: fold for fold, split in enumerate(splits) for name in split["val"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no list of folds with 'train' and 'val' ({error}).") from error
