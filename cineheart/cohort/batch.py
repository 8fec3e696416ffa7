"""``cineheart batch``: every study of a cohort, skipping what is done; one table and one page at the end."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.files import require_output
from CardiacLib.networks.bundles import has_weights
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import LONG_AXIS_BUNDLE
from cineheart.console import Answer
from cineheart.pipeline import FurtherFiles, RunOptions
from cineheart.provenance import current_command, network_of

from .engine import RowTask, Workers, rows_of
from .page import write_page
from .studies import CohortStudy, find_studies
from .table import write_table
from .task import DONE, FAILED, StudyJob, failed_row, finished_row, process_study


@dataclass(frozen=True)
class BatchOptions:
    """How a cohort is processed.

    Attributes:
        run: of every study, as of ``cineheart run``.
        workers: where.
        shard: (i, n): only every n-th study, beginning with the i-th, counted from 0; for n commands side by side.
        retry_failed: try studies again that failed in an earlier run.
    """

    run: RunOptions = field(default_factory=lambda: RunOptions(files=FurtherFiles(scene=False)))
    workers: Workers = field(default_factory=Workers)
    shard: tuple[int, int] = (0, 1)
    retry_failed: bool = False


def shard_of(text: str) -> tuple[int, int]:
    """``i/N`` as numbers.

    Raises:
        InputError: it is something else, or i is not one of 0 to N - 1.
    """
    first, _, count = text.partition("/")
    if not (first.isdigit() and count.isdigit() and int(first) < int(count)):
        raise InputError(f"--shard {text}: write i/N, i from 0 to N - 1, as 0/2 and 1/2.")
    return int(first), int(count)


def run_batch(
    sources: Sequence[Path], output: Path, options: BatchOptions = BatchOptions(), *, progress: Progress = silent
) -> Answer:
    """Process every study into a folder of its name, and write ``cohort.csv``, ``cohort.parquet`` and ``cohort.html``.

    Studies that an earlier run has done with the same input, networks and options are not done again. One that fails is
    a row with its sentence. Table and page tell all studies that are done, also by other shards.

    Raises:
        InputError: a source cannot be used, or Dask is missing for several workers.
    """
    require_output(output)
    studies = find_studies(sources)
    bundles = (options.run.segment.network.bundle, options.run.landmarks.network.bundle, LONG_AXIS_BUNDLE)
    networks = tuple(network_of(bundle).sha256 for bundle in bundles if has_weights(bundle))
    command = current_command()
    jobs = {study.name: StudyJob(study, output / study.name, options.run, networks, command) for study in studies}
    output.mkdir(parents=True, exist_ok=True)
    rows = {name: row for name, job in jobs.items() if (row := finished_row(job, failed_too=not options.retry_failed))}
    first, count = options.shard
    todo = {name: job for n, (name, job) in enumerate(jobs.items()) if n % count == first and name not in rows}
    kept, began = len(rows), time.monotonic()
    progress(0.0, f"{len(studies)} studies, {kept} done before, {len(todo)} to do")
    task = RowTask(process_study, lambda job, problem: failed_row(job.study, problem), output)
    with closing(rows_of(task, todo, options.workers, progress)) as made:
        rows.update(made)
    told = [rows[study.name] | _references(study) for study in studies if study.name in rows]
    write_table(told, output)
    write_page(told, output)
    failed = [row["study"] for row in told if row["status"] == FAILED]
    facts = {
        "studies": len(studies),
        "done": sum(row["status"] == DONE for row in told),
        "done_before": kept,
        "failed": failed,
        "left": len(studies) - len(told),
        "seconds": round(time.monotonic() - began, 1),
    }
    return Answer(facts, tuple(f"{row['study']}: {row['reason']}" for row in told if row["status"] == FAILED))


def _references(study: CohortStudy) -> dict[str, object]:
    return {f"reference_{name}": value for name, value in study.references.items()}
