"""The file contract: names and contents of what the commands write (Docs/formats.md)."""

import csv
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from BiVMeshLib.check.marks import TAKEN_FROM, mesh_marks
from BiVMeshLib.exporters import DEFAULT_FORMATS, export, write_motion, write_moving_pools, write_quality, write_rings
from BiVMeshLib.result import MeshResult
from CardiacLib.errors import InputError
from CardiacLib.files import write_json
from CardiacLib.mrml.nodes.host import require_free_scene
from CardiacLib.mrml.nodes.segmentations import save_segmentation_sequence
from CardiacLib.types.cine import Cine
from CardiacLib.types.measures.marks import Mark, Marks, plain_marks, worst
from CardiacLib.writers.images import write_labels, write_segmentation_nrrd
from CardiacSegLib.function import CURVES, INDEXED
from CardiacSegLib.function.ventricle_extent import ventricle_extent
from CardiacSegLib.long_axis import LongAxisResult
from CardiacSegLib.result import SegmentResult

from .measures.tables import COLUMNS, MEASURES, VOLUME_COLUMNS, VOLUMES, measure_rows, weak_ones
from .measures.volumes import study_volumes
from .results import StudyResult

RINGS_NAME = "rings.vtp"
MOTION_NAMES = ("motion", "motion.pvd", RINGS_NAME)
"""What a mesh writes only where it moves or has rings: an earlier one must not stay beside a new mesh."""
LONG_AXIS_FOLDER = "long_axis"


SUMMARY = (
    "lv_edv_ml", "lv_esv_ml", "lv_ef_percent", "lv_sv_ml", "lv_cardiac_output_l_per_min", "lv_mass_g",
    "rv_edv_ml", "rv_esv_ml", "rv_ef_percent", "rv_sv_ml",
)  # fmt: skip
"""Measurements of ``summary.csv``."""
OF_SEGMENTS = ("lv_wall_thickness_ed_mm", "lv_global_radial_percent", "lv_global_circumferential_mid_percent")
"""Measurements that segments are as good as."""


def require_scene_support() -> None:
    """Raise InputError where no scene can be written: Slicer's scene library is missing, or its scene is in use."""
    if importlib.util.find_spec("slicer") is None:
        raise InputError("Slicer scenes need slicer-core: install 'cineheart[scene]' or choose --no-scene.")
    require_free_scene()


def write_segmentation(result: SegmentResult, folder: Path, *, sequence: bool = True) -> None:
    """``labels.nii.gz``, the segmentation for Slicer, ``measurements.json`` / ``.csv``, and what else there is.

    ``measures.csv`` holds each measurement with its light, ``segments.csv`` is there if the LV has a wall,
    ``quality.json`` if the labels were judged.

    One frame gives ``segmentation.seg.nrrd``; several give ``segmentation.seq.mrb`` if ``sequence`` is true.
    """
    labels = result.segmentation.labels
    if len(labels.labels) > 1 and sequence:
        require_scene_support()
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(folder / "labels.nii.gz", labels)
    if len(labels.labels) == 1:
        write_segmentation_nrrd(folder / "segmentation.seg.nrrd", labels)
    elif sequence:
        save_segmentation_sequence(labels, folder / "segmentation.seq.mrb")
    write_measurements(result, folder)
    if result.quality is not None:
        write_json(folder / "quality.json", result.quality.to_dict())


def write_measurements(result: SegmentResult, folder: Path) -> None:
    """``measurements.json`` and ``.csv``, ``measures.csv`` with lights, and ``segments.csv`` if the LV has a wall."""
    function, values = result.function, result.function.to_dict()
    slices = ventricle_extent(result.segmentation.labels).to_dict()
    told = {"marks": plain_marks(result.marks), "volumes": [row.to_dict() for row in result.volumes]}
    told["normal_ranges"] = result.ranges.to_dict(values)
    write_json(folder / "measurements.json", values | told | {"slice_indices": slices})
    write_rows(folder / "measurements.csv", _frame_rows(result))
    write_rows(folder / MEASURES, measure_rows(values, result.marks, result.ranges), COLUMNS)
    if segments := function.segment_rows():
        mark = worst(result.marks.get(key, Mark()) for key in OF_SEGMENTS)
        shown = {"light": mark.light, "light_reason": mark.reason}
        write_rows(folder / "segments.csv", [row | shown for row in segments])


def _frame_rows(result: SegmentResult) -> list[dict[str, object]]:
    """The curves of every frame, with the light of its labels and the reason."""
    marks = result.frames or (Mark(),) * result.function.n_frames
    rows = zip(result.function.rows(), marks, strict=True)
    return [row | {"light": mark.light, "reason": mark.reason} for row, mark in rows]


def write_mesh(
    result: MeshResult, folder: Path, formats: Sequence[str] = DEFAULT_FORMATS, *, marks: Marks | None = None
) -> None:
    """The files of each format, by default ``mesh.vtu`` and ``surface.vtp``, ``quality.json`` and ``measures.csv``.

    Of a moving mesh also ``motion.pvd`` with its frames, with the format ``pools`` the pools of every frame, and
    ``motion`` in ``quality.json``; of a mesh with valve rings ``rings.vtp``.

    Args:
        result: the mesh.
        folder: made if it is not there.
        formats: names of ``BiVMeshLib.exporters.FORMATS``.
        marks: of what was measured of its labels, where they were judged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    export(result.mesh, folder, formats)
    if result.mesh.rings:
        write_rings(result.mesh, folder / RINGS_NAME)
    if result.moving is not None:
        write_motion(result.moving, folder)
        if "pools" in formats:
            write_moving_pools(result.moving, folder)
    write_quality(result.mesh, folder / "quality.json", result.moving)
    if (quality := result.mesh.quality) is not None:
        values = quality.measures() | {name: getattr(quality.volumes, name) for name in TAKEN_FROM}
        write_rows(folder / MEASURES, measure_rows(values, mesh_marks(quality, marks or {})), COLUMNS)


def write_long_axis(result: LongAxisResult, folder: Path) -> None:
    """``labels_4ch.nii.gz``, and where the LV pool could be measured ``measures_4ch.json`` and ``measures_4ch.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(folder / "labels_4ch.nii.gz", result.labels)
    if result.measures is not None:
        write_json(folder / "measures_4ch.json", {"bundle": result.bundle} | result.measures.to_dict())
        write_rows(folder / "measures_4ch.csv", result.measures.rows())


def write_rows(path: Path, rows: list[dict[str, object]], columns: Sequence[str] = ()) -> None:
    """A CSV file with one header line; without ``columns`` these are the keys of the first row."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns or rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_volumes(result: StudyResult, folder: Path) -> None:
    """``volumes.csv``: the table of volumes."""
    write_rows(folder / VOLUMES, [row.to_dict() for row in study_volumes(result)], VOLUME_COLUMNS)


def write_study_summary(result: StudyResult, path: Path) -> None:
    """``study.json``: what was read, what was left out and why, what was measured, how long each step took."""
    study, function = result.study, result.function.to_dict()
    measured = result.long_axis.measures if result.long_axis else None
    write_json(
        path,
        {
            "source": Path(study.source).name,
            "patient": study.patient.known(),
            "views": {view: describe_cine(cine) for view, cine in study.cines.items()},
            "left_out": list(study.left_out),
            "notes": [*study.notes, *result.notes, *result.label_notes],
            "bundle": result.bundle,
            "corrected": result.corrected,
            "measurements": {k: v for k, v in function.items() if k not in CURVES},
            "annulus": result.annulus.values() if result.annulus else None,
            "long_axis": measured.to_dict() if measured else None,
            "marks": plain_marks(result.marks),
            "normal_ranges": result.segmented.ranges.to_dict(function),
            "volumes": [row.to_dict() for row in study_volumes(result)],
            "segmentation_quality": result.quality.short() if result.quality else None,
            "mesh_quality": result.mesh.quality.to_dict() if result.mesh and result.mesh.quality else None,
            "seconds": {k: round(v, 2) for k, v in result.seconds.items()},
        },
    )


def summary_row(result: StudyResult) -> dict[str, object]:
    """The one row that ``summary.csv`` has of a study; cells are empty where nothing is known."""
    measured = result.function.to_dict()
    row: dict[str, object] = {"study": Path(result.study.source).name, "patient": result.study.patient.id or ""}
    digits, ranges = 5 if "species" in measured else 2, result.segmented.ranges
    for name in SUMMARY:
        mark = result.segmented.marks.get(name, Mark())
        row |= _summary_cells(name, measured.get(name), mark, digits)
        row[f"{name}_position"] = ranges.position(name, measured.get(name))
        if (index := INDEXED.get(name)) is not None:
            value = measured.get(index)
            row[index] = "" if value is None else round(value, digits)
            row[f"{index}_position"] = ranges.position(index, value)
    row["normal_ranges"] = ranges.group or ranges.problem
    weak = weak_ones(measured, {name: mark for name, mark in result.segmented.marks.items() if name in SUMMARY})
    row["segmentation_light"] = result.quality.light if result.quality else ""
    quality = result.mesh.quality if result.mesh else None
    row["mesh_light"] = "" if quality is None else "green" if all(q.met for q in quality.lines().values()) else "red"
    row["reasons"] = " ".join(f"{name}: {reason}" for name, reason in weak.items())
    return row


def _summary_cells(name: str, value: float | None, mark: Mark, digits: int) -> dict[str, object]:
    """Value, uncertainty and light of one measurement; empty where it has no value."""
    if value is None:
        return dict.fromkeys((name, f"{name}_uncertainty", f"{name}_light"), "")
    sure = "" if mark.uncertainty is None else round(mark.uncertainty, digits)
    return {name: round(value, digits), f"{name}_uncertainty": sure, f"{name}_light": mark.light}


def describe_cine(cine: Cine) -> dict[str, object]:
    """Size, spacing and source of one cine, ready for JSON."""
    return {
        "frames": cine.n_frames,
        "slices": cine.n_slices,
        "rows": cine.frames.shape[2],
        "columns": cine.frames.shape[3],
        "spacing_mm": [round(float(s), 4) for s in cine.spacing],
        "source": Path(cine.source).name,
        "notes": list(cine.notes),
    }
