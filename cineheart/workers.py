"""Worker processes that end with the command that started them, and signals that let both clean up."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import connection

GRACE_S = 10.0
"""In which an interrupted worker may remove its unfinished files, and tell a parent that is alive."""
_busy, _ended = threading.Event(), threading.Event()
"""Of a worker: a task is at work; no further one is to begin."""


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt as Ctrl+C does, so that unfinished files are removed and workers ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def run_in_workers(task: Callable, jobs: Mapping[str, object], workers: int) -> Iterator[tuple[str, object]]:
    """(name, result of ``task(job)``) of each job as it is done, in ``workers`` processes.

    Whatever ends this process, killing it included, ends the workers: tasks at work are interrupted
    (KeyboardInterrupt), and none begins anew.
    """
    context = multiprocessing.get_context("spawn")
    listen, hold = context.Pipe(duplex=False)
    with ProcessPoolExecutor(workers, context, _follow, (listen,)) as pool:
        running = {pool.submit(_work, task, job): name for name, job in jobs.items()}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BaseException:
            hold.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            listen.close()
            hold.close()


def _follow(listen: connection.Connection) -> None:
    """In a worker: watch the pipe whose other end the parent holds and never writes to.

    It ends when the parent closes it or is no more. Ctrl+C reaches the workers too, and is left to the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)

    def watch() -> None:
        connection.wait([listen])
        os.kill(os.getpid(), signal.SIGTERM)
        parent, latest = multiprocessing.parent_process(), time.monotonic() + GRACE_S
        while time.monotonic() < latest and (_busy.is_set() or (parent is not None and parent.is_alive())):
            time.sleep(0.05)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end(*_) -> None:
    _ended.set()
    if _busy.is_set():
        raise KeyboardInterrupt


def _work(task: Callable, job: object) -> object:
    _busy.set()
    try:
        if _ended.is_set():
            raise KeyboardInterrupt
        return task(job)
    finally:
        _busy.clear()
