"""The file contract: names and contents of what the commands write (Docs/formats.md)."""

import csv
import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from BiVMeshLib.exporters import DEFAULT_FORMATS, export, write_motion, write_quality
from CardiacLib.errors import InputError
from CardiacLib.files import write_json
from CardiacLib.mrml.nodes.host import require_free_scene
from CardiacLib.mrml.nodes.segmentations import save_segmentation_sequence
from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.writers.images import write_labels, write_segmentation_nrrd
from CardiacSegLib.function import CURVES, Function
from CardiacSegLib.function.ventricle_extent import ventricle_extent
from CardiacSegLib.quality import QualityReport

from .results import StudyResult


def require_scene_support() -> None:
    """Raise InputError where no scene can be written: Slicer's scene library is missing, or its scene is in use."""
    if importlib.util.find_spec("slicer") is None:
        raise InputError("Slicer scenes need slicer-core: install 'cineheart[scene]' or choose --no-scene.")
    require_free_scene()


def write_segmentation(
    labels: LabelMap, function: Function, folder: Path, sequence: bool = True, quality: QualityReport | None = None
) -> None:
    """``labels.nii.gz``, the segmentation for Slicer, ``measurements.json`` / ``.csv``, and what else there is.

    ``segments.csv`` if the LV has a wall, ``quality.json`` if the labels were judged.

    One frame gives ``segmentation.seg.nrrd``; several give ``segmentation.seq.mrb`` if ``sequence`` is true.
    """
    if len(labels.labels) > 1 and sequence:
        require_scene_support()
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(folder / "labels.nii.gz", labels)
    if len(labels.labels) == 1:
        write_segmentation_nrrd(folder / "segmentation.seg.nrrd", labels)
    elif sequence:
        save_segmentation_sequence(labels, folder / "segmentation.seq.mrb")
    slices = ventricle_extent(labels).to_dict()
    write_json(folder / "measurements.json", function.to_dict() | {"slices": slices})
    write_rows(folder / "measurements.csv", function.rows())
    if segments := function.segment_rows():
        write_rows(folder / "segments.csv", segments)
    if quality is not None:
        write_json(folder / "quality.json", quality.to_dict())


def write_mesh(
    mesh: BiVMesh, folder: Path, formats: Sequence[str] = DEFAULT_FORMATS, moving: MovingMesh | None = None
) -> None:
    """The files of each format, by default ``mesh.vtu`` and ``surface.vtp``, and ``quality.json``.

    Of a moving mesh also ``motion.pvd`` with its frames, and ``motion`` in ``quality.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    export(mesh, folder, formats)
    if moving is not None:
        write_motion(moving, folder)
        notes = (*mesh.notes, *moving.notes)
        mesh = replace(mesh, quality=mesh.quality | {"motion": moving.report}, notes=notes)
    write_quality(mesh, folder / "quality.json")


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """A CSV file with one header line."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_study_summary(result: StudyResult, path: Path) -> None:
    """``study.json``: what was read, what was left out and why, what was measured, how long each step took."""
    study, function = result.study, result.function.to_dict()
    write_json(
        path,
        {
            "source": Path(study.source).name,
            "patient": study.patient,
            "views": {view: describe_cine(cine) for view, cine in study.cines.items()},
            "left_out": list(study.left_out),
            "notes": [*study.notes, *result.notes, *result.label_notes],
            "bundle": result.bundle,
            "measurements": {k: v for k, v in function.items() if k not in CURVES},
            "annulus": result.annulus.values() if result.annulus else None,
            "segmentation_quality": result.quality.short() if result.quality else None,
            "mesh_quality": result.mesh.quality if result.mesh else None,
            "seconds": {k: round(v, 2) for k, v in result.seconds.items()},
        },
    )


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
