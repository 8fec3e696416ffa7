"""What a user may choose when a mesh is built."""

from dataclasses import dataclass

from CardiacLib.errors import InputError
from CardiacLib.species import species_named

from .choices import SPECIES_NAMES, require_choice
from .mesh_criteria import MIN_DIHEDRAL_DEG, MIN_SCALED_JACOBIAN
from .values import job_value

EDGE_MM = 1.8
"""Mean edge of the tetrahedra of a wall that is not thin."""


@job_value
@dataclass(frozen=True)
class FibreOptions:
    """Angles of the rule in degrees, seen from outside the wall.

    Attributes:
        alpha_endo, alpha_epi: helix angle, from the circumferential direction towards the base. 60 and -60, the
            usual choice of models since Streeter 1969 (doi 10.1161/01.RES.24.3.339), the same for both ventricles;
            Bayer 2012 used 40 and -50.
        beta_endo, beta_epi: angle of the sheet direction to the outward wall normal. -65 and 25 as in Bayer 2012.

    Raises:
        InputError: an angle is not within -90 to 90 degrees.
    """

    alpha_endo: float = 60.0
    alpha_epi: float = -60.0
    beta_endo: float = -65.0
    beta_epi: float = 25.0

    def __post_init__(self) -> None:
        for name in ("alpha_endo", "alpha_epi", "beta_endo", "beta_epi"):
            if not -90.0 <= getattr(self, name) <= 90.0:
                raise InputError(f"Fibre angle {name} is {getattr(self, name)}; choose one from -90 to 90 degrees.")


@job_value
@dataclass(frozen=True)
class MeshOptions:
    """Options of :func:`BiVMeshLib.build_mesh`; lengths in mm, of a heart at human size but for the edge length.

    Attributes:
        species: whose heart it is, as of :mod:`CardiacLib.species`; it is meshed at human size, and made small again.
        edge_length_mm: mean edge of the tetrahedra. None: EDGE_MM, less where the wall is thin
            (``BiVMeshLib.shape.sizing.edge_for``). Of the heart as it is: EDGE_MM is 0.15 mm in a mouse.
        tets: wanted number of tetrahedra, instead of an edge length. None: as the edge length has it.
        order: 1, four-node tetrahedra, or 2, ten-node ones whose middle nodes lie on the smooth surface where that
            leaves the tetrahedron valid.
        align_slices: move slices in their planes back into line first, where breath-holds displaced them. None: where
            a mesh without that misses its limits of volume or distance, and one with it misses fewer.
        rv_wall_mm: thickness of the RV free wall that is grown around the RV pool when the labels have no
            RV wall (label 4). 3 mm as in biv-me (Dillon 2025).
        min_lv_wall_mm: the LV wall is nowhere thinner.
        min_septum_mm: the RV pool comes nowhere nearer to the LV pool.
        smoothing_mm: standard deviation of the Gaussian on the distance fields (volume is kept).
        grid_mm: spacing of the isotropic grid that holds the distance fields.
        base_half_slice: put the base half a slice beyond the centre of the most basal slice, so that this
            slice counts with its full thickness.
        refinements: how often the lattice is refined by 0.8 when a mesh fails the gate.
        mesher: "stuffing", or one of BiVMeshLib.tetra.meshers, which need a package of their own.
        optimise: raise the quality of the worst tetrahedra by hill climbing, the longest step of a coarse mesh.
            Without it the gate asks for the topology alone, not for the elements' shape: quick, for trials and tests.
        seed: of the random steps of the quality optimisation; same seed, same mesh.
        min_dihedral_deg, min_scaled_jacobian: the gate for element shape of an optimised mesh.
        fibres: give every tet its fibre, sheet and normal. fibre_angles: the angles of their rule.
        coordinates: give every node its ventricular coordinates and every tet its AHA segment.

    Raises:
        InputError: a value is out of its range.
    """

    edge_length_mm: float | None = None
    tets: int | None = None
    order: int = 1
    align_slices: bool | None = None
    rv_wall_mm: float = 3.0
    min_lv_wall_mm: float = 2.5
    min_septum_mm: float = 4.0
    smoothing_mm: float = 1.0
    grid_mm: float = 1.25
    base_half_slice: bool = False
    refinements: int = 3
    mesher: str = "stuffing"
    optimise: bool = True
    seed: int = 0
    min_dihedral_deg: float = MIN_DIHEDRAL_DEG
    min_scaled_jacobian: float = MIN_SCALED_JACOBIAN
    fibres: bool = True
    fibre_angles: FibreOptions = FibreOptions()
    coordinates: bool = True
    species: str = SPECIES_NAMES[0]

    @property
    def shrink(self) -> float:
        """Length of this heart over that of a human one."""
        return 1.0 / species_named(self.species).body_scale

    def __post_init__(self) -> None:
        require_choice(self.species, SPECIES_NAMES, "species")
        for name, low, high in (
            ("edge_length_mm", 0.3 * self.shrink, 10.0 * self.shrink),
            ("tets", 5000, 5_000_000),
            ("order", 1, 2),
            ("rv_wall_mm", 1.0, 20.0),
            ("min_lv_wall_mm", 1.0, 20.0),
            ("min_septum_mm", 1.0, 20.0),
            ("smoothing_mm", 0.0, 5.0),
            ("grid_mm", 0.2, 5.0),
            ("refinements", 0, 5),
            ("min_dihedral_deg", 0.0, 40.0),
            ("min_scaled_jacobian", 0.0, 0.6),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"Mesh option {name} is {value}; choose a value from {low:.7g} to {high:.7g}.")
        if self.tets is not None and self.edge_length_mm is not None:
            raise InputError("Both a number of tetrahedra and an edge length are given; choose one of them.")
