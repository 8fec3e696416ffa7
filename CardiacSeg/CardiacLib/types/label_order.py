"""The label order of the ACDC challenge (1 RV pool, 2 LV myocardium, 3 LV pool); the only place that knows it."""

import re
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

from .labels import BACKGROUND, LV, MYO, RV

FROM_ACDC = np.array([BACKGROUND, RV, MYO, LV], np.uint8)
LABEL_FILE = re.compile(r"patient\d+_frame\d+_gt\.nii(\.gz)?$")


def is_acdc_labels(path: str | Path) -> bool:
    """Whether a file is an expert label map within an ACDC patient folder, by its name and the Info.cfg beside it."""
    path = Path(path)
    return bool(LABEL_FILE.match(path.name)) and (path.parent / "Info.cfg").is_file()


def labels_from_acdc(values: np.ndarray, path: str | Path) -> np.ndarray:
    """ACDC's label values in CineHeart's order, uint8.

    Raises:
        InputError: values that are none of ACDC's; ``path`` names the file in the message.
    """
    whole = np.asarray(values).astype(np.int64)
    if (whole != values).any() or whole.min() < 0 or whole.max() > 3:
        raise InputError(f"{path}: holds values outside ACDC's labels 0 to 3.")
    return FROM_ACDC[whole]
