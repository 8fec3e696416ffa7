"""Every mesh format read back: by VTK, meshio, scikit-fem, or a parser of the format's specification."""

import itertools
import shutil
import subprocess
from dataclasses import replace

import mesh_readers as readers
import numpy as np
import pytest
from mesh_block import FACES, make_block

from BiVMeshLib.check.quality import measure, signed_volumes
from BiVMeshLib.exporters import FORMATS, choose_formats, export
from BiVMeshLib.exporters.text import rows
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import PATCHES, REGIONS
from CardiacLib.writers.images import write_labels
from cineheart.cli import main

VOLUME_FORMATS = {
    "vtu,vtp": readers.read_vtk,
    "simvascular": readers.read_simvascular,
    "msh": readers.read_msh,
    "xdmf": readers.read_xdmf,
    "carp": readers.read_carp,
    "feb": readers.read_feb,
    "inp": readers.read_inp,
}
DIRECTION = 1e-8
COORDINATE = 1e-8


@pytest.fixture(scope="module")
def block():
    """Two pits in a box, with fibres."""
    return make_block()


@pytest.fixture(scope="module")
def exported(block, tmp_path_factory):
    """The block in every format, in one folder."""
    folder = tmp_path_factory.mktemp("exported")
    export(block, folder, tuple(FORMATS))
    return folder


def areas(nodes, triangles):
    a, b, c = (nodes[triangles[:, n]] for n in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def check_geometry(read, mesh):
    """Same nodes and tets; volumes of regions and areas of patches; triangles are outward faces of a tet."""
    assert read.nodes.shape == mesh.nodes.shape and np.abs(read.nodes - mesh.nodes).max() < COORDINATE
    assert np.array_equal(read.tets, mesh.tets)
    volumes = signed_volumes(read.nodes, read.tets)
    assert volumes.min() > 0
    present = {name for name, number in REGIONS.items() if (mesh.regions == number).any()}
    assert {name for name, tets in read.regions.items() if len(tets)} == present
    for name in present:
        expected = signed_volumes(mesh.nodes, mesh.tets)[mesh.regions == REGIONS[name]].sum()
        assert volumes[read.regions[name]].sum() == pytest.approx(expected, rel=1e-9)
    present = {name for name, number in PATCHES.items() if (mesh.patches == number).any()}
    assert {name for name, triangles in read.patches.items() if len(triangles)} == present
    outward = {tuple(np.roll(face, -face.argmin())) for face in read.tets[:, FACES].reshape(-1, 3)}
    for name in present:
        triangles = read.patches[name]
        assert areas(read.nodes, triangles).sum() == pytest.approx(areas(mesh.nodes, mesh.patch(name)).sum(), rel=1e-9)
        assert {tuple(np.roll(face, -face.argmin())) for face in triangles} <= outward
        assert {frozenset(face) for face in triangles.tolist()} == {frozenset(f) for f in mesh.patch(name).tolist()}


@pytest.mark.parametrize("formats", VOLUME_FORMATS)
def test_volume_formats_read_back(exported, block, formats):
    read = VOLUME_FORMATS[formats](exported)
    check_geometry(read, block)
    assert np.abs(read.fibre - block.cell_fields["fibre"]).max() < DIRECTION
    assert np.abs(read.sheet - block.cell_fields["sheet"]).max() < DIRECTION


@pytest.mark.parametrize("formats", ["vtu,vtp", "msh", "xdmf"])
def test_all_fields_read_back(exported, block, formats):
    read = VOLUME_FORMATS[formats](exported)
    for name, values in block.cell_fields.items():
        assert np.abs(read.cells[name] - values).max() < DIRECTION, name
    for name, values in block.point_fields.items():
        assert np.abs(read.points[name].ravel() - values).max() < DIRECTION, name


@pytest.mark.parametrize("formats", VOLUME_FORMATS)
def test_mesh_without_fields(tmp_path, formats):
    mesh = make_block(fields=False)
    export(mesh, tmp_path, formats.split(","))
    read = VOLUME_FORMATS[formats](tmp_path)
    check_geometry(read, mesh)
    assert read.fibre is None and read.sheet is None


@pytest.mark.parametrize("formats", VOLUME_FORMATS)
def test_left_ventricle_alone_has_no_names_of_the_right(tmp_path, formats):
    whole = make_block(cavities=("ENDO_LV",))
    mesh = replace(whole, regions=np.full_like(whole.regions, REGIONS["LV_MYO"]))
    export(mesh, tmp_path, formats.split(","))
    check_geometry(VOLUME_FORMATS[formats](tmp_path), mesh)


def test_the_surface_has_the_fields_of_the_nodes_and_tets_behind_it(exported, block):
    surface = readers.vtk_file(exported / "surface.vtp")
    nodes, owners = (
        readers.int32(surface.GetPointData(), "GlobalNodeID") - 1,
        readers.int32(surface.GetCellData(), "GlobalElementID") - 1,
    )
    assert np.array_equal(readers.arrays(surface.GetCellData())["aha"], block.cell_fields["aha"][owners])
    read = readers.arrays(surface.GetPointData())["transmural"]
    assert np.array_equal(read, block.point_fields["transmural"][nodes])


def test_msh_in_scikit_fem(exported, block):
    """Names of both dimensions, and an integral over each."""
    skfem = pytest.importorskip("skfem")
    mesh = skfem.MeshTet.load(exported / "mesh.msh")
    assert {k for k in mesh.boundaries if not k.startswith("gmsh")} == set(PATCHES)
    assert {k for k in mesh.subdomains if not k.startswith("gmsh")} == set(REGIONS)
    element = skfem.ElementTetP1()
    one = skfem.Functional(lambda w: 1.0 + 0 * w.x[0])
    for name in PATCHES:
        area = one.assemble(skfem.FacetBasis(mesh, element, facets=mesh.boundaries[name]))
        assert area == pytest.approx(areas(block.nodes, block.patch(name)).sum(), rel=1e-9)
    for name, number in REGIONS.items():
        volume = one.assemble(skfem.CellBasis(mesh, element, elements=mesh.subdomains[name]))
        expected = signed_volumes(block.nodes, block.tets)[block.regions == number].sum()
        assert volume == pytest.approx(expected, rel=1e-9)


def test_msh_ids_are_unique_over_the_dimensions(exported):
    text = (exported / "mesh.msh").read_text()
    names = text.split("$PhysicalNames\n")[1].split("$End")[0].splitlines()[1:]
    ids = [line.split()[1] for line in names]
    assert len(ids) == len(set(ids)) == len(PATCHES) + len(REGIONS)


def test_inp_in_meshio(exported, block):
    meshio = pytest.importorskip("meshio")
    mesh = meshio.read(exported / "mesh.inp")
    assert all(cells.type == "tetra" for cells in mesh.cells)
    assert sum(len(cells.data) for cells in mesh.cells) == len(block.tets)
    for name, number in REGIONS.items():
        tets = np.concatenate([c.data[s] for c, s in zip(mesh.cells, mesh.cell_sets[name], strict=True)])
        assert np.array_equal(tets, block.tets[block.regions == number])
    for name in PATCHES:
        assert np.array_equal(mesh.point_sets[f"{name}_NODES"], np.unique(block.patch(name)))


JOB = """*INCLUDE, INPUT=mesh.inp
*MATERIAL, NAME=M
*ELASTIC, TYPE=ENGINEERING CONSTANTS
0.03, 0.01, 0.01, 0.3, 0.3, 0.3, 0.005, 0.005
0.005
*SOLID SECTION, ELSET=HEART, MATERIAL=M, ORIENTATION=FIBRES
*BOUNDARY
BASE_NODES, 1, 3
*STEP
*STATIC
*DSLOAD
ENDO_LV, P, 0.0005
*NODE PRINT, NSET=BASE_NODES, TOTALS=ONLY
RF
*END STEP
"""
PRESSURE = 0.0005


@pytest.mark.skipif(not shutil.which("ccx"), reason="CalculiX is not installed")
def test_inp_is_solved_by_calculix(tmp_path, block):
    """Pressure on a surface: the base bears the load of all nodes that are not held."""
    export(block, tmp_path, ["inp"])
    (tmp_path / "job.inp").write_text(JOB)
    subprocess.run(["ccx", "-i", "job"], cwd=tmp_path, check=True, capture_output=True)
    borne = [float(v) for v in (tmp_path / "job.dat").read_text().split()[-3:]]
    triangles = block.patch("ENDO_LV")
    a, b, c = np.moveaxis(block.nodes[triangles], 1, 0)
    force = np.cross(b - a, c - a) / 2 * PRESSURE / 3
    free = ~np.isin(triangles, block.patch("BASE"))
    assert borne == pytest.approx((force * free.sum(1, keepdims=True)).sum(0), rel=1e-5)


@pytest.mark.parametrize("name", PATCHES)
@pytest.mark.parametrize("form", ["stl", "ply", "obj"])
def test_patch_files_in_vtk_and_meshio(exported, block, form, name):
    """One file per patch; a closed surface when all four are put together, as volume tells."""
    import vtk

    path = exported / form / f"{name}.{form}"
    reader = {"stl": vtk.vtkSTLReader, "ply": vtk.vtkPLYReader, "obj": vtk.vtkOBJReader}[form]()
    reader.SetFileName(str(path))
    reader.Update()
    nodes, triangles = readers.corners(reader.GetOutput(), 3)
    expected = block.nodes[block.patch(name)]
    assert np.abs(nodes[triangles] - expected).max() < 1e-4
    assert len(nodes) == len(np.unique(block.patch(name)))
    assert b"SPACE=LPS" in path.read_bytes()[:200]
    if form != "stl":
        meshio = pytest.importorskip("meshio")
        mesh = meshio.read(path)
        assert np.abs(mesh.points[mesh.cells_dict["triangle"]] - expected).max() < COORDINATE


def test_stl_normals_point_outwards(exported, block):
    raw = (exported / "stl" / "EPI.stl").read_bytes()
    facets = np.frombuffer(raw, np.dtype([("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")]), offset=84)
    a, b, c = np.moveaxis(block.nodes[block.patch("EPI")], 1, 0)
    assert np.frombuffer(raw, "<u4", 1, 80)[0] == len(facets) == len(a)
    assert (np.einsum("ij,ij->i", facets["n"], np.cross(b - a, c - a)) > 0).all()


@pytest.mark.parametrize("form", ["msh", "feb", "inp", "xdmf"])
def test_units_and_frame_stand_in_the_file(exported, form):
    text = (exported / f"mesh.{form}").read_text()
    assert "LPS" in text[:400] and "mm" in text[:400]


@pytest.mark.parametrize("form", ["feb", "inp"])
def test_fibres_without_sheets_are_refused_where_two_axes_are_needed(tmp_path, block, form):
    mesh = replace(block, cell_fields={"fibre": block.cell_fields["fibre"]})
    with pytest.raises(InputError, match="sheet"):
        export(mesh, tmp_path, [form])


def test_carp_takes_fibres_alone(tmp_path, block):
    export(replace(block, cell_fields={"fibre": block.cell_fields["fibre"]}), tmp_path, ["carp"])
    read = readers.read_carp(tmp_path)
    assert np.abs(read.fibre - block.cell_fields["fibre"]).max() < DIRECTION and read.sheet is None


@pytest.mark.parametrize("form", ["msh", "xdmf", "carp", "feb", "inp"])
def test_values_that_are_no_numbers_are_refused(tmp_path, block, form):
    fibre = block.cell_fields["fibre"].copy()
    fibre[7] = np.nan
    with pytest.raises(InputError, match="not finite"):
        export(replace(block, cell_fields=block.cell_fields | {"fibre": fibre}), tmp_path, [form])


@pytest.mark.parametrize("decimals", [0, 1, 3, 4, 9])
def test_rows_are_what_percent_makes(decimals):
    rng = np.random.default_rng(decimals)
    values = np.concatenate([rng.normal(size=(4000, 2)) * 10.0 ** rng.integers(-9, 5, (4000, 1)), np.zeros((1, 2))])
    values[:9] = np.array([0, 1, 9, 10, 9999, 10000, 10001, -1, -10000])[:, None]
    values = np.round(values, decimals) + 0.0
    ids = rng.integers(-(10**7), 10**12, len(values))
    template = f"<%d> %.{decimals}f,%.{decimals}f\n"
    expected = "".join(template % (i, *pair) for i, pair in zip(ids, values, strict=True))
    assert rows(template.replace("%.0f", "%d"), ids, values) == expected.replace("-0,", "0,").replace("-0\n", "0\n")


def test_rows_in_blocks_and_of_nothing(monkeypatch):
    monkeypatch.setattr("BiVMeshLib.exporters.text.ROWS_AT_ONCE", 7)
    assert rows("%d\n", np.arange(20)) == "".join(f"{n}\n" for n in range(20))
    assert rows("%d\n", np.arange(0)) == ""
    with pytest.raises(ValueError, match="zip"):
        rows("%d %d\n", np.arange(3))


def test_formats_are_chosen_by_name():
    assert choose_formats(" msh, VTU,msh") == ("msh", "vtu")
    with pytest.raises(InputError, match=r"'exo', 'med'.*" + ", ".join(FORMATS)):
        choose_formats("exo,msh,med")


def test_every_format_names_different_files(tmp_path, block):
    made = {}
    for name in FORMATS:
        (tmp_path / name).mkdir()
        export(block, tmp_path / name, [name])
        made[name] = {path.name for path in (tmp_path / name).iterdir()}
    for one, other in itertools.combinations(made, 2):
        assert not made[one] & made[other]


@pytest.fixture
def labels(tmp_path, ring_labels):
    from CardiacLib.types.labels import LabelMap

    path = tmp_path / "labels.nii.gz"
    write_labels(path, LabelMap(ring_labels[None], np.diag([1.5, 1.5, 8.0, 1.0]), np.zeros(1)))
    return path


def test_command_writes_the_formats_asked_for(tmp_path, labels, block, monkeypatch, capsys):
    made = replace(block, quality=measure(block))
    monkeypatch.setattr("cineheart.steps.build_mesh", lambda *given, **named: made)
    assert main(["mesh", str(labels), "-o", str(tmp_path / "out"), "--format", "msh,carp", "--json"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "mesh.msh",
        "fields.msh",
        "carp",
        "quality.json",
        "measures.csv",
    }


def test_command_with_an_unknown_format_stops_before_meshing(tmp_path, labels, monkeypatch, capsys):
    def never(*given, **named):
        raise AssertionError("meshed")

    monkeypatch.setattr("cineheart.steps.build_mesh", never)
    assert main(["mesh", str(labels), "-o", str(tmp_path / "out"), "--format", "exo"]) == 2
    assert "choose from " + ", ".join(FORMATS) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_command_help_lists_every_format():
    from cineheart.cli import Formats

    option = Formats.__metadata__[0]
    assert option.help == f"Separated by commas: {', '.join(FORMATS)}."
