"""``cineheart crossvalidate``: both slice networks trained and evaluated with every fold held out once."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from CardiacLib.datasets.find import find_cases
from CardiacLib.datasets.splits import FOLDS
from CardiacLib.errors import InputError
from CardiacLib.files import write_json
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import RunsOn
from cineheart.console import Answer
from cineheart.evaluate.labelled import LabelledEvaluation
from cineheart.evaluate.propagation import BUNDLES, EvaluationOptions, evaluate_propagation, propagates
from cineheart.provenance import provenance

from .train import CASES, TrainOptions, train_bundle


def crossvalidate_propagation(
    bundle: str, data: Path, output: Path, options: TrainOptions | None = None, *, progress: Progress = silent
) -> Answer:
    """Train without a fold of the patients and evaluate on it, for every fold; folds that are done are kept.

    Of ACDC's first fold cineheart_sax has seen no patient: there the methods that start from its labels are evaluated
    too. Of other data that is not known, and they are left out.

    Args:
        bundle: either slice network.
        data: labelled short-axis cases of any layout.
        output: folder for ``fold0``, ``fold1`` ... and ``crossvalidation.json``.
        options: of every training; the folds are set here.
        progress: of the whole.

    Returns:
        Mean Dice over all patients, of the methods that every fold has.

    Raises:
        InputError: the bundle is no slice network.
    """
    if not propagates(bundle):
        raise InputError(f"{bundle}: cross-validation is of the slice networks, {' and '.join(BUNDLES)}.")
    options = options or TrainOptions()
    count = options.folds or FOLDS
    is_acdc = find_cases(data, options.label_order or "auto").layout == "ACDC"
    for fold in range(count):
        folder = output / f"fold{fold}"
        if (folder / "evaluation" / "evaluation.csv").is_file():
            continue
        stage = part(progress, fold / count, (fold + 1) / count)
        for n, name in enumerate(BUNDLES):
            training = part(stage, 0.45 * n, 0.45 * (n + 1))
            train_bundle(name, data, folder, replace(options, fold=fold), progress=training)
        held_out = EvaluationOptions(
            RunsOn(options.device),
            LabelledEvaluation(every=True, update_card=True),
            trust=options.trust,
            segmentation=is_acdc and fold == 0,
        )
        trained = folder / BUNDLES[0]
        cases, stage = trained / "training" / CASES, part(stage, 0.9, 1.0)
        evaluate_propagation(str(trained), cases, folder / "evaluation", held_out, progress=stage)
    facts = _summary([output / f"fold{fold}" / "evaluation" / "evaluation.csv" for fold in range(count)])
    networks = [output / f"fold{fold}" / name for fold in range(count) for name in BUNDLES]
    made_of = provenance([data], [str(folder) for folder in networks if (folder / "configs").is_dir()], output=output)
    write_json(output / "crossvalidation.json", facts | {"provenance": made_of.to_dict()})
    return Answer(facts)


def _summary(files: list[Path]) -> dict[str, object]:
    """Mean and standard deviation of the myocardium's Dice over all volumes, by method, and the number of volumes.

    Methods that not every fold has, those of the short-axis network, are left out.
    """
    folds: list[dict[str, list[float]]] = []
    for file in files:
        values: dict[str, list[float]] = {}
        with open(file, newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                values.setdefault(row["method"], []).append(float(row["myocardium"]))
        folds.append(values)
    common = [method for method in folds[0] if all(method in fold for fold in folds)]
    together = {method: np.concatenate([fold[method] for fold in folds]) for method in common}
    facts = {method: f"{v.mean():.4f} +- {v.std(ddof=1):.4f}" for method, v in together.items()}
    return facts | {"volumes": len(next(iter(together.values())))}
