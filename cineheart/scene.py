"""``scene.mrb``: one study's results as a 3D Slicer scene, made with or without the Slicer application."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from BiVMeshLib.mrml import models, motion
from BiVMeshLib.mrml.summaries import mesh_text
from CardiacLandmarksLib.mrml import annulus
from CardiacLandmarksLib.mrml.result import LABELS, four_chamber_to_scene, keep_points
from CardiacLib.mrml.nodes import hierarchy, markups, segmentations, sequences
from CardiacLib.mrml.nodes.host import private_scene
from CardiacLib.mrml.nodes.scenes import save_scene
from CardiacLib.mrml.panel import studies as study_nodes
from CardiacLib.mrml.panel.results import keep_result
from CardiacLib.types.landmarks import LANDMARK_VIEWS
from CardiacSegLib.mrml import tables as function_tables
from CardiacSegLib.mrml.summaries import segmentation_facts

from .measures.volumes import study_volumes

if TYPE_CHECKING:
    from BiVMeshLib.result import MeshResult

    from .results import StudyResult


@contextmanager
def scene_without_mesh(result: StudyResult, path: str | Path) -> Iterator[Callable[[StudyResult], None]]:
    """Fill a scene with the study's cines, labels, valve points, tables and curves.

    Yields a function of the result with its mesh, if it has one, that adds it and writes the scene as one ``.mrb``
    that Slicer opens. All sequences stand in one sequence browser, at end-diastole. Written beside its target and
    renamed at the end. Until the block ends, the scene is ``slicer.mrmlScene``.

    Raises:
        ImportError: neither Slicer nor ``slicer-core`` is there.
        InputError: inside Slicer, its scene holds data.
        OSError: the file cannot be written.
    """
    path = Path(path)
    # MRML names the folder and the scene file inside the bundle after the bundle, so its name must be the final one.
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder, private_scene():
        filled = _fill_without_mesh(result, study_name(result))

        def finish(result: StudyResult) -> None:
            filled.add_mesh(result)
            save_scene(Path(folder) / path.name)
            os.replace(Path(folder) / path.name, path)

        yield finish


def write_scene(result: StudyResult, path: str | Path) -> None:
    """Write the scene of a complete result; see :func:`scene_without_mesh`."""
    with scene_without_mesh(result, path) as finish:
        finish(result)


def fill_scene(result: StudyResult, name: str) -> dict[str, object]:
    """Put a result into ``slicer.mrmlScene``; the nodes by what they are (view names, segmentation, mesh patches)."""
    filled = _fill_without_mesh(result, name)
    filled.add_mesh(result)
    return filled.nodes


@dataclass(frozen=True)
class _Filled:
    """A study in the scene: its nodes by what they are, its item in the hierarchy, and its sequence browser."""

    name: str
    nodes: dict[str, object]
    study_item: int
    browser: object

    def add_mesh(self, result: StudyResult) -> None:
        """Put the mesh of the result, if it has one, beside the rest."""
        if result.meshed is None:
            return
        if (table := self.nodes.get("table of volumes")) is not None:
            function_tables.update_volumes(table, study_volumes(result), result.function.species)
        made = _add_mesh(result.meshed, f"{self.name} mesh", self.nodes["segmentation"], self.study_item)
        self.nodes.update({f"mesh {part}": node for part, node in made.items()})
        if result.motion is not None:
            sequences.select_frame(self.browser, result.function.ed)


def _fill_without_mesh(result: StudyResult, name: str) -> _Filled:
    study_item = hierarchy.add_study(result.study.patient.name or name, name)
    browser, volumes = study_nodes.study_to_scene(result.study, name)
    nodes: dict[str, object] = dict(volumes)
    nodes["segmentation"] = segmentations.labels_to_scene(result.labels, f"{name} segmentation", browser, nodes["sax"])
    found = result.segmented
    measured = function_tables.function_to_scene(result.function.to_dict(), name, found.marks, found.ranges)
    if rows := study_volumes(result):
        measured["table of volumes"] = function_tables.volumes_to_scene(rows, name, result.function.species)
    if result.quality is not None:
        measured["quality"] = function_tables.quality_to_scene(result.quality.to_dict(), name)
    nodes |= measured
    # Kept as a panel keeps a result: edited labels and points that are measured again then update these tables.
    made = {"segmentation": nodes["segmentation"]} | measured
    keep_result(nodes["segmentation"], made, {"name": name} | segmentation_facts(result.segmented), nodes["sax"])
    if result.landmarks is not None:
        points = result.landmarks.landmarks(result.labels)
        lists = markups.landmarks_to_scene(points, f"{name} valves", browser)
        nodes |= {f"{valve} valve": node for valve, node in lists.items()}
        tables = {} if result.annulus is None else annulus.annulus_to_scene(result.annulus.to_dict(), name)
        nodes |= tables
        if lists and result.long_axis is not None:
            tables[LABELS] = four_chamber_to_scene(result.long_axis.labels, f"{name} valves", volumes["4ch"])
            nodes[LABELS] = tables[LABELS]
        if lists and result.points is not None:
            keep_points(lists | tables, result.points, name, volumes[next(v for v in LANDMARK_VIEWS if v in volumes)])
    if len(result.labels.labels) > 1:
        sequences.select_frame(browser, result.function.ed)
    for node in list(nodes.values()):
        hierarchy.place(node, study_item)
    return _Filled(name, nodes, study_item, browser)


def _add_mesh(meshed: MeshResult, name: str, segmentation, study_item: int) -> hierarchy.Nodes:
    """The models of a mesh in a folder of their own, moving with the labels where the mesh does."""
    made = models.mesh_to_scene(meshed.mesh, name)
    if meshed.moving is not None:
        motion.motion_to_scene(meshed.moving, made, sequences.sequence_of(segmentation)[0])
    folder = hierarchy.add_folder(study_item, name)
    for node in made.values():
        hierarchy.place(node, folder)
    keep_result(made["VOLUME"], made, {"name": name, "summary": mesh_text(meshed)}, segmentation)
    return made


def study_name(result: StudyResult) -> str:
    """Short name of a study for nodes and titles: the patient's id, else the name of the file or folder read."""
    return study_nodes.study_name(result.study)
