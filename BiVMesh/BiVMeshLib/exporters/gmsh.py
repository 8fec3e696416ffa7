"""Gmsh MSH 2.2, ASCII (https://gmsh.info/doc/texinfo/gmsh.html, "MSH file format version 2").

Version 2.2 because it is the one that Gmsh, meshio and scikit-fem all read with names. Physical ids are unique over the
dimensions, since scikit-fem looks names up by id alone. Fields stand in a file of their own, of tets alone: meshio
(5.3.5), and with it scikit-fem, cannot read a file that has both element data and two types of elements.
"""

from pathlib import Path
from typing import TextIO

import numpy as np

from BiVMeshLib.tetra.quadratic import elements
from CardiacLib.types.bivmesh import BiVMesh

from .common import patch_names, region_names
from .space import Form
from .text import rows, text_file

TRIANGLE, TETRAHEDRON = 2, 4
QUADRATIC = {TRIANGLE: 9, TETRAHEDRON: 11}
"""Element types of second order."""
NODES = [0, 1, 2, 3, 4, 5, 6, 7, 9, 8]
"""Ours in the order of Gmsh's second-order tetrahedron."""


def write_msh(mesh: BiVMesh, folder: Path, form: Form | None = None) -> None:
    """Write ``mesh.msh`` and, for a mesh with fields, ``fields.msh``.

    ``mesh.msh`` has the tets as elements 1 to M, then the triangles; ``fields.msh`` the same nodes and tets with cell
    fields as element data and point fields as node data.
    """
    form, made = form or Form(), elements(mesh)
    nodes, about = made.nodes, form.space.sentence()
    regions = [(3, number, name) for name, number in region_names(mesh).items()]
    patches = [(2, number, name) for name, number in patch_names(mesh).items()]
    corners = made.tets if made.order == 1 else made.tets[:, NODES]
    tets = _elements(TETRAHEDRON, 1, corners, mesh.regions)
    triangles = _elements(TRIANGLE, len(mesh.tets) + 1, made.triangles, mesh.patches)
    with text_file(folder / f"{form.stem}.msh") as out:
        _write_head(out, about, patches + regions)
        _write_mesh(out, nodes, tets + triangles, len(mesh.tets) + len(mesh.triangles))
    if mesh.cell_fields or mesh.point_fields:
        with text_file(folder / form.companion("fields", ".msh")) as out:
            _write_head(out, about, regions)
            _write_mesh(out, nodes, tets, len(mesh.tets))
            for name, values in made.point_fields.items():
                out.write(_data("NodeData", name, values))
            for name, values in mesh.cell_fields.items():
                out.write(_data("ElementData", name, values))


def _elements(kind: int, first: int, corners: np.ndarray, tags: np.ndarray) -> str:
    """Physical group and geometrical entity have the same id."""
    ids = np.arange(first, first + len(corners))
    kind = kind if corners.shape[1] in (3, 4) else QUADRATIC[kind]
    return rows(f"%d {kind} 2 %d %d" + " %d" * corners.shape[1] + "\n", ids, tags, tags, corners + 1)


def _write_head(out: TextIO, about: str, names: list) -> None:
    out.write(f"$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$Comments\n{about}\n$EndComments\n")
    out.write(f"$PhysicalNames\n{len(names)}\n")
    out.writelines(f'{dimension} {number} "{name}"\n' for dimension, number, name in names)
    out.write("$EndPhysicalNames\n")


def _write_mesh(out: TextIO, nodes: np.ndarray, elements: str, count: int) -> None:
    out.write(f"$Nodes\n{len(nodes)}\n")
    out.write(rows("%d %.9f %.9f %.9f\n", np.arange(1, len(nodes) + 1), nodes))
    out.write(f"$EndNodes\n$Elements\n{count}\n{elements}$EndElements\n")


def _data(kind: str, name: str, values: np.ndarray) -> str:
    parts = 1 if values.ndim == 1 else values.shape[1]
    head = f'${kind}\n1\n"{name}"\n1\n0.0\n3\n0\n{parts}\n{len(values)}\n'
    return head + rows("%d" + " %.9f" * parts + "\n", np.arange(1, len(values) + 1), values) + f"$End{kind}\n"
