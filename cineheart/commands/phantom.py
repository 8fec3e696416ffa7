"""``cineheart phantom``: the synthetic beating heart as files."""

from pathlib import Path

import numpy as np

from CardiacLib.phantom import PhantomOptions, make_phantom, write_phantom
from CardiacLib.progress import Progress, part, silent
from CardiacSegLib import measure
from cineheart.console import Answer, rounded


def make_phantom_study(
    output: Path, options: PhantomOptions | None = None, *, dicom: bool = False, progress: Progress = silent
) -> Answer:
    """Make a phantom and write it, as NIfTI or as DICOM."""
    phantom = make_phantom(options or PhantomOptions(), part(progress, 0.0, 0.8))
    write_phantom(phantom, output, dicom, part(progress, 0.8, 1.0))
    facts = {
        "frames": len(phantom.labels.labels),
        "true_lv_edv_ml": rounded(float(np.max(phantom.volumes["lv"]))),
        "true_lv_esv_ml": rounded(float(np.min(phantom.volumes["lv"]))),
        "label_lv_ef_percent": rounded(measure(phantom.labels).lv.ef_percent),
    }
    return Answer(facts)
