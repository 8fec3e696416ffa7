"""VTK XML files (VTU, VTP) written without VTK, and the quality report.

Arrays are inline base64 with a 64-bit byte count in front, as in the VTK file format description
(https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html).
"""

import base64
import os
from pathlib import Path

import numpy as np

from BiVMeshLib.tetra.quadratic import elements
from CardiacLib.files import write_json
from CardiacLib.types.bivmesh import ALL_PATCHES, PATCHES, REGIONS, BiVMesh, MovingMesh

from .common import patch_names, region_names, tet_of_triangle
from .space import Form, Space

VTK_TETRA, VTK_QUADRATIC_TETRA = 10, 24
TYPES = {"f8": "Float64", "i8": "Int64", "i4": "Int32", "u1": "UInt8"}
RING_CURVES = ("area_mm2", "perimeter_mm", "cap_area_mm2", "cap_perimeter_mm")
"""What the report gives of the rings of every frame."""
Arrays = dict[str, np.ndarray]


def write_vtu(mesh: BiVMesh, path: str | Path, form: Form | None = None) -> None:
    """Write the tetrahedra as ``.vtu``; cell array ``region`` holds REGIONS ids.

    The mesh's cell and point fields follow under their own names. The file is the whole mesh: field data hold the
    boundary (``triangles``, ``patches``), a pair of id and dimension per region and patch under its name, as meshio
    has them, and what the file says of itself as the characters of ``about``. All of it is numbers, since meshio
    reads no text in field data.
    """
    form = form or Form()
    made = elements(mesh)
    names = {name: (number, 3) for name, number in region_names(mesh).items()}
    names |= {name: (number, 2) for name, number in patch_names(mesh).items()}
    about = np.frombuffer(form.space.sentence().encode("ascii"), np.uint8)
    fields: Arrays = {"about": about, "triangles": made.triangles.astype("<i8"), "patches": mesh.patches.astype("<i4")}
    fields |= {name: np.array(pair, "<i8") for name, pair in names.items()}
    cells = {"region": mesh.regions, **mesh.cell_fields}
    write_grid(path, made.nodes, made.tets, made.point_fields, cells, fields)


def write_vtp(mesh: BiVMesh, path: str | Path, form: Form | None = None) -> None:
    """Write the boundary triangles as ``.vtp``.

    Cell arrays: ``patch`` holds PATCHES ids (names in field data), ``ModelFaceID`` the same for SimVascular;
    ``GlobalNodeID`` and ``GlobalElementID`` count from 1 and refer to the nodes and tets of the ``.vtu``. Point fields
    are those of the nodes, cell fields those of the tet behind the triangle.
    """
    owners = tet_of_triangle(mesh)[0]
    cells = {"patch": mesh.patches, **face_ids(mesh.patches, owners)}
    cells |= {name: values[owners] for name, values in mesh.cell_fields.items()}
    space = (form or Form()).space
    _write_surface(
        path, mesh.nodes, mesh.triangles, mesh.point_fields, cells, _field_data(PATCHES | patch_names(mesh), space)
    )


def face_ids(patches: np.ndarray, owners: np.ndarray) -> Arrays:
    """The cell arrays of a SimVascular face. svMultiPhysics reads its ids as Int32 and nothing else."""
    return {"ModelFaceID": patches, "GlobalElementID": (owners + 1).astype("<i4")}


def write_grid(
    path: str | Path, nodes: np.ndarray, tets: np.ndarray, points: Arrays, cells: Arrays, fields: Arrays
) -> None:
    """Write nodes (N, 3) and tets (M, 4 or 10) with point, cell and field arrays; the first cell array is shown."""
    count, width = tets.shape
    kind = VTK_TETRA if width == 4 else VTK_QUADRATIC_TETRA
    topology = (
        _array("connectivity", tets.astype("<i8").ravel())
        + _array("offsets", np.arange(width, width * count + 1, width, dtype="<i8"))
        + _array("types", np.full(count, kind, "u1"))
    )
    body = (
        f'<Piece NumberOfPoints="{len(nodes)}" NumberOfCells="{count}">\n'
        f"<Points>\n{_array('Points', nodes.astype('<f8'))}</Points>\n<Cells>\n{topology}</Cells>\n"
        f"{_data(points, cells)}</Piece>\n"
    )
    tuples = "".join(_array(name, values, field=True) for name, values in fields.items())
    _write(path, "UnstructuredGrid", (f"<FieldData>\n{tuples}</FieldData>\n" if fields else "") + body)


def write_surface(
    path: str | Path,
    nodes: np.ndarray,
    triangles: np.ndarray,
    points: Arrays,
    cells: Arrays,
    names: dict[str, int] = PATCHES,
) -> None:
    """Write triangles (F, 3) of ``nodes`` with the nodes they use; ``points`` are arrays of all nodes.

    ``names``: what the ids of the cells mean. LPS, mm.
    """
    _write_surface(path, nodes, triangles, points, cells, _field_data(names, Space()))


def _write_surface(path, nodes, triangles, points: Arrays, cells: Arrays, about: str) -> None:
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
    _write(path, "PolyData", about + body)


def write_rings(mesh: BiVMesh, path: str | Path) -> None:
    """Write the annuli as closed lines, ``.vtp``, LPS mm: cell array ``patch`` holds VALVE_PATCHES ids, names as there.

    A line ends with its first point again.
    """
    points = np.concatenate([ring.points for ring in mesh.rings])
    lengths = [len(ring.points) for ring in mesh.rings]
    starts = np.cumsum([0, *lengths])[:-1]
    lines = [np.append(np.arange(start, start + n), start) for start, n in zip(starts, lengths, strict=True)]
    topology = _array("connectivity", np.concatenate(lines).astype("<i8"))
    topology += _array("offsets", np.cumsum([len(line) for line in lines]).astype("<i8"))
    ids = {ring.name: ALL_PATCHES[ring.name] for ring in mesh.rings}
    body = (
        f'<Piece NumberOfPoints="{len(points)}" NumberOfLines="{len(lines)}">\n'
        f"<Points>\n{_array('Points', points.astype('<f8'))}</Points>\n<Lines>\n{topology}</Lines>\n"
        f"{_data({}, {'patch': np.array(list(ids.values()), '<i4')})}</Piece>\n"
    )
    _write(path, "PolyData", _field_data(ids, Space()) + body)


def write_quality(mesh: BiVMesh, path: str | Path, moving: MovingMesh | None = None) -> None:
    """Write the quality report, notes and id tables as JSON; of a mesh that moves the report of its motion too.

    A mesh with valve rings has their sizes under ``valve_rings``, over the cycle if it moves.
    """
    report = {} if mesh.quality is None else mesh.quality.to_dict()
    notes = [*mesh.notes]
    if moving is not None:
        notes += moving.notes
        report |= {} if moving.quality is None else {"motion": moving.quality.to_dict()}
    if mesh.rings:
        report["valve_rings"] = {ring.name: ring.to_dict() for ring in mesh.rings}
    if moving is not None and moving.rings:
        report["valve_rings_by_frame"] = {ring.name: _ring_curves(ring.name, moving) for ring in mesh.rings}
    tables = {"patch_ids": ALL_PATCHES if mesh.rings else PATCHES, "region_ids": REGIONS}
    write_json(path, {"units": "mm", "frame": "LPS", **report, **tables, "notes": notes})


def _ring_curves(name: str, moving: MovingMesh) -> dict[str, list[float | None]]:
    """Sizes of a valve's ring and cap, one number for each frame; None where the frame has no ring of that valve."""
    frames = [next((ring.to_dict() for ring in rings if ring.name == name), {}) for rings in moving.rings]
    return {key: [frame.get(key) for frame in frames] for key in RING_CURVES}


def _data(points: Arrays, cells: Arrays) -> str:
    point_text = "".join(_array(name, values) for name, values in points.items())
    cell_text = "".join(_array(name, values) for name, values in cells.items())
    shown = f' Scalars="{next(iter(cells))}"'
    return f"<PointData>\n{point_text}</PointData>\n<CellData{shown}>\n{cell_text}</CellData>\n"


def _array(name: str, values: np.ndarray, field: bool = False) -> str:
    """``field``: field data state the number of their tuples."""
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    raw = values.tobytes()
    text = base64.b64encode(np.array([len(raw)], "<u8").tobytes() + raw).decode("ascii")
    parts = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
    parts += f' NumberOfTuples="{len(values)}"' if field else ""
    kind = TYPES[values.dtype.str[1:]]
    return f'<DataArray type="{kind}" Name="{name}"{parts} format="binary">{text}</DataArray>\n'


def _text(name: str, value: str) -> str:
    codes = " ".join(str(c) for c in (*value.encode("ascii"), 0))
    return f'<Array type="String" Name="{name}" NumberOfTuples="1" format="ascii">{codes}</Array>\n'


def _field_data(names: dict[str, int], space: Space) -> str:
    table = ", ".join(f"{number} {name}" for name, number in names.items())
    texts = {"Units": space.units, "SPACE": space.frame, "Names": table, "About": space.sentence()}
    return "<FieldData>\n" + "".join(_text(name, text) for name, text in texts.items()) + "</FieldData>\n"


def _write(path: str | Path, kind: str, body: str) -> None:
    path = Path(path)
    work = path.with_name(f".{path.name}.part")
    head = f'<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" header_type="UInt64">'
    work.write_text(f'<?xml version="1.0"?>\n{head}\n<{kind}>\n{body}</{kind}>\n</VTKFile>\n', encoding="ascii")
    os.replace(work, path)
