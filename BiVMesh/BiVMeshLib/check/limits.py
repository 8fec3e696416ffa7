"""The lines that a good mesh keeps: each measure of the quality report with its limit, and whether it is met.

The gate (:func:`BiVMeshLib.check.quality.gate`) is less strict: a mesh may pass it and miss some of these lines, which
its report then names.
"""

PATCH_COLUMNS = {"EPI": "euler_epi", "ENDO_LV": "euler_endo_lv", "ENDO_RV": "euler_endo_rv", "BASE": "euler_base"}
COUNTS = (
    "open_edges",
    "nonmanifold_edges",
    "nonmanifold_vertices",
    "self_intersections",
    "inverted_tets",
    "zero_gradient_tets",
    "nodes_on_two_walls",
    "unused_nodes",
)
SHAPE = ("min_dihedral_deg", "max_dihedral_deg", "scaled_jacobian_min", "scaled_jacobian_p1", "scaled_jacobian_mean")
LIMITS = {
    "min_dihedral_deg": (18.0, None),
    "max_dihedral_deg": (None, 150.0),
    "scaled_jacobian_min": (0.30, None),
    "scaled_jacobian_p1": (0.40, None),
    "scaled_jacobian_mean": (0.78, None),
    "lv_pool_error_percent": (-2.0, 2.0),
    "lv_myocardium_error_percent": (-2.0, 2.0),
    "rv_pool_error_percent": (-2.0, 2.0),
    "rv_wall_error_percent": (-2.0, 2.0),
    "distance_mean_mm": (None, 0.6),
    "distance_p95_mm": (None, 1.5),
}
"""Least and greatest value of each measure; the counts must be 0, the topology that of a heart. Volumes only of
structures that the labels have."""


def measures(report: dict[str, object]) -> dict[str, object]:
    """The measures of a quality report by flat names: topology, COUNTS, SHAPE, volume errors, distances to contours."""
    flat = {key: report[key] for key in ("components", "euler")}
    flat |= {column: report["patch_euler"].get(patch) for patch, column in PATCH_COLUMNS.items()}
    flat["patch_components_max"] = max(report["patch_components"].values())
    flat |= {key: report[key] for key in (*COUNTS, *SHAPE)}
    flat |= {f"{structure}_error_percent": error for structure, error in report["volume_error_percent"].items()}
    distance = report["contour_distance_mm"]["all"]
    return flat | {"distance_mean_mm": distance["mean"], "distance_p95_mm": distance["p95"]}


def exact(has_rv: bool) -> dict[str, int]:
    """By flat name the only value that a measure may have."""
    wanted = dict.fromkeys(COUNTS, 0) | {"components": 1, "euler": 2, "patch_components_max": 1}
    wanted |= {"euler_epi": 1, "euler_endo_lv": 1, "euler_base": -1 if has_rv else 0}
    return wanted | ({"euler_endo_rv": 1} if has_rv else {})


def quality_lines(flat: dict[str, object]) -> dict[str, dict[str, object]]:
    """Every line by the name of its measure: ``value``, ``limit`` as text, ``met``.

    Args:
        flat: as from :func:`measures`, other entries are ignored.
    """
    wanted = exact(flat["euler_endo_rv"] is not None).items()
    lines = {key: {"value": flat[key], "limit": str(value), "met": flat[key] == value} for key, value in wanted}
    for key, (low, high) in LIMITS.items():
        value = flat.get(key)
        if value is not None:
            met = (low is None or value >= low) and (high is None or value <= high)
            lines[key] = {"value": value, "limit": limit_text(low, high), "met": bool(met)}
    return lines


def limit_text(low: float | None, high: float | None) -> str:
    """A range in words: ``>= 18``, ``<= 0.6`` or ``-2 to 2``."""
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    return f">= {low:g}" if high is None else f"<= {high:g}"


def missed_lines(lines: dict[str, dict[str, object]]) -> list[str]:
    """Names of the measures that miss their line."""
    return [key for key, line in lines.items() if not line["met"]]


def line_text(line: dict[str, object]) -> str:
    """Value and limit of a line: ``0.771 (>= 0.78)``."""
    value = line["value"]
    return f"{value:.3g} ({line['limit']})" if isinstance(value, float) else f"{value} ({line['limit']})"
