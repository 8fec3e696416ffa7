"""``cineheart convert`` and ``load_heart``: every format back and forth, units, frames, parts, other packages."""

import types
from dataclasses import replace

import numpy as np
import pytest
from mesh_block import make_block

import cineheart
from BiVMeshLib.check.quality import signed_volumes
from BiVMeshLib.convert import READABLE, WRITABLE, Conversion, convert_mesh, read_mesh
from BiVMeshLib.exporters.space import Space, heart_axes, placed, read_space
from BiVMeshLib.heart.dolfinx_mesh import BASIX, patch_of
from BiVMeshLib.tetra.quadratic import elements, mesh_edges, shape_gradients
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import PATCHES, REGIONS
from cineheart.cli import main
from cineheart.fem.cli import FORMATS

meshio = pytest.importorskip("meshio")
skfem = pytest.importorskip("skfem")
pytest.importorskip("h5py")
VOLUMES = (".vtu", ".msh", ".xdmf", ".feb", ".inp", ".pts")
UNITS = {"mm": 1.0, "cm": 0.1, "m": 1e-3, "um": 1e3}


def with_middles(mesh):
    """Quadratic: the middles of the edges, moved a little."""
    edges, _ = mesh_edges(mesh.tets)
    rng = np.random.default_rng(1)
    return replace(mesh, middles=mesh.nodes[edges].mean(1) + 0.05 * rng.normal(size=(len(edges), 3)))


@pytest.fixture(scope="module")
def block():
    return make_block()


@pytest.fixture(scope="module")
def quadratic(block):
    return with_middles(block)


def same(found, expected, tolerance=1e-6):
    """Coordinates, elements, tags, fibres."""
    assert np.abs(found.nodes - expected.nodes).max() < tolerance
    assert np.array_equal(found.tets, expected.tets) and np.array_equal(found.regions, expected.regions)
    for name in PATCHES:
        rolled = [
            {tuple(np.roll(t, -t.argmin())) for t in mesh.triangles[mesh.patches == PATCHES[name]]}
            for mesh in (found, expected)
        ]
        assert rolled[0] == rolled[1], name
    for name in ("fibre", "sheet", "normal"):
        assert np.abs(found.cell_fields[name] - expected.cell_fields[name]).max() < 1e-6, name
    assert (found.middles is None) == (expected.middles is None)
    if expected.middles is not None:
        assert np.abs(found.middles - expected.middles).max() < tolerance


@pytest.mark.parametrize("suffix", VOLUMES)
@pytest.mark.parametrize(("units", "frame"), [("mm", "LPS"), ("cm", "RAS"), ("m", "HEART")])
def test_there_and_back(tmp_path, block, suffix, units, frame):
    units = None if suffix == ".pts" else units
    convert_mesh(block, tmp_path, f"patient{suffix}", Conversion(units, frame))
    # Text has nine decimals: of metres, a thousandth of a micrometre.
    same(read_mesh(tmp_path / f"patient{suffix}"), block, 2e-6)


@pytest.mark.parametrize("suffix", [s for s in VOLUMES if s != ".pts"])
def test_quadratic_there_and_back(tmp_path, quadratic, suffix):
    convert_mesh(quadratic, tmp_path, f"heart{suffix}", Conversion("cm", "HEART"))
    same(read_mesh(tmp_path / f"heart{suffix}"), quadratic)


@pytest.mark.parametrize("suffix", [".vtu", ".msh", ".xdmf", ".inp"])
@pytest.mark.parametrize("order", [1, 2])
def test_meshio_reads_what_is_written(tmp_path, block, quadratic, suffix, order):
    mesh = block if order == 1 else quadratic
    convert_mesh(mesh, tmp_path, f"mesh{suffix}", Conversion("m", "RAS"))
    read = meshio.read(tmp_path / f"mesh{suffix}")
    made = elements(mesh)
    kind = "tetra" if order == 1 else "tetra10"
    tets = np.concatenate([cells.data for cells in read.cells if cells.type == kind])
    assert np.abs(read.points - made.nodes * [-1e-3, -1e-3, 1e-3]).max() < 1e-9
    if suffix == ".inp":  # element sets by region, in turn
        made = replace(made, tets=np.concatenate([made.tets[mesh.regions == n] for n in REGIONS.values()]))
    assert np.array_equal(tets, made.tets)


def test_names_stand_in_the_vtu_as_meshio_has_them(tmp_path, block):
    convert_mesh(block, tmp_path, "mesh.vtu")
    fields = meshio.read(tmp_path / "mesh.vtu").field_data
    assert {n: tuple(fields[n]) for n in REGIONS} == {n: (i, 3) for n, i in REGIONS.items()}
    assert {n: tuple(fields[n]) for n in PATCHES} == {n: (i, 2) for n, i in PATCHES.items()}
    assert np.array_equal(fields["triangles"], block.triangles) and np.array_equal(fields["patches"], block.patches)


@pytest.mark.parametrize("order", [1, 2])
def test_scikit_fem_loads_the_vtu_and_the_heart(tmp_path, block, quadratic, order):
    mesh = block if order == 1 else quadratic
    convert_mesh(mesh, tmp_path, "mesh.vtu")
    loaded = skfem.Mesh.load(tmp_path / "mesh.vtu")
    assert isinstance(loaded, skfem.MeshTet if order == 1 else skfem.MeshTet2)
    found = cineheart.load_heart(tmp_path / "mesh.vtu").to_skfem()
    element = skfem.ElementTetP1() if order == 1 else skfem.ElementTetP2()
    one = skfem.Functional(lambda w: 1.0 + 0 * w.x[0])
    expected = curved_volume(mesh)
    for candidate in (loaded, found):
        assert one.assemble(skfem.Basis(candidate, element, intorder=4)) == pytest.approx(expected, rel=1e-9)
    for name, number in PATCHES.items():
        assert len(found.boundaries[name]) == (mesh.patches == number).sum()
        corners = np.sort(found.facets[:, found.boundaries[name]].T[:, :3], axis=1)
        assert {tuple(t) for t in corners} == {tuple(t) for t in np.sort(mesh.patch(name), axis=1)}
    for name, number in REGIONS.items():
        assert np.array_equal(found.subdomains[name], np.flatnonzero(mesh.regions == number))


def curved_volume(mesh) -> float:
    """Integral of the Jacobian; a cubic polynomial is integrated exactly by five points."""
    if mesh.middles is None:
        return float(signed_volumes(mesh.nodes, mesh.tets).sum())
    made = elements(mesh)
    points = np.array([[0.25] * 3, [0.5, 1 / 6, 1 / 6], [1 / 6, 0.5, 1 / 6], [1 / 6, 1 / 6, 0.5], [1 / 6] * 3])
    weights = np.array([-0.8, 0.45, 0.45, 0.45, 0.45]) / 6
    jacobian = np.einsum("pai,max->pmix", shape_gradients(points), made.nodes[made.tets])
    return float(weights @ np.linalg.det(jacobian).sum(1))


def test_heart_axes(block):
    found = placed(block, heart_axes(block))
    base = np.unique(block.patch("BASE"))
    rim = np.intersect1d(np.unique(block.patch("ENDO_LV")), base)
    assert np.allclose(found.nodes[rim].mean(0)[:2], 0.0, atol=1e-9) and found.nodes[rim].mean(0)[2] > 0
    assert np.linalg.norm(found.nodes, axis=1).min() == pytest.approx(0.0, abs=1e-9)
    assert found.nodes[np.unique(block.patch("ENDO_RV"))].mean(0)[0] < 0
    assert np.linalg.det(heart_axes(block)) == pytest.approx(1.0)
    axes = found.cell_fields
    assert np.allclose(np.cross(axes["fibre"], axes["sheet"]), axes["normal"], atol=1e-9)


def test_a_text_that_says_nothing_has_no_space():
    assert read_space("a mesh of something") is None and read_space("Frame XYZ in mm, coordinates in mm.") is None
    assert read_space(Space("um", "RAS").sentence()).units == "um"


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".obj", ".vtp"])
def test_one_patch_as_a_surface(tmp_path, block, suffix):
    convert_mesh(block, tmp_path, f"endo{suffix}", Conversion("cm", parts=("ENDO_LV",)))
    if suffix != ".vtp":
        read = meshio.read(tmp_path / f"endo{suffix}")
        points, triangles = read.points, read.cells_dict["triangle"]
    else:
        import mesh_readers

        points, triangles = mesh_readers.corners(mesh_readers.vtk_file(tmp_path / "endo.vtp"), 3)
    expected = 0.1 * block.nodes[block.patch("ENDO_LV")]
    assert np.abs(points[triangles] - expected).max() < 1e-5
    assert b"SPACE=LPS" in (tmp_path / f"endo{suffix}").read_bytes()[:200] or suffix == ".vtp"


def test_one_region_and_no_fibres(tmp_path, quadratic):
    convert_mesh(quadratic, tmp_path, "septum.vtu", Conversion(parts=("SEPTUM",), fibres=False))
    read = meshio.read(tmp_path / "septum.vtu")
    chosen = elements(quadratic)
    expected = chosen.nodes[chosen.tets[quadratic.regions == REGIONS["SEPTUM"]]]
    assert np.abs(read.points[read.cells_dict["tetra10"]] - expected).max() < 1e-12
    assert set(read.cell_data) == {"region"} and not read.point_data


def test_heart_as_arrays_and_meshio(tmp_path, quadratic):
    convert_mesh(quadratic, tmp_path, "mesh.vtu")
    heart = cineheart.load_heart(tmp_path, units="m")
    assert heart.order == 2 and heart.fibres.shape == (len(quadratic.tets), 3, 3)
    assert np.allclose(heart.mesh.nodes, 1e-3 * quadratic.nodes)
    heart.to_meshio().write(tmp_path / "other.vtk")
    read = meshio.read(tmp_path / "other.vtk")
    assert len(read.cells_dict["tetra10"]) == len(quadratic.tets)
    sets = heart.to_meshio().cell_sets_dict
    assert len(sets["BASE"]["triangle6"]) == (quadratic.patches == PATCHES["BASE"]).sum()


def test_pyvista_is_given_what_it_takes(tmp_path, block, monkeypatch):
    """pyvista brings a VTK of its own and is not among the test packages: its constructor is looked at."""
    given = {}

    class Grid:
        def __init__(self, cells, points):
            given.update(cells=cells, points=points)
            self.cell_data, self.point_data = {}, {}

    monkeypatch.setitem(__import__("sys").modules, "pyvista", types.SimpleNamespace(UnstructuredGrid=Grid))
    convert_mesh(block, tmp_path, "mesh.vtu")
    grid = cineheart.load_heart(tmp_path / "mesh.vtu").to_pyvista()
    assert list(given["cells"]) == [10] and np.array_equal(given["cells"][10], block.tets)
    assert set(grid.cell_data) == {"region", *block.cell_fields} and set(grid.point_data) == set(block.point_fields)


def test_dolfinx_order_and_facets(block):
    """Basix has the middles of the edges 2-3, 1-3, 1-2, 0-3, 0-2, 0-1; patches are found by nodes in any order."""
    corners = np.eye(4)
    nodes = np.concatenate([corners, [(corners[i] + corners[j]) / 2 for i, j in elements_edges()]])
    expected = [(2, 3), (1, 3), (1, 2), (0, 3), (0, 2), (0, 1)]
    assert np.allclose(nodes[BASIX][4:], [(corners[i] + corners[j]) / 2 for i, j in expected])
    assert np.array_equal(patch_of(block, block.triangles[::-1][:, [2, 0, 1]]), block.patches[::-1])


def elements_edges():
    from BiVMeshLib.tetra.quadratic import EDGES

    return EDGES.tolist()


def test_command(tmp_path, block, capsys):
    convert_mesh(block, tmp_path, "mesh.vtu")
    out = tmp_path / "out" / "patient.msh"
    assert main(["convert", str(tmp_path / "mesh.vtu"), "-o", str(out), "--units", "cm", "--json"]) == 0
    assert {path.name for path in out.parent.iterdir()} == {"patient.msh", "patient_fields.msh"}
    same(read_mesh(out), block)
    assert main(["convert", str(tmp_path / "mesh.vtu"), "-o", str(tmp_path / "x.exo")]) == 2
    assert "choose from" in capsys.readouterr().err
    assert tuple(FORMATS.split(", ")) == WRITABLE and set(VOLUMES) < set(READABLE)


@pytest.mark.parametrize(
    ("name", "choice", "sentence"),
    [
        ("m.vtu", Conversion("inch"), "choose from mm, cm, m, um"),
        ("m.vtu", Conversion(frame="ABC"), "choose from LPS, RAS, HEART"),
        ("m.vtu", Conversion(parts=("EPI",)), "choose from LV_MYO"),
        ("m.stl", Conversion(parts=("SEPTUM",)), "choose from EPI"),
        ("m.pts", Conversion("mm"), "micrometres"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(tmp_path, block, name, choice, sentence):
    with pytest.raises(InputError, match=sentence):
        convert_mesh(block, tmp_path, name, choice)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("none.vtu", None, "no such file"),
        ("a.stl", "solid", "no mesh of a known format"),
        ("a.vtu", "<VTKFile/>", "cannot be read"),
        ("a.msh", "nothing", "cannot be read"),
        ("a.xdmf", "<Xdmf/>", "facets"),
        ("a.inp", "*NODE\n1, 0, 0\n", "no nodes or no C3D4"),
        ("a.feb", "<febio", "not a FEBio model"),
        ("a.feb", "<febio_spec/>", "no Mesh section"),
        ("a.pts", "0\n", "a.elem is missing"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, name, text, sentence):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_mesh(tmp_path / name)


def test_a_foreign_mesh_is_told_from_ours(tmp_path):
    points, tets = np.vstack([np.zeros(3), np.eye(3)]), np.array([[0, 1, 2, 3]])
    meshio.Mesh(points, [("tetra", tets)]).write(tmp_path / "other.vtu")
    with pytest.raises(InputError, match="no regions or boundary"):
        read_mesh(tmp_path / "other.vtu")


def test_labels_of_the_user_become_fields(tmp_path, block, capsys):
    """A half space on a turned, finer grid: shares are the part of each tet beyond the plane."""
    from CardiacLib.types.labels import LabelMap
    from CardiacLib.writers.images import write_labels

    spacing = 0.5
    low = block.nodes.min(0) - 1
    shape = np.ceil((block.nodes.max(0) + 1 - low) / spacing).astype(int)
    matrix = np.diag([spacing, spacing, spacing, 1.0])
    matrix[:3, 3] = low
    middle = block.nodes[:, 0].mean()
    labels = np.zeros(shape[::-1], np.uint8)
    labels[:, :, low[0] + spacing * np.arange(shape[0]) > middle] = 2
    write_labels(tmp_path / "infarct.nii.gz", LabelMap(labels[None], matrix, np.zeros(1)))
    convert_mesh(block, tmp_path, "mesh.vtu")
    given = ["convert", str(tmp_path / "mesh.vtu"), "-o", str(tmp_path / "new.vtu")]
    assert main([*given, "--tissue", str(tmp_path / "infarct.nii.gz")]) == 0
    found = read_mesh(tmp_path / "new.vtu").cell_fields
    corners = block.nodes[block.tets][:, :, 0]
    beyond, before = (corners > middle + spacing).all(1), (corners < middle - spacing).all(1)
    assert (found["infarct"][beyond] == 2).all() and (found["infarct_2"][beyond] == 1).all() and beyond.any()
    assert (found["infarct"][before] == 0).all() and (found["infarct_2"][before] == 0).all() and before.any()
    volumes = signed_volumes(block.nodes, block.tets)
    mixed = found["infarct_2"][~beyond & ~before]
    assert 0 < mixed.mean() < 1 and 0.3 < (found["infarct_2"] @ volumes) / volumes.sum() < 0.7
    matrix[:3, 3] += 1000
    write_labels(tmp_path / "far.nii.gz", LabelMap(labels[None], matrix, np.zeros(1)))
    assert main([*given, "--tissue", str(tmp_path / "far.nii.gz")]) == 2
    assert "touch no tetrahedron" in capsys.readouterr().err


@pytest.mark.parametrize("order", [1, 2])
def test_dolfinx_where_it_is_installed(tmp_path, block, quadratic, order):
    dolfinx, ufl = pytest.importorskip("dolfinx"), pytest.importorskip("ufl")
    from mpi4py import MPI

    mesh = block if order == 1 else quadratic
    convert_mesh(mesh, tmp_path, "mesh.vtu")
    found = cineheart.load_heart(tmp_path / "mesh.vtu").to_dolfinx(MPI.COMM_WORLD)
    cells = ufl.Measure("dx", domain=found.mesh, subdomain_data=found.cell_tags)
    facets = ufl.Measure("ds", domain=found.mesh, subdomain_data=found.facet_tags)

    def integral(form):
        return dolfinx.fem.assemble_scalar(dolfinx.fem.form(form))

    one = dolfinx.fem.Constant(found.mesh, 1.0)
    assert integral(one * cells) == pytest.approx(curved_volume(mesh), rel=1e-9)
    for name, number in PATCHES.items():
        area = integral(one * facets(number))
        a, b, c = (block.nodes[block.patch(name)[:, n]] for n in range(3))
        straight = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()
        assert area == pytest.approx(straight, rel=1e-9 if order == 1 else 0.1)
    assert integral(ufl.inner(found.f0, found.f0) * cells) == pytest.approx(curved_volume(mesh), rel=1e-6)
