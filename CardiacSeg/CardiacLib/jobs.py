"""Worker harness: a job folder in, JSON-line events on standard output, a result file out.

A panel (or a test) writes a job folder and starts the worker module (``python -m WORKER job.json``) in a process of its
own, which hands its tasks to :func:`run_worker`. The folder holds

- ``job.json``: ``{"task": name, "arguments": file, "output": file}``,
- one ``.npz`` with the arguments by name and, at the end, one with the output: :mod:`CardiacLib.types.values`,
- ``frame_<t>.npy``, uint8 (K, J, I), for every frame that a task has labelled: what remains of a run that is stopped.

Every event is one JSON object on one line of standard output; whatever a library prints goes to standard error:

- ``{"event": "progress", "fraction": 0..1, "message": text}``
- ``{"event": "message", "message": text}`` (a warning that a library logged)
- ``{"event": "done", "output": file}`` (null of a task that gives no value)
- ``{"event": "error", "kind": "input" or "unexpected", "message": text, "traceback": text}``

Exit code: 0 done, 2 input that cannot be used (its one sentence is the message), 1 anything unexpected.
"""

import inspect
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TextIO

import numpy as np

from CardiacLib.types.values import read_value, write_value

from .errors import InputError
from .files import write_json

JOB_FILE = "job.json"
ARGUMENTS_FILE = "arguments.npz"
OUTPUT_FILE = "output.npz"
FRAME_FILE = "frame_{}.npy"

Task = Callable[..., object]


def finished_frames(directory: str | Path) -> list[np.ndarray]:
    """Labels, uint8 (K, J, I) each, of the frames that a stopped job has finished, from the first on."""
    frames: list[np.ndarray] = []
    while (path := Path(directory) / FRAME_FILE.format(len(frames))).is_file():
        frames.append(np.load(path, allow_pickle=False))
    return frames


def write_job(directory: str | Path, task: str, arguments: Mapping[str, object]) -> Path:
    """Write a job folder and return the path of its ``job.json``.

    Args:
        directory: an existing folder that only this job uses.
        task: name of a task of the worker that will run it.
        arguments: by name, values as of :func:`~CardiacLib.types.values.write_value`.
    """
    directory = Path(directory)
    write_value(directory / ARGUMENTS_FILE, dict(arguments))
    job_path = directory / JOB_FILE
    write_json(job_path, {"task": task, "arguments": ARGUMENTS_FILE, "output": OUTPUT_FILE})
    return job_path


def run_worker(tasks: Mapping[str, Task], arguments: list[str]) -> int:
    """Run the job that ``arguments`` (one path to a ``job.json``) names; returns the exit code.

    A task is called as ``task(**arguments, progress=...)`` and returns a value or None. One that takes ``on_frame``
    also gets a function to which it may give number and labels of every frame it has finished.
    """
    with _event_stream() as stream:

        def send(event: str, **content) -> None:
            stream.write(json.dumps({"event": event, **content}) + "\n")
            stream.flush()

        _forward_warnings(send)
        try:
            send("done", output=_run_job(tasks, arguments, send))
        except InputError as error:
            send("error", kind="input", message=str(error), traceback="")
            return 2
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            send("error", kind="unexpected", message=message, traceback=traceback.format_exc())
            return 1
    return 0


def _run_job(tasks: Mapping[str, Task], arguments: list[str], send: Callable) -> str | None:
    if len(arguments) != 1:
        raise InputError(f"Give one job file as the only argument, got {len(arguments)} arguments.")
    job_path = Path(arguments[0])
    job = _read_job(job_path)
    if job["task"] not in tasks:
        raise InputError(f"{job_path}: unknown task '{job['task']}', this worker knows {', '.join(tasks)}.")
    given = read_value(job_path.parent / job["arguments"])

    def progress(fraction: float, message: str) -> None:
        send("progress", fraction=round(min(max(float(fraction), 0.0), 1.0), 4), message=message)

    task = tasks[job["task"]]
    if "on_frame" in inspect.signature(task).parameters:
        task = partial(task, on_frame=partial(_keep_frame, job_path.parent))
    value = task(**given, progress=progress)
    if value is None:
        return None
    write_value(job_path.parent / job["output"], value)
    return job["output"]


def _keep_frame(directory: Path, frame: int, labels: np.ndarray) -> None:
    target = directory / FRAME_FILE.format(frame)
    unfinished = target.with_suffix(".part")
    with open(unfinished, "wb") as stream:
        np.save(stream, labels, allow_pickle=False)
    os.replace(unfinished, target)


def _read_job(path: Path) -> dict:
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable job file ({error}).") from error
    missing = [key for key in ("task", "arguments", "output") if not isinstance(job, dict) or key not in job]
    if missing:
        raise InputError(f"{path}: the job file lacks {', '.join(missing)}.")
    return job


def _event_stream() -> TextIO:
    """Standard output kept for events only: descriptor 1 is pointed at standard error for everybody else."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stream


def _forward_warnings(send: Callable) -> None:
    class Forwarder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            send("message", message=record.getMessage())

    logging.captureWarnings(True)
    logging.getLogger().addHandler(Forwarder(level=logging.WARNING))
