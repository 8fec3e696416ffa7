"""``cineheart calibrate``: fit a network's confidence to its true Dice on held-out patients."""

from pathlib import Path

import numpy as np

from CardiacLib.datasets.acdc import patient_folders
from CardiacLib.datasets.find import find_cases
from CardiacLib.datasets.hearts import read_hearts
from CardiacLib.errors import InputError
from CardiacLib.files import require_output
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacSegLib import open_segmenter
from CardiacSegLib.evaluate.evaluation import acdc_patients
from CardiacSegLib.quality.appearance import FEATURES, Appearance, appearance_features
from CardiacSegLib.quality.calibration import fit, write_calibration
from cineheart.console import Answer


def calibrate_bundle(network: NetworkChoice, data: Path, *, progress: Progress = silent) -> Answer:
    """Segment the validation patients in ``data`` and write ``configs/quality.json`` of the bundle.

    Returns:
        How well the confidence works, patients left out one by one.

    Raises:
        InputError: too few patients, or bundle, data or device cannot be used.
    """
    folder = bundle_path(network.bundle)
    require_output(folder / "configs")
    segmenter = open_segmenter(network)
    folders = patient_folders(data, validation=True)
    cases = []
    for done, patient in enumerate(acdc_patients(folders)):
        progress(done / len(folders), patient.name)
        cases.append((patient.name, segmenter.segment(patient.cine), patient.true))
    found = fit(cases)
    names = ", ".join(name.removeprefix("patient") for name, _, _ in cases)
    write_calibration(found, folder, f"ED and ES of the ACDC patients {names}")
    progress(1.0, "calibrated")
    facts = {
        "bundle": str(folder),
        "patients": found.patients,
        "structures with Dice < 0.85": f"{found.structures.bad} of {found.structures.count}",
        "AUC, uncalibrated": _rounded(found.uncalibrated.auc),
        "AUC, cross-validated": _rounded(found.structures.auc),
        "AUC of frame means": _rounded(found.means.auc),
        "AUC of slices": _rounded(found.slices.auc),
        "mean error of the Dice": _rounded(found.structures.error),
        "warning below": found.calibration.warn_below,
        "bad structures caught": _rounded(found.caught),
        "structures flagged": _rounded(found.flagged),
        "within one, two standard deviations": {
            name: f"{share['within_1']:.0%}, {share['within_2']:.0%}" for name, share in found.coverage.items()
        },
        "patients by light": {light: row["patients"] for light, row in found.lights.items()},
    }
    return Answer(facts)


LEAST_HEARTS = 10 * len(FEATURES)
"""For the covariance of the numbers."""


def describe_training_images(network: NetworkChoice, data: Path, *, progress: Progress = silent) -> Answer:
    """Label the training cases in ``data`` and write ``configs/appearance.json`` of the bundle: what they look like.

    Returns:
        The number of hearts and the limit.

    Raises:
        InputError: too few hearts, or bundle, data or device cannot be used.
    """
    folder = bundle_path(network.bundle)
    require_output(folder / "configs")
    segmenter = open_segmenter(network)
    cases = [case for case in find_cases(data).cases if case.split == "training" and case.view == "sax"]
    rows, subjects = [], sorted({case.subject for case in cases})
    for heart in read_hearts(cases, unlabelled=True):
        progress(len(rows) / max(len(subjects), 1), heart.record.subject)
        found = segmenter.segment(heart.cine)
        rows.append(appearance_features(heart.cine, found.labels, found.statistics))
    known = np.array([row for row in rows if np.isfinite(row).all()])
    if len(known) < LEAST_HEARTS:
        raise InputError(f"{data}: {len(known)} training hearts can be described; {LEAST_HEARTS} are needed.")
    appearance = Appearance.of(known)
    sets = sorted({case.vendor or case.centre for case in cases} - {""})
    appearance.write(folder, "training cases" + (f" of {', '.join(sets)}" if sets else ""), len(known))
    progress(1.0, "described")
    return Answer({"bundle": str(folder), "hearts": len(known), "limit": round(appearance.limit, 2)})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
