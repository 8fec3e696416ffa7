"""Data lists of MONAI: a JSON document with lists of ``{"image": ..., "label": ...}`` under the names of the splits."""

from pathlib import Path
from typing import Any

from CardiacLib.datasets.records import PHASES, SPLITS, CaseRecord, Problem
from CardiacLib.errors import InputError

from .manifest import structures_of
from .nnunet import order_of_names, read_document
from .subjects import subject_and_phase


def is_monai_list(path: Path) -> bool:
    """Whether a JSON document lists images under the name of a split."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    try:
        document = read_document(path)
    except InputError:
        return False
    return any(_items(value) for key, value in document.items() if key.lower() in SPLITS)


def monai_cases(path: Path, order: str) -> tuple[list[CaseRecord], list[Problem], tuple[str, ...]]:
    """Cases, problems and notes of a data list; paths are relative to it.

    Raises:
        InputError: the document is broken.
    """
    document = read_document(path)
    notes: tuple[str, ...] = ()
    drawn: tuple[str, ...] = structures_of("")
    if order == "auto" and isinstance(document.get("labels"), dict):
        order, drawn, notes = order_of_names(document["labels"], path)
    cases, problems = [], []
    for key, value in document.items():
        for number, item in enumerate(_items(value) if key.lower() in SPLITS else [], 1):
            image, label = item.get("image"), item.get("label")
            if isinstance(image, list) and len(image) == 1:
                image = image[0]
            if not isinstance(image, str) or not isinstance(label, str):
                problems.append(Problem(f"{key} {number}", "names no single image with one label."))
                continue
            subject, phase = subject_and_phase(Path(image).name.partition(".")[0].removesuffix("_0000"))
            cases.append(
                CaseRecord(
                    subject=str(item.get("subject", subject)),
                    image=path.parent / image,
                    label=path.parent / label,
                    phase=next((p for p in PHASES if p == str(item.get("phase", phase)).upper()), ""),
                    frame=item["frame"] if isinstance(item.get("frame"), int) else None,
                    view=str(item.get("view", "sax")),
                    vendor=str(item.get("vendor", "")),
                    centre=str(item.get("centre", item.get("center", ""))),
                    group=str(item.get("group", "")),
                    # A fold says more than the list of all that is for training.
                    split="" if isinstance(item.get("fold"), int) else SPLITS[key.lower()],
                    fold=item["fold"] if isinstance(item.get("fold"), int) else None,
                    structures=structures_of(str(item["structures"])) if "structures" in item else drawn,
                    order=order,
                )
            )
    return cases, problems, notes


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict) and "image" in item] if isinstance(value, list) else []
