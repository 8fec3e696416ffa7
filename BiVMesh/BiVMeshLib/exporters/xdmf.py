"""XDMF 3 for FEniCSx: a file with mesh and cell tags, one with facet tags, and the names of the tags.

Numbers stand in the XML itself, which spares h5py and which DOLFINx reads with ``encoding=XDMFFile.Encoding.ASCII``.
DOLFINx takes the first attribute of a grid as the tags and splits numbers at single blanks and line ends.
"""

from pathlib import Path

import numpy as np

from BiVMeshLib.tetra.quadratic import elements
from CardiacLib.files import write_json
from CardiacLib.types.bivmesh import BiVMesh

from .common import patch_names, region_names
from .space import Form
from .text import rows, text_file


def write_xdmf(mesh: BiVMesh, folder: Path, form: Form | None = None) -> None:
    """Write ``mesh.xdmf`` (grid "mesh"), ``facets.xdmf`` (grid "facets", the same nodes) and ``markers.json``."""
    form, made = form or Form(), elements(mesh)
    tet, triangle = ("Tetrahedron", "Triangle") if made.order == 1 else ("Tetrahedron_10", "Triangle_6")
    geometry = _geometry(made.nodes)
    cells = _topology(tet, made.tets) + geometry + _attribute("region", "Cell", mesh.regions)
    cells += "".join(_attribute(name, "Cell", values) for name, values in mesh.cell_fields.items())
    cells += "".join(_attribute(name, "Node", values) for name, values in made.point_fields.items())
    about = form.space.sentence()
    _write(folder / f"{form.stem}.xdmf", "mesh", cells, about)
    facets = _topology(triangle, made.triangles) + geometry + _attribute("patch", "Cell", mesh.patches)
    _write(folder / form.companion("facets", ".xdmf"), "facets", facets, about)
    tables = {"facet_tags": patch_names(mesh), "cell_tags": region_names(mesh)}
    write_json(folder / form.companion("markers", ".json"), {**form.space.described(), **tables})


def _topology(kind: str, corners: np.ndarray) -> str:
    count, width = corners.shape
    head = f'<Topology TopologyType="{kind}" NumberOfElements="{count}" NodesPerElement="{width}">\n'
    return head + _item(corners, "%d", 'NumberType="Int" Precision="8"') + "</Topology>\n"


def _geometry(nodes: np.ndarray) -> str:
    item = _item(nodes, "%.9f", 'NumberType="Float" Precision="8"')
    return f'<Geometry GeometryType="XYZ">\n{item}</Geometry>\n'


def _attribute(name: str, centre: str, values: np.ndarray) -> str:
    kind = "Vector" if values.ndim == 2 else "Scalar"
    whole = values.dtype.kind == "i"
    number = 'NumberType="Int" Precision="4"' if whole else 'NumberType="Float" Precision="8"'
    item = _item(values, "%d" if whole else "%.9f", number)
    return f'<Attribute Name="{name}" AttributeType="{kind}" Center="{centre}">\n{item}</Attribute>\n'


def _item(values: np.ndarray, form: str, number: str) -> str:
    size = " ".join(str(n) for n in values.shape)
    line = " ".join([form] * (1 if values.ndim == 1 else values.shape[1])) + "\n"
    return f'<DataItem Dimensions="{size}" {number} Format="XML">\n{rows(line, values)}</DataItem>\n'


def _write(path: Path, name: str, body: str, about: str) -> None:
    with text_file(path) as out:
        out.write(f'<?xml version="1.0"?>\n<!-- {about} -->\n<Xdmf Version="3.0">\n<Domain>\n')
        out.write(f'<Grid Name="{name}" GridType="Uniform">\n{body}</Grid>\n</Domain>\n</Xdmf>\n')
