"""Dask's workers: one task for each study, each process with its share of the cores."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from CardiacLib.errors import InputError

DEATHS = 2
"""Of workers on one study, after which it counts as failed."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


@dataclass(frozen=True)
class Workers:
    """Where studies are processed.

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


def run_jobs(task: Callable, jobs: Mapping[str, object], workers: Workers) -> Iterator[tuple[str, object, str]]:
    """(name, result of ``task(job)``, problem) of each job as it is done; a problem takes the place of a result.

    A worker that dies, by lack of memory or by hand, loses nothing but the study it was at, which another does again.
    Whatever ends the loop ends the local workers.

    Raises:
        InputError: Dask is not installed, or there is no scheduler at the address.
    """
    if workers.own_process:
        for name, job in jobs.items():
            yield name, task(job), ""
        return
    with _client(workers) as client:
        from distributed import as_completed

        waiting = iter(jobs.items())
        names: dict[object, str] = {}

        def submit(name: str, job: object):
            future = client.submit(task, job, key=f"study-{name}", pure=False)
            names[future.key] = name
            return future

        # As many as can be at work: of a worker that dies, Dask blames whatever it was to do next too.
        threads = sum(client.nthreads().values())
        running = as_completed([submit(*item) for item in islice(waiting, max(threads, 1))])
        for future in running:
            name, error = names.pop(future.key), future.exception()
            result = None if error is not None else future.result()
            future.release()
            if (item := next(waiting, None)) is not None:
                running.add(submit(*item))
            yield name, result, "" if error is None else _sentence(error)


def _sentence(error: BaseException) -> str:
    if type(error).__name__ == "KilledWorker":
        return f"{DEATHS + 1} workers died at this study, probably for lack of memory; use fewer --workers."
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
        )
        with local, Client(local) as client:
            yield client
