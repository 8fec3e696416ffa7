"""Readers of every volume format that the exporters write: what a solver sees, brought back to mm and 0-based ids."""

import json
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np

from CardiacLib.types.bivmesh import REGIONS


@dataclass
class Read:
    """What was in the files: regions by name as tet numbers, patches by name as (F, 3) nodes."""

    nodes: np.ndarray
    tets: np.ndarray
    regions: dict[str, np.ndarray]
    patches: dict[str, np.ndarray]
    fibre: np.ndarray | None = None
    sheet: np.ndarray | None = None
    cells: dict[str, np.ndarray] = field(default_factory=dict)
    points: dict[str, np.ndarray] = field(default_factory=dict)


def vtk_file(path: Path):
    """The data set of a VTU or VTP file."""
    import vtk

    grid = path.suffix == ".vtu"
    reader = vtk.vtkXMLUnstructuredGridReader() if grid else vtk.vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


def arrays(attributes) -> dict[str, np.ndarray]:
    """All arrays of the point or cell data."""
    from vtk.util.numpy_support import vtk_to_numpy

    found = (attributes.GetArray(i) for i in range(attributes.GetNumberOfArrays()))
    return {array.GetName(): vtk_to_numpy(array) for array in found}


def corners(data, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and (N, count) connectivity."""
    from vtk.util.numpy_support import vtk_to_numpy

    cells = data.GetCells() if count == 4 else data.GetPolys()
    return vtk_to_numpy(data.GetPoints().GetData()), vtk_to_numpy(cells.GetConnectivityArray()).reshape(-1, count)


def names_of(data) -> dict[str, int]:
    """The table of ids in the field data: a text of a surface, of a grid pairs of id and dimension under the names."""
    fields = data.GetFieldData()
    if fields.GetAbstractArray("Names") is None:
        return {name: int(pair[0]) for name, pair in arrays(fields).items() if len(pair) == 2 and pair[1] in (2, 3)}
    table = data.GetFieldData().GetAbstractArray("Names").GetValue(0)
    return {name: int(number) for number, name in (entry.split() for entry in table.split(", "))}


def split(ids: np.ndarray, names: dict[str, int], values: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """By name: the values, or else the indices, whose id is that of the name."""
    values = np.arange(len(ids)) if values is None else values
    return {name: values[ids == number] for name, number in names.items()}


def read_vtk(folder: Path) -> Read:
    """mesh.vtu and surface.vtp."""
    grid, surface = vtk_file(folder / "mesh.vtu"), vtk_file(folder / "surface.vtp")
    nodes, tets = corners(grid, 4)
    points, local = corners(surface, 3)
    cells, faces = arrays(grid.GetCellData()), arrays(surface.GetCellData())
    triangles = arrays(surface.GetPointData())["GlobalNodeID"][local] - 1
    assert np.array_equal(nodes[triangles], points[local])
    regions, patches = split(cells["region"], names_of(grid)), split(faces["patch"], names_of(surface), triangles)
    return _with_fields(Read(nodes, tets, regions, patches, points=arrays(grid.GetPointData())), cells)


def read_simvascular(folder: Path) -> Read:
    """As svMultiPhysics: Int32 ids from 1, one VTP per face, fibre files with FIB_DIR in Float64."""
    folder = folder / "mesh-complete"
    grid = vtk_file(folder / "mesh-complete.mesh.vtu")
    nodes, tets = corners(grid, 4)
    cells = arrays(grid.GetCellData())
    assert np.array_equal(int32(grid.GetPointData(), "GlobalNodeID"), np.arange(1, len(nodes) + 1))
    assert np.array_equal(int32(grid.GetCellData(), "GlobalElementID"), np.arange(1, len(tets) + 1))
    assert np.array_equal(np.loadtxt(folder / "domains.dat", int), int32(grid.GetCellData(), "ModelRegionID"))
    read = Read(nodes, tets, split(cells["ModelRegionID"], REGIONS), {}, points=arrays(grid.GetPointData()))
    exterior = int32(vtk_file(folder / "mesh-complete.exterior.vtp").GetCellData(), "ModelFaceID")
    for path in sorted((folder / "mesh-surfaces").iterdir()):
        face = vtk_file(path)
        triangles = int32(face.GetPointData(), "GlobalNodeID")[corners(face, 3)[1]] - 1
        owners = int32(face.GetCellData(), "GlobalElementID") - 1
        assert (tets[owners][:, :, None] == triangles[:, None, :]).any(1).all()
        number = set(int32(face.GetCellData(), "ModelFaceID").tolist())
        assert number == {names_of(face)[path.stem]} and (exterior == max(number)).sum() == len(triangles)
        read.patches[path.stem] = triangles
    for name, file in (("fibre", "fibersLong.vtu"), ("sheet", "fibersSheet.vtu")):
        if (folder / file).exists():
            directions = vtk_file(folder / file).GetCellData().GetArray("FIB_DIR")
            assert directions.IsA("vtkDoubleArray")
            setattr(read, name, arrays(vtk_file(folder / file).GetCellData())["FIB_DIR"])
    return read


def int32(attributes, name: str) -> np.ndarray:
    """An array that the solver casts to vtkIntArray."""
    assert attributes.GetArray(name).IsA("vtkIntArray"), name
    return arrays(attributes)[name]


def read_msh(folder: Path) -> Read:
    """With meshio; names come from the physical groups, which must have the right dimension; fields from their file."""
    import meshio

    mesh = meshio.read(folder / "mesh.msh")
    kinds = [block.type for block in mesh.cells]
    assert kinds == ["tetra", "triangle"]
    tags = mesh.cell_data["gmsh:physical"]
    names = {d: {k: int(v[0]) for k, v in mesh.field_data.items() if v[1] == d} for d in (2, 3)}
    patches = split(tags[1], names[2], mesh.cells[1].data)
    read = Read(mesh.points, mesh.cells[0].data, split(tags[0], names[3]), patches)
    if not (folder / "fields.msh").exists():
        return read
    fields = meshio.read(folder / "fields.msh")
    assert np.array_equal(fields.points, mesh.points) and np.array_equal(fields.cells_dict["tetra"], read.tets)
    assert np.array_equal(fields.cell_data["gmsh:physical"][0], tags[0])
    read.points = fields.point_data
    return _with_fields(read, {name: values[0] for name, values in fields.cell_data.items()})


def read_xdmf(folder: Path) -> Read:
    """With meshio, and as DOLFINx: grids by name, the first attribute is the tags, the nodes of both files agree."""
    import meshio

    grids = {}
    for name in ("mesh", "facets"):
        grid = ET.parse(folder / f"{name}.xdmf").find("Domain/Grid")
        assert grid.get("Name") == name
        values = np.array(grid.find("Attribute/DataItem").text.split(), int)
        with patch.dict(sys.modules, h5py=ModuleType("h5py")):  # which meshio imports even when no data are in HDF5
            grids[name] = (meshio.read(folder / f"{name}.xdmf"), values)
    (mesh, regions), (facets, patches) = grids["mesh"], grids["facets"]
    assert np.array_equal(mesh.points, facets.points)
    names = json.loads((folder / "markers.json").read_text())
    assert (names["units"], names["frame"]) == ("mm", "LPS")
    triangles = split(patches, names["facet_tags"], facets.cells_dict["triangle"])
    tets = mesh.cells_dict["tetra"]
    read = Read(mesh.points, tets, split(regions, names["cell_tags"]), triangles, points=mesh.point_data)
    return _with_fields(read, {name: values[0] for name, values in mesh.cell_data.items()})


def read_carp(folder: Path) -> Read:
    """Micrometres, ids from 0, names from mesh.json and the file names."""
    folder = folder / "carp"
    lines = {path.name: path.read_text().splitlines() for path in folder.iterdir()}
    about = json.loads((folder / "mesh.json").read_text())
    assert (about["units"], about["frame"]) == ("um", "LPS")
    nodes = np.array([line.split() for line in lines["mesh.pts"][1:]], float) / 1000.0
    elements = [line.split() for line in lines["mesh.elem"][1:]]
    assert {e[0] for e in elements} == {"Tt"} and len(elements) == int(lines["mesh.elem"][0])
    assert len(nodes) == int(lines["mesh.pts"][0])
    table = np.array([e[1:] for e in elements], int)
    read = Read(nodes, table[:, :4], split(table[:, 4], about["regions"]), {})
    for name in about["patches"]:
        surface, vertices = lines[f"{name}.surf"], lines[f"{name}.vtx"]
        triangles = np.array([line.split()[1:] for line in surface[1:]], int)
        assert {line.split()[0] for line in surface[1:]} == {"Tr"} and len(triangles) == int(surface[0])
        assert vertices[1] == "extra" and int(vertices[0]) == len(vertices) - 2
        assert [int(v) for v in vertices[2:]] == np.unique(triangles).tolist()
        read.patches[name] = triangles
    if "mesh.lon" in lines:
        axes = np.array([line.split() for line in lines["mesh.lon"][1:]], float)
        assert axes.shape == (len(elements), 3 * int(lines["mesh.lon"][0]))
        read.fibre = axes[:, :3]
        read.sheet = axes[:, 3:] if axes.shape[1] == 6 else None
    return read


def read_feb(folder: Path) -> Read:
    """Section by section in the order that FEBio 4 demands; element data by the local id in the element block."""
    root = ET.parse(folder / "mesh.feb").getroot()
    assert (root.tag, root.get("version")) == ("febio_spec", "4.0")
    order = [section.tag for section in root]
    assert len(order) >= 4 and order == ["Module", "Material", "Mesh", "MeshDomains", "MeshData"][: len(order)]
    mesh = root.find("Mesh")
    nodes = np.array([_numbers(node, float) for node in mesh.find("Nodes")])
    assert [int(node.get("id")) for node in mesh.find("Nodes")] == list(range(1, len(nodes) + 1))
    blocks = {block.get("name"): block for block in mesh.findall("Elements")}
    materials = {material.get("name") for material in root.find("Material")}
    assert {(d.get("name"), d.get("mat")) for d in root.find("MeshDomains")} == {(n, n) for n in blocks}
    assert materials == set(blocks) and {block.get("type") for block in blocks.values()} == {"tet4"}
    regions = {name: np.array([int(e.get("id")) for e in block]) - 1 for name, block in blocks.items()}
    tets = np.zeros((sum(map(len, regions.values())), 4), int)
    for name, block in blocks.items():
        tets[regions[name]] = [_numbers(element, int) for element in block]
    surfaces = {s.get("name"): np.array([_numbers(t, int) for t in s]) - 1 for s in mesh.findall("Surface")}
    sets = {s.get("name"): np.array(_numbers(s, int)) - 1 for s in mesh.findall("NodeSet")}
    assert all(np.array_equal(sets.pop(f"{n}_NODES"), np.unique(t)) for n, t in surfaces.items()) and not sets
    read = Read(nodes, tets - 1, regions, surfaces)
    if "MeshData" in order:
        read.fibre, read.sheet = np.full((2, len(tets), 3), np.nan)
        for data in root.find("MeshData"):
            assert data.get("type") == "mat_axis"
            ids = regions[data.get("elem_set")][[int(e.get("lid")) - 1 for e in data]]
            read.fibre[ids] = [_numbers(e.find("a"), float) for e in data]
            read.sheet[ids] = [_numbers(e.find("d"), float) for e in data]
    return read


def _numbers(element, kind) -> list:
    return [kind(text) for text in element.text.split(",")]


ABAQUS_FACES = {"S1": (1, 2, 3), "S2": (1, 4, 2), "S3": (2, 4, 3), "S4": (3, 4, 1)}
"""Nodes of the faces of C3D4 as in the Abaqus Elements Guide; for a positive tet they turn inwards."""


def read_inp(folder: Path) -> Read:
    """Keyword blocks; surfaces as nodes of the claimed element faces, turned outwards."""
    blocks = re.split(r"^\*(?!\*)", (folder / "mesh.inp").read_text(), flags=re.MULTILINE)[1:]
    nodes, elements, read = {}, {}, Read(np.empty(0), np.empty(0), {}, {})
    node_sets = {}
    for block in blocks:
        head, *lines = block.splitlines()
        keyword, *options = [part.strip() for part in head.split(",")]
        option = dict(o.split("=") for o in options)
        table = [[cell.strip() for cell in line.split(",")] for line in lines if not line.startswith("**")]
        if keyword == "NODE":
            nodes = {int(row[0]): [float(v) for v in row[1:]] for row in table}
        elif keyword == "ELEMENT":
            assert option["TYPE"] == "C3D4"
            elements |= {int(row[0]): [int(v) for v in row[1:]] for row in table}
            read.regions[option["ELSET"]] = np.array([int(row[0]) for row in table]) - 1
        elif keyword == "ELSET":
            assert option["ELSET"] == "HEART" and table[0] == list(read.regions)
        elif keyword == "NSET":
            node_sets[option["NSET"]] = np.array([int(v) for row in table for v in row]) - 1
        elif keyword == "SURFACE":
            faces = [[elements[int(e)][corner - 1] for corner in ABAQUS_FACES[face]] for e, face in table]
            read.patches[option["NAME"]] = np.array(faces)[:, ::-1] - 1
        elif keyword == "DISTRIBUTION":
            assert table[0] == ["", "1.", "0.", "0.", "0.", "1.", "0."]
            axes = np.array(table[1:], float)
            assert np.array_equal(axes[:, 0], np.arange(1, len(elements) + 1))
            read.fibre, read.sheet = axes[:, 1:4], axes[:, 4:]
        elif keyword == "ORIENTATION":
            assert option["SYSTEM"] == "RECTANGULAR" and table[0] == ["FIBRE_AXES"]
    assert all(np.array_equal(node_sets[f"{n}_NODES"], np.unique(t)) for n, t in read.patches.items())
    read.nodes = np.array([nodes[n] for n in range(1, len(nodes) + 1)])
    read.tets = np.array([elements[n] for n in range(1, len(elements) + 1)]) - 1
    return read


def _with_fields(read: Read, cells: dict[str, np.ndarray]) -> Read:
    read.cells, read.fibre, read.sheet = cells, cells.get("fibre"), cells.get("sheet")
    return read
