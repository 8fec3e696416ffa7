"""Function and quality control as table, plot series and chart nodes."""

from collections.abc import Sequence

from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.host import plain_host
from CardiacLib.mrml.nodes.tables import add_chart, add_table, set_columns, time_column
from CardiacLib.species import Species, species_named
from CardiacLib.types.labels import LV, RV, structures
from CardiacLib.types.measures.marks import Mark, Marks
from CardiacLib.types.measures.ranges import NormalRanges
from CardiacLib.types.measures.volumes import VolumeRow

MEASUREMENTS = (
    ("lv_edv_ml", "LV end-diastolic volume", "ml"),
    ("lv_esv_ml", "LV end-systolic volume", "ml"),
    ("lv_sv_ml", "LV stroke volume", "ml"),
    ("lv_ef_percent", "LV ejection fraction", "%"),
    ("lv_cardiac_output_l_per_min", "LV cardiac output", "l/min"),
    ("lv_mass_g", "LV mass", "g"),
    ("lv_mass_es_g", "LV mass at end-systole", "g"),
    ("rv_edv_ml", "RV end-diastolic volume", "ml"),
    ("rv_esv_ml", "RV end-systolic volume", "ml"),
    ("rv_sv_ml", "RV stroke volume", "ml"),
    ("rv_ef_percent", "RV ejection fraction", "%"),
    ("rv_cardiac_output_l_per_min", "RV cardiac output", "l/min"),
    ("heart_rate_bpm", "Heart rate", "/min"),
    ("body_surface_m2", "Body surface area", "m2"),
    ("lv_edv_index_ml_per_m2", "LV end-diastolic volume index", "ml/m2"),
    ("lv_esv_index_ml_per_m2", "LV end-systolic volume index", "ml/m2"),
    ("lv_sv_index_ml_per_m2", "LV stroke volume index", "ml/m2"),
    ("lv_cardiac_index_l_per_min_per_m2", "LV cardiac index", "l/min/m2"),
    ("lv_mass_index_g_per_m2", "LV mass index", "g/m2"),
    ("lv_mass_es_index_g_per_m2", "LV mass index at end-systole", "g/m2"),
    ("rv_edv_index_ml_per_m2", "RV end-diastolic volume index", "ml/m2"),
    ("rv_esv_index_ml_per_m2", "RV end-systolic volume index", "ml/m2"),
    ("rv_sv_index_ml_per_m2", "RV stroke volume index", "ml/m2"),
    ("rv_cardiac_index_l_per_min_per_m2", "RV cardiac index", "l/min/m2"),
    ("lv_peak_ejection_rate_ml_per_s", "LV peak ejection rate", "ml/s"),
    ("lv_time_to_peak_ejection_ms", "LV time to peak ejection after end-diastole", "ms"),
    ("lv_peak_filling_rate_ml_per_s", "LV peak filling rate", "ml/s"),
    ("lv_time_to_peak_filling_ms", "LV time to peak filling after end-systole", "ms"),
    ("rv_peak_ejection_rate_ml_per_s", "RV peak ejection rate", "ml/s"),
    ("rv_time_to_peak_ejection_ms", "RV time to peak ejection after end-diastole", "ms"),
    ("rv_peak_filling_rate_ml_per_s", "RV peak filling rate", "ml/s"),
    ("rv_time_to_peak_filling_ms", "RV time to peak filling after end-systole", "ms"),
    ("lv_sphericity_ed", "LV sphericity at end-diastole", ""),
    ("lv_sphericity_es", "LV sphericity at end-systole", ""),
    ("lv_wall_thickness_ed_mm", "LV wall thickness, mean", "mm"),
    ("lv_largest_wall_thickness_ed_mm", "LV wall thickness, thickest segment", "mm"),
    ("lv_global_circumferential_endo_percent", "LV circumferential strain, endocardial", "%"),
    ("lv_global_circumferential_mid_percent", "LV circumferential strain, mid-wall", "%"),
    ("lv_global_circumferential_epi_percent", "LV circumferential strain, epicardial", "%"),
    ("lv_global_radial_percent", "LV radial strain", "%"),
)
"""Key of ``Function.to_dict()``, name and unit, in the order of tables and reports."""
_VOLUMES = (("LV volume", "lv_ml"), ("RV volume", "rv_ml"), ("Myocardial volume", "myo_ml"))
_RATES = (("LV filling rate", "lv_rate_ml_per_s"), ("RV filling rate", "rv_rate_ml_per_s"))
_STRAINS = (
    ("Circumferential strain, endocardial (%)", "circumferential_endo_percent", (209, 59, 59)),
    ("Circumferential strain, mid-wall (%)", "circumferential_mid_percent", (123, 82, 190)),
    ("Circumferential strain, epicardial (%)", "circumferential_epi_percent", (33, 145, 80)),
    ("Radial strain (%)", "radial_percent", (31, 111, 178)),
)
"""Column, key of ``Function.to_dict()`` and colour in the plot."""
_SEGMENT_COLUMNS = (
    ("Thickness at end-diastole (mm)", "thickness_ed_mm"),
    ("Thickness at end-systole (mm)", "thickness_es_mm"),
    ("Thickening (%)", "thickening_percent"),
    ("Circumferential strain, endocardial (%)", "circumferential_endo_percent"),
    ("Circumferential strain, mid-wall (%)", "circumferential_mid_percent"),
    ("Circumferential strain, epicardial (%)", "circumferential_epi_percent"),
)


def function_to_scene(
    function: dict, name: str, marks: Marks | None = None, ranges: NormalRanges | None = None
) -> Nodes:
    """Put a study's function into the scene.

    Args:
        function: ``Function.to_dict()``: curves per frame, the measurements and the segments, any of which may be
            None where they could not be had (a measurement's cell then stays empty, a curve or table is left out).
        name: start of the nodes' names.
        marks: light, reason and uncertainty of the measurements, by key.
        ranges: normal ranges; without any their columns are left out.

    Returns:
        dict with the table of ``volumes`` per frame, the table of ``measurements``, of a cine the plot ``chart`` of
        the LV and RV volume-time curves, and, where they could be had, ``rates`` (the plot of the filling rates),
        ``strain`` (table) and ``strain chart``, and ``segments`` (table of the 17 segments).
    """
    plain_host()
    time = time_column(function["times_ms"], len(function["lv_ml"]))
    species = species_named(function.get("species", "human"))
    (volume, ml), (rate, ml_per_s) = species.unit("ml"), species.unit("ml/s")
    drawn = _sides(species)
    columns = [(f"{t} ({ml})", _times(function[k], volume)) for t, k in _VOLUMES if t[:2] in (*drawn, "My")]
    rates = [(f"{t} ({ml_per_s})", _times(function[k], rate)) for t, k in _RATES if t[:2] in drawn and function[k]]
    volumes = add_table(f"{name} volumes", [time, *((title, values, True) for title, values in (*columns, *rates))])
    table = add_table(f"{name} measurements", _measurements(function, marks or {}, ranges or NormalRanges()))
    nodes = {"volumes": volumes, "measurements": table}
    if len(function["lv_ml"]) > 1:
        colours = {side: structures()[label].rgb for side, label in (("LV", LV), ("RV", RV))}
        curves = [(title[:2], title, colours[title[:2]]) for title, _ in columns if title[:2] in drawn]
        nodes["chart"] = add_chart(f"{name} volume-time curves", volumes, curves, f"Volume ({ml})")
        if rates:
            curves = [(f"{title[:2]} rate", title, colours[title[:2]]) for title, _ in rates]
            nodes["rates"] = add_chart(f"{name} filling rates", volumes, curves, f"Rate ({ml_per_s})")
        nodes |= _strain(function, name)
    if function["segments"]:
        nodes["segments"] = _segments(function["segments"], f"{name} segments")
    return nodes


def _sides(species: Species) -> tuple[str, ...]:
    return ("LV", "RV") if RV in species.structures else ("LV",)


def _times(curve: list[float | None], factor: float) -> list[float | None]:
    return curve if factor == 1.0 else [None if value is None else factor * value for value in curve]


def _measurements(function: dict, marks: Marks, ranges: NormalRanges) -> tuple[tuple[str, list[str], bool], ...]:
    species = species_named(function.get("species", "human"))
    drawn = (*_sides(species), "He") if not species.is_human else None
    rows, told, normal = [], [], []
    for key, title, unit in MEASUREMENTS:
        if drawn is not None and (title[:2] not in drawn or "/m2" in unit):
            continue
        factor, shown = species.unit(unit)
        known = function[key] is not None
        rows.append((title, factor * function[key] if known else None, shown))
        told.append(marks.get(key, Mark()).times(factor) if known else None)
        position = ranges.position(key, function[key])
        normal.append((str(ranges.limits[key]), position) if position else ("", ""))
    values = ["" if value is None else f"{value:.{1 if unit else 2}f}" for _, value, unit in rows]
    columns: tuple[tuple[str, list[str], bool], ...] = (
        ("Measurement", [title for title, _, _ in rows], False),
        ("Value", values, False),
        ("Unit", [unit for _, _, unit in rows], False),
        ("±", [f"{m.uncertainty:.1f}" if m and m.uncertainty is not None else "" for m in told], False),
        ("Light", [mark.light if mark else "" for mark in told], False),
        ("Why", [mark.reason if mark else "" for mark in told], False),
    )
    if ranges.limits:
        columns += ((f"Normal ({ranges.group})", [limits for limits, _ in normal], False),)
        columns += (("Position", [position for _, position in normal], False),)
    return columns


def volumes_to_scene(rows: Sequence[VolumeRow], name: str, species: str = "human"):
    """The table of volumes as a table node: what is reported of each ventricle, and other ways of counting.

    Args:
        rows: as of ``SegmentResult.volumes``.
        name: start of the node's name.
        species: as of :mod:`CardiacLib.species`, in whose unit volumes are shown.
    """
    plain_host()
    return add_table(f"{name} table of volumes", _volume_columns(rows, species))


def update_volumes(table, rows: Sequence[VolumeRow], species: str = "human") -> None:
    """Put other rows into a table of :func:`volumes_to_scene`."""
    set_columns(table, _volume_columns(rows, species))


def _volume_columns(rows: Sequence[VolumeRow], species: str) -> tuple[tuple[str, list[str], bool], ...]:
    factor, ml = species_named(species).unit("ml")
    values = {
        f"EDV ({ml})": _times([row.ed_ml for row in rows], factor),
        f"ESV ({ml})": _times([row.es_ml for row in rows], factor),
        "EF (%)": [row.ef_percent for row in rows],
    }
    columns = (
        ("Ventricle", [row.ventricle for row in rows]),
        ("Counted by", [row.source for row in rows]),
        *((title, ["" if v is None else f"{v:.1f}" for v in column]) for title, column in values.items()),
        ("Why it differs", [row.reason for row in rows]),
    )
    return tuple((*column, False) for column in columns)


def _strain(function: dict, name: str) -> Nodes:
    """Table and plot of the strain curves, over the frames in which there is any."""
    first = function["circumferential_mid_percent"]
    frames = [] if first is None else [t for t, value in enumerate(first) if value is not None]
    if len(frames) < 2:
        return {}
    columns = [
        time_column(function["times_ms"], len(first)),
        *((title, function[key], True) for title, key, _ in _STRAINS),
    ]
    table = add_table(f"{name} strain", [(title, [curve[t] for t in frames], True) for title, curve, _ in columns])
    curves = [(title.removesuffix(" (%)"), title, colour) for title, _, colour in _STRAINS]
    return {"strain": table, "strain chart": add_chart(f"{name} strain curves", table, curves, "Strain (%)")}


def _segments(segments: list[dict], name: str):
    columns = [
        ("Segment", [str(segment["number"]) for segment in segments], False),
        ("Name", [segment["name"] for segment in segments], False),
    ]
    for title, key in _SEGMENT_COLUMNS:
        columns.append((title, ["" if s[key] is None else f"{s[key]:.1f}" for s in segments], False))
    return add_table(name, [*columns, ("Why empty", [segment["reason"] for segment in segments], False)])


def quality_to_scene(quality: dict, name: str):
    """The findings of quality control as a table node, the light first.

    Args:
        quality: ``QualityReport.to_dict()``.
        name: start of the node's name.
    """
    plain_host()
    rows = [("light", quality["light"], quality["note"])]
    rows += [(flag["severity"], flag["code"], flag["sentence"]) for flag in quality["flags"]]
    titles = ("Severity", "Rule", "Finding")
    return add_table(f"{name} quality", [(title, [row[n] for row in rows], False) for n, title in enumerate(titles)])
