"""``cineheart crossvalidate``: both slice networks trained and evaluated five times, on every patient once."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from CardiacLib.datasets.acdc import FOLDS
from CardiacLib.errors import InputError
from CardiacLib.files import write_json
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import RunsOn
from cineheart.console import Answer
from cineheart.evaluate.propagation import BUNDLES, EvaluationOptions, evaluate_propagation, propagates
from cineheart.provenance import provenance

from .train import TrainOptions, train_bundle


def crossvalidate_propagation(
    bundle: str, data: Path, output: Path, options: TrainOptions | None = None, *, progress: Progress = silent
) -> Answer:
    """Train on four fifths of the patients and evaluate on the fifth, for every fifth; folds that are done are kept.

    Args:
        bundle: either slice network.
        data: folder with the ACDC patients.
        output: folder for ``fold0`` ... ``fold4`` and ``crossvalidation.json``.
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
    for fold in range(FOLDS):
        folder = output / f"fold{fold}"
        if (folder / "evaluation" / "evaluation.csv").is_file():
            continue
        stage = part(progress, fold / FOLDS, (fold + 1) / FOLDS)
        for n, name in enumerate(BUNDLES):
            training = part(stage, 0.45 * n, 0.45 * (n + 1))
            train_bundle(name, data, folder, replace(options, fold=fold), progress=training)
        trained = str(folder / BUNDLES[0])
        held_out = EvaluationOptions(RunsOn(options.device), trust=options.trust, update_card=True, fold=fold)
        evaluate_propagation(trained, data, folder / "evaluation", held_out, progress=part(stage, 0.9, 1.0))
    facts = _summary([output / f"fold{fold}" / "evaluation" / "evaluation.csv" for fold in range(FOLDS)])
    networks = [output / f"fold{fold}" / name for fold in range(FOLDS) for name in BUNDLES]
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
