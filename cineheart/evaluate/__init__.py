"""``cineheart evaluate``: accuracy tables and pictures in one folder, and in the model card if that is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from CardiacLib.files import atomic_directory, write_json
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacSegLib import open_segmenter
from CardiacSegLib.evaluate.evaluation import Case, csv_rows, evaluate
from CardiacSegLib.evaluate.robustness import robustness, robustness_summary
from CardiacSegLib.evaluate.summary import measurement_rows, summary
from cineheart.console import Answer
from cineheart.outputs import write_rows
from cineheart.provenance import provenance

from . import plots, tables
from .card import folded, write_section
from .cases import draw_case

WORST = 3
"""Cases drawn slice by slice."""
NOT_MEASURED = "Not measured in the last evaluation; `cineheart evaluate --robustness --update-card` does.\n"


@dataclass(frozen=True)
class Section:
    """What another part says about the evaluated cases.

    Attributes:
        name: key in ``evaluation.json``.
        title: heading in ``evaluation.md``.
        facts: ready for JSON.
        markdown: text below the heading, also in the model card.
    """

    name: str
    title: str
    facts: dict[str, object] = field(default_factory=dict)
    markdown: str = ""


@dataclass(frozen=True)
class EvaluationChoice:
    """What an evaluation can be told.

    Attributes:
        robustness: also measure the Dice after every change of ``CardiacSegLib.evaluate.robustness``.
        sections: each is called with the evaluated cases and adds what it returns.
        update_card: write the numbers into the model card too.
    """

    robustness: bool = False
    sections: Sequence[Callable[[list[Case]], Section]] = ()
    update_card: bool = False


def evaluate_bundle(
    network: NetworkChoice,
    data: Path,
    output: Path,
    choice: EvaluationChoice | None = None,
    *,
    progress: Progress = silent,
) -> Answer:
    """Evaluate on the validation patients in ``data``; write tables and pictures to ``output``.

    Args:
        network: to evaluate.
        data: folder with the ACDC patients.
        output: folder for the files of Docs/formats.md.
        choice: what is evaluated, and whether the model card is told.
        progress: of the whole.

    Returns:
        Facts to show.
    """
    choice = choice or EvaluationChoice()
    folder = bundle_path(network.bundle)
    segmenter = open_segmenter(network)
    cases = evaluate(data, segmenter, part(progress, 0.0, 0.1 if choice.robustness else 0.9))
    worst = sorted(cases, key=lambda case: case.mean_dice)[:WORST]
    result = summary(cases)
    added = [section(cases) for section in choice.sections]
    changed = robustness(cases, segmenter, part(progress, 0.1, 0.95)) if choice.robustness else []
    bearing = robustness_summary(changed) if changed else None
    with atomic_directory(output) as work:
        write_rows(work / "evaluation.csv", csv_rows(cases))
        write_rows(work / "measurements.csv", measurement_rows(cases))
        if changed:
            write_rows(work / "robustness.csv", [row.__dict__ for row in changed])
        facts = result | {section.name: section.facts for section in added}
        write_json(work / "evaluation.json", facts | {"robustness": bearing})
        _draw(cases, worst, bearing, work)
        page = tables.page(folder.name, result, worst, bearing, added)
        (work / "evaluation.md").write_text(page, encoding="utf-8")
        provenance([data], [network.bundle]).stamp(work)
    if choice.update_card:
        more = [folded(section.title, section.markdown) for section in added if section.markdown]
        _write_card(folder / "docs" / "README.md", "\n".join([tables.card(result, worst), *more]), bearing)
    return Answer(tables.facts(result, bearing))


def _write_card(path: Path, accuracy: str, bearing: dict | None) -> None:
    write_section(path, "evaluation", "Accuracy on held-out patients", accuracy)
    robust = NOT_MEASURED
    if bearing:
        robust = folded("Dice after each change of the images", tables.robustness_table(bearing))
    write_section(path, "robustness", "Robustness", robust)


def _draw(cases: list[Case], worst: list[Case], bearing: dict | None, folder: Path) -> None:
    plots.dice_by_patient(cases, folder / "dice.png")
    plots.bland_altman(measurement_rows(cases), folder / "bland_altman.png")
    plots.correlation(measurement_rows(cases), folder / "correlation.png")
    if bearing:
        plots.robustness_bars(bearing, folder / "robustness.png")
    for rank, case in enumerate(worst, 1):
        draw_case(case, folder / f"worst_{rank}.png")
