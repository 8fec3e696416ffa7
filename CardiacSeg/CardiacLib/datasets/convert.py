"""Write cases in another layout: an NPZ of slices, or ``images`` and ``labels`` in two folders."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.files import safe_name
from CardiacLib.progress import Progress, silent
from CardiacLib.writers.images import write_cine, write_values

from .layouts.manifest import write_manifest
from .layouts.npz import FACTS
from .read import LabelledCase, read_case
from .records import CaseRecord

ARCHIVE = "slices.npz"
MANIFEST = "manifest.csv"


def to_npz(cases: Sequence[CaseRecord], path: Path, size: int | None = None, progress: Progress = silent) -> int:
    """Write every slice that was looked at to one archive, each cut or filled up with zeros to a square.

    Args:
        cases: of any data set.
        path: of the archive.
        size: side of the slices in pixels; None: the largest that occurs.
        progress: called for each case.

    Returns:
        Number of slices. Labels have CineHeart's order, 255 where unknown.
    """
    slices: list[tuple[np.ndarray, np.ndarray]] = []
    facts: dict[str, list[str]] = {name: [] for name in FACTS}
    spacing: list[np.ndarray] = []
    for done, record in enumerate(cases):
        progress(done / len(cases), f"converting {record.name}")
        case = read_case(record)
        for t, k in np.argwhere(case.known):
            slices.append((case.cine.frames[t, k], case.labels[t, k]))
            spacing.append(case.cine.spacing)
            for name in FACTS:
                value = getattr(case.record, name)
                facts[name].append(" ".join(value) if isinstance(value, tuple) else str(value))
            if case.cine.n_frames > 1:
                facts["phase"][-1] = f"frame {t}"
    if not slices:
        raise InputError(f"{path}: no slice of these cases was labelled.")
    side = size or max(max(image.shape) for image, _ in slices)
    work = path.with_name(f".{path.name}.part.npz")
    arrays = {
        "images": np.stack([centred(image, side) for image, _ in slices]),
        "segs": np.stack([centred(labels, side) for _, labels in slices]),
        "spacing_mm": np.stack(spacing).astype(np.float32),
    }
    arrays |= {name: np.array(values) for name, values in facts.items()}
    np.savez_compressed(work, allow_pickle=False, **arrays)
    os.replace(work, path)
    progress(1.0, "converted")
    return len(slices)


def centred(section: np.ndarray, side: int) -> np.ndarray:
    """A slice (H, W) in the middle of a square, cut or filled up with zeros; an odd row more is at the end."""
    out = np.zeros((side, side), section.dtype)
    taken, placed = [], []
    for n in section.shape:
        length = min(n, side)
        start, target = (n - length) // 2, (side - length) // 2
        taken.append(slice(start, start + length))
        placed.append(slice(target, target + length))
    out[tuple(placed)] = section[tuple(taken)]
    return out


def to_pairs(cases: Sequence[CaseRecord], folder: Path, progress: Progress = silent) -> int:
    """Write ``images/NAME.nii.gz``, ``labels/NAME.nii.gz`` and a manifest that tells what names do not.

    Returns:
        Number of pairs. Labels have CineHeart's order, 255 where unknown.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    written: list[CaseRecord] = []
    for done, record in enumerate(cases):
        progress(done / len(cases), f"converting {record.name}")
        case = read_case(record)
        name = _file_name(case, {r.image.name for r in written})
        image, label = folder / "images" / name, folder / "labels" / name
        write_cine(image, case.cine)
        write_values(label, case.labels, case.cine)
        written.append(_as_written(case.record, image, label))
    write_manifest(folder / MANIFEST, written)
    progress(1.0, "converted")
    return len(written)


def _as_written(record: CaseRecord, image: Path, label: Path) -> CaseRecord:
    return replace(record, image=image, label=label, frame=None, rows=None, order="cineheart")


def _file_name(case: LabelledCase, used: set[str]) -> str:
    record = case.record
    frame = f"frame{record.frame:02d}" if record.frame is not None and not record.phase else ""
    view = "" if record.view == "sax" else record.view
    stem = safe_name("_".join(filter(None, (record.subject, view, record.phase or frame))), "case")
    names = (f"{stem}{f'-{n}' if n else ''}.nii.gz" for n in range(len(used) + 1))
    return next(name for name in names if name not in used)
