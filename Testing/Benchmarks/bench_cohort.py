"""A cohort that is killed and started again, in shards, and against one ``cineheart run`` after the other.

    python Testing/Benchmarks/bench_cohort.py STUDIES [--kills 3] [--workers 2] [--loop 8] [-- OPTIONS OF BATCH]
    python Testing/Benchmarks/bench_cohort.py --tasks 1000

First the cohort without interruption; then again, killed (SIGKILL) at random times and started anew; then as two
shards. All must give the same rows, the columns of times excepted, and no study may be done twice. At last as many
studies as ``--loop`` says are done by one command each, in the same session, and by one batch. Without studies: what
the engine costs for each task, by tasks that do nothing, and its start.
"""

import argparse
import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cineheart.cohort.engine import Workers, run_jobs
from cineheart.cohort.studies import CohortStudy
from cineheart.cohort.task import StudyJob
from cineheart.pipeline import RunOptions

ROOT = Path(__file__).resolve().parents[2]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "cineheart", *map(str, words)]


def batch(studies: list[Path], output: Path, workers: int, options: list[str], *more: str) -> subprocess.Popen:
    words = ("batch", *studies, "-o", output, "--workers", workers, *options, *more)
    return subprocess.Popen(command(*words), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rows(output: Path) -> dict[str, dict[str, str]]:
    """Rows by study without the times, and without the sentence of failures that name a temporary place."""
    with open(output / "cohort.csv", newline="", encoding="utf-8") as stream:
        found = list(csv.DictReader(stream))
    return {row["study"]: {key: value for key, value in row.items() if not key.startswith("seconds")} for row in found}


def done(output: Path) -> dict[str, int]:
    """When each study was done, by its name."""
    return {path.parent.name: path.stat().st_mtime_ns for path in output.glob("*/done.json")}


def killed(studies: list[Path], output: Path, given: argparse.Namespace, seconds: float) -> int:
    """Kill a batch ``given.kills`` times; returns how many studies were done twice."""
    twice, before = 0, {}
    for number in range(given.kills + 1):
        process = batch(studies, output, given.workers, given.options)
        if number < given.kills:
            time.sleep(random.uniform(0.15, 0.3) * seconds)
            process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(5.0 if number < given.kills else 0.0)  # workers see that their parent is no more
        now = done(output)
        twice += sum(now.get(name) != when for name, when in before.items())
        before = now
    return twice


def overhead(tasks: int, workers: int) -> dict[str, object]:
    """Seconds until the first of so many empty tasks is back, and milliseconds for each of the others.

    A task gets what a study's task gets, and gives nothing; processor time is of this process: client and scheduler.
    """
    names = [f"study{number:05d}" for number in range(tasks)]
    jobs = {name: StudyJob(CohortStudy(name, Path("/data") / name), ROOT / name, RunOptions()) for name in names}
    began = time.perf_counter()
    results = run_jobs(bool, jobs, Workers(workers))
    next(results)
    first, processor = time.perf_counter(), time.process_time()
    assert sum(found for _, found, _ in results) == tasks - 1
    each = 1000 / (tasks - 1)
    facts = {"tasks": tasks, "workers": workers, "start_s": round(first - began, 2)}
    facts["ms_each"] = round((time.perf_counter() - first) * each, 2)
    return facts | {"processor_ms_each": round((time.process_time() - processor) * each, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", type=Path, nargs="*")
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--loop", type=int, default=8)
    words = sys.argv[1:]
    options = words[words.index("--") + 1 :] if "--" in words else []
    given = parser.parse_args(words[: words.index("--")] if "--" in words else words)
    given.options = options
    if not given.studies:
        print(json.dumps(overhead(given.tasks, given.workers)))
        return
    work = Path(tempfile.mkdtemp(prefix="bench-cohort-"))
    random.seed(1)
    try:
        began = time.perf_counter()
        batch(given.studies, work / "whole", given.workers, options).wait()
        seconds = time.perf_counter() - began
        wanted = rows(work / "whole")
        facts = {"studies": len(wanted), "failed": sum(row["status"] == "failed" for row in wanted.values())}
        facts |= {"seconds": round(seconds, 1), "an_hour": round(3600 * len(wanted) / seconds)}
        size = sum(file.stat().st_size for file in (work / "whole").rglob("*") if file.is_file())
        facts["mb_per_done_study"] = round(size / 1e6 / max(len(wanted) - facts["failed"], 1), 1)
        print(json.dumps(facts), flush=True)
        twice = killed(given.studies, work / "killed", given, seconds)
        same = rows(work / "killed") == wanted
        print(json.dumps({"kills": given.kills, "same_rows": same, "done_twice": twice}), flush=True)
        for shard in ("0/2", "1/2"):
            batch(given.studies, work / "shards", 1, options, "--shard", shard).wait()
        print(json.dumps({"shards": 2, "same_rows": rows(work / "shards") == wanted}), flush=True)
        chosen = [name for name, row in wanted.items() if row["status"] == "done"][: given.loop]
        paths = [path for source in given.studies for path in sorted(source.iterdir()) if path.name in chosen]
        began = time.perf_counter()
        for path in paths:
            run = command("run", path, "-o", work / "loop" / path.name, "--no-scene", *options)
            subprocess.run(run, cwd=ROOT, capture_output=True, check=False)
        loop = time.perf_counter() - began
        began = time.perf_counter()
        batch(paths, work / "again", given.workers, options).wait()
        again = time.perf_counter() - began
        print(json.dumps({"loop_s": round(loop, 1), "batch_s": round(again, 1), "times": round(loop / again, 2)}))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
