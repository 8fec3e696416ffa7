"""What ``python -m monai.bundle run`` of the two bundles needs: label image files one after the other."""

from collections.abc import Sequence
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.readers import read_image
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.times import times_at
from CardiacLib.writers.images import write_labels

from .propagate import Initializer
from .slice_labels import label_slices
from .stacks import SlicePropagation, shown_frames


def propagate_files(networks: SlicePropagation, images: Sequence[str], output_dir: str | Path) -> None:
    """Write ``<image>_propagated.nii.gz``, labels 0 to 4 at 1.25 mm, of the first frame of each short-axis image.

    Raises:
        InputError: there is no image, or one cannot be labelled.
    """
    for image in _existing(images):
        cine = read_image(image)
        found = networks(cine)
        write_labels(_target(output_dir, image, "propagated"), found.labels)


def label_files(initializer: Initializer, images: Sequence[str], output_dir: str | Path) -> None:
    """Write ``<image>_slices.nii.gz``: every slice of the first frame by itself, on the image's own grid.

    Raises:
        InputError: there is no image, or one cannot be labelled.
    """
    for image in _existing(images):
        cine = read_image(image)
        labels = label_slices(initializer, shown_frames(cine)[0], 0, cine)
        result = LabelMap(labels[None], cine.ijk_to_lps, times_at(cine.times_ms, [0]), cine.source)
        write_labels(_target(output_dir, image, "slices"), result)


def _existing(images: Sequence[str]) -> Sequence[str]:
    if not images:
        raise InputError("There is no image to label: give dataset_dir, the folder of the NIfTI files.")
    return images


def _target(folder: str | Path, image: str, what: str) -> Path:
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder) / f"{Path(image).name.split('.')[0]}_{what}.nii.gz"
