"""What the options of the command line say, as the library takes it; nothing heavy is imported before it is needed."""

from pathlib import Path

from CardiacLib.errors import InputError


def propagate_choices(
    image: Path | None,
    start: int | None,
    base: int | None,
    align: bool,
    landmarks: Path | None,
    evidence: str = "auto",
    *runs_on: str,
):
    """The choices of a propagation; None without an image, which no slice may then be given for."""
    from .propagation import PropagateChoices, PropagationOptions

    if image is None:
        if start is not None or base is not None:
            raise InputError("--start-slice and --base-slice are of --propagate IMAGE, which is missing.")
        return None
    return PropagateChoices(image, PropagationOptions(start, base, evidence, align_slices=align), landmarks, *runs_on)


def mesh_options(edge_length: float | None):
    """Options of the mesher; without an edge length (mm) it chooses one."""
    from BiVMeshLib import MeshOptions

    return MeshOptions() if edge_length is None else MeshOptions(edge_length_mm=edge_length)


def fibre_options(text: str | None):
    """Options of the fibres of ``ENDO,EPI`` in degrees."""
    from BiVMeshLib import FibreOptions

    if text is None:
        return FibreOptions()
    try:
        endo, epi = (float(angle) for angle in text.split(","))
    except ValueError as error:
        raise InputError(f"--fibre-angles {text}: write ENDO,EPI in degrees, for instance '60,-60'.") from error
    return FibreOptions(alpha_endo=endo, alpha_epi=epi)


def chosen_views(pairs: list[str] | None) -> dict[str, str]:
    """View by name of the file or series, of ``NAME=VIEW``."""
    chosen = {}
    for pair in pairs or []:
        name, separator, view = pair.rpartition("=")
        if not separator:
            raise InputError(f"--view {pair}: write NAME=VIEW, for instance 'cine_b=2ch'.")
        chosen[name] = view
    return chosen
