"""Run a worker process beside a panel: start, follow its events, cancel its whole process tree.

The worker is ``PythonSlicer -m WORKER job.json`` inside Slicer and ``python -m WORKER job.json`` elsewhere; the file of
a Slicer module tells which module that is, and where it lies (:class:`Worker`). Only text lines cross from the reading
thread; every callback runs in :meth:`WorkerRun.poll`, so on the thread that polls, which must be the main one because
callbacks touch the scene.
"""

import atexit
import contextlib
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.jobs import finished_frames, write_job
from CardiacLib.mrml.nodes.host import in_slicer
from CardiacLib.networks.bundles import CACHE_VARIABLE, cache_folder
from CardiacLib.types.values import read_value

from .scratch import Scratch

POLL_INTERVAL_MS = 100
KEPT_OUTPUT_LINES = 40
_running: "weakref.WeakSet[WorkerRun]" = weakref.WeakSet()


@dataclass(frozen=True)
class JobRequest:
    """What a worker shall do: run ``task`` with ``arguments``, values of :mod:`CardiacLib.types.values` by name."""

    task: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class Worker:
    """What runs the jobs.

    Attributes:
        module: as of ``python -m``.
        folder: in which its package lies; the only one that its process is told of.
    """

    module: str
    folder: Path

    @classmethod
    def beside(cls, file: str | Path, module: str) -> "Worker":
        """The worker of the extension that ``file`` is a module of.

        Its package lies in the same folder where the extension is installed, and in the parent in a source tree.

        Raises:
            InputError: it lies in neither.
        """
        own = Path(file).resolve().parent
        for folder in (own, own.parent):
            if (folder / module.partition(".")[0]).is_dir():
                return cls(module, folder)
        raise InputError(f"{own}: there is no {module} here; install the extension again.")


def _ignore(*_) -> None:
    """The callback of callers that do not listen."""


@dataclass(frozen=True)
class Callbacks:
    """Called on the polling thread; exactly one of ``done``, ``failed``, ``cancelled`` ends a run."""

    progress: Callable[[float, str], None] = _ignore
    done: Callable[[object], None] = _ignore
    failed: Callable[[str, str], None] = _ignore
    """(message, detail): detail is empty for input that cannot be used, else a traceback or the last output."""
    cancelled: Callable[[list], None] = _ignore
    """Called with the labels, uint8 (K, J, I) each, of the frames that were finished, from the first on."""
    message: Callable[[str], None] = _ignore
    """What the worker wants the user to know."""


class WorkerRun:
    """One job in one worker process. Create it, :meth:`start` it, then poll by a timer or :meth:`wait`.

    Args:
        request: the job.
        worker: that runs it.
        callbacks: told what happens.
    """

    def __init__(self, request: JobRequest, worker: Worker, callbacks: Callbacks | None = None):
        self.request: JobRequest | None = request
        self.worker = worker
        self.callbacks = callbacks or Callbacks()
        self._process: subprocess.Popen | None = None
        self._lines: queue.Queue[tuple[str, str]] = queue.Queue()
        self._output: list[str] = []
        self._outcome: tuple | None = None
        self._value: tuple[object] | None = None
        self._finished = False
        self._threads: list[threading.Thread] = []
        self._timer = None
        self._folder: Scratch | None = None

    @property
    def finished(self) -> bool:
        """Whether one of ``done``, ``failed``, ``cancelled`` has been called."""
        return self._finished

    @property
    def pid(self) -> int | None:
        """Process id of the worker (inside Slicer: of its launcher), None before the start."""
        return self._process.pid if self._process else None

    def start(self, use_timer: bool = False) -> None:
        """Write the job folder and start the process; with ``use_timer`` a Qt timer polls on the main thread."""
        self._folder = Scratch("job")
        try:
            job = write_job(self._folder.path, self.request.task, self.request.arguments)
            self._process = _start_process([*_python(), "-m", self.worker.module, str(job)], self.worker.folder)
        except BaseException:
            self._folder.remove()
            raise
        _running.add(self)
        for name in ("stdout", "stderr"):
            thread = threading.Thread(target=self._read, args=(name,), daemon=True)
            thread.start()
            self._threads.append(thread)
        if use_timer:
            self._start_timer()

    def poll(self) -> bool:
        """Deliver what has arrived; returns whether the run goes on. Call it on the main thread."""
        if self._finished:
            return False
        alive = self._process.poll() is None or any(thread.is_alive() for thread in self._threads)
        while not self._lines.empty() and not self._finished:
            self._receive(*self._lines.get_nowait())
        if not alive and not self._finished:
            self._conclude()
        return not self._finished

    def wait(self, idle: Callable[[], None] = _ignore) -> None:
        """Poll until the end (for scripts and tests; a panel uses the timer); ``idle`` is called in between."""
        while self.poll():
            idle()
            time.sleep(0.02)

    def cancel(self) -> None:
        """Stop the process tree at once and call ``cancelled``; nothing happens when the run has ended."""
        if not self._finished:
            kill_tree(self._process)
            self._end(self.callbacks.cancelled, finished_frames(self._folder.path))

    def abandon(self) -> None:
        """Stop the process tree without calling back, because nobody is there any more to hear of it."""
        if not self._finished:
            self._end(_ignore)

    def _start_timer(self) -> None:
        import qt

        self._timer = qt.QTimer()
        self._timer.interval = POLL_INTERVAL_MS
        self._timer.connect("timeout()", self.poll)
        self._timer.start()

    def _read(self, name: str) -> None:
        """On a thread: move lines of one pipe to the queue until the worker closes it."""
        for line in getattr(self._process, name):
            self._lines.put((name, line.rstrip("\n")))

    def _receive(self, name: str, line: str) -> None:
        event = _parse_event(line) if name == "stdout" else None
        if event is None:
            self._output = [*self._output[1 - KEPT_OUTPUT_LINES :], line]
        elif event["event"] == "progress":
            self.callbacks.progress(event["fraction"], event["message"])
        elif event["event"] == "message":
            logging.warning("%s: %s", self.worker.module, event["message"])
            self.callbacks.message(event["message"])
        elif event["event"] == "done":
            self._outcome = ("done", event["output"])
        elif event["event"] == "error":
            self._outcome = ("error", event["message"], event["traceback"])

    def _conclude(self) -> None:
        """The process has ended and all its lines are read: report its outcome.

        What it gives is read at one poll and handed over at the next: the window lives in between.
        """
        kind, *content = self._outcome or ("silent",)
        if self._value is not None:
            self._end(self.callbacks.done, *self._value)
        elif kind == "done":
            try:
                self._value = (None if content[0] is None else read_value(self._folder.path / content[0]),)
            except InputError as error:
                self._end(self.callbacks.failed, str(error), "")
        elif kind == "error":
            self._end(self.callbacks.failed, *content)
        else:
            code = self._process.returncode
            message = f"The {self.worker.module} process stopped without a result (exit code {code})."
            self._end(self.callbacks.failed, message, "\n".join(self._output))

    def _end(self, callback: Callable, *arguments) -> None:
        self._finished = True
        _running.discard(self)
        if self._timer is not None:
            # PythonQt's timer holds the slot, which holds this run, which holds the timer: it would stay for ever.
            self._timer.stop()
            self._timer.disconnect("timeout()", self.poll)
            self._timer.deleteLater()
            self._timer = None
        if self._process is not None:
            kill_tree(self._process)
        if self._folder is not None:
            self._folder.remove()
        self._value = None
        self.request, self.callbacks = None, Callbacks()  # the images of the job, and what refers to the panel
        callback(*arguments)


def run_blocking(
    request: JobRequest,
    worker: Worker,
    progress: Callable[[float, str], None] = _ignore,
    idle: Callable[[], None] = _ignore,
) -> object:
    """Run a job in a worker process and wait for its value. A ``Cancelled`` raised by ``progress`` stops the worker.

    Args:
        request: the job.
        worker: that runs it.
        progress: called with (fraction, message).
        idle: called while there is nothing to do.

    Raises:
        InputError: the input cannot be used.
        RuntimeError: the worker failed otherwise; the message holds its traceback.
        Cancelled: the progress callback asked to stop.
    """
    results, failures = [], []
    run = WorkerRun(request, worker, Callbacks(progress, results.append, lambda *failure: failures.append(failure)))
    run.start()
    try:
        run.wait(idle)
    except BaseException:
        run.abandon()
        raise
    if failures:
        message, detail = failures[0]
        raise RuntimeError(f"{message}\n{detail}") if detail else InputError(message)
    return results[0]


def kill_tree(process: subprocess.Popen) -> None:
    """Kill a process started by this module with all its descendants (``PythonSlicer`` is a launcher) and reap it."""
    if os.name == "nt":
        if process.poll() is None:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        # The worker leads a session of its own, so its group holds all its descendants, also after it has ended.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _parse_event(line: str) -> dict | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _python() -> list[str]:
    """The Python that runs workers."""
    if not in_slicer():
        return [sys.executable]
    found = shutil.which("PythonSlicer")
    if found is None:
        raise InputError("PythonSlicer was not found on the PATH; start Slicer by its launcher.")
    return [found]


def _start_process(arguments: list[str], folder: Path) -> subprocess.Popen:
    environment = dict(os.environ)
    if in_slicer():
        import slicer

        environment = slicer.util.startupEnvironment()  # the launcher adds Slicer's own paths again
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), environment.get("PYTHONPATH"))))
    environment["PYTHONIOENCODING"] = "utf-8"
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")  # more of them wait for one another, actively
    environment[CACHE_VARIABLE] = str(cache_folder())  # also where it was chosen after the application had started
    options = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {"start_new_session": True}
    return subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        **options,
    )


@atexit.register
def _stop_all() -> None:
    """Leave no worker behind when the application closes."""
    for run in list(_running):
        run.abandon()
