"""``cineheart evaluate``: accuracy tables, pictures of the worst cases, and the numbers of the model card."""

import os
import re
from pathlib import Path

import numpy as np

from CardiacLib.bundles import bundle_path
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.progress import Progress, part
from CardiacSegLib import Segmenter
from CardiacSegLib.evaluation import Case, csv_rows, evaluate, summary

from .outputs import write_rows

WORST = 3
_SECTION = re.compile(r"(<!-- evaluation -->\n).*?(<!-- /evaluation -->)", re.DOTALL)


def evaluate_bundle(bundle: str, data: Path, output: Path, device: str, progress: Progress) -> dict[str, object]:
    """Evaluate on the validation patients in ``data``; write tables and pictures to ``output`` and the model card."""
    folder = bundle_path(bundle)
    cases = evaluate(data, Segmenter(bundle, device), part(progress, 0.0, 0.9))
    result = summary(cases)
    worst = sorted(cases, key=lambda case: case.mean_dice)[:WORST]
    with atomic_directory(output) as work:
        write_rows(work / "evaluation.csv", csv_rows(cases))
        write_json(work / "evaluation.json", result)
        for rank, case in enumerate(worst, 1):
            draw_case(case, work / f"worst_{rank}.png")
    write_model_card(folder / "docs" / "README.md", markdown(result, worst))
    facts = {"patients": result["patients"], "mean_dice": round(result["mean_dice"], 4)}
    for row in result["table"]:
        worst_of = f"worst {row['worst_dice']:.3f} ({row['worst_patient']})"
        facts[f"{row['structure']} {row['phase']}"] = f"{row['dice']:.3f}, {worst_of}"
    return facts


def markdown(result: dict, worst: list[Case]) -> str:
    """The evaluation as Markdown tables."""
    lines = [
        f"{result['patients']} ACDC validation patients (005, 010, ..., 100), ED and ES; "
        f"mean foreground Dice **{result['mean_dice']:.4f}**. Written by `cineheart evaluate`.",
        "",
        "| structure | phase | Dice mean | Dice worst | Hausdorff mm | 95 % Hausdorff mm | mean distance mm | missed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["table"]:
        lines.append(
            f"| {row['structure']} | {row['phase']} | {row['dice']:.3f} | {row['worst_dice']:.3f} "
            f"({row['worst_patient']}) | {_number(row['hausdorff_mm'], 1)} | {_number(row['hausdorff95_mm'], 1)} "
            f"| {_number(row['mean_surface_distance_mm'], 2)} | {row['missed']} |"
        )
    lines += ["", "| ejection fraction | r | bias, points | SD, points |", "|---|---|---|---|"]
    for name, values in result["ejection_fraction"].items():
        lines.append(f"| {name} | {_number(values['r'], 3)} | {values['bias']:+.1f} | {values['sd']:.1f} |")
    names = ", ".join(f"{case.rows[0].patient} ({case.rows[0].group}, {case.mean_dice:.3f})" for case in worst)
    return "\n".join([*lines, "", f"Worst cases by mean Dice: {names}.", ""])


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def write_model_card(path: Path, text: str) -> None:
    """Replace the part of the model card between the evaluation markers."""
    card = path.read_text(encoding="utf-8") if path.is_file() else ""
    if not _SECTION.search(card):
        raise InputError(f"{path}: the model card has no '<!-- evaluation -->' section to write the numbers into.")
    work = path.with_suffix(".part")
    work.write_text(_SECTION.sub(lambda m: m.group(1) + text + m.group(2), card), encoding="utf-8")
    os.replace(work, path)


def draw_case(case: Case, path: Path) -> None:
    """All slices at ED and ES: found contours solid, experts' contours dashed."""
    from matplotlib.figure import Figure

    heart = (case.true.labels > 0).any((0, 1)) | (case.found.labels > 0).any((0, 1))
    rows, columns = (np.flatnonzero(heart.any(axis)) for axis in (1, 0))
    window = slice(max(rows[0] - 12, 0), rows[-1] + 13), slice(max(columns[0] - 12, 0), columns[-1] + 13)
    count = case.cine.n_slices
    figure = Figure(figsize=(1.6 * count, 3.6), layout="constrained")
    axes = figure.subplots(2, count, squeeze=False)
    aspect = case.cine.spacing[1] / case.cine.spacing[0]
    for t, k in np.ndindex(2, count):
        axis = axes[t, k]
        axis.imshow(case.cine.frames[t, k][window], cmap="gray", aspect=aspect)
        for labels, style in ((case.found, "solid"), (case.true, "dashed")):
            for label, colour in ((1, "red"), (2, "lime"), (3, "yellow")):
                mask = labels.labels[t, k][window]
                mask = (mask == label) | ((mask == 1) & (label == 2))
                if mask.any() and not mask.all():
                    axis.contour(mask, levels=[0.5], colors=colour, linewidths=0.8, linestyles=style)
        axis.set_axis_off()
        axis.set_title(f"{('ED', 'ES')[t]} {k + 1}", fontsize=7)
    first = case.rows[0]
    figure.suptitle(f"{first.patient} ({first.group}): mean Dice {case.mean_dice:.3f}; dashed: expert", fontsize=9)
    figure.savefig(path, dpi=110)
