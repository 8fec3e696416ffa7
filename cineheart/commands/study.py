"""``cineheart run``: one study, and what the command line says of its mesh."""

from pathlib import Path

from BiVMeshLib import MeshOptions
from BiVMeshLib.exporters import choose_formats
from BiVMeshLib.result import MeshChoice
from CardiacLib.errors import InputError
from cineheart.console import Console
from cineheart.corrected import CorrectedFiles
from cineheart.pipeline import FurtherFiles, RunOptions, run_study

from .answers import study_answer
from .choices import fibre_options

__all__ = ["CorrectedFiles", "FurtherFiles", "RunOptions", "choose_formats", "mesh_choice", "run_study_folder"]


def mesh_choice(
    species: str, mesh: bool, motion: bool, rings: bool, *, edge: float | None, angles: str | None
) -> MeshChoice | None:
    """The mesh that is asked for; None for none.

    Raises:
        InputError: motion or rings of a mesh that is not made.
    """
    if not mesh:
        if rings:
            raise InputError("--valve-rings are a part of the mesh; leave out --no-mesh.")
        if motion:
            raise InputError("--motion carries the mesh over the cycle; leave out --no-mesh.")
        return None
    options = MeshOptions(edge_length_mm=edge, fibre_angles=fibre_options(angles), species=species)
    return MeshChoice(options=options, motion=motion, valve_rings=rings)


def run_study_folder(study: Path, output: Path, options: RunOptions, as_json: bool) -> int:
    """Process the study, show what came out, and return the exit code."""
    with Console("cineheart run", as_json) as console:
        result = run_study(study, output, options, progress=console.progress, overlap=True)
        console.finish(study_answer(result).with_facts(output=str(output)))
    return 0 if result.mesh is not None or options.mesh is None else 1
