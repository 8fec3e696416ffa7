"""``python -m CardiacSegLib job.json``: the segmentation worker (see :mod:`CardiacLib.jobs`)."""

import sys

from CardiacLib.cine import Cine
from CardiacLib.jobs import run_worker
from CardiacLib.labels import LabelMap
from CardiacLib.progress import Progress


def segment_task(cine: Cine, bundle: str, device: str, backend: str, progress: Progress) -> LabelMap:
    """Label all frames of a cine; the network library is imported here, in the worker, and nowhere in the panel."""
    from . import segment

    return segment(cine, bundle=bundle, device=device, backend=backend, progress=progress)


TASKS = {"segment": segment_task}

if __name__ == "__main__":
    sys.exit(run_worker(TASKS, sys.argv[1:]))
