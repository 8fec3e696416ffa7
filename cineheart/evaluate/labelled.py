"""``cineheart evaluate`` on labelled cases of any layout: which of them, tables, and pictures of the worst."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from CardiacLib.datasets.find import find_cases
from CardiacLib.datasets.hearts import LabelledHeart, read_hearts
from CardiacLib.datasets.layouts.manifest import manifest_cases
from CardiacLib.datasets.records import TRAINING, VALIDATION, CaseRecord
from CardiacLib.datasets.splits import CaseChoice, split_of
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacSegLib import open_segmenter
from CardiacSegLib.evaluate.labelled import (
    DISTANCES,
    OVERLAPS,
    LabelledResult,
    evaluate_labelled,
    labelled_rows,
    labelled_summary,
)
from cineheart.console import Answer
from cineheart.outputs import write_rows
from cineheart.provenance import provenance

from .card import write_section
from .pairs_picture import draw_result
from .tables import number, table

WORST = 3
TRAINED_ON = Path("training") / "cases.csv"
"""In the folder of a bundle that was trained here: what it was trained on."""


@dataclass(frozen=True)
class LabelledEvaluation:
    """What an evaluation on a data set can be told.

    Attributes:
        choice: how cases are read and split.
        every: evaluate every case, not only those that are held out.
        update_card: write the numbers into the bundle's own model card too.
    """

    choice: CaseChoice = CaseChoice()
    every: bool = False
    update_card: bool = False


def hearts_as_drawn(cases: Sequence[CaseRecord]) -> Iterator[LabelledHeart]:
    """The hearts of cases with their borders as they were drawn, those of another convention too.

    Their records still say where a border is distrusted.
    """
    distrusted = {case.image: case.uncertain_mm for case in cases}
    for heart in read_hearts(replace(case, uncertain_mm=0.0) for case in cases):
        yield replace(heart, records=tuple(replace(r, uncertain_mm=distrusted[r.image]) for r in heart.records))


def evaluate_on_cases(
    network: NetworkChoice,
    data: Path,
    output: Path,
    options: LabelledEvaluation | None = None,
    *,
    progress: Progress = silent,
) -> Answer:
    """Evaluate a segmenting bundle on labelled cases; write ``evaluation.csv``, ``.json``, ``.md`` and pictures.

    Returns:
        Mean Dice over all, by structure, and by domain; what was left out.
    """
    options = options or LabelledEvaluation()
    cases, notes = cases_to_judge(bundle_path(network.bundle), data, options)
    segmenter = open_segmenter(network)
    results = list(evaluate_labelled(cases, lambda cine: segmenter.segment(cine).labels.labels, progress))
    if not any(result.rows for result in results):
        raise InputError(f"{data}: nothing is drawn in these cases, so nothing can be compared.")
    summary = labelled_summary(results)
    worst = sorted((r for r in results if r.rows), key=lambda result: result.mean_dice)[:WORST]
    with atomic_directory(output) as work:
        write_rows(work / "evaluation.csv", labelled_rows(results))
        write_json(work / "evaluation.json", summary | {"notes": list(notes)})
        for rank, result in enumerate(worst, 1):
            draw_result(result, work / f"worst_{rank}.png")
        page = _page(bundle_path(network.bundle).name, summary, notes, worst)
        (work / "evaluation.md").write_text(page, encoding="utf-8")
        provenance([data], [network.bundle]).stamp(work)
    if options.update_card:
        card = bundle_path(network.bundle) / "docs" / "README.md"
        title = f"Accuracy on {data.resolve().name}"
        write_section(card, f"evaluation {data.resolve().name}", title, _headline(summary) + "\n\n" + _table(summary))
    return Answer(_facts(summary), notes)


def cases_to_judge(bundle: Path, data: Path, options: LabelledEvaluation) -> tuple[list[CaseRecord], tuple[str, ...]]:
    """Cases that a bundle is to be judged by, and sentences that say which.

    Those that it was trained on are never among them, where it was trained by ``cineheart train``. Of a data set that
    states who is held out, or of which the choice does, only these.

    Raises:
        InputError: no case is left.
    """
    choice = options.choice
    found = find_cases(data, choice.order)
    cases = [case for case in found.cases if choice.view in (None, case.view)]
    notes = [*found.notes, *(f"{p.case}: {p.reason}" for p in found.problems)]
    seen = trained_on(bundle)
    left = [case for case in cases if (case.image.resolve(), case.rows) not in seen]
    stated = any(case.split not in ("", TRAINING) or case.fold is not None for case in left)
    if len(left) < len(cases):
        notes.append(f"{len(cases) - len(left)} cases that the network was trained on are left out.")
    elif not options.every and (stated or choice.hold_out or choice.split_file):
        splits, how = split_of(cases, choice)
        left = [case for case in cases if splits.get(case.subject) not in (TRAINING, None)]
        rest = "; the others are left out" if len(left) < len(cases) else ""
        notes.append(f"{len(left)} of {len(cases)} cases are held out ({how}){rest}.")
    if not left:
        raise InputError(f"{data}: no case is left to evaluate; --every takes all of them.")
    return left, tuple(notes)


def trained_on(bundle: Path) -> set[tuple[Path, tuple[int, int] | None]]:
    """Image and rows of the cases that a bundle was trained on by ``cineheart train``; empty of all others."""
    file = bundle / TRAINED_ON
    if not file.is_file():
        return set()
    cases, _ = manifest_cases(file, "auto")
    return {(case.image.resolve(), case.rows) for case in cases if case.split != VALIDATION}


def _facts(summary: dict) -> dict[str, object]:
    facts: dict[str, object] = {"subjects": summary["subjects"], "volumes": summary["volumes"]}
    facts["mean_dice"] = round(summary["mean_dice"], 4)
    for by, rows in summary["tables"].items():
        values: dict[str, str] = {}
        for row in rows:
            label = row["structure"] if by == "all" else f"{row['value']} {row['structure']}"
            values[label] = f"Dice {row['dice']:.3f}, Hausdorff {number(row['hausdorff_mm'], 1)} mm"
        facts["structures" if by == "all" else by] = values
    for name, value in summary["ejection_fraction"].items():
        facts[name] = f"bias {value['bias']:+.1f} points, SD {number(value['sd'], 1)}, n {value['n']}"
    return facts


def _headline(summary: dict) -> str:
    return (
        f"{summary['volumes']} volumes of {summary['subjects']} subjects; mean Dice of the drawn structures "
        f"**{summary['mean_dice']:.4f}**."
    )


def _page(name: str, summary: dict, notes: Sequence[str], worst: Sequence[LabelledResult]) -> str:
    parts = [f"# {name}", _headline(summary), *notes, _table(summary)]
    for by in summary["tables"]:
        if by != "all":
            parts += [f"## By {by}", _table(summary, by)]
    if summary["ejection_fraction"]:
        rows = [
            [n, str(v["n"]), number(v["r"], 3), number(v["bias"], 2, True), number(v["sd"], 2)]
            for n, v in summary["ejection_fraction"].items()
        ]
        parts += ["## Ejection fraction, points", table(["", "n", "r", "bias", "SD"], rows)]
    pictures = (f"![worst {rank}](worst_{rank}.png)" for rank, _ in enumerate(worst, 1))
    return "\n\n".join([*parts, "## Worst cases", *pictures]) + "\n"


def _table(summary: dict, by: str = "all") -> str:
    head = ["" if by == "all" else by, "structure", "n", "missed", *OVERLAPS, *DISTANCES, "worst Dice", "ml ± SD"]
    rows = []
    for row in summary["tables"][by]:
        cells = ["" if by == "all" else row["value"], row["structure"], str(row["volumes"]), str(row["missed"])]
        cells += [number(row[name], 3) for name in OVERLAPS] + [number(row[name], 2) for name in DISTANCES]
        cells += [f"{number(row['worst_dice'], 3)} ({row['worst_subject']})"]
        rows.append([*cells, f"{number(row['volume_bias_ml'], 1, True)} ± {number(row['volume_sd_ml'], 1)}"])
    return table(head, rows)
