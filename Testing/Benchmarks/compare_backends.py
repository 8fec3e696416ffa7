"""Labels and valve points of the backends beside those of PyTorch in float32, on real hearts.

    python Testing/Benchmarks/compare_backends.py ACDC_FOLDER [STUDY]

Of the ACDC patients those of the validation split are labelled, ED and ES as one cine each. Told are the share of equal
voxels within the heart and the mean Dice against the expert, of every backend as it runs by default, and in float32.
Of a study (a folder of images or DICOM) every frame is labelled, and its valve points found.
"""

import sys
from pathlib import Path

import numpy as np

from CardiacLandmarksLib.detect.heatmaps import HeatmapDetector
from CardiacLib.datasets.acdc import patient_folders, read_acdc_patient
from CardiacLib.metrics import dice
from CardiacLib.networks import opened
from CardiacLib.networks.backends.choice import is_installed
from CardiacLib.readers import read_study
from CardiacLib.types.choices import LANDMARK_BUNDLE, NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, RV
from CardiacSegLib.segment.segmenter import Segmenter

REFERENCE = ("torch", False)
RUNS = [REFERENCE, ("openvino", False), ("openvino", True), ("onnxruntime", False), ("torch", True)]
"""Backend, and whether it may compute in bfloat16 where that is native."""


def opened_with(kind, choice: NetworkChoice, half: bool):
    """A segmenter or detector whose network computes in float32 unless ``half``."""
    predictor = opened._predictor
    opened._predictor = lambda folder, chosen, trust, bfloat16: predictor(folder, chosen, trust, bfloat16 and half)
    try:
        return kind(choice)
    finally:
        opened._predictor = predictor


def both_phases(patient: Path) -> tuple[Cine, np.ndarray]:
    """ED and ES of an ACDC patient as one cine, and the expert's labels (2, K, J, I)."""
    ed, es, *_ = read_acdc_patient(patient)
    frames = np.concatenate([ed[0].frames, es[0].frames])
    return ed[0].with_changes(frames=frames, times_ms=None), np.concatenate([ed[1].labels, es[1].labels])


def equal_share(found: np.ndarray, wanted: np.ndarray) -> float:
    """Part of the voxels of the heart of one of two label maps in which they agree."""
    heart = (found > 0) | (wanted > 0)
    return float((found == wanted)[heart].mean())


def main() -> None:
    patients = [both_phases(folder) for folder in patient_folders(Path(sys.argv[1]), True)]
    study = read_study(sys.argv[2]).cines if len(sys.argv) > 2 else {}
    print(
        "| backend | patients | equal voxels, all and least | mean Dice of LV, myocardium, RV | study, equal voxels | "
    )
    print("|---|---|---|---|---|")
    wanted: list[np.ndarray] = []
    points: dict[tuple[str, bool], list[np.ndarray]] = {}
    for backend, half in (run for run in RUNS if is_installed(run[0])):
        runs_on = RunsOn("cpu", backend)
        segmenter = opened_with(Segmenter, NetworkChoice(runs_on=runs_on), half)
        cines = [cine for cine, _ in patients] + ([study["sax"]] if "sax" in study else [])
        labels = [segmenter.segment(cine).labels.labels for cine in cines]
        wanted = wanted or labels
        shares = [equal_share(a, b) for a, b in zip(labels, wanted, strict=True)]
        pairs = zip(labels, (true for _, true in patients), strict=False)
        scores = [[dice(found == n, true == n) for n in (LV, MYO, RV)] for found, true in pairs]
        name = f"{backend}, {'by default' if half else 'float32'}"
        told = " ".join(f"{value:.4f}" for value in np.mean(scores, 0))
        own = shares[: len(patients)]
        last = f"{shares[-1]:.5f}" if "sax" in study else ""
        print(f"| {name} | {np.mean(own):.5f} {np.min(own):.5f} | {told} | {last} |", flush=True)
        detector = opened_with(HeatmapDetector, NetworkChoice(LANDMARK_BUNDLE, runs_on), half)
        views = [(view, cine) for view, cine in study.items() if view in ("2ch", "3ch", "4ch")]
        points[backend, half] = [
            detector.detect(cine.frames[:, 0], (cine.spacing[1], cine.spacing[0]), view=view).points
            for view, cine in views
        ]
    for run, found in points.items():
        away = [np.linalg.norm(a - b, axis=-1) for a, b in zip(found, points[REFERENCE], strict=True)]
        known = np.concatenate([values[np.isfinite(values)] for values in away]) if away else np.zeros(0)
        if known.size:
            print(
                f"{run[0]}, {'by default' if run[1] else 'float32'}: {known.size} points, "
                f"{np.median(known):.4f} pixels away in the median, {known.max():.3f} at most"
            )


if __name__ == "__main__":
    main()
