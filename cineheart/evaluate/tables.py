"""The evaluation as Markdown: short for the model card, whole with pictures for ``evaluation.md``."""

from CardiacSegLib.evaluate.evaluation import Case
from CardiacSegLib.evaluate.summary import ALL, DISTANCES, OVERLAPS

from .card import folded

NAMES = {
    "dice": "Dice",
    "jaccard": "Jaccard",
    "precision": "precision",
    "recall": "recall",
    "hausdorff_mm": "Hausdorff mm",
    "hausdorff95_mm": "95 % Hausdorff mm",
    "mean_surface_distance_mm": "mean distance mm",
}
DEFINITIONS = """\
Every number is of one 3-D volume (one structure of one patient at ED or ES), then taken over patients; SD is between
patients (n - 1). Distances are in mm between the surface voxels of both masks on the anisotropic grid of the images,
the distance between slices included; the 95 % Hausdorff distance is the larger of the 95th percentiles of the two
directions; the mean distance is over the surface voxels of both. A structure that was missed, or found where the expert
saw none, has overlaps 0 and no distance: it is counted as missed and left out of the means of distances. Bias is found
minus expert, limits of agreement are bias -+ 1.96 SD (Bland and Altman 1986). ED and ES are the experts' frames,
volumes are sums of voxels with the slice gap, LV mass is at ED with 1.05 g/ml, EF is in percentage points.
"""


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float | None, digits: int, signed: bool = False) -> str:
    """A number for a table, '-' where there is none."""
    return "-" if value is None else f"{value:{'+' if signed else ''}.{digits}f}"


def card(result: dict, worst: list[Case]) -> str:
    """The short form for the model card."""
    names = ", ".join(f"{case.patient.name} ({case.patient.group}, {case.mean_dice:.3f})" for case in worst)
    details = [group_table(result, "dice", 3), measurement_table(result), f"Worst cases by mean Dice: {names}.\n"]
    parts = [
        headline(result) + " Written by `cineheart evaluate`.\n",
        structure_table(result),
        folded("By disease group, measurements, worst cases", "\n".join(details)),
    ]
    return "\n".join(parts)


def headline(result: dict) -> str:
    """What was evaluated and the one number."""
    return (
        f"{result['patients']} ACDC validation patients (of 005, 010, ..., 100), ED and ES; "
        f"mean foreground Dice **{result['mean_dice']:.4f}**, "
        f"mean Hausdorff distance {number(result['mean_hausdorff_mm'], 1)} mm."
    )


def structure_table(result: dict) -> str:
    """Every metric per structure and phase over all patients."""
    head = ["structure", "phase", "Dice mean ± SD", "Dice worst", "Jaccard", "precision", "recall"]
    head += ["Hausdorff mm (worst)", "95 % Hausdorff mm", "mean distance mm", "missed"]
    rows = []
    for row in result["table"]:
        if row["group"] != ALL:
            continue
        dice, hausdorff = row["dice"], row["hausdorff_mm"]
        cells = [row["structure"], row["phase"], f"{number(dice['mean'], 3)} ± {number(dice['sd'], 3)}"]
        cells += [f"{number(dice['worst'], 3)} ({dice['worst_patient']})"]
        cells += [number(row[metric]["mean"], 3) for metric in OVERLAPS[1:]]
        cells += [f"{number(hausdorff['mean'], 1)} ({number(hausdorff['worst'], 1)})"]
        cells += [number(row["hausdorff95_mm"]["mean"], 1), number(row["mean_surface_distance_mm"]["mean"], 2)]
        rows.append([*cells, str(row["missed"])])
    return table(head, rows)


def group_table(result: dict, metric: str, digits: int) -> str:
    """Mean of one metric per disease group (rows), structure and phase (columns)."""
    columns = [(row["structure"], row["phase"]) for row in result["table"] if row["group"] == ALL]
    found = {(row["group"], row["structure"], row["phase"]): row[metric]["mean"] for row in result["table"]}
    groups = {ALL: result["patients"]} | result["groups"]
    rows = [
        [f"{group} ({count})", *(number(found[(group, *column)], digits) for column in columns)]
        for group, count in groups.items()
    ]
    return table([f"mean {NAMES[metric]}, group", *(" ".join(column) for column in columns)], rows)


def worst_table(result: dict) -> str:
    """Mean, SD and worst value with its patient of every metric, per structure, phase and disease group."""
    head = ["group", "structure", "phase", "metric", "mean", "SD", "worst", "worst patient"]
    rows = []
    for row in result["table"]:
        for metric in (*OVERLAPS, *DISTANCES):
            values, digits = row[metric], 2 if metric in DISTANCES else 3
            cells = [row["group"], row["structure"], row["phase"], NAMES[metric]]
            cells += [number(values[key], digits) for key in ("mean", "sd", "worst")]
            rows.append([*cells, values["worst_patient"] or "-"])
    return table(head, rows)


def measurement_table(result: dict) -> str:
    """Correlation, bias and limits of agreement of the clinical numbers."""
    head = ["measurement", "n", "r", "bias", "SD", "limits of agreement"]
    rows = []
    for name, values in result["measurements"].items():
        limits = f"{number(values['lower'], 1, True)} to {number(values['upper'], 1, True)} {values['unit']}"
        cells = [name, str(values["n"]), number(values["r"], 3), number(values["bias"], 1, True)]
        rows.append([*cells, number(values["sd"], 1), limits])
    return table(head, rows)


def robustness_table(bearing: dict) -> str:
    """Loss of Dice per change, and what each change is."""
    head = ["change", "mean Dice", "drop", "LV", "MYO", "RV", "worst patient", f"drop <= {bearing['max_drop']}"]
    rows = []
    for row in bearing["table"]:
        cells = [f"{row['change']}: {row['description']}", number(row["mean_dice"], 4), number(row["drop"], 4, True)]
        cells += [number(row["structure_drop"][name], 3, True) for name in ("LV", "MYO", "RV")]
        cells += [f"{number(row['worst_patient_drop'], 3, True)} ({row['worst_patient']})"]
        rows.append([*cells, "yes" if row["passed"] else "**no**"])
    text = (
        f"The same {bearing['patients']} patients after each change; drop is unchanged minus changed Dice, mean over "
        "patients, phases and structures.\n"
    )
    return text + "\n" + table(head, rows)


def page(bundle: str, result: dict, worst: list[Case], bearing: dict | None, sections) -> str:
    """``evaluation.md``: every table with the pictures that lie beside it."""
    parts = [f"# Evaluation of {bundle}\n", headline(result) + "\n"]
    parts += [structure_table(result), "![Dice of every patient](dice.png)\n", "## By disease group\n"]
    parts += [group_table(result, metric, 1 if metric in DISTANCES else 3) for metric in ("dice", "hausdorff_mm")]
    parts += ["## Volumes, ejection fraction and mass\n", measurement_table(result)]
    parts += ["![Bland-Altman plots](bland_altman.png)\n", "![Correlation](correlation.png)\n"]
    if bearing:
        parts += ["## Robustness\n", robustness_table(bearing), "![Loss of Dice per change](robustness.png)\n"]
    for section in sections:
        parts += [f"## {section.title}\n", section.markdown]
    parts += ["## Worst cases\n"]
    for rank, case in enumerate(worst, 1):
        name = f"{case.patient.name} ({case.patient.group}), mean Dice {case.mean_dice:.3f}"
        parts += [f"{name}\n\n![{name}](worst_{rank}.png)\n"]
    parts += ["## Every metric\n", worst_table(result), "## Definitions\n", DEFINITIONS]
    return "\n".join(parts)


def facts(result: dict, bearing: dict | None) -> dict[str, object]:
    """The few numbers that the command shows."""
    found = {"patients": result["patients"], "mean_dice": round(result["mean_dice"], 4)}
    for row in result["table"]:
        if row["group"] == ALL:
            dice = row["dice"]
            text = f"{dice['mean']:.3f}, worst {dice['worst']:.3f} ({dice['worst_patient']})"
            found[f"{row['structure']} {row['phase']}"] = text
    for row in bearing["table"] if bearing else []:
        verdict = "passes" if row["passed"] else "too much"
        found[row["change"]] = f"Dice {row['mean_dice']:.4f}, drop {row['drop']:+.4f}, {verdict}"
    return found
