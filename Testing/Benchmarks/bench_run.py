"""Wall time and peak memory of ``cineheart run``, against the bound of 60 s for a study on two cores.

    python Testing/Benchmarks/bench_run.py [STUDY ...]

Without a study it makes the phantom first. Each study runs in a process of its own; where that makes the mesh in
another one, the memory told is that of the larger of the two.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOUND_S = 60.0


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cineheart", *words, "--json"]


def bench(study: str, output: Path) -> dict[str, object]:
    """Seconds, share of the bound, peak resident memory of the process, and the seconds of each step."""
    start = time.perf_counter()
    process = subprocess.Popen(command("run", study, "-o", str(output)), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    facts = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    return {
        "study": study,
        "exit_code": os.waitstatus_to_exitcode(status),
        "seconds": round(seconds, 1),
        "share_of_bound": round(seconds / BOUND_S, 2),
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
        "steps": facts["seconds"],
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        studies = [str(Path(study).resolve()) for study in sys.argv[1:]]
        if not studies:
            studies = [str(Path(folder) / "phantom")]
            subprocess.run(command("phantom", "-o", studies[0]), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        for number, study in enumerate(studies):
            print(json.dumps(bench(study, Path(folder) / f"result{number}"), indent=2))


if __name__ == "__main__":
    main()
