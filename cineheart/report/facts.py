"""The report's tables: rows of plain text from a result."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from CardiacLib import __version__
from CardiacLib.species import species_named
from CardiacLib.types.labels import RV
from CardiacLib.types.measures.marks import Mark, Marks
from CardiacLib.types.measures.ranges import NormalRanges
from CardiacLib.types.mesh_criteria import CRITERIA
from CardiacLib.types.times import beat_ms
from cineheart.results import BESIDE, WAITED

from .cells import NOTHING, Cell, Row, cell, with_range

if TYPE_CHECKING:
    from CardiacLib import Cine
    from CardiacLib.types.measures.volumes import VolumeRow
    from CardiacLib.types.mesh_quality import MeshQuality
    from CardiacLib.types.patient import Patient
    from CardiacLib.types.study import Study
    from CardiacSegLib.function import Function
    from cineheart.provenance import Provenance
    from cineheart.results import StudyResult

VIEW_NAMES = {"sax": "Short axis", "2ch": "2-chamber", "3ch": "3-chamber", "4ch": "4-chamber", "other": "Other view"}
_PATIENT = (
    ("name", "Name", "{}"),
    ("id", "ID", "{}"),
    ("sex", "Sex", "{}"),
    ("age", "Age", "{}"),
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
    if patient.age_years:
        known["age"] = f"{patient.age_years} years"
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


def in_units(function: Function, value: float | None, unit: str) -> tuple[float | None, str]:
    """A measurement and its unit as they are shown of this species."""
    factor, shown = species_named(function.species).unit(unit)
    return None if value is None else factor * value, shown


def measurement_rows(function: Function, marks: Marks, ranges: NormalRanges) -> list[Row]:
    """LV and RV value of each measurement, in the units of the species, with marks and ranges; a dash where not known.

    Of a species whose RV is not drawn the cells of the RV are empty.
    """
    values = function.to_dict()

    species = species_named(function.species)

    def shown(key: str, unit: str, form: str = "{:.0f}") -> Cell:
        if key.startswith("rv_") and RV not in species.structures:
            return Cell("")
        found = _unit_cell(values[key], marks.get(key), form, species.unit(unit)[0])
        return with_range(found, key, values[key], ranges)

    def both(name: str, key: str, unit: str, form: str = "{:.0f}") -> Row:
        return Row(name, tuple(shown(f"{side}_{key}", unit, form) for side in ("lv", "rv")), species.unit(unit)[1])

    def left(name: str, key: str, unit: str) -> Row:
        return Row(name, (shown(key, unit), Cell("")), species.unit(unit)[1])

    table = [
        both("End-diastolic volume", "edv_ml", "ml"),
        both("End-systolic volume", "esv_ml", "ml"),
        both("Stroke volume", "sv_ml", "ml"),
        both("Ejection fraction", "ef_percent", "%"),
        both("Cardiac output", "cardiac_output_l_per_min", "l/min", "{:.1f}"),
        both("Peak ejection rate", "peak_ejection_rate_ml_per_s", "ml/s"),
        both("Peak filling rate", "peak_filling_rate_ml_per_s", "ml/s"),
        left("Myocardial mass (end-diastole)", "lv_mass_g", "g"),
        left("Myocardial mass (end-systole)", "lv_mass_es_g", "g"),
    ]
    if function.body_surface_m2 is not None:
        area = "m\N{SUPERSCRIPT TWO}"
        table += [
            both("End-diastolic volume index", "edv_index_ml_per_m2", f"ml/{area}"),
            both("End-systolic volume index", "esv_index_ml_per_m2", f"ml/{area}"),
            both("Stroke volume index", "sv_index_ml_per_m2", f"ml/{area}"),
            both("Cardiac index", "cardiac_index_l_per_min_per_m2", f"l/min/{area}", "{:.1f}"),
            left("Mass index (end-diastole)", "lv_mass_index_g_per_m2", f"g/{area}"),
        ]
    return table


def volume_rows(function: Function, rows: Iterable[VolumeRow]) -> list[tuple[VolumeRow, tuple[str, ...]]]:
    """Rows of the table of volumes, and what is shown of each: EDV, ESV in the unit of the species, and EF."""
    return [
        (row, (*(number(in_units(function, ml, "ml")[0]) for ml in (row.ed_ml, row.es_ml)), number(row.ef_percent)))
        for row in rows
    ]


def wall_rows(function: Function, marks: Marks) -> list[Row]:
    """What was measured of the LV wall and shape, units with the values; what could not be had is left out."""
    values = function.to_dict()
    millimetres = "{:.1f} mm" if species_named(function.species).is_human else "{:.2f} mm"
    rows = (
        ("Wall thickness at end-diastole, mean", "lv_wall_thickness_ed_mm", millimetres),
        ("Wall thickness at end-diastole, thickest segment", "lv_largest_wall_thickness_ed_mm", millimetres),
        ("Radial strain at end-systole", "lv_global_radial_percent", "{:.0f} %"),
        ("Circumferential strain, endocardial", "lv_global_circumferential_endo_percent", "{:.1f} %"),
        ("Circumferential strain, mid-wall", "lv_global_circumferential_mid_percent", "{:.1f} %"),
        ("Circumferential strain, epicardial", "lv_global_circumferential_epi_percent", "{:.1f} %"),
        ("Sphericity at end-diastole", "lv_sphericity_ed", "{:.2f}"),
        ("Sphericity at end-systole", "lv_sphericity_es", "{:.2f}"),
        ("Body surface area", "body_surface_m2", "{:.2f} m\N{SUPERSCRIPT TWO}"),
    )
    return single_rows(values, rows, marks)


def single_rows(values: Mapping[str, object], rows: Iterable[tuple[str, str, str]], marks: Marks) -> list[Row]:
    """Rows of one cell from name, key and form; those without a value are left out."""
    return [
        Row(name, (cell(values[key], marks.get(key), form),)) for name, key, form in rows if values.get(key) is not None
    ]


def headline(function: Function, marks: Marks, ranges: NormalRanges) -> list[Row]:
    """The five numbers at the top; of an animal those of the LV alone, in its units."""
    values, species = function.to_dict(), species_named(function.species)
    shown = [
        ("LV ejection fraction", "lv_ef_percent", "%"),
        ("LV end-diastolic volume", "lv_edv_ml", "ml"),
        ("LV mass", "lv_mass_g", "g"),
        ("RV ejection fraction", "rv_ef_percent", "%"),
        ("RV end-diastolic volume", "rv_edv_ml", "ml"),
    ]
    if not species.is_human:
        shown[3:] = [
            ("LV end-systolic volume", "lv_esv_ml", "ml"),
            ("LV cardiac output", "lv_cardiac_output_l_per_min", "l/min"),
        ]
    rows = [(name, key, *species.unit(unit)) for name, key, unit in shown]
    cells = (_unit_cell(values[key], marks.get(key), "{:.0f}", factor) for _, key, factor, _ in rows)
    return [
        Row(name, (with_range(found, key, values[key], ranges),), unit)
        for (name, key, _, unit), found in zip(rows, cells, strict=True)
    ]


def _unit_cell(value: float | None, mark: Mark | None, form: str, factor: float) -> Cell:
    """A value and its mark in another unit."""
    return cell(value if value is None else factor * value, mark and mark.times(factor), form)


def number(value: float | None, digits: int = 0) -> str:
    """A measurement to the nearest unit, as precise as most such measurements are; a dash where there is none."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def mesh_rows(quality: MeshQuality, marks: Marks) -> list[Row]:
    """What the page shows of a mesh's quality report; ``marks`` by name of the measure."""
    values = quality.to_dict()
    rows = single_rows(values, ((name, key, form) for key, name, form in MESH_ROWS), marks)
    factor, unit = species_named(str(values.get("species", "human"))).unit("ml")
    if factor != 1.0:
        small = {name: key for key, name, _ in _MESH_VOLUMES}
        rows = [
            Row(row.name, (_unit_cell(values[key], marks.get(key), f"{{:.1f}} {unit}", factor),))
            if (key := small.get(row.name))
            else row
            for row in rows
        ]
    missed = [key.replace("_", " ") for key in quality.missed()]
    return [*rows, Row("Beyond a quality line", (Cell(", ".join(missed) or "nothing"),))]


def second_rows(seconds: dict[str, float]) -> list[tuple[str, str]]:
    """Step and wall time, and the sum of those that followed one another."""
    rows = [(name.capitalize(), f"{value:.1f} s") for name, value in seconds.items()]
    beside = BESIDE if WAITED in seconds else ()
    total = sum(value for name, value in seconds.items() if name not in beside)
    return [*rows, ("Total", f"{total:.1f} s")] if rows else []


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


def provenance_rows(made: Provenance) -> list[tuple[str, str]]:
    """Program, command, and the networks and inputs with what tells them from others."""
    rows = [("CineHeart", __version__), ("Command", made.command)]
    rows += [
        (f"Weights of {network.name}", f"{network.version}, SHA-256 {network.sha256}") for network in made.networks
    ]
    rows += [
        (f"Input {given.name}", f"{given.files} file{'s' if given.files > 1 else ''}, SHA-256 {given.sha256}")
        for given in made.inputs
    ]
    return [(name, value) for name, value in rows if value]


def frame_text(frame: int, cine: Cine) -> str:
    """A frame for readers, counted from 1, with its time if it has one."""
    when = "" if cine.times_ms is None else f", {cine.times_ms[frame]:.0f} ms"
    return f"frame {frame + 1} of {cine.n_frames}{when}"


def without_folder(text: str, study: Study) -> str:
    """A sentence that names files of a study, without the folder that the study lies in."""
    folder = str(Path(study.source).parent)
    return text if folder in (".", os.sep) else text.replace(folder + os.sep, "")


def all_notes(result: StudyResult) -> list[str]:
    """Warnings of the run and of the reader (the study's notes hold those of its cines), each once."""
    return list(dict.fromkeys([*result.notes, *result.study.notes]))
