"""The report's tables: rows of plain text from a result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from CardiacLib.types.mesh_criteria import CRITERIA
from CardiacLib.types.times import beat_ms

if TYPE_CHECKING:
    from CardiacLib import Cine
    from CardiacLib.types.mesh_quality import MeshQuality
    from CardiacLib.types.patient import Patient
    from CardiacSegLib.function import Function
    from cineheart.results import StudyResult

VIEW_NAMES = {"sax": "Short axis", "2ch": "2-chamber", "3ch": "3-chamber", "4ch": "4-chamber", "other": "Other view"}
_PATIENT = (
    ("name", "Name", "{}"),
    ("id", "ID", "{}"),
    ("sex", "Sex", "{}"),
    ("height_m", "Height", "{:.2f} m"),
    ("weight_kg", "Weight", "{:.0f} kg"),
    ("heart_rate_bpm", "Heart rate", "{:.0f} /min"),
)
_MESH_SIZES = (
    ("nodes", "Nodes", "{:,}"),
    ("tets", "Tetrahedra", "{:,}"),
    ("triangles", "Boundary triangles", "{:,}"),
    ("edge_mm_mean", "Edge length, mean", "{:.2f} mm"),
)
_MESH_VOLUMES = (
    ("lv_pool_ml", "LV cavity under the base", "{:.1f} ml"),
    ("rv_pool_ml", "RV cavity under the base", "{:.1f} ml"),
    ("lv_myocardium_ml", "LV myocardium", "{:.1f} ml"),
    ("rv_wall_ml", "RV wall", "{:.1f} ml"),
)
MESH_ROWS = (*_MESH_SIZES, *((c.name, c.title, c.form) for c in CRITERIA if c.title), *_MESH_VOLUMES)
"""What the page shows of a mesh's quality report; all of it is in ``quality.json``."""


def patient_rows(patient: Patient) -> list[tuple[str, str]]:
    """The facts of the patient that the files gave."""
    known = patient.known()
    return [(name, form.format(known[key])) for key, name, form in _PATIENT if key in known]


def view_rows(cines: dict[str, Cine]) -> list[tuple[str, ...]]:
    """One row per view: name, slices, matrix, pixel spacing, slice distance, frames, cycle covered."""
    rows = []
    for view in (name for name in VIEW_NAMES if name in cines):
        cine = cines[view]
        i, j, k = cine.spacing
        rows.append(
            (
                VIEW_NAMES[view],
                str(cine.n_slices),
                f"{cine.frames.shape[3]} x {cine.frames.shape[2]}",
                f"{i:.2f} x {j:.2f} mm",
                f"{k:.1f} mm" if cine.n_slices > 1 else "-",
                str(cine.n_frames),
                cycle_text(cine),
            )
        )
    return rows


def cycle_text(cine: Cine) -> str:
    """Length of the cycle that the frames cover, and the time between frames; a dash where there is no time."""
    beat = beat_ms(cine)
    return f"{beat:.0f} ms ({beat / cine.n_frames:.1f} ms per frame)" if beat > 0 else "-"


def measurement_rows(function: Function) -> list[tuple[str, str, str, str]]:
    """Name, LV value, RV value and unit of each measurement; a dash where it could not be had."""
    values = function.to_dict()
    rows = (
        ("End-diastolic volume", "edv_ml", "ml"),
        ("End-systolic volume", "esv_ml", "ml"),
        ("Stroke volume", "sv_ml", "ml"),
        ("Ejection fraction", "ef_percent", "%"),
    )
    more = (
        ("Peak ejection rate", "peak_ejection_rate_ml_per_s", "ml/s"),
        ("Peak filling rate", "peak_filling_rate_ml_per_s", "ml/s"),
    )
    indices = (
        ("End-diastolic volume index", "edv_index_ml_per_m2", "ml/m\N{SUPERSCRIPT TWO}"),
        ("End-systolic volume index", "esv_index_ml_per_m2", "ml/m\N{SUPERSCRIPT TWO}"),
        ("Stroke volume index", "sv_index_ml_per_m2", "ml/m\N{SUPERSCRIPT TWO}"),
    )

    def both(chosen):
        return [(name, number(values[f"lv_{key}"]), number(values[f"rv_{key}"]), unit) for name, key, unit in chosen]

    flow = ("cardiac_output_l_per_min", "cardiac_index_l_per_min_per_m2")
    output, index = ([number(values[f"{side}_{key}"], 1) for side in ("lv", "rv")] for key in flow)
    table = [*both(rows), ("Cardiac output", *output, "l/min"), *both(more)]
    table.append(("Myocardial mass (end-diastole)", number(function.myocardium.mass_g), "", "g"))
    table.append(("Myocardial mass (end-systole)", number(function.myocardium.mass_es_g), "", "g"))
    if function.body_surface_m2 is not None:
        mass = number(values["lv_mass_index_g_per_m2"])
        table += [*both(indices), ("Cardiac index", *index, "l/min/m\N{SUPERSCRIPT TWO}")]
        table.append(("Mass index (end-diastole)", mass, "", "g/m\N{SUPERSCRIPT TWO}"))
    return table


def wall_rows(function: Function) -> list[tuple[str, str]]:
    """Name and value with unit of what was measured of the LV wall and shape; what could not be had is left out."""
    values = function.to_dict()
    rows = (
        ("Wall thickness at end-diastole, mean", "lv_wall_thickness_ed_mm", "{:.1f} mm"),
        ("Wall thickness at end-diastole, thickest segment", "lv_largest_wall_thickness_ed_mm", "{:.1f} mm"),
        ("Radial strain at end-systole", "lv_global_radial_percent", "{:.0f} %"),
        ("Circumferential strain, endocardial", "lv_global_circumferential_endo_percent", "{:.1f} %"),
        ("Circumferential strain, mid-wall", "lv_global_circumferential_mid_percent", "{:.1f} %"),
        ("Circumferential strain, epicardial", "lv_global_circumferential_epi_percent", "{:.1f} %"),
        ("Sphericity at end-diastole", "lv_sphericity_ed", "{:.2f}"),
        ("Sphericity at end-systole", "lv_sphericity_es", "{:.2f}"),
        ("Body surface area", "body_surface_m2", "{:.2f} m\N{SUPERSCRIPT TWO}"),
    )
    return [(name, form.format(values[key])) for name, key, form in rows if values[key] is not None]


def headline(function: Function) -> list[tuple[str, str, str]]:
    """The five numbers at the top: name, value, unit."""
    return [
        ("LV ejection fraction", number(function.lv.ef_percent), "%"),
        ("LV end-diastolic volume", number(function.lv.edv_ml), "ml"),
        ("LV mass", number(function.myocardium.mass_g), "g"),
        ("RV ejection fraction", number(function.rv.ef_percent), "%"),
        ("RV end-diastolic volume", number(function.rv.edv_ml), "ml"),
    ]


def number(value: float | None, digits: int = 0) -> str:
    """A measurement to the nearest unit, as precise as most such measurements are; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def mesh_rows(quality: MeshQuality) -> list[tuple[str, str]]:
    """Name and value of what the page shows of a mesh's quality report."""
    values = quality.to_dict()
    rows = [(name, form.format(values[key])) for key, name, form in MESH_ROWS if key in values]
    missed = [key.replace("_", " ") for key in quality.missed()]
    return [*rows, ("Beyond a quality line", ", ".join(missed) or "nothing")]


def second_rows(seconds: dict[str, float]) -> list[tuple[str, str]]:
    """Step and wall time, and their sum."""
    rows = [(name.capitalize(), f"{value:.1f} s") for name, value in seconds.items()]
    return [*rows, ("Total", f"{sum(seconds.values()):.1f} s")] if rows else []


def network_rows(bundle: str) -> list[tuple[str, str]]:
    """What the bundle's metadata say of the network and its weights; nothing without a bundle."""
    from CardiacLib.networks.bundles import bundle_path

    if not bundle:
        return []
    path = bundle_path(bundle)
    metadata = json.loads((path / "configs" / "metadata.json").read_text(encoding="utf-8"))
    keys = (
        ("name", "Network"),
        ("version", "Version"),
        ("data_source", "Trained on"),
        ("copyright", "Licence"),
        ("intended_use", "Intended use"),
    )
    return [("Bundle", path.name), *((name, str(metadata[key])) for key, name in keys if metadata.get(key))]


def frame_text(frame: int, cine: Cine) -> str:
    """A frame for readers, counted from 1, with its time if it has one."""
    when = "" if cine.times_ms is None else f", {cine.times_ms[frame]:.0f} ms"
    return f"frame {frame + 1} of {cine.n_frames}{when}"


def all_notes(result: StudyResult) -> list[str]:
    """Warnings of the run and of the reader (the study's notes hold those of its cines), each once."""
    return list(dict.fromkeys([*result.notes, *result.study.notes]))
