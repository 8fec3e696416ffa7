"""A mesh of the scene as files, which the worker writes. Everything that touches MRML is in CardiacLib.mrml."""

from pathlib import Path

from BiVMeshLib.exporters import choose_formats
from CardiacLib.mrml.panel.processes import JobRequest

from .models import mesh_from_node


def export_request(model, folder: str | Path, formats: str) -> JobRequest:
    """The worker's job: write a mesh of the scene, and its quality report.

    Args:
        model: the model of its tetrahedra.
        folder: made if it is not there; files of the same names are replaced.
        formats: names of ``exporters.FORMATS``, separated by commas.

    Raises:
        InputError: the model is no such mesh, or a format is unknown.
    """
    choose_formats(formats)
    arguments = {"mesh": mesh_from_node(model), "folder": str(Path(folder).resolve()), "formats": formats}
    return JobRequest("export_mesh", arguments)
