"""One NumPy archive of labelled slices: ``images`` and ``segs`` (N, H, W), as the published bundle trains on.

CineHeart's own archives (``cineheart data convert``) also say of every slice what :data:`FACTS` name, and its size in
``spacing_mm`` (N, 3) along columns, rows and slices. Without these every slice is a subject of its own, of 1 mm.
"""

import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from CardiacLib.datasets.records import ALL_STRUCTURES, SPLITS, CaseRecord
from CardiacLib.errors import InputError

FACTS = ("subject", "phase", "view", "vendor", "centre", "group", "split", "structures")
"""Arrays of N texts that an archive may hold; ``structures`` joined by blanks."""


def npz_cases(path: Path, order: str) -> list[CaseRecord]:
    """One case for each run of slices of one subject, view and phase.

    Raises:
        InputError: the file is no archive, or its arrays do not fit each other.
    """
    arrays = _arrays(path)
    count = len(arrays["images"])
    facts = {name: [str(v) for v in arrays[name]] for name in FACTS if name in arrays}
    keys = [tuple(facts[name][n] for name in facts) if "subject" in facts else (n,) for n in range(count)]
    starts = [n for n in range(count) if n == 0 or keys[n] != keys[n - 1]]
    return [
        _record(path, (start, end), {name: values[start] for name, values in facts.items()}, order)
        for start, end in zip(starts, [*starts[1:], count], strict=True)
    ]


def _record(path: Path, rows: tuple[int, int], facts: Mapping[str, str], order: str) -> CaseRecord:
    drawn = tuple(facts["structures"].split()) if "structures" in facts else ALL_STRUCTURES
    return CaseRecord(
        subject=facts.get("subject") or f"slice {rows[0] + 1}",
        image=path,
        label=path,
        phase=facts.get("phase", ""),
        rows=rows,
        view=facts.get("view") or "sax",
        vendor=facts.get("vendor", ""),
        centre=facts.get("centre", ""),
        group=facts.get("group", ""),
        split=SPLITS.get(facts.get("split", "").lower(), ""),
        structures=drawn,
        order=order,
    )


def read_slices(path: Path, rows: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Slices of an archive.

    Returns:
        Images float32 (K, J, I), label values uint8 (K, J, I), and the index-to-LPS matrix in mm, without
        orientation, and whether the archive gives the size of a pixel.
    """
    arrays, chosen = _arrays(path), slice(*rows)
    spacing = arrays["spacing_mm"][rows[0]] if "spacing_mm" in arrays else np.ones(3)
    images, labels = arrays["images"][chosen].astype(np.float32), arrays["segs"][chosen]
    return images, labels.astype(np.uint8), np.diag([*spacing.astype(float), 1.0]), "spacing_mm" in arrays


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        return _loaded(path, path.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise InputError(f"{path}: does not exist.") from error


@lru_cache(maxsize=2)
def _loaded(path: Path, _changed: int) -> dict[str, np.ndarray]:
    """All arrays; kept, because a packed archive is unpacked as a whole."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is no NumPy archive that can be read ({error}).") from error
    if not {"images", "segs"} <= set(arrays):
        raise InputError(f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}, not 'images' and 'segs'.")
    images, labels = arrays["images"], arrays["segs"]
    if images.ndim != 3 or images.shape != labels.shape or not len(images):
        raise InputError(f"{path}: 'images' {images.shape} and 'segs' {labels.shape} must be (N, H, W), N > 0.")
    if labels.min() < 0 or labels.max() > 255 or (labels != np.rint(labels)).any():
        raise InputError(f"{path}: 'segs' must hold whole numbers from 0 to 255.")
    short = [name for name in (*FACTS, "spacing_mm") if name in arrays and len(arrays[name]) != len(images)]
    if short:
        raise InputError(f"{path}: '{short[0]}' has {len(arrays[short[0]])} entries for {len(images)} slices.")
    return arrays
