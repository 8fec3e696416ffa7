"""``python -m CardiacLandmarksLib job.json``: the landmark worker (see :mod:`CardiacLib.jobs`)."""

import sys

from CardiacLib.jobs import run_worker
from CardiacLib.progress import Progress
from CardiacLib.types.cine import Cine
from CardiacLib.types.landmarks import Landmarks

from .pipeline import find_landmarks


def detect_task(
    bundle: str,
    device: str,
    backend: str,
    align: bool,
    progress: Progress,
    cine_2ch: Cine | None = None,
    cine_3ch: Cine | None = None,
    cine_4ch: Cine | None = None,
) -> Landmarks:
    """Valve points of one to three cines at the frames of the one with the most."""
    given = {"2ch": cine_2ch, "3ch": cine_3ch, "4ch": cine_4ch}
    cines = {view: cine for view, cine in given.items() if cine is not None}
    return find_landmarks(cines, bundle, device, backend, align, progress).landmarks()


TASKS = {"detect": detect_task}

if __name__ == "__main__":
    sys.exit(run_worker(TASKS, sys.argv[1:]))
