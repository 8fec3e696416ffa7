"""What the benchmarks share that measure the product beside MONAI's own run of a published bundle.

A benchmark states ``MEASUREMENTS``, makes a study, and gives the work of each measurement as a generator that yields
the name of every step when it is done, the loading of the network first. Each measurement is a process of its own;
what is measured takes turns, and the round with the least CPU time counts. The cache of compiled networks is empty at
first: with one round OpenVINO converts its networks, from the second on it takes them from there.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / name) for name in ("CardiacSeg", "CardiacLandmarks", "BiVMesh"))]


def measurements(default: str, published: str) -> dict[str, tuple[str, str]]:
    """Bundle and backend by name: both bundles with each backend, and the published one run by MONAI."""
    return {
        f"{default}, openvino": (default, "openvino"),
        f"{default}, onnxruntime": (default, "onnxruntime"),
        f"{default}, torch": (default, "torch"),
        f"{published}, MONAI": (published, "monai"),
        f"{published}, openvino": (published, "openvino"),
        f"{published}, onnxruntime": (published, "onnxruntime"),
        f"{published}, torch": (published, "torch"),
    }


def random_bundle(name: str, folder: Path, key: str | None = None) -> None:
    """A published bundle with random weights in ``folder``; ``key``: of the weights in the file, if it has one."""
    import torch

    from CardiacLib.networks.bundles import bundle_path, read_config
    from CardiacLib.networks.onnx_export import export_bundle

    bundle = folder / name
    shutil.copytree(bundle_path(name) / "configs", bundle / "configs")
    torch.manual_seed(0)
    weights = read_config(bundle, "inference").get_parsed_content("network_def").state_dict()
    (bundle / "models").mkdir()
    torch.save({key: weights} if key else weights, bundle / "models" / "model.pt")
    export_bundle(bundle)


def measure(name: str, work: Iterator[str]) -> dict[str, object]:
    """Run the steps of one measurement in this process: facts ready for JSON."""
    import resource

    walls, cpus = [time.perf_counter()], [time.process_time()]
    names = []
    for step in work:
        names.append(step)
        walls.append(time.perf_counter())
        cpus.append(time.process_time())
    spent = [after - before for before, after in itertools.pairwise(cpus)]
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "name": name,
        "load_s": round(walls[1] - walls[0], 2),
        "seconds": round(walls[-1] - walls[1], 2),
        "cpu_seconds": round(cpus[-1] - cpus[1], 2),
        "steps_cpu_s": {step: round(cpu, 2) for step, cpu in zip(names[1:], spent[1:], strict=True)},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20),
    }


def run_benchmark(
    description: str,
    names: dict[str, tuple[str, str]],
    make_study: Callable[[Path], None],
    product: Callable[[str, str, Path], Iterator[str]],
    monai_evaluator: Callable[[Path], Iterator[str]],
    print_table: Callable[[list[dict[str, object]]], None],
) -> None:
    """The command line of a benchmark: all measurements, or one of them in a process of its own.

    Args:
        description: one line.
        names: of :func:`measurements`.
        make_study: puts what is measured into an empty folder.
        product: the product's steps with a bundle and a backend on the study in a folder.
        monai_evaluator: those of MONAI's run of the published bundle.
        print_table: shows the facts of :func:`measure`, with the ratios to MONAI's run.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, help="of torch and OpenVINO; by default one per core")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--make", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.make:
        make_study(Path(chosen.make))
    elif chosen.measure:
        # MONAI prints what it writes; only the facts belong on standard output.
        output, sys.stdout = sys.stdout, sys.stderr
        name, folder = chosen.measure
        shutil.rmtree(Path(folder) / "monai", ignore_errors=True)  # what an earlier round wrote proves nothing
        bundle, how = names[name]
        steps = monai_evaluator(Path(folder)) if how == "monai" else product(bundle, how, Path(folder))
        print(json.dumps(measure(name, steps)), file=output)
    else:
        results = _compared(names, chosen.rounds, chosen.threads)
        print(json.dumps(results, indent=2)) if chosen.json else print_table(results)


def _compared(names: dict[str, tuple[str, str]], rounds: int, threads: int | None) -> list[dict[str, object]]:
    """The best round of every measurement, and how many times faster than MONAI's it is."""
    best: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        _child("--make", folder, threads=None)
        for _ in range(rounds):
            for name in names:
                start = time.perf_counter()
                said = _child("--measure", name, folder, threads=threads, cache=str(Path(folder) / "cache"))
                facts = json.loads(said) | {"process_s": round(time.perf_counter() - start, 2)}
                if name not in best or facts["cpu_seconds"] < best[name]["cpu_seconds"]:
                    best[name] = facts
    monai = next(best[name] for name, (_, how) in names.items() if how == "monai")
    for facts in best.values():
        for unit in ("seconds", "cpu_seconds"):
            facts[f"{unit}_ratio"] = round(monai[unit] / facts[unit], 2)
    return list(best.values())


def _child(*words: str, threads: int | None, cache: str | None = None) -> str:
    """What this program, started again with ``words``, prints; ``cache``: where compiled networks are kept."""
    environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    environment |= {"CINEHEART_BUNDLES": cache} if cache else {}
    command = [sys.executable, sys.argv[0], *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(ended.stderr)
    return ended.stdout


def print_rows(results: list[dict[str, object]], work: str) -> None:
    """The facts as a Markdown table; ``work``: what the seconds are of."""
    columns = {
        "path": "name",
        "load s": "load_s",
        f"{work} s": "seconds",
        "from the start of Python s": "process_s",
        "CPU s": "cpu_seconds",
        "MONAI's s / its s": "seconds_ratio",
        "MONAI's CPU s / its CPU s": "cpu_seconds_ratio",
        "peak memory MB": "peak_memory_mb",
    }
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for facts in results:
        print(f"| {' | '.join(str(facts[key]) for key in columns.values())} |")
    print(f"\n{results[0]['name']}: steps in CPU s {results[0]['steps_cpu_s']}")


def print_bounds(bounds: dict[str, bool]) -> None:
    """What was to be kept, and whether it was."""
    for said, kept in bounds.items():
        print(f"{'kept' if kept else 'NOT KEPT'}: {said}")
