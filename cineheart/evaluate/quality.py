"""What ``cineheart evaluate`` says about the quality flags, and ``--lights`` about the red light elsewhere."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from CardiacLib.datasets.records import CaseRecord
from CardiacLib.datasets.splits import domain_of
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacSegLib import open_segmenter
from CardiacSegLib.evaluate.evaluation import Case
from CardiacSegLib.evaluate.lights import (
    AS_THEY_ARE,
    IMAGES,
    LABELS,
    LIMITS,
    LightRow,
    calibrated,
    chosen_for_damage,
    found_by,
    light_rows,
)
from CardiacSegLib.quality.calibration import FEWEST_PATIENTS, fit
from cineheart.console import Answer
from cineheart.outputs import write_rows
from cineheart.provenance import provenance

from . import Section
from .card import write_section
from .labelled import LabelledEvaluation, cases_to_judge, hearts_as_drawn
from .tables import number, table

TITLE = "Quality control"
LIGHTS_SECTION, LIGHTS_TITLE = "lights", "Red lights elsewhere"
KINDS = (AS_THEY_ARE, IMAGES, LABELS)
POOLED = ("all", "")
"""Set and structure of all together."""
LIGHTS = {"red": ("red",), "red or amber": ("red", "amber")}


def quality_section(cases: list[Case]) -> Section:
    """How well the confidence finds segmentations with Dice < 0.85; each patient predicted without itself."""
    if len(cases) < FEWEST_PATIENTS:
        return Section("quality", TITLE, {}, f"Quality control: not measured, needs {FEWEST_PATIENTS} patients.\n")
    found = fit([(case.patient.name, case.segmentation, case.patient.true) for case in cases])
    checks = (
        ("structure, network's own expected Dice", found.uncalibrated),
        ("structure, probable Dice", found.structures),
        ("mean of the structures of a frame", found.means),
        ("heart in one slice", found.slices),
    )
    rows = [
        [name, str(d.count), str(d.bad), number(d.auc, 3), number(d.spearman, 2), number(d.error, 3)]
        for name, d in checks
    ]
    lights = [[light, str(row["patients"]), str(row["with_bad_structure"])] for light, row in found.lights.items()]
    text = [
        "Finding what has Dice < 0.85 without the experts' labels (Docs/QualityControl.md); every patient is judged "
        "with a calibration that was fitted without it.\n",
        table(["what", "number", "bad", "ROC AUC", "rank correlation", "mean error"], rows),
        f"The warning below a probable Dice of {found.calibration.warn_below:.2f} flags {found.flagged:.0%} of the "
        f"structures and catches {'none, as there are none,' if found.caught is None else format(found.caught, '.0%')} "
        "of the bad ones; that limit was chosen on these same predictions.\n",
        table(["traffic light", "patients", "of these with a bad structure"], lights),
    ]
    facts = {name: asdict(found)[name] for name in ("patients", "flagged", "caught", "lights")}
    facts |= {name: getattr(found, name)._asdict() for name in ("uncalibrated", "structures", "means", "slices")}
    return Section("quality", TITLE, facts, "\n".join(text))


def evaluate_lights(
    network: NetworkChoice,
    data: Path,
    output: Path,
    options: LabelledEvaluation | None = None,
    *,
    progress: Progress = silent,
) -> Answer:
    """Precision and recall of red on labelled cases of any layout, as they are and damaged on purpose.

    Writes ``lights.csv`` (a row for each structure of each heart and damage), ``lights.json`` and ``lights.md``.

    Returns:
        Precision and recall of red by set and kind of damage; what was left out.
    """
    options = options or LabelledEvaluation()
    bundle = bundle_path(network.bundle)
    cases, notes = cases_to_judge(bundle, data, options)
    segmenter = open_segmenter(network)
    damaged = _damaged(cases)
    rows: list[LightRow] = []
    count = len({case.subject for case in cases})
    for done, heart in enumerate(hearts_as_drawn(cases)):
        progress(min(done / count, 1.0), f"judging {heart.record.subject}")
        place = domain_of(heart.record), heart.record.subject
        rows += light_rows(heart, segmenter, str(bundle), place in damaged)
    if not rows:
        raise InputError(f"{data}: nothing is drawn in these cases, so no light can be judged.")
    summary = lights_summary(rows)
    calibration = calibration_summary(rows)
    page = f"{lights_page(summary)}\n{calibration_page(calibration)}"
    with atomic_directory(output) as work:
        write_rows(work / "lights.csv", [asdict(row) for row in rows])
        write_json(work / "lights.json", {"table": summary, "calibration": calibration, "notes": list(notes)})
        (work / "lights.md").write_text(f"# {bundle.name}\n\n{page}", encoding="utf-8")
        provenance([data], [network.bundle]).stamp(work)
    if options.update_card:
        write_section(bundle / "docs" / "README.md", LIGHTS_SECTION, LIGHTS_TITLE, page)
    told = [row for row in summary if row["light"] == "red" and row["limit"] == LIMITS[0] and not row["damage"]]
    errors = {f"{_name(row)}, calibration error": _error(row) for row in calibration if row["set"] == POOLED[0]}
    return Answer({_name(row): _told(row) for row in told} | errors, notes)


def _damaged(cases: Sequence[CaseRecord]) -> set[tuple[str, str]]:
    sets = {domain_of(case) for case in cases}
    by_set = {name: sorted({case.subject for case in cases if domain_of(case) == name}) for name in sets}
    return {(name, subject) for name, subjects in by_set.items() for subject in chosen_for_damage(subjects)}


def lights_summary(rows: Sequence[LightRow]) -> list[dict[str, object]]:
    """:func:`~CardiacSegLib.evaluate.lights.found_by` by set and structure, of all by kind and by damage, for JSON.

    Where several sets are pooled, ``set`` is "all" and ``structure`` empty.
    """
    summary: list[dict[str, object]] = []
    for (name, structure), kind, damage in _groups(rows):
        chosen = [r for r in rows if r.kind == kind and damage in (r.damage, "")]
        if structure:
            chosen = [r for r in chosen if (r.set, r.structure) == (name, structure)]
        group = {"set": name, "structure": structure, "kind": kind, "damage": damage}
        for limit in LIMITS if chosen else ():
            for light, counted in LIGHTS.items():
                summary.append(group | {"limit": limit, "light": light} | asdict(found_by(chosen, limit, counted)))
    return summary


def calibration_summary(rows: Sequence[LightRow]) -> list[dict[str, object]]:
    """:func:`~CardiacSegLib.evaluate.lights.calibrated` by set and structure and of all, by kind, for JSON."""
    summary: list[dict[str, object]] = []
    for (name, structure), kind, damage in _groups(rows):
        chosen = [r for r in rows if r.kind == kind and (not structure or (r.set, r.structure) == (name, structure))]
        found = None if damage else calibrated(chosen)
        if found is not None:
            summary.append({"set": name, "structure": structure, "kind": kind} | asdict(found))
    return summary


def calibration_page(summary: Sequence[dict]) -> str:
    """Table of a summary, Markdown."""
    head = ["set", "structure", "", "number", "probable Dice", "Dice", "calibration error"]
    cells = [
        [*(str(row[name]) for name in ("set", "structure", "kind", "count"))]
        + [*(number(row[name], 3) for name in ("probable", "dice")), _error(row)]
        for row in summary
    ]
    return "Expected calibration error of the lowest probable Dice of a structure, ten bins.\n\n" + table(head, cells)


def _error(row: dict) -> str:
    low, high = row["error_range"]
    return f"{row['error']:.3f} ({low:.3f} to {high:.3f})"


def _groups(rows: Sequence[LightRow]) -> list[tuple[tuple[str, str], str, str]]:
    """Set and structure, kind, damage of every row of the summary."""
    sets = [*sorted({(row.set, row.structure) for row in rows}), POOLED]
    groups = [(place, kind, "") for place in sets for kind in KINDS]
    return groups + [(POOLED, *of) for of in dict.fromkeys((row.kind, row.damage) for row in rows) if of[1]]


def lights_page(summary: Sequence[dict[str, object]]) -> str:
    """Tables of a summary, Markdown."""
    parts = [
        "A structure of a heart is red (amber) if a serious finding (a warning) is about it or about all; in brackets "
        "95 % of bootstrap draws of subjects. Damaged labels are judged by rules alone, as labels of a person.\n"
    ]
    for light, limit in ((light, limit) for light in LIGHTS for limit in LIMITS):
        head = ["set", "structure", "", "number", f"Dice < {limit:.2f}", light, "both", "precision", "recall"]
        chosen = [row for row in summary if row["light"] == light and row["limit"] == limit]
        cells = [_cells(row) for row in chosen if light == "red" or not row["damage"]]
        parts.append(table(head, cells))
    return "\n".join(parts)


def _cells(row: dict) -> list[str]:
    counts = [str(row[name]) for name in ("count", "bad", "red", "both")]
    return [
        row["set"],
        row["structure"],
        row["damage"] or row["kind"],
        *counts,
        _share(row, "precision"),
        _share(row, "recall"),
    ]


def _share(row: dict, name: str) -> str:
    span = row[f"{name}_range"]
    return number(row[name], 2) + (f" ({span[0]:.2f} to {span[1]:.2f})" if row[name] is not None and span else "")


def _name(row: dict) -> str:
    return ", ".join(filter(None, (row["set"], row["structure"], row["kind"])))


def _told(row: dict) -> str:
    return (
        f"{row['count']} structures, {row['bad']} with Dice < {row['limit']:.2f}, {row['red']} red; precision "
        f"{_share(row, 'precision')}, recall {_share(row, 'recall')}"
    )
