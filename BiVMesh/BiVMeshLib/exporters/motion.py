"""A moving mesh as a VTK time series: one file per frame and a ``.pvd`` that names them with their times.

Numbers are single precision and compressed (VTK's zlib blocks): connectivity repeats in every frame.
"""

import base64
import zlib
from pathlib import Path

import numpy as np

from CardiacLib.types.bivmesh import MovingMesh

from .closed_pools import closed_pools
from .vtk import TYPES, VTK_TETRA, write_surface

COLLECTION, FOLDER, POOLS_FOLDER = "motion.pvd", "motion", "pools"
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
    """
    for pool in closed_pools(moving.mesh):
        at = folder / POOLS_FOLDER / pool.name
        at.mkdir(parents=True)
        names = [f"{pool.name}/frame_{t:03d}.vtp" for t in range(len(moving))]
        cells = {"patch": pool.faces, "ModelFaceID": pool.faces}
        for t, name in enumerate(names):
            there = pool.moved(moving.nodes(t))
            points = {"displacement": there.nodes - pool.nodes}
            write_surface(at.parent / name, there.nodes, there.triangles, points, cells, pool.ids())
        _collect(at.with_suffix(".pvd"), names, moving)


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
