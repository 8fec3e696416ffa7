"""VTK XML files (VTU, VTP) written without VTK, and the quality report.

Arrays are inline base64 with a 64-bit byte count in front, as in the VTK file format description
(https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html).
"""

import base64
import os
from pathlib import Path

import numpy as np

from CardiacLib.files import write_json
from CardiacLib.types.bivmesh import PATCHES, REGIONS, BiVMesh, MovingMesh

from .common import tet_of_triangle

VTK_TETRA = 10
TYPES = {"f8": "Float64", "i8": "Int64", "i4": "Int32", "u1": "UInt8"}
Arrays = dict[str, np.ndarray]


def write_vtu(mesh: BiVMesh, path: str | Path) -> None:
    """Write the tetrahedra as ``.vtu``; cell array ``region`` holds REGIONS ids (names in field data).

    The mesh's cell and point fields follow under their own names.
    """
    write_grid(path, mesh.nodes, mesh.tets, mesh.point_fields, {"region": mesh.regions, **mesh.cell_fields}, REGIONS)


def write_vtp(mesh: BiVMesh, path: str | Path) -> None:
    """Write the boundary triangles as ``.vtp``.

    Cell arrays: ``patch`` holds PATCHES ids (names in field data), ``ModelFaceID`` the same for SimVascular;
    ``GlobalNodeID`` and ``GlobalElementID`` count from 1 and refer to the nodes and tets of the ``.vtu``. Point fields
    are those of the nodes, cell fields those of the tet behind the triangle.
    """
    owners = tet_of_triangle(mesh)[0]
    cells = {"patch": mesh.patches, **face_ids(mesh.patches, owners)}
    cells |= {name: values[owners] for name, values in mesh.cell_fields.items()}
    write_surface(path, mesh.nodes, mesh.triangles, mesh.point_fields, cells)


def face_ids(patches: np.ndarray, owners: np.ndarray) -> Arrays:
    """The cell arrays of a SimVascular face. svMultiPhysics reads its ids as Int32 and nothing else."""
    return {"ModelFaceID": patches, "GlobalElementID": (owners + 1).astype("<i4")}


def write_grid(
    path: str | Path, nodes: np.ndarray, tets: np.ndarray, points: Arrays, cells: Arrays, names: dict[str, int]
) -> None:
    """Write nodes (N, 3) and tets (M, 4) with point and cell arrays; the first cell array is the one shown."""
    count = len(tets)
    topology = (
        _array("connectivity", tets.astype("<i8").ravel())
        + _array("offsets", np.arange(4, 4 * count + 1, 4, dtype="<i8"))
        + _array("types", np.full(count, VTK_TETRA, "u1"))
    )
    body = (
        f'<Piece NumberOfPoints="{len(nodes)}" NumberOfCells="{count}">\n'
        f"<Points>\n{_array('Points', nodes.astype('<f8'))}</Points>\n<Cells>\n{topology}</Cells>\n"
        f"{_data(points, cells)}</Piece>\n"
    )
    _write(path, "UnstructuredGrid", _field_data(names) + body)


def write_surface(
    path: str | Path,
    nodes: np.ndarray,
    triangles: np.ndarray,
    points: Arrays,
    cells: Arrays,
    names: dict[str, int] = PATCHES,
) -> None:
    """Write triangles (F, 3) of ``nodes`` with the nodes they use; ``points`` are arrays of all nodes.

    ``names``: what the ids of the cells mean.
    """
    used, local = np.unique(triangles, return_inverse=True)
    count = len(triangles)
    topology = _array("connectivity", local.astype("<i8").ravel())
    topology += _array("offsets", np.arange(3, 3 * count + 1, 3, dtype="<i8"))
    points = {"GlobalNodeID": (used + 1).astype("<i4")} | {name: values[used] for name, values in points.items()}
    body = (
        f'<Piece NumberOfPoints="{len(used)}" NumberOfPolys="{count}">\n'
        f"<Points>\n{_array('Points', nodes[used].astype('<f8'))}</Points>\n<Polys>\n{topology}</Polys>\n"
        f"{_data(points, cells)}</Piece>\n"
    )
    _write(path, "PolyData", _field_data(names) + body)


def write_quality(mesh: BiVMesh, path: str | Path, moving: MovingMesh | None = None) -> None:
    """Write the quality report, notes and id tables as JSON; of a mesh that moves the report of its motion too."""
    report = {} if mesh.quality is None else mesh.quality.to_dict()
    notes = [*mesh.notes]
    if moving is not None:
        notes += moving.notes
        report |= {} if moving.quality is None else {"motion": moving.quality.to_dict()}
    tables = {"patch_ids": PATCHES, "region_ids": REGIONS}
    write_json(path, {"units": "mm", "frame": "LPS", **report, **tables, "notes": notes})


def _data(points: Arrays, cells: Arrays) -> str:
    point_text = "".join(_array(name, values) for name, values in points.items())
    cell_text = "".join(_array(name, values) for name, values in cells.items())
    shown = f' Scalars="{next(iter(cells))}"'
    return f"<PointData>\n{point_text}</PointData>\n<CellData{shown}>\n{cell_text}</CellData>\n"


def _array(name: str, values: np.ndarray) -> str:
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    raw = values.tobytes()
    text = base64.b64encode(np.array([len(raw)], "<u8").tobytes() + raw).decode("ascii")
    parts = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
    kind = TYPES[values.dtype.str[1:]]
    return f'<DataArray type="{kind}" Name="{name}"{parts} format="binary">{text}</DataArray>\n'


def _text(name: str, value: str) -> str:
    codes = " ".join(str(c) for c in (*value.encode("ascii"), 0))
    return f'<Array type="String" Name="{name}" NumberOfTuples="1" format="ascii">{codes}</Array>\n'


def _field_data(names: dict[str, int]) -> str:
    table = ", ".join(f"{number} {name}" for name, number in names.items())
    return f"<FieldData>\n{_text('Units', 'mm')}{_text('SPACE', 'LPS')}{_text('Names', table)}</FieldData>\n"


def _write(path: str | Path, kind: str, body: str) -> None:
    path = Path(path)
    work = path.with_name(f".{path.name}.part")
    head = f'<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" header_type="UInt64">'
    work.write_text(f'<?xml version="1.0"?>\n{head}\n<{kind}>\n{body}</{kind}>\n</VTKFile>\n', encoding="ascii")
    os.replace(work, path)
