"""Time and memory of the valve points of 90 long-axis images, against MONAI's own run of the published network.

    python Testing/Benchmarks/bench_landmarks.py [--threads N] [--rounds N] [--json]

The study is the phantom, 2CH, 3CH and 4CH of 30 frames of 256 x 256 pixels. Measured on it are

- the default network in the product's path, files read, points found, smooth paths fitted; with each backend;
- the published bundle ``valve_landmarks`` run by MONAI as its ``inference.json`` says, by the evaluator that
  ``python -m monai.bundle run evaluating`` builds, without the start of Python;
- the published bundle in the product's path, with each backend.

The published weights are not needed: random ones take as long. Each measurement is a process of its own, the first call
of everything included but loading, which is told apart; what is measured takes turns, and the round with the least CPU
time counts. CPU seconds are those of all threads; they stay the same when other programs use the machine.
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
sys.path[:0] = [str(ROOT), str(ROOT / "CardiacSeg"), str(ROOT / "CardiacLandmarks"), str(ROOT / "BiVMesh")]

DEFAULT, PUBLISHED = "cineheart_lax_landmarks", "valve_landmarks"
MONAI = f"{PUBLISHED}, MONAI"
MEASUREMENTS = {
    f"{DEFAULT}, openvino": (DEFAULT, "openvino"),
    f"{DEFAULT}, torch": (DEFAULT, "torch"),
    MONAI: (PUBLISHED, "monai"),
    f"{PUBLISHED}, openvino": (PUBLISHED, "openvino"),
    f"{PUBLISHED}, torch": (PUBLISHED, "torch"),
}
VIEWS = ("2ch", "3ch", "4ch")
FRAMES, SIDE = 30, 256
SECONDS_BOUND = 2.0


def make_study(folder: Path) -> None:
    """Cines of the phantom, and the published bundle with random weights."""
    import SimpleITK as sitk
    import torch

    from CardiacLib.bundles import bundle_path, read_config
    from CardiacLib.geometry import to_sitk
    from CardiacLib.phantom import PhantomOptions, make_phantom

    options = PhantomOptions(n_frames=FRAMES, lax_size=SIDE, n_slices=1, sax_size=32)
    cines = make_phantom(options).cines
    (folder / "cines").mkdir()
    for view in VIEWS:
        cine = cines[view]
        frames = [to_sitk(frame, cine.ijk_to_lps) for frame in cine.frames]
        sitk.WriteImage(sitk.JoinSeries(frames), str(folder / "cines" / f"{view}.nii.gz"))
    bundle = folder / PUBLISHED
    shutil.copytree(bundle_path(PUBLISHED) / "configs", bundle / "configs")
    torch.manual_seed(0)
    network = read_config(bundle, "inference").get_parsed_content("network_def")
    (bundle / "models").mkdir()
    torch.save({"net": network.state_dict()}, bundle / "models" / "model.pt")


def measure(name: str, folder: Path) -> dict[str, object]:
    """One measurement, in this process: facts ready for JSON."""
    import resource

    bundle, how = MEASUREMENTS[name]
    work = monai_evaluator(folder) if how == "monai" else product(bundle, how, folder)
    start = time.perf_counter()
    next(work)
    loaded, cpu = time.perf_counter(), time.process_time()
    next(work)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "name": name,
        "load_s": round(loaded - start, 2),
        "seconds": round(time.perf_counter() - loaded, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20),
    }


def product(bundle: str, backend: str, folder: Path):
    """The product's path; yields after loading and after the work."""
    from CardiacLandmarksLib import open_detector
    from CardiacLandmarksLib.detect import detect_landmarks
    from CardiacLib.readers import read_image

    detector = open_detector(str(folder / bundle) if bundle == PUBLISHED else bundle, "cpu", backend)
    yield "load"
    cines = {view: read_image(folder / "cines" / f"{view}.nii.gz", view) for view in VIEWS}
    found = detect_landmarks(cines, detector)
    if len(found.landmarks().points) != FRAMES:
        raise RuntimeError(f"There should be points of {FRAMES} frames.")
    yield "work"


def monai_evaluator(folder: Path):
    """The published bundle's evaluator; yields after loading and after the run."""
    from CardiacLib.bundles import read_config

    overrides = {"dataset_dir": str(folder / "cines"), "output_dir": str(folder / "monai"), "device": "cpu"}
    evaluator = read_config(folder / PUBLISHED, "inference", **overrides).get_parsed_content("evaluator")
    yield "load"
    evaluator.run()
    if len(list((folder / "monai").rglob("*.npy"))) != len(VIEWS):
        raise RuntimeError(f"MONAI's run did not write the points of {len(VIEWS)} cines.")
    yield "work"


def child(*words: str, threads: int | None) -> str:
    """What this program, started again with ``words``, prints."""
    environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    command = [sys.executable, __file__, *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(ended.stderr)
    return ended.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--threads", type=int, help="threads of each measurement; default: all cores")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]))))
        return
    with tempfile.TemporaryDirectory() as name:
        make_study(Path(name))
        rows: dict[str, dict] = {}
        for _ in range(options.rounds):
            for which in MEASUREMENTS:
                shutil.rmtree(Path(name) / "monai", ignore_errors=True)
                printed = child("--measure", which, name, threads=options.threads)
                row = json.loads(printed.strip().splitlines()[-1])
                if which not in rows or row["cpu_seconds"] < rows[which]["cpu_seconds"]:
                    rows[which] = row
    report(list(rows.values()), options.json)


def report(rows: list[dict], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{len(VIEWS) * FRAMES} images")
    print(f"{'':36} {'s':>6} {'cpu s':>6} {'load s':>7} {'MB':>6}")
    for row in rows:
        numbers = f"{row['seconds']:6.2f} {row['cpu_seconds']:6.2f} {row['load_s']:7.2f} {row['peak_memory_mb']:6d}"
        print(f"{row['name']:36} {numbers}")
    by_name = {row["name"]: row for row in rows}
    ours = min((row for row in rows if row["name"].startswith(DEFAULT)), key=lambda row: row["seconds"])
    print(f"{ours['name']}: {ours['seconds']:.2f} s, bound {SECONDS_BOUND:.0f} s on two cores;", end=" ")
    print(f"{by_name[MONAI]['seconds'] / ours['seconds']:.1f} times as fast as MONAI's run of the published network")


if __name__ == "__main__":
    main()
