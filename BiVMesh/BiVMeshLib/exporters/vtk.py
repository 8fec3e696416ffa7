"""VTK XML files (VTU, VTP) written without VTK, and the quality report.

Arrays are inline base64 with a 64-bit byte count in front, as in the VTK file format description
(https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html).
"""

import base64
import os
from pathlib import Path

import numpy as np

from CardiacLib.bivmesh import PATCHES, REGIONS, BiVMesh
from CardiacLib.files import write_json

VTK_TETRA = 10
TYPES = {"f8": "Float64", "i8": "Int64", "i4": "Int32", "u1": "UInt8"}


def write_vtu(mesh: BiVMesh, path: str | Path) -> None:
    """Write the tetrahedra as ``.vtu``; cell array ``region`` holds REGIONS ids (names in field data)."""
    count = len(mesh.tets)
    cells = (
        _array("connectivity", mesh.tets.astype("<i8").ravel())
        + _array("offsets", np.arange(4, 4 * count + 1, 4, dtype="<i8"))
        + _array("types", np.full(count, VTK_TETRA, "u1"))
    )
    body = (
        f'<Piece NumberOfPoints="{len(mesh.nodes)}" NumberOfCells="{count}">\n'
        f"<Points>\n{_array('Points', mesh.nodes.astype('<f8'))}</Points>\n<Cells>\n{cells}</Cells>\n"
        f'<CellData Scalars="region">\n{_array("region", mesh.regions.astype("<i4"))}</CellData>\n</Piece>\n'
    )
    _write(path, "UnstructuredGrid", _field_data(REGIONS) + body)


def write_vtp(mesh: BiVMesh, path: str | Path) -> None:
    """Write the boundary triangles as ``.vtp``.

    Cell arrays: ``patch`` holds PATCHES ids (names in field data), ``ModelFaceID`` the same for SimVascular;
    ``GlobalNodeID`` and ``GlobalElementID`` count from 1 and refer to the nodes and tets of the ``.vtu``.
    """
    used, local = np.unique(mesh.triangles, return_inverse=True)
    count = len(mesh.triangles)
    cells = _array("connectivity", local.astype("<i8").ravel())
    cells += _array("offsets", np.arange(3, 3 * count + 1, 3, dtype="<i8"))
    patches = mesh.patches.astype("<i4")
    data = _array("patch", patches) + _array("ModelFaceID", patches)
    data += _array("GlobalElementID", tet_of_triangle(mesh).astype("<i8") + 1)
    body = (
        f'<Piece NumberOfPoints="{len(used)}" NumberOfPolys="{count}">\n'
        f"<Points>\n{_array('Points', mesh.nodes[used].astype('<f8'))}</Points>\n<Polys>\n{cells}</Polys>\n"
        f"<PointData>\n{_array('GlobalNodeID', used.astype('<i8') + 1)}</PointData>\n"
        f'<CellData Scalars="patch">\n{data}</CellData>\n</Piece>\n'
    )
    _write(path, "PolyData", _field_data(PATCHES) + body)


def write_quality(mesh: BiVMesh, path: str | Path) -> None:
    """Write the quality report, notes and id tables as JSON."""
    tables = {"patch_ids": PATCHES, "region_ids": REGIONS}
    write_json(path, {"units": "mm", "frame": "LPS", **mesh.quality, **tables, "notes": list(mesh.notes)})


def tet_of_triangle(mesh: BiVMesh) -> np.ndarray:
    """(F,) number of the tet that each boundary triangle belongs to."""
    size = len(mesh.nodes)

    def keys(faces):
        low, middle, high = np.sort(faces, axis=-1).astype(np.int64).T
        return (low * size + middle) * size + high

    faces = mesh.tets[:, [(1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)]]
    every = keys(faces.reshape(-1, 3))
    order = np.argsort(every)
    return order[np.searchsorted(every[order], keys(mesh.triangles))] // 4


def _array(name: str, values: np.ndarray) -> str:
    raw = np.ascontiguousarray(values).tobytes()
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
