"""Data of networks that train on an NPZ of slices, made of whatever data set there is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.datasets.convert import ARCHIVE, to_npz
from CardiacLib.datasets.splits import CaseChoice, SplitCases, open_cases
from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent

SIDE = 256
"""Of the slices in pixels: what the published network takes."""


@dataclass(frozen=True)
class Slices:
    """An archive of slices.

    Attributes:
        file: the archive.
        parts: indices of the slices to train on and of those to validate on.
        split: of the cases.
    """

    file: Path
    parts: tuple[np.ndarray, np.ndarray]
    split: SplitCases


def make_slices(data: Path, choice: CaseChoice, folder: Path, progress: Progress = silent) -> Slices:
    """Write the labelled slices of a data set to an archive in ``folder``; subjects are never in both parts.

    Raises:
        InputError: some structures are not drawn, or no subject is held out.
    """
    split = open_cases(data, choice)
    if partial := [case for case in split.stated if not case.complete]:
        drawn = " ".join(partial[0].structures)
        raise InputError(
            f"{partial[0].label}: draws {drawn} only; this network needs the LV, its myocardium and the RV."
        )
    if not split.validation:
        raise InputError(f"{data}: holds out no subject ({split.how}), and this training validates on some.")
    folder.mkdir(parents=True, exist_ok=True)
    to_npz(split.stated, folder / ARCHIVE, SIDE, progress)
    with np.load(folder / ARCHIVE) as archive:
        names = archive["split"]
    training, validation = (np.flatnonzero(names == name) for name in ("training", "validation"))
    return Slices(folder / ARCHIVE, (training, validation), split)
