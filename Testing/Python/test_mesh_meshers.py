"""Other meshers behind the mesher's interface: sides told anew, one sentence where a package is missing."""

import importlib

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import make_ring_labels

from BiVMeshLib import MeshOptions
from BiVMeshLib.check.quality import signed_volumes
from BiVMeshLib.check.topology import boundary_faces, euler, surface_defects
from BiVMeshLib.prepare.frame import heart_frame
from BiVMeshLib.prepare.labels_check import check_labels
from BiVMeshLib.shape.heart_shape import make_shape
from BiVMeshLib.tetra import meshers
from BiVMeshLib.tetra.lattice import MEAN_EDGE, make_lattice
from BiVMeshLib.tetra.materials import assign_materials
from BiVMeshLib.tetra.smoothing import smooth
from BiVMeshLib.tetra.stuffing import stuff
from BiVMeshLib.tetra.tags import patch_ids
from CardiacLib.errors import InputError
from CardiacLib.geometry import to_sitk
from cineheart.cli import main

EDGE_MM = 4.0


@pytest.fixture(scope="module")
def stuffed():
    """The ring labels' stuffed mesh and its shape."""
    stack = check_labels(make_ring_labels(), np.diag([1.5, 1.5, 8.0, 1.0]))
    shape = make_shape(stack, heart_frame(stack), MeshOptions(grid_mm=2.0))
    high = shape.outer.origin + shape.outer.spacing * (np.array(shape.outer.values.shape[::-1]) - 1)
    lattice = make_lattice(shape.outer.origin, high, EDGE_MM / MEAN_EDGE)
    myocardium = shape.myocardium()
    return smooth(stuff(lattice, assign_materials(lattice, shape), myocardium), myocardium), shape


def test_sides_told_from_the_shape_are_those_of_the_stuffing(stuffed):
    mesh, shape = stuffed
    order = np.random.default_rng(3).permutation(len(mesh.points))
    mixed = np.argsort(order)[mesh.tets][:, [0, 2, 1, 3]]  # other node numbers, negative tets
    found = meshers.with_sides(mesh.points[order], mixed, shape, EDGE_MM)
    assert (signed_volumes(found.points, found.tets) > 0).all()
    faces = boundary_faces(mesh.tets)
    again = found, np.argsort(order)[faces]
    same = patch_ids(mesh, faces) == patch_ids(*again)
    assert same.mean() > 0.995
    assert np.array_equal(found.on_base[np.argsort(order)], mesh.on_base)


def test_a_missing_package_is_one_sentence(stuffed, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"needs pytetwild: install 'cineheart\[meshers\]'"):
        meshers.remesh("ftetwild", *stuffed, EDGE_MM)


def test_an_unknown_mesher_is_refused(stuffed):
    with pytest.raises(InputError, match="choose from stuffing, ftetwild, mmg"):
        meshers.remesh("netgen", *stuffed, EDGE_MM)


@pytest.mark.parametrize("several", [False, True])
def test_the_command_says_what_to_install_before_any_work(tmp_path, monkeypatch, capsys, several):
    monkeypatch.setattr(meshers, "is_installed", lambda name: False)
    for name in ("a", "b"):
        sitk.WriteImage(to_sitk(make_ring_labels(), np.diag([1.5, 1.5, 8.0, 1.0])), str(tmp_path / f"{name}.nii.gz"))
    given = [str(tmp_path / "a.nii.gz"), *([str(tmp_path / "b.nii.gz")] if several else [])]
    assert main(["mesh", *given, "-o", str(tmp_path / "out"), "--mesher", "mmg"]) == 2
    said = capsys.readouterr().err.strip()
    assert "needs mmgpy: install 'cineheart[meshers]'" in said and len(said.splitlines()) == 1
    assert main(["mesh", *given, "-o", str(tmp_path / "out"), "--mesher", "netgen"]) == 2
    assert "choose from stuffing, ftetwild, mmg" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", meshers.MESHERS)
def test_an_installed_mesher_fills_the_same_body(stuffed, name):
    if not meshers.is_installed(name):
        pytest.skip(f"{meshers.MESHERS[name][0]} is not installed")
    mesh, shape = stuffed
    found = meshers.remesh(name, mesh, shape, 2 * EDGE_MM)
    faces = boundary_faces(found.tets)
    defects = surface_defects(faces, len(found.points))
    assert (defects.open_edges, defects.nonmanifold_edges) == (0, 0)
    assert euler(faces) == euler(boundary_faces(mesh.tets))
    volume, wanted = (float(signed_volumes(m.points, m.tets).sum()) for m in (found, mesh))
    assert volume == pytest.approx(wanted, rel=0.05)
    patches = patch_ids(found, faces)
    assert set(patches) == {1, 2, 3, 4}
    assert (found.points[found.on_base, 2] == 0.0).all()
