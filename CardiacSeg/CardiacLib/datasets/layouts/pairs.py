"""Folders ``images`` and ``labels`` with files of the same names, whatever is appended to those of the labels."""

from pathlib import Path

from CardiacLib.datasets.contours import CONTOUR_SUFFIXES
from CardiacLib.datasets.records import TEST, TRAINING, VALIDATION, CaseRecord, Problem

from .manifest import LABEL_ENDS, SUFFIXES
from .subjects import subject_and_phase

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
LABEL_FOLDERS = ("labels", "label", "masks", "mask", "segmentations", "gt", "contours")
PARTS = {"": "", "train": TRAINING, "training": TRAINING, "val": VALIDATION, "validation": VALIDATION, "test": TEST}


def pair_folders(root: Path) -> list[tuple[Path, Path, str]]:
    """Folders of images and of labels, and the split, of a root or of its ``train``, ``val`` and ``test``."""
    found = []
    for part, split in PARTS.items():
        images = next((root / part / name for name in IMAGE_FOLDERS if (root / part / name).is_dir()), None)
        labels = next((root / part / name for name in LABEL_FOLDERS if (root / part / name).is_dir()), None)
        if images is not None and labels is not None:
            found.append((images, labels, split))
    return found


def pair_cases(root: Path, order: str) -> tuple[list[CaseRecord], list[Problem]]:
    """Cases of all pairs, and images without labels and labels without an image."""
    cases, problems = [], []
    for images, labels, split in pair_folders(root):
        by_stem = {_stem(path, labels=True): path for path in sorted(labels.rglob("*")) if _is_label(path)}
        for image in sorted(path for path in images.rglob("*") if path.name.lower().endswith(SUFFIXES)):
            stem = _stem(image)
            label = by_stem.pop(stem, None)
            if label is None:
                problems.append(Problem(stem, f"{image.relative_to(root)} has no labels in {labels.name}."))
                continue
            subject, phase = subject_and_phase(stem)
            cases.append(CaseRecord(subject, image, label, phase, split=split, order=order))
        problems += [Problem(stem, f"{path.relative_to(root)} has no image.") for stem, path in by_stem.items()]
    return cases, problems


def _is_label(path: Path) -> bool:
    return path.name.lower().endswith((*SUFFIXES, *CONTOUR_SUFFIXES)) or (
        path.is_dir() and any(path.glob("*.txt")) and not any(p.is_dir() for p in path.iterdir())
    )


def _stem(path: Path, labels: bool = False) -> str:
    name = path.name
    for suffix in (*SUFFIXES, *CONTOUR_SUFFIXES):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            break
    name = name.removesuffix("_0000")
    if labels:
        for end in LABEL_ENDS:
            name = name.removesuffix(end)
    return name
