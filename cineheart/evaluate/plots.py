"""Pictures over all patients: Dice, Bland-Altman, correlation, robustness. Points are patients, colours groups."""

from pathlib import Path

import numpy as np

from CardiacLib.metrics import agreement
from CardiacLib.types.segmentation import STRUCTURES
from CardiacSegLib.evaluate.evaluation import PHASES, Case
from CardiacSegLib.evaluate.summary import UNITS

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, which the colour-blind can tell apart."""


def group_colours(groups) -> dict[str, str]:
    """A colour for each group, in alphabetical order; the palette repeats if there are more groups than colours."""
    return {group: COLOURS[number % len(COLOURS)] for number, group in enumerate(sorted(set(groups)))}


def dice_by_patient(cases: list[Case], path: Path) -> None:
    """Dice of every patient per structure and phase, the mean as a bar."""
    figure = _figure(8.0, 4.2)
    axes = figure.add_subplot()
    colours = group_colours(case.patient.group for case in cases)
    pairs = [(structure, phase) for structure in STRUCTURES for phase in PHASES]
    for x, pair in enumerate(pairs):
        values = [row.dice for case in cases for row in case.rows if (row.structure, row.phase) == pair]
        places = x + np.linspace(-0.25, 0.25, len(values)) if len(values) > 1 else [x]
        edges = [colours[case.patient.group] for case in cases]
        axes.scatter(places, values, s=22, c=edges, edgecolors="white", linewidths=0.4, zorder=3)
        axes.hlines(np.mean(values), x - 0.36, x + 0.36, color="black", linewidth=1.4, zorder=4)
        axes.text(x, 1.005, f"{np.mean(values):.3f}", ha="center", va="bottom", fontsize=9)
    axes.set_xticks(range(len(pairs)), [" ".join(pair) for pair in pairs])
    axes.set_ylabel("Dice")
    axes.set_ylim(top=1.04)
    _plain(axes)
    figure.get_layout_engine().set(rect=(0, 0.07, 1, 0.93))
    _legend(figure, colours)
    figure.savefig(path, dpi=110)


def bland_altman(rows: list[dict[str, object]], path: Path) -> None:
    """Found minus expert over their mean, with bias and 95 % limits of agreement, for every measurement.

    Args:
        rows: of ``measurement_rows``.
        path: PNG file.
    """
    figure, panels, colours = _panels(rows)
    for axes, (name, unit) in zip(panels, UNITS.items(), strict=True):
        found, true, edges = _pairs(rows, name, colours)
        axes.set_title(name, fontsize=10)
        if not found.size:
            continue
        axes.scatter((found + true) / 2, found - true, s=18, c=edges, zorder=3)
        values = agreement(found, true)
        lines = [(values.bias, "-"), (values.lower, "--"), (values.upper, "--")]
        for value, style in lines:
            if value is not None:
                axes.axhline(value, color="black", linewidth=1.0, linestyle=style)
                axes.annotate(
                    f"{value:+.1f}", (1.0, value), xycoords=("axes fraction", "data"), xytext=(3, 0),
                    textcoords="offset points", va="center", fontsize=8, annotation_clip=False,
                )  # fmt: skip
        axes.axhline(0, color="grey", linewidth=0.6)
        axes.margins(y=0.15)
        axes.set_xlabel(f"mean of both ({'%' if unit == 'points' else unit})", fontsize=8)
        axes.set_ylabel(f"found - expert ({unit})", fontsize=8)
    _legend(figure, colours)
    figure.savefig(path, dpi=110)


def correlation(rows: list[dict[str, object]], path: Path) -> None:
    """Found over expert with the line of identity, for every measurement; arguments as of :func:`bland_altman`."""
    figure, panels, colours = _panels(rows)
    for axes, (name, unit) in zip(panels, UNITS.items(), strict=True):
        found, true, edges = _pairs(rows, name, colours)
        r = agreement(found, true).r if found.size else None
        axes.set_title(name if r is None else f"{name}, r = {r:.3f}", fontsize=10)
        if not found.size:
            continue
        axes.scatter(true, found, s=18, c=edges, zorder=3)
        low, high = min(found.min(), true.min()), max(found.max(), true.max())
        margin = 0.06 * max(high - low, 1e-6)
        ends = low - margin, high + margin
        axes.plot(ends, ends, color="black", linewidth=0.8)
        axes.set(xlim=ends, ylim=ends, aspect="equal")
        shown = "%" if unit == "points" else unit
        axes.set_xlabel(f"expert ({shown})", fontsize=8)
        axes.set_ylabel(f"found ({shown})", fontsize=8)
    _legend(figure, colours)
    figure.savefig(path, dpi=110)


def robustness_bars(bearing: dict, path: Path) -> None:
    """Loss of Dice per change against the bound; ``bearing`` of ``robustness_summary``."""
    table = bearing["table"][::-1]
    figure = _figure(8.0, 0.36 * len(table) + 1.0)
    axes = figure.add_subplot()
    drops = [row["drop"] for row in table]
    colours = [COLOURS[2] if row["passed"] else COLOURS[1] for row in table]
    axes.barh(range(len(table)), drops, color=colours, height=0.62)
    for y, drop in enumerate(drops):
        axes.annotate(
            f"{drop:+.4f}", (max(drop, 0.0), y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.axvline(bearing["max_drop"], color="black", linewidth=1.0, linestyle="--")
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(table)), [row["change"] for row in table])
    axes.set_xlabel(f"loss of mean Dice (dashed: {bearing['max_drop']})")
    axes.set_xlim(right=1.15 * max(*drops, bearing["max_drop"]))
    _plain(axes)
    figure.savefig(path, dpi=110)


def _figure(width: float, height: float):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _panels(rows):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 8.8))
    panels = figure.subplots(3, 3).ravel()
    figure.subplots_adjust(left=0.07, right=0.95, bottom=0.11, top=0.96, wspace=0.5, hspace=0.45)
    for axes in panels:
        axes.tick_params(labelsize=8)
        _plain(axes)
    return figure, panels, group_colours(row["group"] for row in rows)


def _pairs(rows, name: str, colours) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Found and true values of one measurement where both are, and the colours of their patients."""
    kept = [row for row in rows if row[name] is not None and row[f"true {name}"] is not None]
    found, true = (np.array([row[key] for row in kept], float) for key in (name, f"true {name}"))
    return found, true, [colours[row["group"]] for row in kept]


def _plain(axes) -> None:
    axes.grid(alpha=0.2)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(figure, colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=c, marker="o", linestyle="", markersize=5, label=g) for g, c in colours.items()]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=9)
