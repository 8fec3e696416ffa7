"""``cohort.html``: the table with pictures, to sort and to filter; distributions; agreement with references."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from CardiacLib.files import write_text
from CardiacLib.types.measures.ranges import ABOVE, BELOW

from .graphs import bland_altman, histogram
from .table import number
from .task import DONE, FAILED
from .thumbnail import THUMBNAIL

SHOWN = (
    ("lv_edv_ml", "LV EDV, ml", 0), ("lv_esv_ml", "LV ESV, ml", 0), ("lv_ef_percent", "LV EF, %", 0),
    ("lv_mass_g", "LV mass, g", 0), ("rv_edv_ml", "RV EDV, ml", 0), ("rv_esv_ml", "RV ESV, ml", 0),
    ("rv_ef_percent", "RV EF, %", 0), ("mapse_mm", "MAPSE, mm", 1),
)  # fmt: skip
"""Measurement, its heading, and digits."""
LIGHTS = ("segmentation_light", "mesh_light")
FAR = 3.5
"""Robust standard deviations (of the median's distance) from which a study is an outlier."""
LEAST = 5
"""Studies from which there is a distribution."""


def write_page(rows: Sequence[dict[str, object]], folder: Path) -> None:
    """Write the page; pictures and reports are those in the studies' folders beside it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    scores = outlier_scores(rows)
    order = sorted(range(len(rows)), key=lambda n: (rows[n]["status"] != FAILED, -scores[n][0], str(rows[n]["study"])))
    page = environment.get_template("cohort.html").render(
        title=folder.resolve().name,
        headings=[heading for _, heading, _ in SHOWN],
        studies=[_shown(rows[n], *scores[n], folder) for n in order],
        count=len(rows),
        failed=sum(row["status"] == FAILED for row in rows),
        far=FAR,
        distributions=_distributions(rows),
        agreements=_agreements(rows),
    )
    write_text(folder / "cohort.html", page)


def outlier_scores(rows: Sequence[dict[str, object]]) -> list[tuple[float, str]]:
    """Of each study: the largest distance of one of its measurements from the cohort's median, and which it is.

    In robust standard deviations, 1.4826 times the median absolute deviation; 0 where there are too few studies.
    """
    scores = [(0.0, "")] * len(rows)
    for name, heading, _ in SHOWN:
        values = np.array([np.nan if (value := number(row, name)) is None else value for row in rows])
        known = values[np.isfinite(values)]
        if len(known) < LEAST:
            continue
        spread = 1.4826 * float(np.median(np.abs(known - np.median(known))))
        if spread <= 0:
            continue
        for n, value in enumerate(np.abs(values - np.median(known)) / spread):
            if np.isfinite(value) and value > scores[n][0]:
                scores[n] = (float(value), heading.partition(",")[0])
    return scores


def _shown(row: dict[str, object], score: float, furthest: str, folder: Path) -> dict[str, object]:
    name = str(row["study"])
    cells = []
    for key, _, digits in SHOWN:
        value = number(row, key)
        light = str(row.get(f"{key}_light") or "")
        text = "" if value is None else f"{value:.{digits}f}"
        position = str(row.get(f"{key}_position") or "")
        cells.append({"text": text, "sort": "" if value is None else value, "light": light, "position": position})
    return {
        "name": name,
        "status": row["status"],
        "link": _link(folder, name, "report.html"),
        "picture": _link(folder, name, THUMBNAIL),
        "lights": [str(row.get(key) or "") for key in LIGHTS],
        "cells": cells,
        "outside": any(value in (BELOW, ABOVE) for key, value in row.items() if key.endswith("_position")),
        "score": round(score, 1),
        "furthest": furthest if score >= FAR else "",
        "seconds": number(row, "seconds") or 0.0,
        "said": str(row.get("reason") or ""),
    }


def _link(folder: Path, study: str, file: str) -> str:
    """Address of a file of a study, relative to the page; empty where there is none."""
    from urllib.parse import quote

    return quote(f"{study}/{file}") if os.path.isfile(folder / study / file) else ""


def _distributions(rows: Sequence[dict[str, object]]) -> list[dict[str, str]]:
    made = []
    for name, heading, _ in SHOWN:
        values = [value for row in rows if row["status"] == DONE and (value := number(row, name)) is not None]
        if len(values) >= LEAST:
            middle, low, high = np.median(values), *np.percentile(values, [25, 75])
            said = f"{heading}: median {middle:.1f}, middle half {low:.1f} to {high:.1f}, n = {len(values)}"
            made.append({"said": said, "svg": histogram(values, heading)})
    return made


def _agreements(rows: Sequence[dict[str, object]]) -> list[dict[str, str]]:
    made = []
    names = sorted({key.removeprefix("reference_") for row in rows for key in row if key.startswith("reference_")})
    for name in names:
        both = [(number(row, name), number(row, f"reference_{name}")) for row in rows]
        pairs = np.array([pair for pair in both if None not in pair], float)
        if len(pairs) < 2:
            made.append({"said": f"{name}: fewer than two studies have both values.", "svg": ""})
            continue
        difference = pairs[:, 0] - pairs[:, 1]
        bias, sd = float(difference.mean()), float(difference.std(ddof=1))
        said = (
            f"{name}: measured minus reference {bias:+.2f}, SD {sd:.2f}, limits of agreement "
            f"{bias - 1.96 * sd:+.2f} to {bias + 1.96 * sd:+.2f}, n = {len(pairs)}"
        )
        made.append({"said": said, "svg": bland_altman(pairs, name)})
    return made
