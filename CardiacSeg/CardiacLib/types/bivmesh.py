"""The BiVMesh: a tagged tetrahedral mesh of the biventricular myocardium."""

from dataclasses import dataclass, field

import numpy as np

from .mesh_quality import MeshQuality, MotionQuality
from .values import job_value

PATCHES = {"EPI": 1, "ENDO_LV": 2, "ENDO_RV": 3, "BASE": 4}
"""Boundary patch ids (dimension 2)."""
PATCH_RGB = {
    "EPI": (0.85, 0.62, 0.55),
    "ENDO_LV": (0.78, 0.16, 0.16),
    "ENDO_RV": (0.20, 0.40, 0.75),
    "BASE": (0.95, 0.80, 0.40),
}
"""Colour of each boundary patch, 0..1, in scenes and pictures: arterial blood red, venous blue."""
REGIONS = {"LV_MYO": 11, "RV_WALL": 12, "SEPTUM": 13}
"""Cell region ids (dimension 3). No id occurs in both tables: some readers merge ids over dimensions."""
MESH_VIEWS = ("surfaces", "fibres", "region", "aha", "transmural", "apicobasal", "rotational")
"""What of a mesh a scene can show: the patches, the fibres, or an array of the tetrahedra."""


@job_value
@dataclass(frozen=True)
class BiVMesh:
    """One frame's biventricular myocardium.

    Attributes:
        nodes: float64 (N, 3) LPS mm.
        tets: int64 (M, 4) node indices, positive volume.
        regions: int32 (M,) ids of REGIONS.
        triangles: int64 (F, 3) boundary triangles, oriented outwards.
        patches: int32 (F,) ids of PATCHES.
        quality: the quality report as written to ``quality.json``; None if it was not measured.
        notes: what was repaired or assumed, one sentence each.
        cell_fields: by name, float64 (M, 3) ``fibre``, ``sheet``, ``normal`` (LPS unit vectors), int32 (M,) ``aha``.
        point_fields: by name, float64 (N,) ``transmural``, ``apicobasal``, ``rotational``, ``transventricular``.
        middles: float64 (E, 3) LPS mm, the middle nodes of a quadratic mesh, one per edge of the tets in the order
            of ``BiVMeshLib.tetra.quadratic.mesh_edges``; None for a linear mesh.
    """

    nodes: np.ndarray
    tets: np.ndarray
    regions: np.ndarray
    triangles: np.ndarray
    patches: np.ndarray
    quality: MeshQuality | None = None
    notes: tuple[str, ...] = ()
    cell_fields: dict[str, np.ndarray] = field(default_factory=dict)
    point_fields: dict[str, np.ndarray] = field(default_factory=dict)
    middles: np.ndarray | None = None

    def patch(self, name: str) -> np.ndarray:
        """(F', 3) triangles of one named patch."""
        return self.triangles[self.patches == PATCHES[name]]


@job_value
@dataclass(frozen=True)
class MovingMesh:
    """One mesh carried over the cardiac cycle, its connectivity fixed.

    Attributes:
        mesh: of the frame ``frame``.
        frame: where the displacement is zero.
        displacements: float32 (T, N, 3) mm, LPS, from the nodes of ``mesh``.
        times_ms: float64 (T,), as of the labels; None where the files give no time.
        quality: what ``quality.json`` says of the motion: quality and volumes by frame, and how it was made.
        notes: what was left out or assumed, one sentence each.
    """

    mesh: BiVMesh
    frame: int
    displacements: np.ndarray
    times_ms: np.ndarray | None
    quality: MotionQuality | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.displacements)

    @property
    def n_frames(self) -> int:
        return len(self)

    def nodes(self, frame: int) -> np.ndarray:
        """(N, 3) LPS mm in one frame."""
        return self.mesh.nodes + self.displacements[frame].astype(float)
