"""What a session gives away: the files of what it has open now, edits included, one by one and as one zip."""

import zipfile
from pathlib import Path

from BiVMeshLib.exporters import write_vtu
from BiVMeshLib.mrml.models import mesh_from_node
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.mrml.nodes.markups import landmarks_from_nodes
from CardiacLib.mrml.nodes.scenes import save_scene
from CardiacLib.types.landmarks import LANDMARK_NAMES
from CardiacLib.writers.images import write_labels
from CardiacLib.writers.markups import points_document
from cineheart.outputs import write_rows

from .study_scene import RESULT_SCENE, StudyScene

LABELS, TABLES, POINTS, MESH, ALL = "labels.nii.gz", "measurements.csv", "points.zip", "mesh.vtu", "results.zip"


def write_downloads(scene: StudyScene, folder: Path) -> list[str]:
    """Write what there is into ``folder``, in place of what was written before.

    Args:
        scene: of the session.
        folder: that the page may fetch files from.

    Returns:
        Names of the files: labels of all frames, the tables, the valve points as markups of each frame, the mesh of
        end-diastole, the scene, and all of them in one zip.

    Raises:
        InputError: labels or points cannot be used.
        OSError: a file cannot be written.
    """
    with atomic_directory(folder, replace=(LABELS, TABLES, POINTS, MESH, RESULT_SCENE, ALL)) as part:
        if scene.segmentation is not None:
            write_labels(part / LABELS, scene.labels())
        if rows := _rows(scene):
            write_rows(part / TABLES, rows)
        if scene.points:
            _write_points(scene, part)
        if scene.mesh is not None:
            write_vtu(mesh_from_node(scene.mesh), part / MESH)
        save_scene(part / RESULT_SCENE)
        names = sorted(place.name for place in part.iterdir())
        _pack(part, names, part / ALL)
    return [ALL, *names]


def _rows(scene: StudyScene) -> list[dict[str, object]]:
    return [
        {"table": table["title"], "row": number, "column": column, "value": value}
        for table in scene.tables()
        for number, row in enumerate(table["rows"], 1)
        for column, value in zip(table["columns"], row, strict=True)
    ]


def _write_points(scene: StudyScene, part: Path) -> None:
    """One file for each frame, named as ``cineheart run --landmarks`` takes them, in one zip."""
    names = []
    for frame, points in enumerate(landmarks_from_nodes(scene.points).points):
        names.append(f"frame_{frame:03d}.mrk.json")
        write_json(part / names[-1], points_document(points, LANDMARK_NAMES))
    _pack(part, names, part / POINTS)
    for name in names:
        (part / name).unlink()


def _pack(folder: Path, names: list[str], path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # the large ones are compressed already
        for name in names:
            archive.write(folder / name, name)
