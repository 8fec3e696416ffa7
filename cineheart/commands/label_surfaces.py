"""``cineheart surfaces``: plain surfaces of the labelled structures, without a mesh."""

from pathlib import Path

from BiVMeshLib.exporters.label_surfaces import write_label_surfaces
from CardiacLib.files import atomic_directory, require_output
from CardiacLib.readers import read_labels
from cineheart import steps
from cineheart.console import Answer, Counted


def surfaces_of_labels(path: Path, output: Path, *, frame: str = "ed", order: str = "auto") -> Answer:
    """Write the surfaces of one frame: ``ed``, ``es`` or its number; ``order`` as ``--label-order``."""
    require_output(output)
    labels = read_labels(path, order)
    number = steps.frame_number(frame, labels)
    with atomic_directory(output) as folder:
        write_label_surfaces(labels.labels[number], labels.ijk_to_lps, folder)
        files = sorted(file.name for file in (folder / "labels").iterdir())
    return Answer({"frame": Counted(number, labels.n_frames), "files": files}, labels.notes)
