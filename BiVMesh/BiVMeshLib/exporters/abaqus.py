"""Abaqus input (Abaqus Keywords Guide: *ELEMENT, *SURFACE, *DISTRIBUTION, *ORIENTATION); CalculiX reads the same."""

from pathlib import Path

import numpy as np

from BiVMeshLib.tetra.quadratic import elements
from CardiacLib.types.bivmesh import BiVMesh

from .common import material_axes, patch_names, region_names, tet_of_triangle
from .space import Form
from .text import rows, text_file

FACE_OPPOSITE = np.array([3, 4, 2, 1])
"""Face S1..S4 of a C3D4 by the corner 0..3 opposite to it (S1 1-2-3, S2 1-4-2, S3 2-4-3, S4 3-4-1)."""
IDS_PER_LINE = 16


def write_inp(mesh: BiVMesh, folder: Path, form: Form | None = None) -> None:
    """Write ``mesh.inp``: elements by region, element surfaces and node sets per patch, orientations.

    C3D4, of a quadratic mesh C3D10, in one element set per region.

    Element and node ids are those of the mesh, counted from 1. The rectangular orientation FIBRES has its local 1-axis
    along the fibre and its local 2-axis along the sheet. No material, section or step: include the file in a job.
    """
    form, made = form or Form(), elements(mesh)
    space = form.space
    kind, line = "C3D4" if made.order == 1 else "C3D10", ", ".join(["%d"] * (1 + made.tets.shape[1])) + "\n"
    with text_file(folder / f"{form.stem}.inp") as out:
        out.write(f"*HEADING\nCineHeart biventricular mesh, {space.units}, {space.frame}\n")
        out.writelines(f"** {sentence}\n" for sentence in space.lines())
        out.write("*NODE, NSET=HEART_NODES\n")
        out.write(rows("%d, %.9f, %.9f, %.9f\n", np.arange(1, len(made.nodes) + 1), made.nodes))
        regions = region_names(mesh)
        for name, number in regions.items():
            chosen = np.flatnonzero(mesh.regions == number)
            out.write(f"*ELEMENT, TYPE={kind}, ELSET={name}\n")
            out.write(rows(line, chosen + 1, made.tets[chosen] + 1))
        out.write("*ELSET, ELSET=HEART\n" + ", ".join(regions) + "\n")
        owners, opposite = tet_of_triangle(mesh)
        for name, number in patch_names(mesh).items():
            chosen = mesh.patches == number
            out.write(f"*NSET, NSET={name}_NODES\n{_id_lines(np.unique(made.triangles[chosen]) + 1)}")
            out.write(f"*SURFACE, NAME={name}, TYPE=ELEMENT\n")
            out.write(rows("%d, S%d\n", owners[chosen] + 1, FACE_OPPOSITE[opposite[chosen]]))
        axes = material_axes(mesh)
        if axes is not None:
            out.write("*DISTRIBUTION TABLE, NAME=FIBRE_TABLE\nCOORD3D, COORD3D\n")
            out.write("*DISTRIBUTION, NAME=FIBRE_AXES, LOCATION=ELEMENT, TABLE=FIBRE_TABLE\n, 1., 0., 0., 0., 1., 0.\n")
            out.write(rows("%d" + ", %.9f" * 6 + "\n", np.arange(1, len(mesh.tets) + 1), *axes))
            out.write("*ORIENTATION, NAME=FIBRES, SYSTEM=RECTANGULAR, DEFINITION=COORDINATES\nFIBRE_AXES\n")


def _id_lines(ids: np.ndarray) -> str:
    text = [str(i) for i in ids.tolist()]
    lines = (text[start : start + IDS_PER_LINE] for start in range(0, len(text), IDS_PER_LINE))
    return "".join(", ".join(line) + "\n" for line in lines)
