"""``python -m CardiacLib job.json``: the worker for what the panels share (see :mod:`CardiacLib.jobs`)."""

import sys

from CardiacLib.networks.model_store import fetch, import_file
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.study import Study
from CardiacLib.writers.dicom_seg_study import write_dicom_seg_of_study

from .jobs import run_worker
from .progress import Progress
from .readers import read_study


def study_task(path: str, progress: Progress) -> Study:
    """The cines of a study."""
    return read_study(path, progress=progress)


def fetch_task(name: str, cache: str, progress: Progress) -> None:
    """Download the published weights of a bundle into the cache."""
    fetch(name, cache, progress)


def import_task(name: str, path: str, cache: str, progress: Progress) -> None:
    """Take the weights of a bundle from a file into the cache."""
    progress(0.1, "checking the weights")
    import_file(name, path, cache)


def dicom_seg_task(labels: LabelMap, folder: str, study: str, progress: Progress, **options) -> None:
    """Write labels into a folder as DICOM segmentations of a study: CardiacLib.writers.dicom_seg_study."""
    write_dicom_seg_of_study(folder, labels, study, progress=progress, **options)


TASKS = {"study": study_task, "fetch": fetch_task, "import": import_task, "dicom_seg": dicom_seg_task}

if __name__ == "__main__":
    sys.exit(run_worker(TASKS, sys.argv[1:]))
