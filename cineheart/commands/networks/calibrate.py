"""``cineheart calibrate``: fit a network's confidence to its true Dice on held-out patients."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from CardiacLib.datasets.find import find_cases
from CardiacLib.datasets.hearts import read_hearts, require_complete
from CardiacLib.datasets.records import TRAINING, CaseRecord
from CardiacLib.datasets.splits import CaseChoice, split_of
from CardiacLib.errors import InputError
from CardiacLib.files import require_output
from CardiacLib.networks.bundles import bundle_path, species_of_bundle
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import Segmentation
from CardiacSegLib import open_segmenter
from CardiacSegLib.quality.appearance import FEATURES, Appearance, appearance_features
from CardiacSegLib.quality.calibration import Fit, fit, write_calibration
from cineheart.commands.animals.labelled import Labelled, animals_labelled
from cineheart.console import Answer
from cineheart.evaluate.labelled import LabelledEvaluation, cases_to_judge


def calibrate_bundle(
    network: NetworkChoice, data: Path, options: LabelledEvaluation | None = None, *, progress: Progress = silent
) -> Answer:
    """Segment the held-out subjects in ``data`` at ED and ES and write ``configs/quality.json`` of the bundle.

    Subjects are those that ``cineheart evaluate`` would take. Some structures drawn only are not enough: the confidence
    is of all three. Of a network for animals ``data`` are files of animals, and those are held out that its training
    holds out.

    Args:
        network: whose bundle is calibrated.
        data: labelled cases of any layout.
        options: which of them.
        progress: called for each subject.

    Returns:
        How well the confidence works, patients left out one by one.

    Raises:
        InputError: too few subjects, or bundle, data or device cannot be used.
    """
    folder = bundle_path(network.bundle)
    require_output(folder / "configs")
    options, species = options or LabelledEvaluation(CaseChoice(view="sax")), species_of_bundle(folder)
    if species.is_human:
        known = _patients_labelled(network, data, options, progress)
    else:
        known = animals_labelled(network, data, options.every, progress)
    found = fit(known.cases, species.name)
    write_calibration(found, folder, known.fitted_on, known.warning)
    progress(1.0, "calibrated")
    notes = (*((known.warning,) if known.warning else ()), *known.notes)
    return Answer({"bundle": str(folder)} | _facts(found), notes)


def _patients_labelled(network: NetworkChoice, data: Path, options: LabelledEvaluation, progress: Progress) -> Labelled:
    chosen, notes = cases_to_judge(bundle_path(network.bundle), data, options)
    complete = [case for case in chosen if case.complete]
    if not complete:
        raise InputError(f"{data}: no case has all of LV, myocardium and RV drawn, which a calibration needs.")
    cases = _segmented(network, complete, progress)
    sets = sorted({case.vendor or case.centre for case in complete} - {""})
    known = sorted({name for name, _, _ in cases})
    of = f" ({', '.join(sets)})" if sets else ""
    if partial := len(chosen) - len(complete):
        notes += (f"{partial} cases without all three structures drawn are left out.",)
    if single := len({case.subject for case in complete}) - len(known):
        notes += (f"{single} subjects without ED and ES on one grid are left out.",)
    return Labelled(cases, f"ED and ES of {', '.join(known)}{of}", notes)


def _segmented(
    network: NetworkChoice, cases: Sequence[CaseRecord], progress: Progress
) -> list[tuple[str, Segmentation, LabelMap]]:
    """Subject, segmentation and true labels, ED and ES, of every heart that has both."""
    segmenter, count = open_segmenter(network), len({case.subject for case in cases})
    found: list[tuple[str, Segmentation, LabelMap]] = []
    for heart in require_complete(read_hearts(cases)):
        both = heart.at_ed_and_es()
        if both is not None:
            progress(min(len(found) / count, 1.0), both.record.subject)
            true = LabelMap.of(both.labels, both.cine)
            found.append((both.record.subject, segmenter.segment(both.cine), true))
    return found


def _facts(found: Fit) -> dict[str, object]:
    return {
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


LEAST_HEARTS = 10 * len(FEATURES)
"""For the covariance of the numbers."""


def describe_training_images(
    network: NetworkChoice, data: Path, options: LabelledEvaluation | None = None, *, progress: Progress = silent
) -> Answer:
    """Label the training cases in ``data`` and write ``configs/appearance.json`` of the bundle: what they look like.

    Args:
        network: whose bundle is told.
        data: labelled cases of any layout.
        options: how they are split, where the data do not state who is trained on; ``every`` takes all.
        progress: called for each heart.

    Returns:
        The number of hearts and the limit.

    Raises:
        InputError: too few hearts, or bundle, data or device cannot be used.
    """
    folder = bundle_path(network.bundle)
    require_output(folder / "configs")
    segmenter = open_segmenter(network)
    cases = _training_cases(data, options or LabelledEvaluation(CaseChoice(view="sax")))
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


def _training_cases(data: Path, options: LabelledEvaluation) -> list[CaseRecord]:
    choice = options.choice
    cases = [case for case in find_cases(data, choice.order).cases if case.view == choice.view]
    if options.every:
        return cases
    if choice.hold_out is None and choice.split_file is None:
        stated = [case for case in cases if case.split == TRAINING]
        if stated:
            return stated
    splits, _ = split_of(cases, choice)
    return [case for case in cases if splits.get(case.subject) == TRAINING]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
