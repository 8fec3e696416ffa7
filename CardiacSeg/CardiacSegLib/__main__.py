"""``python -m CardiacSegLib job.json``: the segmentation worker (see :mod:`CardiacLib.jobs`)."""

import sys
from collections.abc import Callable

from CardiacLib.jobs import run_worker
from CardiacLib.progress import Progress
from CardiacLib.types.cine import Cine
from CardiacLib.types.segmentation import Segmentation


def segment_task(
    cine: Cine, bundle: str, device: str, backend: str, quality: str, progress: Progress, on_frame: Callable
) -> Segmentation:
    """Label all frames of a cine; the network library is imported here, in the worker, and nowhere in the panel."""
    from CardiacSegLib.segment.memory import segment_within_memory

    return segment_within_memory(cine, bundle, device, backend, quality, progress, on_frame=on_frame)


TASKS = {"segment": segment_task}

if __name__ == "__main__":
    sys.exit(run_worker(TASKS, sys.argv[1:]))
