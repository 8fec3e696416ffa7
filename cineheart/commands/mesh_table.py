"""The table of many meshes: one row per case, the limits it is judged by, as CSV and as a page to read."""

import csv
from pathlib import Path

import numpy as np

from CardiacLib.types.bivmesh import BiVMesh
from CardiacLib.types.mesh_criteria import COUNTS, LIMITS, quality_lines


def mesh_row(name: str, mesh: BiVMesh, seconds: float) -> dict[str, object]:
    """The row of one mesh: numbers of its quality report, flat, and ``below``, the measures beyond their limits."""
    quality = mesh.quality
    row: dict[str, object] = {"case": name, "status": "meshed", "seconds": seconds, "reason": ""}
    row |= {"edge_length_mm": quality.made.edge_length_mm, "nodes": quality.nodes, "tets": quality.tets}
    row |= quality.measures()
    row["epi_to_endo_rv_edges"] = quality.topology.epi_to_endo_rv_edges
    row["repaired_lattice_points"] = quality.made.repaired_lattice_points
    return row | {"below": "; ".join(beyond_limits(row)), "notes": " ".join(mesh.notes)}


def beyond_limits(row: dict[str, object]) -> list[str]:
    """Measures of a row that miss their limit, each with its value."""
    missed = {key: line.value for key, line in quality_lines(row).items() if not line.met}
    return [f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in missed.items()]


def write_tables(rows: list[dict[str, object]], folder: Path) -> None:
    """``meshes.csv``, every column, and ``meshes.md``, a summary, cases beyond a limit, and a short row of each."""
    columns = list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))
    with open(folder / "meshes.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    (folder / "meshes.md").write_text(summary(rows), encoding="utf-8")


def summary(rows: list[dict[str, object]]) -> str:
    """Markdown."""
    meshed = [row for row in rows if row["status"] == "meshed"]
    parts = [f"# Meshes\n\n{len(meshed)} of {len(rows)} label maps gave a mesh.\n"]
    if meshed:
        right = [row for row in meshed if not set(COUNTS) & {text.split()[0] for text in beyond_limits(row)}]
        parts.append(f"Topology right and no inverted or zero-gradient tetrahedron: {len(right)} of {len(meshed)}.\n")
        parts.append(_table(["measure", "limit", "met", "least", "median", "greatest"], _measures(meshed)))
    failed = [[str(row["case"]), str(row["reason"])] for row in rows if row["status"] != "meshed"]
    beyond = [[str(row["case"]), str(row["below"])] for row in meshed if row["below"]]
    if failed:
        parts.append("## No mesh\n\n" + _table(["case", "reason"], failed))
    if beyond:
        parts.append("## Beyond a limit\n\n" + _table(["case", "measures"], beyond))
    if meshed:
        shown = ["tets", "seconds", *LIMITS]
        lines = [[str(row["case"]), *(_text(row.get(key)) for key in shown)] for row in meshed]
        parts.append("## All\n\n" + _table(["case", *shown], lines))
    return "\n".join(parts)


def _measures(rows: list[dict[str, object]]) -> list[list[str]]:
    lines = []
    for key in (*LIMITS, "tets", "seconds"):
        values = np.array([row[key] for row in rows if row.get(key) is not None], float)
        criterion, limit, met = LIMITS.get(key), "", ""
        if criterion is not None:
            limit, met = criterion.limit, f"{sum(map(criterion.met_by, values))} of {len(values)}"
        if len(values):
            lines.append([key, limit, met, *(_text(float(v)) for v in (values.min(), np.median(values), values.max()))])
    return lines


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return "" if value is None else str(value)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
