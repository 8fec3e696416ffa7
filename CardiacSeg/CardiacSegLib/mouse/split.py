"""Which animals of a folder are learned from, and which are held out; without PyTorch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.datasets.mouse.hdf5 import animal_files
from CardiacLib.errors import InputError


@dataclass(frozen=True)
class MouseData:
    """How animals are shown to the network.

    Attributes:
        held_out: part of the animals that are not learned from but validate.
        split_seed: of the draw of these animals.
        validation_slices: at most so many slices, evenly drawn, are validated on.
    """

    held_out: float = 0.15
    split_seed: int = 0
    validation_slices: int = 200


def split_files(folder: str | Path, data: MouseData) -> tuple[list[Path], list[Path]]:
    """Files to learn from and files to validate on: whole animals, never slices.

    Raises:
        InputError: there are fewer than two animals.
    """
    files = animal_files(folder)
    count = max(round(data.held_out * len(files)), 1)
    if len(files) < 2:
        raise InputError(f"{folder}: holds one animal; give two or more, so that one can validate.")
    order = np.random.default_rng(data.split_seed).permutation(len(files))
    held = {int(n) for n in order[:count]}
    return [f for n, f in enumerate(files) if n not in held], [f for n, f in enumerate(files) if n in held]
