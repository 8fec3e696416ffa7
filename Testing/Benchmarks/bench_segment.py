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

from pathlib import Path

from side_by_side import measurements, print_bounds, print_rows, random_bundle, run_benchmark

DEFAULT, PUBLISHED = "cineheart_sax", "ventricular_short_axis_3label"
MEASUREMENTS = measurements(DEFAULT, PUBLISHED)
SECONDS_BOUND, RATIO_BOUND, MEMORY_BOUND_MB = 6.0, 3.0, 1500


def make_study(folder: Path) -> None:
    """The phantom as one file and as one file per frame, and the published bundle with random weights."""
    import numpy as np
    import SimpleITK as sitk

    from CardiacLib.geometry import to_sitk
    from CardiacLib.phantom import PhantomOptions, make_phantom

    options = PhantomOptions(n_frames=30, n_slices=10, slice_spacing_mm=10.0, sax_size=256, lax_size=64)
    cine = make_phantom(options).cines["sax"]
    (folder / "frames").mkdir()
    # Whole numbers, as scanners store them.
    frames = [to_sitk(frame, cine.ijk_to_lps) for frame in np.rint(cine.frames).astype(np.int16)]
    for number, frame in enumerate(frames):
        sitk.WriteImage(frame, str(folder / "frames" / f"frame{number:02d}.nii.gz"))
    sitk.WriteImage(sitk.JoinSeries(frames), str(folder / "cine.nii.gz"))
    random_bundle(PUBLISHED, folder)


def product(bundle: str, backend: str, folder: Path):
    """The product's path; yields after loading and after each step."""
    from CardiacLib.readers import read_image
    from CardiacLib.types.choices import NetworkChoice, RunsOn
    from CardiacLib.writers.images import write_labels
    from CardiacSegLib import open_segmenter

    chosen = str(folder / bundle) if bundle == PUBLISHED else bundle
    segmenter = open_segmenter(NetworkChoice(chosen, RunsOn("cpu", backend)))
    yield "load"
    cine = read_image(folder / "cine.nii.gz")
    yield "read"
    found = segmenter.segment(cine)
    yield "segment"
    write_labels(folder / "labels.nii.gz", found.labels)
    yield "write"


def monai_evaluator(folder: Path):
    """The published bundle's evaluator; yields after loading and after the run."""
    from CardiacLib.networks.bundles import read_config

    bundle = folder / PUBLISHED
    overrides = {"dataset_dir": str(folder / "frames"), "output_dir": str(folder / "monai"), "device": "cpu"}
    evaluator = read_config(bundle, "inference", **overrides).get_parsed_content("evaluator")
    yield "load"
    evaluator.run()
    yield "run"
    if len(list((folder / "monai").iterdir())) != 30:
        raise RuntimeError("MONAI's run did not write 30 label maps.")


def print_table(results: list[dict[str, object]]) -> None:
    """A Markdown table and whether the default network keeps its bounds."""
    print_rows(results, "300 slices")
    first = results[0]
    print_bounds(
        {
            f"at most {SECONDS_BOUND} s": first["seconds"] <= SECONDS_BOUND,
            f"at least {RATIO_BOUND} x faster than MONAI's run": first["seconds_ratio"] >= RATIO_BOUND,
            f"at most {MEMORY_BOUND_MB} MB": first["peak_memory_mb"] <= MEMORY_BOUND_MB,
        }
    )


if __name__ == "__main__":
    run_benchmark(__doc__.splitlines()[0], MEASUREMENTS, make_study, product, monai_evaluator, print_table)
