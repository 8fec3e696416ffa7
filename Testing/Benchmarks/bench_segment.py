"""Time and memory of the segmentation of 300 short-axis slices, against MONAI's own run of the published bundle.

    python Testing/Benchmarks/bench_segment.py [--threads N] [--rounds N] [--json]

The study is the phantom, 10 slices x 30 frames of 256 x 256 pixels. Measured on it are

- the default network in the product's path: one 4-D file read, heart found, every frame labelled, made consistent over
  time and cleaned, labels written; with each backend;
- the published bundle ``ventricular_short_axis_3label`` run by MONAI as its ``inference.json`` says, on 30 files of one
  frame each; by the evaluator that ``python -m monai.bundle run evaluating`` builds, without the start of Python;
- the published bundle in the product's path, with each backend.

The published weights are not needed: random ones take as long. Each measurement is a process of its own, the first call
of everything included; what is measured takes turns, and the round with the least CPU time counts. Loading the network
is told apart. CPU seconds are those of all threads; they stay the same when other programs use the machine.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "CardiacSeg"), str(ROOT / "BiVMesh")]

DEFAULT, PUBLISHED = "cineheart_sax", "ventricular_short_axis_3label"
MONAI = f"{PUBLISHED}, MONAI"
MEASUREMENTS = {
    f"{DEFAULT}, openvino": (DEFAULT, "openvino"),
    f"{DEFAULT}, torch": (DEFAULT, "torch"),
    MONAI: (PUBLISHED, "monai"),
    f"{PUBLISHED}, openvino": (PUBLISHED, "openvino"),
    f"{PUBLISHED}, torch": (PUBLISHED, "torch"),
}
SECONDS_BOUND, RATIO_BOUND, MEMORY_BOUND_MB = 6.0, 3.0, 1500


def make_study(folder: Path) -> None:
    """The phantom as one file and as one file per frame, and the published bundle with random weights."""
    import SimpleITK as sitk
    import torch

    from CardiacLib.bundles import bundle_path, read_config
    from CardiacLib.geometry import to_sitk
    from CardiacLib.phantom import PhantomOptions, make_phantom

    options = PhantomOptions(n_frames=30, n_slices=10, slice_spacing_mm=10.0, sax_size=256, lax_size=64)
    cine = make_phantom(options).cines["sax"]
    (folder / "frames").mkdir()
    frames = [to_sitk(frame, cine.ijk_to_lps) for frame in cine.frames]
    for number, frame in enumerate(frames):
        sitk.WriteImage(frame, str(folder / "frames" / f"frame{number:02d}.nii.gz"))
    sitk.WriteImage(sitk.JoinSeries(frames), str(folder / "cine.nii.gz"))
    bundle = folder / PUBLISHED
    shutil.copytree(bundle_path(PUBLISHED) / "configs", bundle / "configs")
    torch.manual_seed(0)
    network = read_config(bundle, "inference").get_parsed_content("network_def")
    (bundle / "models").mkdir()
    torch.save(network.state_dict(), bundle / "models" / "model.pt")


class Clock:
    """Wall and CPU seconds since the last call."""

    def __init__(self):
        self()

    def __call__(self) -> tuple[float, float]:
        now = time.perf_counter(), time.process_time()
        passed = tuple(a - b for a, b in zip(now, getattr(self, "last", now), strict=True))
        self.last = now
        return passed


def measure(name: str, folder: Path) -> dict[str, object]:
    """One measurement, in this process: facts ready for JSON."""
    import resource

    bundle, how = MEASUREMENTS[name]
    work = monai_evaluator(folder) if how == "monai" else product(bundle, how, folder)
    clock = Clock()
    next(work)
    load, _ = clock()
    steps = {}
    for step in work:
        steps[step] = clock()
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "name": name,
        "load_s": round(load, 2),
        "seconds": round(sum(wall for wall, _ in steps.values()), 2),
        "cpu_seconds": round(sum(cpu for _, cpu in steps.values()), 2),
        "steps_cpu_s": {step: round(cpu, 2) for step, (_, cpu) in steps.items()},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20),
    }


def product(bundle: str, backend: str, folder: Path):
    """The product's path; yields after loading and after each step."""
    from CardiacLib.readers import read_image
    from CardiacLib.writers import write_labels
    from CardiacSegLib import open_segmenter

    segmenter = open_segmenter(str(folder / bundle) if bundle == PUBLISHED else bundle, "cpu", backend)
    yield "load"
    cine = read_image(folder / "cine.nii.gz")
    yield "read"
    found = segmenter.segment(cine)
    yield "segment"
    write_labels(folder / "labels.nii.gz", found.labels)
    yield "write"


def monai_evaluator(folder: Path):
    """The published bundle's evaluator; yields after loading and after the run."""
    from CardiacLib.bundles import read_config

    bundle = folder / PUBLISHED
    overrides = {"dataset_dir": str(folder / "frames"), "output_dir": str(folder / "monai"), "device": "cpu"}
    evaluator = read_config(bundle, "inference", **overrides).get_parsed_content("evaluator")
    yield "load"
    evaluator.run()
    yield "run"
    if len(list((folder / "monai").iterdir())) != 30:
        raise RuntimeError("MONAI's run did not write 30 label maps.")


def child(*words: str, threads: int | None) -> str:
    """What this program, started again with ``words``, prints."""
    environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    command = [sys.executable, __file__, *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(ended.stderr)
    return ended.stdout


def compare(rounds: int, threads: int | None) -> list[dict[str, object]]:
    """The best round of every measurement, and how many times faster than MONAI's it is."""
    best: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        child("--make", folder, threads=None)
        for _ in range(rounds):
            for name in MEASUREMENTS:
                facts = json.loads(child("--measure", name, folder, threads=threads))
                if name not in best or facts["cpu_seconds"] < best[name]["cpu_seconds"]:
                    best[name] = facts
    for facts in best.values():
        for unit in ("seconds", "cpu_seconds"):
            facts[f"{unit}_ratio"] = round(best[MONAI][unit] / facts[unit], 2)
    return list(best.values())


def print_table(results: list[dict[str, object]]) -> None:
    """A Markdown table and whether the default network keeps its bounds."""
    columns = {
        "path": "name",
        "load s": "load_s",
        "300 slices s": "seconds",
        "CPU s": "cpu_seconds",
        "MONAI's s / its s": "seconds_ratio",
        "MONAI's CPU s / its CPU s": "cpu_seconds_ratio",
        "peak memory MB": "peak_memory_mb",
    }
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for facts in results:
        print(f"| {' | '.join(str(facts[key]) for key in columns.values())} |")
    first = results[0]
    print(f"\n{first['name']}: steps in CPU s {first['steps_cpu_s']}")
    for said, kept in {
        f"at most {SECONDS_BOUND} s": first["seconds"] <= SECONDS_BOUND,
        f"at least {RATIO_BOUND} x faster than MONAI's run": first["seconds_ratio"] >= RATIO_BOUND,
        f"at most {MEMORY_BOUND_MB} MB": first["peak_memory_mb"] <= MEMORY_BOUND_MB,
    }.items():
        print(f"{'kept' if kept else 'NOT KEPT'}: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
        print(json.dumps(measure(chosen.measure[0], Path(chosen.measure[1]))), file=output)
    else:
        results = compare(chosen.rounds, chosen.threads)
        print(json.dumps(results, indent=2)) if chosen.json else print_table(results)


if __name__ == "__main__":
    main()
