"""The mesh panel's parameters as options of the steps."""

from BiVMeshLib.propagation import PropagationOptions
from BiVMeshLib.result import MeshChoice, PropagateChoice
from CardiacLib.types.mesh_options import FibreOptions, MeshOptions

AUTOMATIC = -1
"""Value of the slice controls that leaves the choice to the labels."""


def mesh_choice(parameters) -> MeshChoice:
    """What a parameter node of the mesh module asks for; its frame may be ``shown``, which the request resolves."""
    helix = (parameters.helixEndo, parameters.helixEpi) if parameters.fibres else None
    options = mesh_options(
        edge_mm=None if parameters.automaticEdgeLength else parameters.edgeLength,
        rv_wall_mm=parameters.rvWallThickness,
        helix_deg=helix,
        align_slices=parameters.alignSlices,
    )
    return MeshChoice(parameters.frame.value, options, parameters.motion, valve_rings=parameters.valveRings)


def mesh_options(
    *, edge_mm: float | None, rv_wall_mm: float, helix_deg: tuple[float, float] | None, align_slices: bool
) -> MeshOptions:
    """Options of a mesh; without fibres where ``helix_deg`` is None."""
    angles = FibreOptions() if helix_deg is None else FibreOptions(alpha_endo=helix_deg[0], alpha_epi=helix_deg[1])
    return MeshOptions(
        edge_length_mm=edge_mm,
        rv_wall_mm=rv_wall_mm,
        align_slices=True if align_slices else None,
        fibres=helix_deg is not None,
        fibre_angles=angles,
    )


def propagate_choice(start: int, base: int) -> PropagateChoice:
    """Propagation from a slice, with the base in a slice, each of which may be AUTOMATIC."""
    start_slice, base_slice = (None if number == AUTOMATIC else number for number in (start, base))
    return PropagateChoice(PropagationOptions(start_slice=start_slice, base_slice=base_slice))
