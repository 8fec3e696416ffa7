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

from pathlib import Path

from side_by_side import measurements, print_bounds, print_rows, random_bundle, run_benchmark

DEFAULT, PUBLISHED = "cineheart_lax_landmarks", "valve_landmarks"
MEASUREMENTS = measurements(DEFAULT, PUBLISHED)
VIEWS = ("2ch", "3ch", "4ch")
FRAMES, SIDE = 30, 256
SECONDS_BOUND = 2.0


def make_study(folder: Path) -> None:
    """Cines of the phantom, and the published bundle with random weights."""
    import SimpleITK as sitk

    from CardiacLib.geometry import to_sitk
    from CardiacLib.phantom import PhantomOptions, make_phantom

    options = PhantomOptions(n_frames=FRAMES, lax_size=SIDE, n_slices=1, sax_size=32)
    cines = make_phantom(options).cines
    (folder / "cines").mkdir()
    for view in VIEWS:
        cine = cines[view]
        frames = [to_sitk(frame, cine.ijk_to_lps) for frame in cine.frames]
        sitk.WriteImage(sitk.JoinSeries(frames), str(folder / "cines" / f"{view}.nii.gz"))
    random_bundle(PUBLISHED, folder, key="net")


def product(bundle: str, backend: str, folder: Path):
    """The product's path; yields after loading and after the work."""
    from CardiacLandmarksLib import open_detector
    from CardiacLandmarksLib.detect.study_landmarks import detect_landmarks
    from CardiacLib.readers import read_image
    from CardiacLib.types.choices import NetworkChoice, RunsOn

    chosen = str(folder / bundle) if bundle == PUBLISHED else bundle
    detector = open_detector(NetworkChoice(chosen, RunsOn("cpu", backend)))
    yield "load"
    cines = {view: read_image(folder / "cines" / f"{view}.nii.gz", view) for view in VIEWS}
    found = detect_landmarks(cines, detector)
    if len(found.landmarks().points) != FRAMES:
        raise RuntimeError(f"There should be points of {FRAMES} frames.")
    yield "work"


def monai_evaluator(folder: Path):
    """The published bundle's evaluator; yields after loading and after the run."""
    from CardiacLib.networks.bundles import read_config

    overrides = {"dataset_dir": str(folder / "cines"), "output_dir": str(folder / "monai"), "device": "cpu"}
    evaluator = read_config(folder / PUBLISHED, "inference", **overrides).get_parsed_content("evaluator")
    yield "load"
    evaluator.run()
    if len(list((folder / "monai").rglob("*.npy"))) != len(VIEWS):
        raise RuntimeError(f"MONAI's run did not write the points of {len(VIEWS)} cines.")
    yield "work"


def print_table(results: list[dict[str, object]]) -> None:
    """A Markdown table and whether the default network keeps its bound."""
    print_rows(results, f"{len(VIEWS) * FRAMES} images")
    print_bounds({f"at most {SECONDS_BOUND} s on two cores": results[0]["seconds"] <= SECONDS_BOUND})


if __name__ == "__main__":
    run_benchmark(__doc__.splitlines()[0], MEASUREMENTS, make_study, product, monai_evaluator, print_table)
