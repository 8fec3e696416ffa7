"""VTU, Gmsh and XDMF through meshio, with the files that belong to them."""

import importlib
from pathlib import Path

import numpy as np

from BiVMeshLib.exporters.space import HEAD, Form, read_space
from CardiacLib.errors import InputError

from .parts import Found

KINDS = {".vtu": "vtu", ".msh": "gmsh", ".xdmf": "xdmf"}
"""Part of meshio that reads a suffix."""
NEEDED = "install it with pip: 'cineheart[fem]'"


def read_vtu(path: Path) -> Found:
    """A ``.vtu``: everything stands in it."""
    mesh = _read(path)
    fields = mesh.field_data
    cells = {name: values[0] for name, values in mesh.cell_data.items()}
    if "triangles" not in fields or "region" not in cells:
        raise InputError(f"{path}: has no regions or boundary of a heart; give a mesh.vtu that CineHeart wrote.")
    about = bytes(np.asarray(fields["about"], np.uint8)).decode("ascii") if "about" in fields else ""
    return Found(
        nodes=mesh.points,
        tets=_tets(mesh),
        regions=cells.pop("region"),
        triangles=fields["triangles"].reshape(len(fields["patches"]), -1),
        patches=fields["patches"],
        cells=cells,
        points=mesh.point_data,
        space=read_space(about),
    )


def read_msh(path: Path) -> Found:
    """A ``.msh`` and, if it is there, the file of its fields."""
    mesh = _read(path)
    if "gmsh:physical" not in mesh.cell_data:
        raise InputError(f"{path}: has no physical groups; give a mesh with regions and patches.")
    tags = {block.type: ids for block, ids in zip(mesh.cells, mesh.cell_data["gmsh:physical"], strict=True)}
    triangles = _of(mesh, "triangle")
    found = Found(
        nodes=mesh.points,
        tets=_tets(mesh),
        regions=_of_kind(tags, "tetra"),
        triangles=triangles,
        patches=_of_kind(tags, "triangle"),
        space=_space(path),
    )
    beside = path.with_name(Form(path.stem).companion("fields", ".msh"))
    if beside.is_file():
        fields = _read(beside)
        named = {n: v[0] for n, v in fields.cell_data.items() if not n.startswith("gmsh:")}
        if len(fields.points) != len(mesh.points) or any(len(v) != len(found.tets) for v in named.values()):
            raise InputError(f"{beside}: does not belong to {path.name}; write both again or remove it.")
        found.cells, found.points = named, fields.point_data
    return found


def read_xdmf(path: Path) -> Found:
    """An ``.xdmf`` of the volume, and the file of its facets."""
    beside = path.with_name(Form(path.stem).companion("facets", ".xdmf"))
    if not beside.is_file():
        raise InputError(f"{path}: {beside.name} with its facets is missing; keep both in one folder.")
    mesh, facets = _read(path), _read(beside)
    cells = {name: values[0] for name, values in mesh.cell_data.items()}
    if "region" not in cells or "patch" not in facets.cell_data:
        raise InputError(f"{path}: has no regions or patches; give a mesh.xdmf that CineHeart wrote.")
    return Found(
        nodes=mesh.points,
        tets=_tets(mesh),
        regions=cells.pop("region"),
        triangles=_of(facets, "triangle"),
        patches=facets.cell_data["patch"][0],
        cells=cells,
        points=mesh.point_data,
        space=_space(path),
    )


def _read(path: Path):
    try:
        meshio = importlib.import_module("meshio")
    except ImportError as error:
        raise InputError(f"{path}: meshio is needed to read it; {NEEDED}.") from error
    try:
        return getattr(meshio, KINDS[path.suffix.lower()]).read(path)
    except ImportError as error:  # h5py, of XDMF
        raise InputError(f"{path}: {error.name} is needed to read it; {NEEDED}.") from error
    except Exception as error:  # whatever its parsers stumble over
        raise InputError(f"{path}: cannot be read ({type(error).__name__}: {error}); write it again.") from error


def _of(mesh, kind: str) -> np.ndarray:
    """Cells whose type begins with ``kind``; none: (0, 3)."""
    blocks = [block.data for block in mesh.cells if block.type.startswith(kind)]
    return np.concatenate(blocks) if blocks else np.empty((0, 3), np.int64)


def _of_kind(tags: dict[str, np.ndarray], kind: str) -> np.ndarray:
    chosen = [ids for name, ids in tags.items() if name.startswith(kind)]
    return np.concatenate(chosen) if chosen else np.empty(0, np.int32)


def _tets(mesh) -> np.ndarray:
    tets = _of(mesh, "tetra")
    return tets if len(tets) else np.empty((0, 4), np.int64)


def _space(path: Path):
    with open(path, encoding="utf-8", errors="replace") as stream:
        return read_space(stream.read(HEAD))
