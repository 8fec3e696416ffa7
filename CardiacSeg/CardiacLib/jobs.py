"""Worker harness: a job folder in, JSON-line events on standard output, a result file out.

A panel (or a test) writes a job folder and starts ``python -m <Lib> job.json`` in a process of its own; the
``__main__`` of each Lib hands its tasks to :func:`run_worker`. The folder holds

- ``job.json``: ``{"task": name, "inputs": {argument: file}, "options": {argument: JSON value}, "output": file}``,
- one ``.npz`` per input value and, at the end, one for the output. Values are the shared types of CardiacLib.

Every event is one JSON object on one line of standard output; whatever a library prints goes to standard error:

- ``{"event": "progress", "fraction": 0..1, "message": text}``
- ``{"event": "message", "message": text}`` (a warning that a library logged)
- ``{"event": "done", "output": file}``
- ``{"event": "error", "kind": "input" or "unexpected", "message": text, "traceback": text}``

Exit code: 0 done, 2 input that cannot be used (its one sentence is the message), 1 anything unexpected.
"""

import dataclasses
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

import numpy as np

from .bivmesh import BiVMesh
from .cine import Cine
from .errors import InputError
from .files import write_json
from .labels import LabelMap
from .landmarks import Landmarks

VALUE_TYPES = {kind.__name__: kind for kind in (Cine, LabelMap, Landmarks, BiVMesh)}
JOB_FILE = "job.json"
OUTPUT_FILE = "output.npz"

Task = Callable[..., object]


def write_value(path: str | Path, value) -> None:
    """Write one value of VALUE_TYPES as ``.npz``: arrays and dicts of arrays as they are, other fields as JSON text.

    Raises:
        TypeError: the value is of another type.
    """
    kind = type(value).__name__
    if VALUE_TYPES.get(kind) is not type(value):
        raise TypeError(f"A job carries values of {', '.join(VALUE_TYPES)}, not {kind}.")
    arrays, facts = {}, {}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if isinstance(content, dict) and any(isinstance(array, np.ndarray) for array in content.values()):
            arrays |= {f"{field.name}/{name}": array for name, array in content.items()}
        else:
            (arrays if isinstance(content, np.ndarray) else facts)[field.name] = content
    part = Path(path).with_suffix(".part.npz")
    np.savez(part, __type__=np.array(kind), __facts__=np.array(json.dumps(facts)), **arrays)
    os.replace(part, path)


def read_value(path: str | Path):
    """Read what :func:`write_value` wrote.

    Raises:
        InputError: the file is missing, broken, or not a job value.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
        kind = VALUE_TYPES[str(content.pop("__type__"))]
        facts = json.loads(str(content.pop("__facts__")))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path}: not a value of a CineHeart job ({error}); write the job again.") from error
    facts = {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()}
    for path_in_value in [name for name in content if "/" in name]:
        field, _, name = path_in_value.partition("/")
        facts.setdefault(field, {})[name] = content.pop(path_in_value)
    return kind(**content, **facts)


def write_job(directory: str | Path, task: str, inputs: Mapping[str, object], options: Mapping[str, object]) -> Path:
    """Write a job folder and return the path of its ``job.json``.

    Args:
        directory: an existing folder that only this job uses.
        task: name of a task of the Lib that will run it.
        inputs: argument name to a value of VALUE_TYPES.
        options: argument name to a JSON value.
    """
    directory = Path(directory)
    files = {}
    for name, value in inputs.items():
        files[name] = f"input_{name}.npz"
        write_value(directory / files[name], value)
    job_path = directory / JOB_FILE
    write_json(job_path, {"task": task, "inputs": files, "options": dict(options), "output": OUTPUT_FILE})
    return job_path


def run_worker(tasks: Mapping[str, Task], arguments: list[str]) -> int:
    """Run the job that ``arguments`` (one path to a ``job.json``) names; returns the exit code.

    A task is called as ``task(**inputs, **options, progress=...)`` and returns a value of VALUE_TYPES.
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


def _run_job(tasks: Mapping[str, Task], arguments: list[str], send: Callable) -> str:
    if len(arguments) != 1:
        raise InputError(f"Give one job file as the only argument, got {len(arguments)} arguments.")
    job_path = Path(arguments[0])
    job = _read_job(job_path)
    if job["task"] not in tasks:
        raise InputError(f"{job_path}: unknown task '{job['task']}', this worker knows {', '.join(tasks)}.")
    inputs = {name: read_value(job_path.parent / file) for name, file in job["inputs"].items()}

    def progress(fraction: float, message: str) -> None:
        send("progress", fraction=round(min(max(float(fraction), 0.0), 1.0), 4), message=message)

    value = tasks[job["task"]](**inputs, **job["options"], progress=progress)
    write_value(job_path.parent / job["output"], value)
    return job["output"]


def _read_job(path: Path) -> dict:
    try:
        job = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable job file ({error}).") from error
    missing = [key for key in ("task", "inputs", "options", "output") if not isinstance(job, dict) or key not in job]
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
