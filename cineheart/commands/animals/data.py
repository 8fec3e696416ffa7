"""``cineheart mice make`` and ``cineheart mice check``."""

from pathlib import Path

from CardiacLib.datasets.mouse.hdf5 import animal_files, read_animal
from CardiacLib.datasets.mouse.phantoms import MiceOptions, write_mice
from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent
from CardiacSegLib.mouse.phases import drawn_phases
from cineheart.console import Answer


def make(output: Path, options: MiceOptions, *, progress: Progress = silent) -> Answer:
    """Write synthetic mice."""
    files = write_mice(output, options, progress)
    return Answer({"animals": len(files), "first": files[0].name, "output": str(output)})


def check(data: Path, *, progress: Progress = silent) -> Answer:
    """Read every animal of a folder; what cannot be used is named, and does not stop the others."""
    found: dict[str, object] = {}
    wrong, notes = [], []
    files = animal_files(data)
    for number, path in enumerate(files):
        progress(number / len(files), path.name)
        try:
            animal = read_animal(path)
        except InputError as error:
            wrong.append(str(error))
            continue
        count, slices, height, width = animal.cine.frames.shape
        text = f"{width} x {height}, {slices} slices, {count} frames, group '{animal.group or 'unknown'}'"
        if animal.labels is not None and animal.drawn:
            ed, es, note = drawn_phases(animal.labels.labels, animal.drawn)
            text += f", drawn {', '.join(str(t + 1) for t in animal.drawn)} (ED {ed + 1}, ES {es + 1})"
            notes += [f"{path}: {note}"] if note else []
        else:
            text += ", nothing drawn"
        found[animal.name] = text
        notes += [f"{path}: {note}" for note in animal.cine.notes]
    return Answer({"animals": found, "wrong": len(wrong)}, (*wrong, *notes))
