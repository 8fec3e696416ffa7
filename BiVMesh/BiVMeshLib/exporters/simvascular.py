"""SimVascular ``mesh-complete`` folder, as svMultiPhysics and svFSI read it.

Ids count from 1 and are Int32: the reader casts the arrays to that type and finds others missing. Domains (one id per
line) and fibres (cell array FIB_DIR, Float64, one file per direction) are in the order of the mesh's elements.
"""

from pathlib import Path

import numpy as np

from CardiacLib.types.bivmesh import BiVMesh

from .common import patch_names, tet_of_triangle
from .text import rows, text_file
from .vtk import face_ids, write_grid, write_surface

FIBRE_FILES = {"fibre": "fibersLong.vtu", "sheet": "fibersSheet.vtu"}


def write_simvascular(mesh: BiVMesh, folder: Path) -> None:
    """Write ``mesh-complete/``: volume, exterior, in ``mesh-surfaces/`` a face per patch, domain and fibre files."""
    folder = folder / "mesh-complete"
    faces = folder / "mesh-surfaces"
    faces.mkdir(parents=True)
    elements = {"ModelRegionID": mesh.regions, "GlobalElementID": np.arange(1, len(mesh.tets) + 1, dtype="<i4")}
    nodes = {"GlobalNodeID": np.arange(1, len(mesh.nodes) + 1, dtype="<i4")}
    write_grid(
        folder / "mesh-complete.mesh.vtu",
        mesh.nodes,
        mesh.tets,
        nodes | mesh.point_fields,
        elements | mesh.cell_fields,
        {},
    )
    with text_file(folder / "domains.dat") as out:
        out.write(rows("%d\n", mesh.regions))
    for field, name in FIBRE_FILES.items():
        if field in mesh.cell_fields:
            cells = elements | {"FIB_DIR": mesh.cell_fields[field].astype("<f8")}
            write_grid(folder / name, mesh.nodes, mesh.tets, nodes, cells, {})
    owners = tet_of_triangle(mesh)[0]
    cells = face_ids(mesh.patches, owners)
    write_surface(folder / "mesh-complete.exterior.vtp", mesh.nodes, mesh.triangles, {}, cells)
    for name, number in patch_names(mesh).items():
        chosen = mesh.patches == number
        cells = face_ids(mesh.patches[chosen], owners[chosen])
        write_surface(faces / f"{name}.vtp", mesh.nodes, mesh.triangles[chosen], {}, cells)
