"""The page: pictures and tables put into the template."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

from BiVMeshLib.check.marks import mesh_marks
from CardiacLib.species import species_named
from CardiacLib.types.bivmesh import ALL_PATCHES
from CardiacLib.types.labels import RV
from cineheart.measures.volumes import counted_labels, study_volumes
from cineheart.scene import study_name

from . import facts
from .bullseye import bullseyes, thickness_range
from .cells import Row, reasons
from .curves import mesh_volume_curves, rate_curves, strain_curves, volume_curves
from .heart3d import FIBRES, mesh_gltf
from .mesh_view import mesh_views
from .motion_view import motion_view
from .pictures import CONTOURS
from .player import contours, player_content
from .quality_map import quality_content
from .slices import long_axis, montage
from .valves import valve_content

if TYPE_CHECKING:
    from cineheart.results import StudyResult


def write_report(result: StudyResult, path: str | Path, drawn: dict[str, object] | None = None) -> None:
    """Write one study's results as one HTML file that needs nothing else, no network and no other file.

    Without scripts, and on paper, still pictures stand for what moves.

    Written beside its target and renamed at the end. ``drawn`` is what :func:`draw_without_mesh` gave of the study.

    Raises:
        OSError: the file cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = facts.number
    drawn = draw_without_mesh(result) if drawn is None else drawn
    page = environment.get_template("template.html").render(drawn | _content_of_mesh(result))
    path = Path(path)
    work = path.with_name(f".{path.name}.part")
    work.write_text(page, encoding="utf-8")
    os.replace(work, path)


def draw_without_mesh(result: StudyResult) -> dict[str, object]:
    """Everything of the page that neither shows the mesh nor tells of the whole run, which may still be at work."""
    function, study, marks, ranges = result.function, result.study, result.segmented.marks, result.segmented.ranges
    measurements, wall = facts.measurement_rows(function, marks, ranges), facts.wall_rows(function, marks)
    species = species_named(function.species)
    return {
        "title": study_name(result),
        "date": datetime.date.today().isoformat(),
        "source": Path(study.source).name or study.source,
        "patient": facts.patient_rows(study.patient),
        "views": facts.view_rows(study.cines),
        "left_out": [facts.without_folder(line, study) for line in study.left_out],
        "notes": result.label_notes,
        "headline": facts.headline(function, marks, ranges),
        "measurements": measurements,
        "sides": ("LV", "RV") if RV in species.structures else ("LV",),
        "weak": reasons(measurements),
        "ranges": ranges,
        "volume_unit": species.unit("ml")[1],
        "legend": [(name, colour) for name, _, colour in reversed(CONTOURS)],
        "phases": _phases(result),
        "contours": contours(result),
        "player": player_content(result),
        "player_script": _file("player/player.js"),
        "markers": [(name, frame) for name, frame in _named_frames(result)],
        "by_fraction": result.segmented.segmentation.cut is not None,
        "curves": _curves(result),
        "rates": rate_curves(function, marks),
        "bullseyes": None
        if function.regional is None
        else bullseyes(function.regional.segments, marks, function.species),
        "thickness_range": thickness_range(function.species),
        "strain": strain_curves(function),
        "wall": wall,
        "wall_weak": reasons(wall),
        "wall_notes": function.notes,
        "papillary": function.papillary,
        "long_axis": _long_axis(result),
        "valves": None if result.landmarks is None else valve_content(result.landmarks, result.annulus),
        "quality": None if result.quality is None else quality_content(result.quality, species.structures),
        "mesh_scripts": [_file("heart3d/three.min.js"), _file("heart3d/heart.js")],
        "network": facts.network_rows(result.bundle),
        "provenance": facts.provenance_rows(result.provenance),
    }


def _content_of_mesh(result: StudyResult) -> dict[str, object]:
    """The rest of what the template names."""
    mesh = _mesh(result)
    return {
        "volumes": facts.volume_rows(result.function, study_volumes(result)),
        "warnings": [facts.without_folder(note, result.study) for note in facts.all_notes(result)],
        "mesh": None if result.mesh is None else mesh_views(result.mesh),
        "mesh_gltf": "" if result.mesh is None else mesh_gltf(result.mesh),
        "mesh_parts": " ".join(_parts(result)),
        "motion": None if result.motion is None else motion_view(result.motion),
        "motion_curves": _motion_curves(result),
        "mesh_rows": mesh,
        "mesh_weak": reasons(mesh),
        "mesh_notes": [] if result.mesh is None else result.mesh.notes,
        "seconds": facts.second_rows(result.seconds),
    }


def _file(name: str) -> str:
    """A file beside this one, for the page."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _parts(result: StudyResult) -> list[str]:
    """Names of the objects of the mesh's glTF, in their order."""
    if result.mesh is None:
        return []
    patches = [name for name, number in ALL_PATCHES.items() if (result.mesh.patches == number).any()]
    return [*patches, FIBRES] if "fibre" in result.mesh.cell_fields else patches


def _mesh(result: StudyResult) -> list[Row]:
    if result.mesh is None or result.mesh.quality is None:
        return []
    return facts.mesh_rows(result.mesh.quality, mesh_marks(result.mesh.quality, result.segmented.marks))


def _named_frames(result: StudyResult) -> list[tuple[str, int]]:
    """End-diastole and end-systole with their frames; one of them where there is no cine."""
    function = result.function
    if function.n_frames == 1:
        return [("The only frame", function.ed)]
    return [("End-diastole", function.ed), ("End-systole", function.es)]


def _phases(result: StudyResult) -> list[dict[str, object]]:
    cine, counted = result.study.cines["sax"], counted_labels(result)
    return [
        {
            "name": name,
            "frame": facts.frame_text(frame, cine),
            "picture": montage(cine, counted, frame, name),
        }
        for name, frame in _named_frames(result)
    ]


def _curves(result: StudyResult):
    function = result.function
    if function.n_frames < 2:
        return None
    return volume_curves(function)


def _motion_curves(result: StudyResult):
    function = result.function
    if result.motion is None or result.motion.quality is None:
        return None
    return mesh_volume_curves(result.motion.quality, (function.ed, function.es))


def _long_axis(result: StudyResult):
    cines = result.study.cines
    shown = [cines[view] for view in facts.VIEW_NAMES if view in cines and view not in ("sax", "other")]
    return long_axis(shown, counted_labels(result), _named_frames(result)) if shown else None
