"""A mesh of the scene as files. Everything that touches MRML is in CardiacLib.mrml."""

from pathlib import Path

from BiVMeshLib.exporters import choose_formats, export, write_quality
from CardiacLib.files import atomic_directory

from .models import mesh_from_node


def export_model(model, folder: str | Path, formats: str) -> None:
    """Write a mesh of the scene, and its quality report.

    Args:
        model: the model of its tetrahedra.
        folder: made if it is not there; files of the same names are replaced.
        formats: names of ``exporters.FORMATS``, separated by commas.

    Raises:
        InputError: the model is no such mesh, or a format is unknown.
    """
    mesh = mesh_from_node(model)
    with atomic_directory(folder) as part:
        export(mesh, part, choose_formats(formats))
        write_quality(mesh, part / "quality.json")
