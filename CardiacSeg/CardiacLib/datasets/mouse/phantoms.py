"""Synthetic mice as a data set in the published layout."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.phantom.mouse import Mouse, MouseOptions, make_mouse
from CardiacLib.progress import Progress, silent

from .hdf5 import Animal, write_animal

HEALTHY, INFARCT = "healthy", "infarct"


@dataclass(frozen=True)
class MiceOptions:
    """Which mice are made.

    Attributes:
        count: how many.
        seed: of the first; each further one takes the next, and the one after where no such heart can be.
        labelled_only: image and write only the labelled frames: ED, ES and ``further`` others.
        further: labelled frames besides ED and ES.
    """

    count: int = 10
    seed: int = 0
    labelled_only: bool = False
    further: int = 0


def write_mice(folder: str | Path, options: MiceOptions, progress: Progress = silent) -> list[Path]:
    """Write random mice, one HDF5 file each; files that are there already are kept.

    Raises:
        InputError: the folder cannot be written.
    """
    files: list[Path] = []
    seed = options.seed * 100_000
    while len(files) < options.count:
        path = Path(folder) / f"mouse_{seed:08d}.h5"
        if not path.exists():
            try:
                mouse = _drawn(seed, options)
            except InputError:  # no heart of this form has the drawn volumes
                seed += 1
                continue
            write_animal(path, animal_of(mouse, path.stem, options.further))
        files.append(path)
        seed += 1
        progress(len(files) / options.count, path.name)
    return files


def _drawn(seed: int, options: MiceOptions) -> Mouse:
    chosen = MouseOptions.drawn(seed)
    return make_mouse(chosen, _further(chosen, options.further) if options.labelled_only else None)


def _further(mouse: MouseOptions, count: int) -> list[int]:
    return np.random.default_rng([mouse.seed, 4]).choice(mouse.n_frames, count, replace=False).tolist()


def animal_of(mouse: Mouse, name: str, further: int = 0) -> Animal:
    """A mouse as what its file holds: labels of ED, of ES, and of ``further`` frames."""
    frames = range(mouse.cine.n_frames)
    others = [t for t in frames if t not in (mouse.ed, mouse.es)]
    step = max(len(others) // further, 1) if further else 1
    drawn = (mouse.ed, mouse.es, *(others[::step][:further] if further else ()))
    group = INFARCT if mouse.options.infarct_deg else HEALTHY
    return Animal(name, mouse.cine, mouse.labels, drawn, group, synthetic=True)
