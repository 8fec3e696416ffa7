"""``cineheart evaluate --external``: one table of all data sets that a network did not learn from."""

from dataclasses import asdict
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacSegLib import open_segmenter
from CardiacSegLib.evaluate.external import ExternalRow, external_rows, external_table
from CardiacSegLib.evaluate.labelled import LabelledResult, compare_heart
from cineheart.console import Answer
from cineheart.outputs import write_rows
from cineheart.provenance import provenance

from .card import write_section
from .labelled import LabelledEvaluation, cases_to_judge, hearts_as_drawn
from .pairs_picture import draw_result
from .tables import number, table

SECTION, TITLE = "external", "Other hospitals"
HEAD = ["set", "structure", "phase", "subjects", "volumes", "Dice", "certain", "worst", "Hausdorff mm"]
HEAD += ["offset mm", "offset %", "base - / +", "apex - / +"]
DEFINITIONS = (
    "Dice on slices that an expert looked at, mean over volumes; certain: without what lies near borders that another "
    "convention draws, where the manifest says so. Offset: signed distance of the found border from the "
    "drawn one, positive outwards, in mm where the pixel size is known and in percent of the section's radius. Slices: "
    "drawn but not found (-) and found but not drawn (+), all volumes together. Frames without a phase are ED above, "
    "ES below the middle of the cine's drawn volumes."
)


def evaluate_external(
    network: NetworkChoice,
    data: Path,
    output: Path,
    options: LabelledEvaluation | None = None,
    *,
    progress: Progress = silent,
) -> Answer:
    """Evaluate a segmenting bundle by data set, structure and phase; write ``external.csv``, ``.json`` and ``.md``.

    Borders count as they were drawn, those of another convention too. Of each set the worst heart is drawn.

    Returns:
        Dice of every row of the table; what was left out.
    """
    options = options or LabelledEvaluation()
    bundle = bundle_path(network.bundle)
    cases, notes = cases_to_judge(bundle, data, options)
    segmenter = open_segmenter(network)
    rows: list[ExternalRow] = []
    worst: dict[str, LabelledResult] = {}
    count = len({(case.subject, case.view) for case in cases})
    for done, heart in enumerate(hearts_as_drawn(cases)):
        progress(min(done / count, 1.0), f"evaluating {heart.record.subject}")
        found = segmenter.segment(heart.cine).labels.labels
        result = LabelledResult(heart, found, tuple(compare_heart(heart, found)))
        own = list(external_rows(heart, found))
        rows += own
        if own and (own[0].set not in worst or result.mean_dice < worst[own[0].set].mean_dice):
            worst[own[0].set] = result
    if not rows:
        raise InputError(f"{data}: nothing is drawn in these cases, so nothing can be compared.")
    summary = external_table(rows)
    page = f"{_table(summary)}\n{DEFINITIONS}\n"
    with atomic_directory(output) as work:
        write_rows(work / "external.csv", [_flat(row) for row in rows])
        write_json(work / "external.json", {"table": summary, "notes": list(notes)})
        pictures = [f"worst_{name}.png" for name in sorted(worst)]
        for name, picture in zip(sorted(worst), pictures, strict=True):
            draw_result(worst[name], work / picture)
        shown = "\n\n".join(f"![worst](./{picture})" for picture in pictures)
        (work / "external.md").write_text(f"# {bundle.name}\n\n{page}\n{shown}\n", encoding="utf-8")
        provenance([data], [network.bundle]).stamp(work)
    if options.update_card:
        write_section(bundle / "docs" / "README.md", SECTION, TITLE, page)
    return Answer({f"{r['set']} {r['structure']} {r['phase']}": _fact(r) for r in summary}, notes)


def _flat(row: ExternalRow) -> dict[str, object]:
    document = asdict(row)
    return {**{k: v for k, v in document.items() if k != "ends"}, **document["ends"]}


def _fact(row: dict) -> str:
    offset = f"{number(row['offset_mm'], 2, True)} mm" if row["offset_mm"] is not None else _percent(row)
    return f"Dice {row['dice']:.3f}, worst {row['worst_dice']:.3f} ({row['worst_subject']}), offset {offset}"


def _percent(row: dict) -> str:
    return f"{number(row['offset_percent'], 1, True)} %"


def _table(rows: list[dict]) -> str:
    return table(HEAD, [_cells(row) for row in rows])


def _cells(row: dict) -> list[str]:
    worst = f"{row['worst_dice']:.3f} ({row['worst_subject']})"
    cells = [row["set"], row["structure"], row["phase"], str(row["subjects"]), str(row["volumes"])]
    cells += [number(row["dice"], 3), number(row["certain_dice"], 3), worst, number(row["hausdorff_mm"], 1)]
    cells += [number(row["offset_mm"], 2, True), number(row["offset_percent"], 1, True)]
    return cells + [f"{row[f'missed_{end}']} / {row[f'added_{end}']}" for end in ("base", "apex")]
