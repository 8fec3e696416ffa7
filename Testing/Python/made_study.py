"""A small made-up study for tests of the report and the scene: nested ellipsoids that contract, seen in three views."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from BiVMeshLib.check.quality import measure as measure_mesh
from BiVMeshLib.result import MeshResult
from CardiacLib import Cine, LabelMap
from CardiacLib.geometry import apply
from CardiacLib.readers import Study
from CardiacLib.types.bivmesh import PATCHES, REGIONS, BiVMesh
from CardiacLib.types.choices import Body, SegmentChoice
from CardiacLib.types.patient import Patient
from CardiacLib.types.segmentation import Segmentation
from CardiacSegLib.function import measure
from CardiacSegLib.function.volume_table import label_rows
from CardiacSegLib.result import SegmentResult
from cineheart.results import StudyResult

AXES = Rotation.from_euler("xyz", [25, -40, 15], degrees=True).as_matrix()
"""Columns: two in-plane directions of the short axis, and the long axis from base to apex."""
CENTRE = np.array([12.0, -30.0, 55.0])


def labels_at(points_lps: np.ndarray, contraction: float) -> np.ndarray:
    """Labels (...) of LPS points (..., 3); ``contraction`` 0 at end-diastole, 1 at end-systole."""
    x, y, z = np.moveaxis((np.asarray(points_lps) - CENTRE) @ AXES, -1, 0)
    inner, outer = 24 - 7 * contraction, 33 - 3 * contraction
    lv = (x / inner) ** 2 + (y / inner) ** 2 + (z / 45) ** 2 < 1
    wall = (x / outer) ** 2 + (y / outer) ** 2 + (z / 54) ** 2 < 1
    rv = ((x - 38) / (22 - 6 * contraction)) ** 2 + (y / 30) ** 2 + (z / 46) ** 2 < 1
    labels = np.where(lv, 1, np.where(wall, 2, np.where(rv, 3, 0)))
    return np.where(z > -28, labels, 0).astype(np.uint8)  # cut at the base


def grid_points(matrix: np.ndarray, shape_kji: tuple[int, int, int]) -> np.ndarray:
    """(K, J, I, 3) LPS positions of voxel centres."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in shape_kji), indexing="ij")
    return apply(matrix, np.stack([i, j, k], -1))


def contractions(n_frames: int) -> np.ndarray:
    """(T,) 0 at the first frame, 1 in the middle of the cycle."""
    return np.sin(np.pi * np.arange(n_frames) / n_frames) ** 2


def view_matrix(view: str, shape_kji: tuple[int, int, int]) -> np.ndarray:
    """(4, 4) index-to-LPS matrix of a view centred on the heart; the short axis is left-handed, base first."""
    x, y, z = AXES.T
    columns, spacing = {
        "sax": ((y, x, z), (1.9, 2.1, 11.0)),
        "2ch": ((y, z, -x), (1.7, 1.7, 6.0)),
        "4ch": ((x, z, y), (1.6, 1.6, 6.0)),
    }[view]
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack(columns) * spacing
    middle = (np.array(shape_kji[::-1]) - 1) / 2
    matrix[:3, 3] = CENTRE + AXES @ [10, 0, 8] - matrix[:3, :3] @ middle
    return matrix


def make_cine(view: str, shape_kji: tuple[int, int, int], n_frames: int) -> Cine:
    """Bright blood, dark wall, grey surroundings, noise."""
    matrix = view_matrix(view, shape_kji)
    brightness = np.array([90.0, 420.0, 140.0, 400.0])
    points = grid_points(matrix, shape_kji)
    noise = np.random.default_rng(11).normal(0, 12, (n_frames, *shape_kji))
    frames = np.stack([brightness[labels_at(points, c)] for c in contractions(n_frames)]) + noise
    times = np.arange(n_frames) * (820.0 if view == "sax" else 790.0) / n_frames
    return Cine(np.rint(np.clip(frames, 0, None)), matrix, times, view, source=f"made-up/{view}")


def make_mesh() -> BiVMesh:
    """One tetrahedron around the heart's centre, each face another patch."""
    nodes = (CENTRE[:, None] + AXES @ np.array([[-30.0, 30, 0, 0], [0, 0, 30, -30], [-25, -25, 20, 45]])).T
    tet = np.array([[0, 1, 2, 3]])
    if np.linalg.det(nodes[1:] - nodes[0]) < 0:
        tet = tet[:, [0, 2, 1, 3]]
    a, b, c, d = tet[0]
    triangles = np.array([[a, c, b], [a, b, d], [a, d, c], [b, c, d]])
    regions = np.array([REGIONS["LV_MYO"]], np.int32)
    mesh = BiVMesh(nodes, tet, regions, triangles, np.array(list(PATCHES.values()), np.int32))
    return replace(mesh, quality=measure_mesh(mesh))


def make_result(n_frames: int = 6, mesh: BiVMesh | None = None, patient: Patient | None = None) -> StudyResult:
    """A StudyResult with views sax, 2ch and 4ch and the exact labels of the short axis."""
    sax = make_cine("sax", (8, 60, 64), n_frames)
    cines = {"sax": sax, "2ch": make_cine("2ch", (1, 70, 66), n_frames), "4ch": make_cine("4ch", (1, 72, 80), n_frames)}
    points = grid_points(sax.ijk_to_lps, sax.frames.shape[1:])
    labels = np.stack([labels_at(points, c) for c in contractions(n_frames)])
    labelmap = LabelMap(labels, sax.ijk_to_lps, sax.times_ms, "made-up/sax")
    study = Study(
        cines=cines,
        left_out=("series 12 (localizer): planes in three orientations",),
        notes=("Slices 3 and 4 have RR intervals of 812 and 840 ms; frames are matched by phase.",),
        patient=patient or Patient(id="MADE-UP-01", sex="F", heart_rate_bpm=73.2),
        source="made-up",
    )
    function = measure(labelmap, SegmentChoice(body=Body(heart_rate_bpm=73.2)))
    return StudyResult(
        study=study,
        segmented=SegmentResult(Segmentation(labelmap, None), function, None, volumes=label_rows(function)),
        meshed=None if mesh is None else MeshResult(mesh, function.ed),
        seconds={"read": 0.41, "segment": 12.3},
        notes=("A note <of> the run.",),
    )
