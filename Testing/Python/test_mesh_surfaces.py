"""Closed blood pools and plain surfaces of labels: closed, manifold, outwards, as large as what they enclose."""

import json

import numpy as np
import pytest
from heart_mesh import lv_alone, phantom_mesh
from mesh_block import make_block

from BiVMeshLib.check.topology import component_count, euler, surface_defects
from BiVMeshLib.exporters import export
from BiVMeshLib.exporters.closed_pools import LIDS, closed_pools, span
from BiVMeshLib.exporters.label_surfaces import label_surfaces, write_label_surfaces
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import PATCHES
from CardiacLib.writers.images import write_labels
from cineheart.cli import main


def volume_ml(points, triangles) -> float:
    a, b, c = (points[triangles[:, n]] - points.mean(0) for n in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6000.0


def assert_closed(triangles, n_nodes):
    defects = surface_defects(triangles, n_nodes)
    assert (defects.open_edges, defects.nonmanifold_edges, defects.nonmanifold_vertices) == (0, 0, 0)
    sides = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert len(np.unique(sides, axis=0)) == len(sides)  # neighbours run along their common edge in opposite directions


def test_pools_of_the_heart_are_closed_and_as_large_as_the_cavities():
    mesh, _ = phantom_mesh()
    pools = {pool.name: pool for pool in closed_pools(mesh)}
    for name, key in (("LV_POOL", "lv_pool_ml"), ("RV_POOL", "rv_pool_ml")):
        pool = pools[name]
        assert_closed(pool.triangles, len(pool.nodes))
        assert euler(pool.triangles) == 2
        assert component_count(pool.triangles) == 1
        assert pool.volume_ml() == pytest.approx(getattr(mesh.quality.volumes, key), rel=1e-9)
        lid = pool.triangles[pool.faces == LIDS[pool.lid]]
        base = np.unique(mesh.patch("BASE"))
        assert np.isin(lid, base).all()
        assert np.array_equal(np.sort(pool.triangles[pool.faces == PATCHES[pool.wall]]), np.sort(mesh.patch(pool.wall)))


def test_a_left_ventricle_alone_has_one_pool():
    assert [pool.name for pool in closed_pools(lv_alone(phantom_mesh()[0]))] == ["LV_POOL"]


def test_a_crescent_is_spanned_within_its_line():
    turn = np.linspace(0, np.pi, 40)
    outer = np.stack([np.cos(turn), np.sin(turn)], 1)
    inner = np.stack([0.95 * np.cos(turn[::-1]), 0.5 * np.sin(turn[::-1])], 1)
    flat = np.concatenate([outer, inner])
    frame = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    nodes = flat @ frame[:, :2].T + (3.0, -20.0, 7.0)
    line = np.arange(len(flat))
    triangles = span(nodes, line)
    corners = flat[triangles]
    area = 0.5 * np.linalg.det(corners[:, 1:] - corners[:, :1])
    x, y = flat.T
    assert len(triangles) == len(flat) - 2
    assert (area > 0).all()
    assert area.sum() == pytest.approx(0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


def test_pool_files_are_read_by_vtk(tmp_path):
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkMassProperties
    from vtkmodules.vtkIOGeometry import vtkSTLReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    mesh = make_block()
    export(mesh, tmp_path, ("pools",))
    pool = closed_pools(mesh)[1]
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(tmp_path / "pools" / "RV_POOL.vtp"))
    reader.Update()
    found = reader.GetOutput()
    assert set(vtk_to_numpy(found.GetCellData().GetArray("ModelFaceID"))) == {PATCHES["ENDO_RV"], LIDS["LID_RV"]}
    assert "6 LID_RV" in found.GetFieldData().GetAbstractArray("Names").GetValue(0)
    stl, mass = vtkSTLReader(), vtkMassProperties()
    stl.SetFileName(str(tmp_path / "pools" / "RV_POOL.stl"))
    mass.SetInputConnection(stl.GetOutputPort())
    mass.Update()
    assert mass.GetVolume() / 1000.0 == pytest.approx(pool.volume_ml(), rel=1e-5)
    for part in ("ENDO_RV", "LID_RV"):
        assert (tmp_path / "pools" / f"RV_POOL_{part}.stl").stat().st_size == 84 + 50 * int(
            (pool.faces == pool.ids()[part]).sum()
        )


@pytest.mark.parametrize("mirror", [1.0, -1.0], ids=["right-handed", "left-handed"])
def test_surfaces_of_labels(ring_labels, mirror):
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn)) * np.array([1.0, 1.0, mirror])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn @ np.diag([1.5, 1.5, 8.0]), (10.0, -30.0, 55.0)
    surfaces = label_surfaces(ring_labels, matrix)
    assert list(surfaces) == [1, 2, 3]
    for value, (points, triangles) in surfaces.items():
        assert_closed(triangles, len(points))
        voxels_ml = (ring_labels == value).sum() * 1.5 * 1.5 * 8.0 / 1000.0
        assert volume_ml(points, triangles) == pytest.approx(voxels_ml, rel=0.06)
        k, j, i = np.nonzero(ring_labels == value)
        centre = matrix[:3, :3] @ (i.mean(), j.mean(), k.mean()) + matrix[:3, 3]
        assert np.allclose((points.min(0) + points.max(0)) / 2, centre, atol=12.0)


def test_surfaces_of_labels_are_written_beside_the_mesh(ring_labels, tmp_path):
    write_label_surfaces(ring_labels, np.diag([1.5, 1.5, 8.0, 1.0]), tmp_path)
    expected = {"LV_BLOOD_POOL", "LV_MYOCARDIUM", "RV_BLOOD_POOL"}
    for kind in (".stl", ".vtp"):
        assert {path.stem for path in (tmp_path / "labels").glob(f"*{kind}")} == expected


def test_the_command_writes_the_surfaces_of_one_frame(phantom, tmp_path, capsys):
    write_labels(tmp_path / "labels.nii.gz", phantom.labels)
    words = ["surfaces", str(tmp_path / "labels.nii.gz"), "-o", str(tmp_path / "out"), "--frame", "es", "--json"]
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["frame_index"] == phantom.es
    assert facts["files"] == sorted(p.name for p in (tmp_path / "out" / "labels").iterdir())
    assert "LV_MYOCARDIUM.vtp" in facts["files"]


def test_empty_labels_have_no_surface():
    with pytest.raises(InputError, match="empty"):
        label_surfaces(np.zeros((3, 4, 5), np.uint8), np.eye(4))
