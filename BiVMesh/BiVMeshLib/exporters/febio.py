"""FEBio model file, febio_spec 4.0 (https://help.febio.org, "FEBio User's Manual", chapter 3)."""

from pathlib import Path

import numpy as np

from CardiacLib.types.bivmesh import BiVMesh

from .common import ABOUT, material_axes, patch_names, region_names
from .text import rows, text_file

MATERIAL = "<density>1e-09</density><E>0.01</E><v>0.45</v>"
"""A stand-in (tonne/mm^3, MPa): FEBio builds no mesh without a material, and fibres are attached to one."""


def write_feb(mesh: BiVMesh, folder: Path) -> None:
    """Write ``mesh.feb``: one element block and one stand-in material per region, surfaces, node sets, material axes.

    Element and node ids are those of the mesh, counted from 1. Patches are surfaces (facets point outwards) and, as
    NAME_NODES, node sets. ``mat_axis``: a is the fibre, d the sheet.
    """
    regions = region_names(mesh)
    with text_file(folder / "mesh.feb") as out:
        out.write(f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<!-- {ABOUT} Stress in MPa. -->\n')
        out.write('<febio_spec version="4.0">\n<Module type="solid"/>\n')
        out.write("<Material>\n<!-- Stand-ins: put your own material here. -->\n")
        for number, name in enumerate(regions, 1):
            out.write(f'<material id="{number}" name="{name}" type="neo-Hookean">{MATERIAL}</material>\n')
        out.write("</Material>\n<Mesh>\n")
        _write_mesh(mesh, regions, out)
        out.write("</Mesh>\n<MeshDomains>\n")
        out.writelines(f'<SolidDomain name="{name}" mat="{name}"/>\n' for name in regions)
        out.write("</MeshDomains>\n")
        _write_axes(mesh, regions, out)
        out.write("</febio_spec>\n")


def _write_mesh(mesh: BiVMesh, regions: dict[str, int], out) -> None:
    node = '<node id="%d">%.9f,%.9f,%.9f</node>\n'
    out.write(f'<Nodes name="HEART">\n{rows(node, np.arange(1, len(mesh.nodes) + 1), mesh.nodes)}</Nodes>\n')
    for name, number in regions.items():
        chosen = np.flatnonzero(mesh.regions == number)
        text = rows('<elem id="%d">%d,%d,%d,%d</elem>\n', chosen + 1, mesh.tets[chosen] + 1)
        out.write(f'<Elements type="tet4" name="{name}">\n{text}</Elements>\n')
    for name, number in patch_names(mesh).items():
        triangles = mesh.triangles[mesh.patches == number]
        text = rows('<tri3 id="%d">%d,%d,%d</tri3>\n', np.arange(1, len(triangles) + 1), triangles + 1)
        out.write(f'<Surface name="{name}">\n{text}</Surface>\n')
        nodes = ",".join(map(str, np.unique(triangles) + 1))
        out.write(f'<NodeSet name="{name}_NODES">{nodes}</NodeSet>\n')


def _write_axes(mesh: BiVMesh, regions: dict[str, int], out) -> None:
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
