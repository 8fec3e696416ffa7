"""``cineheart surfaces``: plain surfaces of the labelled structures, without a mesh."""

from pathlib import Path

from BiVMeshLib.exporters.label_surfaces import write_label_surfaces
from CardiacLib.files import atomic_directory
from CardiacLib.readers import read_labels
from CardiacLib.types.labels import LV
from CardiacSegLib.function import end_frames

from .segment_mesh_train import PHASES, frame_number


def surfaces_of_labels(path: Path, output: Path, frame: str, order: str) -> dict[str, object]:
    """Write the surfaces of one frame: ``ed``, ``es`` or its number; ``order`` as ``--label-order``."""
    labels = read_labels(path, order)
    if frame in PHASES:
        number = dict(zip(PHASES, end_frames(labels.volume_ml(LV)), strict=True))[frame]
    else:
        number = frame_number(frame, len(labels.labels))
    with atomic_directory(output) as folder:
        write_label_surfaces(labels.labels[number], labels.ijk_to_lps, folder)
        files = sorted(file.name for file in (folder / "labels").iterdir())
    return {"frame": number, "files": files}
