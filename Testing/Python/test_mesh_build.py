"""Labels to mesh, end to end: a synthetic heart in many geometries, bad input, files, real labels."""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from BiVMeshLib import MeshError, MeshOptions, build_mesh
from BiVMeshLib.exporters import write_quality, write_vtp, write_vtu
from CardiacLib.errors import Cancelled, InputError
from CardiacLib.types.bivmesh import PATCHES, REGIONS

DATA = Path(os.environ.get("CINEHEART_DATA", Path(__file__).parents[3] / "shared" / "data"))
COARSE = MeshOptions(edge_length_mm=2.6, grid_mm=1.5)
"""For the shape of elements and for what is measured in tenths of a millimetre."""
WALLS = {"rv_wall_mm": 8.0, "min_septum_mm": 8.0, "min_lv_wall_mm": 8.0}
THICK = MeshOptions(edge_length_mm=4.0, grid_mm=2.5, refinements=0, **WALLS)
"""Good elements, fibres and coordinates, but few of them, as the walls are thick."""
ROUGH = replace(THICK, edge_length_mm=5.0, optimise=False, fibres=False, coordinates=False)
"""For topology, places, notes and commands: a sixth of the time of COARSE."""


def inside(points, centre, radii):
    return (((points - centre) / radii) ** 2).sum(-1) <= 1


@cache
def heart(spacing=(2.0, 2.0, 8.0)):
    """Half ellipsoids: LV pool, LV body, RV pool beside it; slice 0 is the apex. Labels (K, J, I) and matrix."""
    low, high = np.array([-42.0, -42.0, -64.0]), np.array([74.0, 42.0, 0.0])
    axes = [np.arange(a, b + 0.1, s) for a, b, s in zip(low, high, spacing, strict=True)]
    z, y, x = np.meshgrid(*axes[::-1], indexing="ij")
    points = np.stack([x, y, z], -1)
    labels = np.zeros(x.shape, np.uint8)
    labels[inside(points, (24, 0, 3), (34, 34, 56))] = 3
    labels[inside(points, (0, 0, 0), (30, 30, 60))] = 2
    labels[inside(points, (0, 0, 0), (21, 21, 50))] = 1
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = [a[0] for a in axes]
    return labels, matrix


@cache
def mesh():
    return build_mesh(*heart(), COARSE)


@cache
def rough():
    return build_mesh(*heart(), ROUGH)


@cache
def thick():
    return build_mesh(*heart(), THICK)


def exact_volumes():
    """Half-ellipsoid volumes in ml: LV pool, LV myocardium."""
    body, pool = (2 / 3 * np.pi * a * a * c / 1000 for a, c in ((30, 60), (21, 50)))
    return pool, body - pool


@pytest.mark.slow
def test_mesh_passes_the_gate_and_has_the_right_volumes():
    q = mesh().quality.to_dict()
    assert (q["open_edges"], q["nonmanifold_edges"], q["nonmanifold_vertices"]) == (0, 0, 0)
    assert q["euler"] == 2 and q["components"] == 1
    assert q["patch_euler"] == {"EPI": 1, "ENDO_LV": 1, "ENDO_RV": 1, "BASE": -1}
    assert q["inverted_tets"] == 0 and q["zero_gradient_tets"] == 0 and q["nodes_on_two_walls"] == 0
    assert q["min_dihedral_deg"] >= 18 and q["scaled_jacobian_min"] >= 0.3
    pool, muscle = exact_volumes()
    assert q["lv_pool_ml"] == pytest.approx(pool, rel=0.03)
    assert q["lv_myocardium_ml"] == pytest.approx(muscle, rel=0.05)
    assert q["base_flatness_mm"] < 1e-9


def test_triangles_are_the_boundary_and_point_outwards():
    m = mesh()
    corners = m.nodes[m.triangles]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6000
    assert volume == pytest.approx(m.quality.volumes.myocardium_ml, rel=1e-9)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[m.patches == PATCHES["BASE"], 2] > 0).all()


def test_patches_and_regions_lie_where_they_should():
    m = mesh()
    middle = m.nodes[m.triangles].mean(1)
    radius = np.linalg.norm(middle / (21, 21, 50), axis=1)
    assert np.percentile(np.abs(radius[m.patches == PATCHES["ENDO_LV"]] - 1), 95) < 0.08
    assert (middle[m.patches == PATCHES["ENDO_RV"], 0] > -5).all()
    cells = m.nodes[m.tets].mean(1)
    septum = cells[m.regions == REGIONS["SEPTUM"]]
    wall = cells[m.regions == REGIONS["RV_WALL"]]
    assert (septum[:, 0] > 0).all() and np.linalg.norm(septum / (30, 30, 60), axis=1).max() < 1.1
    assert np.linalg.norm(wall / (30, 30, 60), axis=1).min() > 0.95
    distance = (np.linalg.norm((wall - (24, 0, 3)) / (34, 34, 56), axis=1) - 1) * 34
    assert 0 < np.median(distance) < 3.0


@pytest.mark.slow
@pytest.mark.parametrize("case", ["base first", "left-handed", "oblique"])
def test_orientation_does_not_matter(case):
    labels, matrix = heart()
    rotation = np.eye(4)
    if case == "base first":
        labels = labels[::-1]
        matrix = matrix @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, len(labels) - 1], [0, 0, 0, 1.0]])
    elif case == "left-handed":
        labels = labels[:, :, ::-1]
        matrix = matrix @ np.array([[-1, 0, 0, labels.shape[2] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    else:
        rotation[:3, :3] = np.linalg.qr(np.array([[1, 2, 0.5], [0.3, 1, -1], [1, -0.4, 2]]))[0]
        rotation[:3, 3] = (30, -80, 400)
        matrix = rotation @ matrix
    turned = build_mesh(labels, matrix, ROUGH)
    expected = rough().nodes @ rotation[:3, :3].T + rotation[:3, 3]
    for key in ("lv_pool_ml", "rv_pool_ml", "lv_myocardium_ml"):
        assert getattr(turned.quality.volumes, key) == pytest.approx(getattr(rough().quality.volumes, key), rel=0.01)
    assert np.abs(turned.nodes.mean(0) - expected.mean(0)).max() < 0.5
    assert np.abs(turned.nodes[turned.patch("BASE")].mean((0, 1)) - _base_centre(rotation)).max() < 0.5
    assert (turned.quality.shape.inverted_tets, turned.quality.topology.euler) == (0, 2)


def _base_centre(rotation):
    return rotation[:3, :3] @ rough().nodes[rough().patch("BASE")].mean((0, 1)) + rotation[:3, 3]


@pytest.mark.slow
def test_same_seed_gives_the_same_mesh():
    again = build_mesh(*heart(), THICK)
    assert np.array_equal(again.nodes, thick().nodes) and np.array_equal(again.tets, thick().tets)


def test_very_thick_slices():
    labels, matrix = heart((2.0, 2.0, 16.0))
    found = build_mesh(labels, matrix, ROUGH)
    assert found.quality.topology.euler == 2
    assert found.quality.volumes.lv_pool_ml == pytest.approx(exact_volumes()[0], rel=0.06)


def test_labels_without_rv_give_a_left_ventricle():
    labels, matrix = heart()
    lv = build_mesh(np.where(labels == 3, 0, labels).astype(np.uint8), matrix, ROUGH)
    assert lv.quality.topology.patch_euler == {"EPI": 1, "ENDO_LV": 1, "BASE": 0}
    assert (lv.regions == REGIONS["LV_MYO"]).all()
    assert any("left ventricle alone" in note for note in lv.notes)


@pytest.mark.slow
def test_labelled_rv_wall_is_used():
    labels, matrix = heart((2.0, 2.0, 8.0))
    labels = labels.copy()
    k, j, i = labels.shape
    points = np.stack(np.meshgrid(np.arange(i), np.arange(j), np.arange(k)), -1).transpose(2, 0, 1, 3)
    points = points * np.diag(matrix)[:3] + matrix[:3, 3]
    labels[(labels == 0) & inside(points, (24, 0, 3), (40, 40, 62))] = 4
    finer = replace(ROUGH, edge_length_mm=4.0, rv_wall_mm=3.0)
    grown, walled = build_mesh(*heart(), finer), build_mesh(labels, matrix, finer)
    assert walled.quality.volumes.rv_wall_ml > 1.5 * grown.quality.volumes.rv_wall_ml
    assert walled.quality.volumes.rv_pool_ml == pytest.approx(grown.quality.volumes.rv_pool_ml, rel=0.03)


def _changed(change):
    labels, matrix = heart()
    labels = labels.copy()
    return change(labels), matrix


BAD = {
    "no LV pool": lambda x: np.where(x == 1, 0, x).astype(np.uint8),
    "no LV myocardium": lambda x: np.where(x == 2, 0, x).astype(np.uint8),
    "(K, J, I)": lambda x: x[None],
    "uint8": lambda x: x.astype(np.float32),
    "Unknown label values [255]": lambda x: np.where(x == 1, 255, x).astype(np.uint8),
    "labelled in 1 slices": lambda x: np.concatenate([x[:1] * 0, x[-1:], x[:1] * 0]),
    "labelled in 2 slices": lambda x: x[-2:],
    "touches the border": lambda x: x[:, 20:],
    "closed ring": lambda x: np.where((x == 2) & (np.arange(x.shape[2]) < 21), 0, x).astype(np.uint8),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_labels_give_one_clear_sentence(message):
    with pytest.raises(InputError) as caught:
        build_mesh(*_changed(BAD[message]), COARSE)
    assert message in str(caught.value)


def test_options_are_checked():
    with pytest.raises(InputError, match="edge_length_mm"):
        MeshOptions(edge_length_mm=0)


def test_a_mesh_that_fails_the_gate_is_not_returned():
    options = replace(THICK, min_dihedral_deg=40.0)
    with pytest.raises(MeshError, match="min_dihedral_deg"):
        build_mesh(*heart(), options)


@pytest.mark.slow
def test_a_mesh_that_is_not_optimised_has_the_topology_but_not_the_shape():
    """Its elements are poor, which the gate lets pass and the lines name; what else is checked holds."""
    quick = MeshOptions(edge_length_mm=4.0, grid_mm=2.0, refinements=0, optimise=False)
    rough = build_mesh(*heart(), quick)
    q = rough.quality.to_dict()
    assert q["min_dihedral_deg"] < quick.min_dihedral_deg and q["scaled_jacobian_min"] < quick.min_scaled_jacobian
    assert {"min_dihedral_deg", "scaled_jacobian_min"} <= set(q["missed_lines"])
    assert (q["euler"], q["open_edges"], q["inverted_tets"], q["zero_gradient_tets"]) == (2, 0, 0, 0)
    assert q["patch_euler"] == mesh().quality.topology.patch_euler and len(rough.tets) < len(mesh().tets) / 2
    assert np.linalg.norm(rough.cell_fields["fibre"], axis=1) == pytest.approx(1.0)


def test_islands_and_holes_are_cleaned_and_reported():
    labels, matrix = heart()
    labels = labels.copy()
    labels[4, 2:4, 2:4] = 3
    labels[5][np.argwhere(labels[5] == 2)[3][0], np.argwhere(labels[5] == 2)[3][1]] = 0
    notes = " ".join(build_mesh(labels, matrix, ROUGH).notes)
    assert "RV pool: 4 voxels in separate pieces were removed." in notes


@pytest.mark.slow
def test_progress_reports_and_cancels():
    seen = []
    build_mesh(*heart(), THICK, progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen) and seen[-1] == 1.0

    def cancel(fraction, message):
        if fraction > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        build_mesh(*heart(), THICK, progress=cancel)


def test_files_are_read_back_by_vtk(tmp_path):
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import vtk_to_numpy

    m = mesh()
    write_vtu(m, tmp_path / "mesh.vtu")
    write_vtp(m, tmp_path / "surface.vtp")
    reader = vtk.vtkXMLUnstructuredGridReader()
    reader.SetFileName(str(tmp_path / "mesh.vtu"))
    reader.Update()
    grid = reader.GetOutput()
    assert np.array_equal(vtk_to_numpy(grid.GetPoints().GetData()), m.nodes)
    assert np.array_equal(vtk_to_numpy(grid.GetCells().GetConnectivityArray()).reshape(-1, 4), m.tets)
    assert np.array_equal(vtk_to_numpy(grid.GetCellData().GetArray("region")), m.regions)
    assert grid.GetCellType(0) == vtk.VTK_TETRA
    assert b"Frame LPS" in vtk_to_numpy(grid.GetFieldData().GetArray("about")).tobytes()
    reader = vtk.vtkXMLPolyDataReader()
    reader.SetFileName(str(tmp_path / "surface.vtp"))
    reader.Update()
    surface = reader.GetOutput()
    nodes = vtk_to_numpy(surface.GetPointData().GetArray("GlobalNodeID")) - 1
    triangles = nodes[vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)]
    assert np.array_equal(triangles, m.triangles)
    assert np.array_equal(vtk_to_numpy(surface.GetCellData().GetArray("patch")), m.patches)
    owners = vtk_to_numpy(surface.GetCellData().GetArray("GlobalElementID")) - 1
    assert (m.tets[owners][:, :, None] == m.triangles[:, None, :]).any(1).all()
    edges = vtk.vtkFeatureEdges()
    edges.SetInputData(surface)
    edges.FeatureEdgesOff()
    edges.BoundaryEdgesOn()
    edges.NonManifoldEdgesOn()
    edges.Update()
    assert edges.GetOutput().GetNumberOfCells() == 0


def test_quality_file(tmp_path):
    write_quality(mesh(), tmp_path / "quality.json")
    report = json.loads((tmp_path / "quality.json").read_text())
    assert report["frame"] == "LPS" and report["units"] == "mm" and report["tets"] == len(mesh().tets)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "acdc_train").exists(), reason="the ACDC training data is not there")
def test_expert_labels_of_a_patient():
    """Patient 060 at end systole, whose RV ends below the base of the LV."""
    import SimpleITK as sitk

    from CardiacLib.geometry import matrix_of

    image = sitk.ReadImage(str(DATA / "acdc_train/patient060/patient060_frame14_gt.nii.gz"))
    labels = np.array([0, 3, 2, 1], np.uint8)[sitk.GetArrayFromImage(image)]
    options = replace(COARSE, edge_length_mm=3.0, optimise=False, fibres=False, coordinates=False)
    m = build_mesh(labels, matrix_of(image), options)
    assert any("base is 1 slice(s) below" in note for note in m.notes)
    assert m.quality.topology.patch_euler == {"EPI": 1, "ENDO_LV": 1, "ENDO_RV": 1, "BASE": -1}
    for name in ("lv_pool", "rv_pool", "lv_myocardium"):
        assert getattr(m.quality.volumes, f"{name}_ml") == pytest.approx(m.quality.fidelity.label_ml[name], rel=0.05)
