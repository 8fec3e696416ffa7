"""FEBio model file, febio_spec 4.0 (https://help.febio.org, "FEBio User's Manual", chapter 3)."""

from pathlib import Path

import numpy as np

from BiVMeshLib.tetra.quadratic import elements
from CardiacLib.types.bivmesh import BiVMesh

from .common import material_axes, patch_names, region_names
from .space import STRESSES, Form
from .text import rows, text_file

MATERIAL = "<density>1e-09</density><E>0.01</E><v>0.45</v>"
"""A stand-in (tonne/mm^3, MPa): FEBio builds no mesh without a material, and fibres are attached to one."""


def write_feb(mesh: BiVMesh, folder: Path, form: Form | None = None) -> None:
    """Write ``mesh.feb``: element blocks and stand-in materials by region, surfaces, node sets, material axes.

    tet4 and tri3, of a quadratic mesh tet10 and tri6.

    Element and node ids are those of the mesh, counted from 1. Patches are surfaces (facets point outwards) and, as
    NAME_NODES, node sets. ``mat_axis``: a is the fibre, d the sheet.
    """
    form, regions = form or Form(), region_names(mesh)
    about = f"{form.space.sentence()} Stress in {STRESSES[form.space.units]}."
    with text_file(folder / f"{form.stem}.feb") as out:
        out.write(f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<!-- {about} -->\n')
        out.write('<febio_spec version="4.0">\n<Module type="solid"/>\n')
        out.write("<Material>\n<!-- Stand-ins: put your own material here. -->\n")
        for number, name in enumerate(regions, 1):
            out.write(f'<material id="{number}" name="{name}" type="neo-Hookean">{MATERIAL}</material>\n')
        out.write("</Material>\n<Mesh>\n")
        write_mesh_section(mesh, regions, out)
        out.write("</Mesh>\n<MeshDomains>\n")
        out.writelines(f'<SolidDomain name="{name}" mat="{name}"/>\n' for name in regions)
        out.write("</MeshDomains>\n")
        write_axes(mesh, regions, out)
        out.write("</febio_spec>\n")


def write_mesh_section(mesh: BiVMesh, regions: dict[str, int], out) -> None:
    """What stands between ``<Mesh>`` and ``</Mesh>``."""
    made = elements(mesh)
    tet, triangle = ("tet4", "tri3") if made.order == 1 else ("tet10", "tri6")
    node = '<node id="%d">%.9f,%.9f,%.9f</node>\n'
    out.write(f'<Nodes name="HEART">\n{rows(node, np.arange(1, len(made.nodes) + 1), made.nodes)}</Nodes>\n')
    for name, number in regions.items():
        chosen = np.flatnonzero(mesh.regions == number)
        line = f'<elem id="%d">{_numbers(made.tets)}</elem>\n'
        text = rows(line, chosen + 1, made.tets[chosen] + 1)
        out.write(f'<Elements type="{tet}" name="{name}">\n{text}</Elements>\n')
    for name, number in patch_names(mesh).items():
        triangles = made.triangles[mesh.patches == number]
        line = f'<{triangle} id="%d">{_numbers(triangles)}</{triangle}>\n'
        text = rows(line, np.arange(1, len(triangles) + 1), triangles + 1)
        out.write(f'<Surface name="{name}">\n{text}</Surface>\n')
        nodes = ",".join(map(str, np.unique(triangles) + 1))
        out.write(f'<NodeSet name="{name}_NODES">{nodes}</NodeSet>\n')


def _numbers(rows_of: np.ndarray) -> str:
    """Form of a row of whole numbers, separated by commas."""
    return ",".join(["%d"] * rows_of.shape[1])


def write_axes(mesh: BiVMesh, regions: dict[str, int], out) -> None:
    """``MeshData`` with the material axes, of a mesh that has them."""
    axes = material_axes(mesh)
    if axes is None:
        return
    line = '<e lid="%d"><a>%.9f,%.9f,%.9f</a><d>%.9f,%.9f,%.9f</d></e>\n'
    out.write("<MeshData>\n")
    for name, number in regions.items():
        chosen = mesh.regions == number
        text = rows(line, np.arange(1, chosen.sum() + 1), *(values[chosen] for values in axes))
        out.write(f'<ElementData type="mat_axis" elem_set="{name}">\n{text}</ElementData>\n')
    out.write("</MeshData>\n")
