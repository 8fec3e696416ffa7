"""``cineheart convert``: one mesh into another format."""

from pathlib import Path

import numpy as np

from BiVMeshLib.convert import Conversion, convert_mesh, read_mesh, with_tissue
from BiVMeshLib.decks import Loads, read_loads, write_deck
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, require_output
from CardiacLib.readers.images import read_raw
from CardiacLib.types.bivmesh import BiVMesh
from cineheart.console import Answer

WHOLE = 1e-3
"""Distance from a whole number within which a label's value is that number."""


def convert_file(path: Path, output: Path, choice: Conversion, tissue: Path | None = None) -> Answer:
    """Read a mesh and write it as ``output``, whose suffix tells the format, with what belongs to it beside it.

    ``tissue``: a label map on any grid, whose values become fields of the tetrahedra under the file's name.
    """
    require_output(output.parent)
    mesh = read_mesh(path)
    if tissue is not None:
        mesh = _with_labels(mesh, tissue)
    with atomic_directory(output.parent) as folder:
        convert_mesh(mesh, folder, output.name, choice)
        written = sorted(entry.name for entry in folder.iterdir())
    facts = {"nodes": len(mesh.nodes), "tetrahedra": len(mesh.tets), "order": 1 if mesh.middles is None else 2}
    return Answer(facts | {"files": written}, mesh.notes)


def _with_labels(mesh: BiVMesh, path: Path) -> BiVMesh:
    raw = read_raw(path)
    labels = raw.array[0] if raw.array.ndim == 4 else raw.array
    if not np.isfinite(labels).all() or np.abs(labels - np.rint(labels)).max() > WHOLE:
        raise InputError(f"{path}: has values that are no whole numbers, so it is no label map; give labels.")
    try:
        return with_tissue(mesh, path.name.split(".")[0], np.rint(labels).astype(np.int32), raw.ijk_to_lps)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def deck_of_file(path: Path, output: Path, name: str, curve: Path | None = None) -> Answer:
    """Read a mesh and write the complete input deck of a solver into the folder ``output``."""
    require_output(output)
    loads = Loads() if curve is None else read_loads(curve)
    mesh = read_mesh(path)
    with atomic_directory(output) as folder:
        write_deck(mesh, folder, name, loads)
        written = sorted(entry.name for entry in folder.iterdir())
    notes = (
        *mesh.notes,
        f"The deck was written, not run: {name} is none of the solvers that CineHeart is tested with.",
    )
    return Answer({"deck": name, "tetrahedra": len(mesh.tets), "files": written}, notes)
