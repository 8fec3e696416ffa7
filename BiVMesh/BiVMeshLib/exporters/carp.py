"""openCARP mesh (https://opencarp.org/documentation/user-manual, "Input file formats").

Coordinates are in micrometres and nodes count from 0. The files have no room for comments, so ``mesh.json`` beside them
says units, frame and names.
"""

from pathlib import Path

import numpy as np

from CardiacLib.files import write_json
from CardiacLib.types.bivmesh import BiVMesh

from .common import patch_names, region_names
from .space import UNITS, Form
from .text import rows, text_file


def write_carp(mesh: BiVMesh, folder: Path, form: Form | None = None) -> None:
    """Write ``carp/mesh.pts``, ``.elem``, with fibres ``.lon``, and per patch a ``.surf`` and a ``.vtx``.

    ``.lon`` has fibre and sheet, or the fibre alone where the mesh has no sheet. Triangles point outwards.
    """
    form = form or Form()
    folder = folder / "carp"
    folder.mkdir()
    micrometres = mesh.nodes * (UNITS["um"] / UNITS[form.space.units])
    _write(folder / "mesh.pts", f"{len(mesh.nodes)}\n", "%.6f %.6f %.6f\n", micrometres)
    _write(folder / "mesh.elem", f"{len(mesh.tets)}\n", "Tt %d %d %d %d %d\n", mesh.tets, mesh.regions)
    axes = [mesh.cell_fields[name] for name in ("fibre", "sheet") if name in mesh.cell_fields]
    if axes:
        _write(folder / "mesh.lon", f"{len(axes)}\n", " ".join(["%.9f"] * 3 * len(axes)) + "\n", *axes)
    for name, number in patch_names(mesh).items():
        triangles = mesh.triangles[mesh.patches == number]
        nodes = np.unique(triangles)
        _write(folder / f"{name}.surf", f"{len(triangles)}\n", "Tr %d %d %d\n", triangles)
        _write(folder / f"{name}.vtx", f"{len(nodes)}\nextra\n", "%d\n", nodes)
    tables = {"patches": patch_names(mesh), "regions": region_names(mesh)}
    write_json(folder / "mesh.json", {**form.space.described(), "units": "um", **tables})


def _write(path: Path, head: str, template: str, *columns: np.ndarray) -> None:
    with text_file(path) as out:
        out.write(head + rows(template, *columns))
