"""Animals with an expert's labels, labelled by a network too: what a calibration is fitted to."""

from dataclasses import dataclass
from pathlib import Path

from CardiacLib.datasets.mouse.hdf5 import animal_files
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import Segmentation
from CardiacSegLib import open_segmenter
from CardiacSegLib.mouse.evaluation import at_ed_and_es
from CardiacSegLib.mouse.split import MouseData, split_files

SYNTHETIC = "The confidence was fitted to synthetic animals only, never to real ones."


@dataclass(frozen=True)
class Labelled:
    """What a network's confidence is fitted to.

    Attributes:
        cases: name, segmentation and true labels, ED and ES.
        fitted_on: which they are.
        notes: what was left out.
        warning: what every report with this calibration says; empty where there is nothing.
    """

    cases: list[tuple[str, Segmentation, LabelMap]]
    fitted_on: str
    notes: tuple[str, ...] = ()
    warning: str = ""


def animals_labelled(network: NetworkChoice, data: Path, every: bool, progress: Progress = silent) -> Labelled:
    """ED and ES of the animals of a folder that a training on it holds out, or of all.

    Raises:
        InputError: there is none, a file cannot be used or has no labelled frame, or the network cannot be used.
    """
    files = animal_files(data) if every else split_files(data, MouseData())[1]
    segmenter = open_segmenter(network)
    cases, synthetic = [], []
    for number, path in enumerate(files):
        progress(number / len(files), path.name)
        animal = at_ed_and_es(path).animal
        if animal.labels is not None:
            cases.append((animal.name, segmenter.segment(animal.cine), animal.labels))
            synthetic.append(animal.synthetic)
    kind = "synthetic animals" if all(synthetic) else "animals"
    named = ", ".join(name for name, _, _ in cases)
    return Labelled(cases, f"ED and ES of {len(cases)} {kind}: {named}", (), SYNTHETIC if all(synthetic) else "")
