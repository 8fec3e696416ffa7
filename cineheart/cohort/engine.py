"""The engine of batches: one task for each job, in Dask's workers, each process with its share of the cores."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.files import remove_unfinished
from CardiacLib.progress import Progress, silent
from cineheart.workers import THREADS

Row = dict[str, object]

DEATHS = 2
"""Of workers on one study, after which it counts as failed."""


@dataclass(frozen=True)
class Workers:
    """Where jobs are done.

    Attributes:
        count: local processes; 1 without a scheduler: this process, without Dask.
        scheduler: address of a Dask scheduler whose workers are used instead.
    """

    count: int = 1
    scheduler: str | None = None

    @property
    def own_process(self) -> bool:
        """Whether no other process is needed."""
        return self.count == 1 and self.scheduler is None


@dataclass(frozen=True)
class RowTask:
    """What is done with every job of a batch.

    Attributes:
        run: a job to its row of the table; writes the job's folder, whole or not at all, and has failures in the row.
        failed: a job and a problem to its row, where nothing came of ``run``.
        output: folder that holds a folder of each job's name.
    """

    run: Callable[..., Row]
    failed: Callable[..., Row]
    output: Path


def rows_of(
    task: RowTask, jobs: Mapping[str, object], workers: Workers, progress: Progress = silent
) -> Iterator[tuple[str, Row]]:
    """(name, row) of each job as it is done, told with rate and time left; nothing unfinished is left in the folder.

    Raises:
        InputError: as of :func:`run_jobs`.
    """
    began = time.monotonic()
    try:
        with closing(run_jobs(task.run, jobs, workers)) as results:
            for done, (name, found, problem) in enumerate(results, 1):
                row = task.failed(jobs[name], problem) if problem else found
                progress(done / len(jobs), _told(name, row, (done, len(jobs)), time.monotonic() - began))
                yield name, row
    finally:
        if workers.scheduler is None:  # whose workers may still be at work
            remove_unfinished(task.output, jobs)


def run_jobs(task: Callable, jobs: Mapping[str, object], workers: Workers) -> Iterator[tuple[str, object, str]]:
    """(name, result of ``task(job)``, problem) of each job as it is done; a problem takes the place of a result.

    A worker that dies, by lack of memory or by hand, loses nothing but the job it was at, which another does again.
    Whatever ends the loop ends the local workers, at once and in the middle of their jobs.

    Raises:
        InputError: Dask is not installed, there is no scheduler at the address, or its workers cannot be used.
    """
    if workers.own_process:
        for name, job in jobs.items():
            yield name, task(job), ""
        return
    with _client(workers) as client:
        from distributed import as_completed

        if workers.scheduler is not None:
            _require_usable(task.__module__, client, workers.scheduler)

        waiting = iter(jobs.items())
        names: dict[object, str] = {}

        def submit(name: str, job: object):
            future = client.submit(task, job, key=f"job-{name}", pure=False)
            names[future.key] = name
            return future

        def room() -> int:
            """As many as can be at work: of a worker that dies, Dask blames whatever it was to do next too."""
            return workers.count if workers.scheduler is None else max(sum(client.nthreads().values()), 1)

        running = as_completed([submit(*item) for item in islice(waiting, room())])
        for future in running:
            name, error = names.pop(future.key), future.exception()
            result = None if error is not None else future.result()
            future.release()
            for item in islice(waiting, max(room() - len(names), 0)):  # a scheduler's workers come and go
                running.add(submit(*item))
            yield name, result, "" if error is None else _sentence(error)


def _require_usable(module: str, client, scheduler: str) -> None:
    """Wait for the first worker of a scheduler; of one that cannot import a task, Dask would wait for ever."""
    client.wait_for_workers(1)
    if max(client.nthreads().values()) > 1:
        raise InputError(f"{scheduler}: its workers do several studies in one process; start them with --nthreads 1.")
    for found in client.run(import_module, module, on_error="return").values():
        if isinstance(found, Exception):
            raise InputError(f"{scheduler}: its workers cannot import {module} ({found}); install CineHeart there.")


def _sentence(error: BaseException) -> str:
    if type(error).__name__ == "KilledWorker":
        return f"{DEATHS + 1} processes died at it, probably for lack of memory; use fewer --workers."
    return f"{type(error).__name__}: {error}"


@contextmanager
def _client(workers: Workers) -> Iterator:
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            "Several processes need Dask: pip install 'cineheart[cohort]', or --workers 1, or --shard i/N in as many "
            "commands."
        ) from error
    # Rows say what became of a job, and of a process that died at it.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = str(max(cores // max(workers.count, 1), 1))
    settings = {
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREADS, share),
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.worker.daemon": False,
        "distributed.admin.large-graph-warning-threshold": "1GB",
    }
    with dask.config.set(settings):
        if workers.scheduler is not None:
            try:
                client = Client(workers.scheduler, timeout="10s")
            except (OSError, ValueError) as error:
                raise InputError(f"{workers.scheduler}: no Dask scheduler answers there ({error}).") from error
            with client:
                yield client
            return
        local = LocalCluster(
            n_workers=workers.count,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        )
        with local, Client(local) as client:
            try:
                yield client
            except BaseException:
                _end(local)
                raise


def _end(local) -> None:
    """End the processes of a local cluster without waiting for their tasks."""
    for nanny in local.workers.values():
        nanny.close_gracefully()  # it is not to start another
        if nanny.pid is not None:
            os.kill(nanny.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)


def _told(name: str, row: Row, of: tuple[int, int], seconds: float) -> str:
    done, count = of
    rate = done / max(seconds, 1e-3)
    left = (count - done) / rate
    when = f"{left / 3600:.1f} h" if left > 5400 else f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
    return f"{name}: {row['status']} ({done} of {count}, {3600 * rate:.0f} an hour, {when} left)"
