"""``cineheart crossvalidate`` of a segmenting bundle: trained and judged with every fold, or every vendor, held out."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from CardiacLib.datasets.find import find_cases
from CardiacLib.datasets.splits import FOLDS, CaseChoice, domain_of
from CardiacLib.errors import InputError
from CardiacLib.files import safe_name, write_json
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import NetworkChoice, RunsOn
from cineheart.commands.networks.train import CASES, TrainOptions, train_bundle
from cineheart.console import Answer
from cineheart.evaluate.labelled import LabelledEvaluation, evaluate_on_cases
from cineheart.outputs import write_rows

EVALUATION = "evaluation"
TRAINING_PART = 0.9
"""Part of a round's progress that its training takes."""


@dataclass(frozen=True)
class Round:
    """One training: its folder's name and what is held out."""

    name: str
    options: TrainOptions


def crossvalidate_bundle(
    bundle: str, data: Path, output: Path, options: TrainOptions, by_vendor: bool, *, progress: Progress = silent
) -> Answer:
    """Train with every fold (or vendor, or centre where no vendor is stated) held out, and evaluate on it.

    Args:
        bundle: to be trained.
        data: labelled cases of any layout.
        output: a folder for each round, and ``crossvalidation.csv`` and ``.json``; rounds that are done are kept.
        options: of every training; what is held out is set here.
        by_vendor: leave one vendor out at a time, instead of folds.
        progress: of the whole.

    Returns:
        Mean Dice of each round and structure, and over all held-out volumes.
    """
    rounds = _vendors(data, options) if by_vendor else _folds(options)
    for number, each in enumerate(rounds):
        folder = output / each.name
        if (folder / EVALUATION / "evaluation.csv").is_file():
            continue
        stage = part(progress, number / len(rounds), (number + 1) / len(rounds))
        stage(0.0, f"{each.name} is held out.")
        trained = train_bundle(bundle, data, folder, each.options, progress=part(stage, 0.0, TRAINING_PART))
        network = NetworkChoice(str(trained), RunsOn(options.device), trust=options.trust)
        cases = trained / "training" / CASES
        judged = LabelledEvaluation(CaseChoice(), every=True)
        evaluate_on_cases(network, cases, folder / EVALUATION, judged, progress=part(stage, TRAINING_PART, 1.0))
    rows = [row for each in rounds for row in _rows(output / each.name, each.name)]
    return _summary(rows, output)


def _folds(options: TrainOptions) -> list[Round]:
    count = options.folds or FOLDS
    return [Round(f"fold{fold}", replace(options, fold=fold)) for fold in range(count)]


def _vendors(data: Path, options: TrainOptions) -> list[Round]:
    found = find_cases(data, options.label_order or "auto")
    names = sorted({domain_of(case) for case in found.cases} - {""})
    if len(names) < 2:
        raise InputError(f"{data}: states {len(names)} vendor or centre; leaving one out needs two at least.")
    return [Round(safe_name(name), replace(options, hold_out=name)) for name in names]


def _rows(folder: Path, name: str) -> list[dict[str, object]]:
    with open(folder / EVALUATION / "evaluation.csv", newline="", encoding="utf-8") as stream:
        return [{"held_out": name, **row} for row in csv.DictReader(stream)]


def _summary(rows: list[dict[str, object]], output: Path) -> Answer:
    facts: dict[str, object] = {}
    for name in [*dict.fromkeys(str(row["held_out"]) for row in rows), "all"]:
        own = [row for row in rows if name in ("all", row["held_out"])]
        structures = sorted({str(row["structure"]) for row in own})
        means = {s: np.array([float(str(r["dice"])) for r in own if r["structure"] == s]) for s in structures}
        facts[name] = {s: f"{v.mean():.4f} +- {v.std(ddof=min(1, len(v) - 1)):.4f}" for s, v in means.items()}
    write_rows(output / "crossvalidation.csv", rows)
    write_json(output / "crossvalidation.json", facts)
    return Answer(facts | {"volumes": len({(r["subject"], r["view"], r["phase"]) for r in rows})})
