"""What ``python -m monai.bundle run`` of the bundle ``cineheart_lax_landmarks`` does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.readers import read_image

from .detector import Detector


def detect_files(detector: Detector, files: Sequence[str], output_dir: str) -> list[Path]:
    """Find the points of long-axis cines and save each as ``<output_dir>/<image>_points.npy``.

    Saved is float32 (T, 2, 10), position along I and J in pixels, NaN for a point that was not found.

    Raises:
        InputError: no files, or one that is no cine of a single slice.
    """
    if not files:
        raise InputError("No images; give the folder of long-axis cines (.nii, .nii.gz) as dataset_dir.")
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for file in files:
        cine = read_image(file, "other")
        if cine.n_slices != 1:
            raise InputError(f"{file}: has {cine.n_slices} slices; a long-axis cine has one.")
        found = detector.detect(cine.frames[:, 0], (cine.spacing[1], cine.spacing[0]))
        written.append(folder / f"{Path(file).name.split('.')[0]}_points.npy")
        np.save(written[-1], found.points[..., ::-1].transpose(0, 2, 1).astype(np.float32))
    return written
