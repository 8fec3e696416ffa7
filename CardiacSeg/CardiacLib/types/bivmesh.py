"""The BiVMesh: a tagged tetrahedral mesh of the biventricular myocardium."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .landmarks import VALVE_COLOURS
from .mesh_quality import MeshQuality, MotionQuality
from .values import job_value

PATCHES = {"EPI": 1, "ENDO_LV": 2, "ENDO_RV": 3, "BASE": 4}
"""Boundary patch ids (dimension 2)."""
VALVE_PATCHES = {"MITRAL": 7, "AORTIC": 8, "TRICUSPID": 9}
"""Ids of the valves: of their annuli where the base is split into them and muscle, and of the caps that close a cavity
there. 5 and 6 are the rest of the cavities' lids."""
ALL_PATCHES = PATCHES | VALVE_PATCHES
"""Every boundary patch that a mesh may have; BASE then is the muscle between the annuli."""
PATCH_RGB = {
    "EPI": (0.85, 0.62, 0.55),
    "ENDO_LV": (0.78, 0.16, 0.16),
    "ENDO_RV": (0.20, 0.40, 0.75),
    "BASE": (0.95, 0.80, 0.40),
}
"""Colour of each boundary patch, 0..1, in scenes and pictures: arterial blood red, venous blue."""
ALL_PATCH_RGB = PATCH_RGB | {name: VALVE_COLOURS[name.lower()] for name in VALVE_PATCHES}
"""The same with the valves."""
REGIONS = {"LV_MYO": 11, "RV_WALL": 12, "SEPTUM": 13}
"""Cell region ids (dimension 3). No id occurs in both tables: some readers merge ids over dimensions."""
MESH_VIEWS = ("surfaces", "fibres", "helix", "region", "aha", "transmural", "apicobasal", "rotational", "strain")
"""What of a mesh a scene can show: the patches, the fibres, an array of the tetrahedra, helix angle or strain."""


def whole_patches(patches: np.ndarray) -> np.ndarray:
    """Ids (F,) of ALL_PATCHES as ids of PATCHES: annuli are BASE."""
    return np.where(np.isin(patches, list(VALVE_PATCHES.values())), PATCHES["BASE"], patches).astype(np.int32)


@job_value
@dataclass(frozen=True)
class ValveRing:
    """The annulus of one valve, fitted to its points.

    Attributes:
        name: of VALVE_PATCHES.
        points: float64 (P, 3) LPS mm, along the closed curve, counterclockwise seen from the atria and arteries.
        used: names of the valve points.
        rms_mm: how far these lie from the curve, root mean square.
        cap_mm2: area of the valve's cap in the closed pools, which the curve bounds: without what lies within the ring
            of another valve, and nowhere below the base plane. cap_perimeter_mm: of the cap.
    """

    name: str
    points: np.ndarray
    used: tuple[str, ...]
    rms_mm: float
    cap_mm2: float = 0.0
    cap_perimeter_mm: float = 0.0

    @property
    def area_vector(self) -> np.ndarray:
        """(3,) mm^2, along the normal towards atrium or artery."""
        around = self.points - self.points.mean(0)
        return 0.5 * np.cross(around, np.roll(around, -1, axis=0)).sum(0)

    @property
    def perimeter_mm(self) -> float:
        """Length of the curve."""
        return float(np.linalg.norm(self.points - np.roll(self.points, -1, axis=0), axis=1).sum())

    def to_dict(self) -> dict[str, Any]:
        """As in ``quality.json``: LPS, mm."""
        area = self.area_vector
        size = float(np.linalg.norm(area))
        return {
            "points_used": list(self.used),
            "points_rms_mm": self.rms_mm,
            "centre_lps_mm": self.points.mean(0).tolist(),
            "normal_lps": (area / size).tolist(),
            "area_mm2": size,
            "perimeter_mm": self.perimeter_mm,
            "cap_area_mm2": self.cap_mm2,
            "cap_perimeter_mm": self.cap_perimeter_mm,
        }


@job_value
@dataclass(frozen=True)
class BiVMesh:
    """One frame's biventricular myocardium.

    Attributes:
        nodes: float64 (N, 3) LPS mm.
        tets: int64 (M, 4) node indices, positive volume.
        regions: int32 (M,) ids of REGIONS.
        triangles: int64 (F, 3) boundary triangles, oriented outwards.
        patches: int32 (F,) ids of PATCHES; of a base with valve rings of ALL_PATCHES.
        quality: the quality report as written to ``quality.json``; None if it was not measured.
        notes: what was repaired or assumed, one sentence each.
        cell_fields: by name, float64 (M, 3) ``fibre``, ``sheet``, ``normal`` (LPS unit vectors), int32 (M,) ``aha``.
        point_fields: by name, float64 (N,) ``transmural``, ``apicobasal``, ``rotational``, ``transventricular``.
        middles: float64 (E, 3) LPS mm, the middle nodes of a quadratic mesh, one per edge of the tets in the order
            of ``BiVMeshLib.tetra.quadratic.mesh_edges``; None for a linear mesh.
        rings: the annuli of the valves, if they were asked for.
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
    rings: tuple[ValveRing, ...] = ()

    def patch(self, name: str) -> np.ndarray:
        """(F', 3) triangles of one named patch of PATCHES; BASE is the whole base, annuli included."""
        return self.triangles[whole_patches(self.patches) == PATCHES[name]]


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
        rings: of each frame, the annuli fitted to its valve points; empty where none were asked for.
    """

    mesh: BiVMesh
    frame: int
    displacements: np.ndarray
    times_ms: np.ndarray | None
    quality: MotionQuality | None = None
    notes: tuple[str, ...] = ()
    rings: tuple[tuple[ValveRing, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.displacements)

    @property
    def n_frames(self) -> int:
        return len(self)

    def nodes(self, frame: int) -> np.ndarray:
        """(N, 3) LPS mm in one frame."""
        return self.mesh.nodes + self.displacements[frame].astype(float)
