"""A moving mesh as a VTK time series: one file per frame and a ``.pvd`` that names them with their times.

Numbers are single precision and compressed (VTK's zlib blocks): connectivity repeats in every frame.
"""

import base64
import csv
import zlib
from pathlib import Path

import numpy as np

from BiVMeshLib.check.intersections import self_intersections
from CardiacLib.types.bivmesh import PATCHES, VALVE_PATCHES, MovingMesh

from .closed_pools import ClosedPool, closed_pools
from .vtk import TYPES, VTK_TETRA, write_surface

COLLECTION, FOLDER, POOLS_FOLDER, VOLUMES = "motion.pvd", "motion", "pools", "volumes.csv"
KINDS = {**TYPES, "f4": "Float32"}
LEVEL = 4
"""Of zlib; higher ones take longer and gain less than 5 %."""


def write_motion(moving: MovingMesh, folder: Path) -> None:
    """Write ``motion.pvd`` and ``motion/frame_000.vtu`` ... into ``folder``.

    Points are the nodes of the frame, LPS mm, in the order of ``mesh.vtu``; point array ``displacement`` is from the
    frame of the mesh, cell array ``region`` as there. Times in the ``.pvd`` are ms, else the numbers of the frames.
    """
    (folder / FOLDER).mkdir(parents=True)
    mesh, count = moving.mesh, len(moving.mesh.tets)
    cells = _array("connectivity", mesh.tets.astype("<i4").ravel())
    cells += _array("offsets", np.arange(4, 4 * count + 1, 4, dtype="<i4"))
    cells += _array("types", np.full(count, VTK_TETRA, "u1"))
    regions = _array("region", mesh.regions.astype("<i4"))
    names = [f"{FOLDER}/frame_{t:03d}.vtu" for t in range(len(moving))]
    for t, name in enumerate(names):
        points = _array("Points", moving.nodes(t).astype("<f4"))
        displacement = _array("displacement", moving.displacements[t].astype("<f4"))
        body = (
            f'<UnstructuredGrid>\n<Piece NumberOfPoints="{len(mesh.nodes)}" NumberOfCells="{count}">\n'
            f'<PointData Vectors="displacement">\n{displacement}</PointData>\n'
            f'<CellData Scalars="region">\n{regions}</CellData>\n'
            f"<Points>\n{points}</Points>\n<Cells>\n{cells}</Cells>\n</Piece>\n</UnstructuredGrid>\n"
        )
        _write(folder / name, "UnstructuredGrid", 'header_type="UInt64" compressor="vtkZLibDataCompressor"', body)
    _collect(folder / COLLECTION, names, moving)


def write_moving_pools(moving: MovingMesh, folder: Path) -> None:
    """Write the closed blood pools over the cycle: ``pools/LV_POOL.pvd``, ``pools/LV_POOL/frame_000.vtp`` ...

    Triangles and their order are those of ``pools/LV_POOL.vtp`` in every frame; points are LPS mm. ``ModelFaceID`` as
    there, point array ``displacement`` is from the frame of the mesh. ``folder/pools`` is made if it is not there.
    ``pools/volumes.csv`` has, of every frame, the enclosed volume of each pool, ml, the areas of its caps, mm^2, and
    how many pairs of triangles of its lid cross.
    """
    rows: list[dict[str, float]] = [
        {"frame_index": t} | ({} if moving.times_ms is None else {"time_ms": float(moving.times_ms[t])})
        for t in range(len(moving))
    ]
    for pool in closed_pools(moving.mesh):
        at = folder / POOLS_FOLDER / pool.name
        at.mkdir(parents=True)
        names = [f"{pool.name}/frame_{t:03d}.vtp" for t in range(len(moving))]
        cells = {"patch": pool.faces, "ModelFaceID": pool.faces}
        for t, name in enumerate(names):
            there = pool.moved(moving.nodes(t), moving.rings[t] if moving.rings else None)
            rows[t] |= _measured(there)
            points = {"displacement": there.nodes - pool.nodes}
            write_surface(at.parent / name, there.nodes, there.triangles, points, cells, pool.ids())
        _collect(at.with_suffix(".pvd"), names, moving)
    with open(folder / POOLS_FOLDER / VOLUMES, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _measured(pool: ClosedPool) -> dict[str, float]:
    lid = pool.triangles[pool.faces != PATCHES[pool.wall]]
    found: dict[str, float] = {f"{pool.name.lower()}_ml": round(pool.volume_ml(), 3)}
    for valve in pool.valves:
        a, b, c = (pool.nodes[pool.triangles[pool.faces == VALVE_PATCHES[valve], n]] for n in range(3))
        area = 0.5 * float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())
        found[f"{valve.lower()}_cap_mm2"] = round(area, 1)
    return found | {f"{pool.name.lower()}_crossing": len(self_intersections(pool.nodes, lid))}


def _collect(path: Path, names: list[str], moving: MovingMesh) -> None:
    """The ``.pvd`` of one file per frame; paths are from its folder."""
    times = range(len(moving)) if moving.times_ms is None else moving.times_ms
    entries = "".join(
        f'<DataSet timestep="{time:.10g}" part="0" file="{name}"/>\n' for time, name in zip(times, names, strict=True)
    )
    _write(path, "Collection", "", f"<Collection>\n{entries}</Collection>\n")


def _array(name: str, values: np.ndarray) -> str:
    """One compressed block: counts of blocks, bytes per block, bytes of a partial block (none), compressed bytes."""
    raw = np.ascontiguousarray(values).tobytes()
    packed = zlib.compress(raw, LEVEL)
    head = np.array([1, len(raw), 0, len(packed)], "<u8").tobytes()
    text = base64.b64encode(head).decode("ascii") + base64.b64encode(packed).decode("ascii")
    parts = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
    return f'<DataArray type="{KINDS[values.dtype.str[1:]]}" Name="{name}"{parts} format="binary">{text}</DataArray>\n'


def _write(path: Path, kind: str, settings: str, body: str) -> None:
    """The folder is made atomic by the caller."""
    version = "0.1" if kind == "Collection" else "1.0"
    head = " ".join(f'type="{kind}" version="{version}" byte_order="LittleEndian" {settings}'.split())
    path.write_text(f'<?xml version="1.0"?>\n<VTKFile {head}>\n{body}</VTKFile>\n', encoding="ascii")
