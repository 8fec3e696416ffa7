"""Units and frame of a written mesh, and how a file says them so that its reader comes back to LPS in mm."""

import re
from dataclasses import dataclass, field, replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import PATCHES, REGIONS, BiVMesh

UNITS = {"mm": 1.0, "cm": 0.1, "m": 0.001, "um": 1000.0}
"""Length of a millimetre in each unit."""
STRESSES = {"mm": "MPa", "cm": "N/cm^2", "m": "Pa", "um": "N/um^2"}
"""Unit of stress that goes with each unit of length, forces being in N."""
FRAMES = {
    "LPS": "x left, y posterior, z superior",
    "RAS": "x right, y anterior, z superior",
    "HEART": "origin at the apex of the LV, z along its long axis to the base, septum at -x",
}
ABOUT = re.compile(r"Frame (\w+) .*?coordinates in (\w+)\.(?:.*?From LPS mm by rows: ([-+.e\d ]+);)?", re.DOTALL)
HEAD = 2000
"""Characters at the beginning of a text file within which it says its frame."""


@dataclass(frozen=True)
class Space:
    """Where the coordinates of a file live.

    Attributes:
        units: one of UNITS. frame: one of FRAMES.
        from_lps: (4, 4) rigid map from LPS in mm to the frame, still in mm.
    """

    units: str = "mm"
    frame: str = "LPS"
    from_lps: np.ndarray = field(default_factory=lambda: np.eye(4))

    def to_file(self) -> np.ndarray:
        """(4, 4) from LPS in mm to the file's coordinates."""
        matrix = self.from_lps.copy()
        matrix[:3] *= UNITS[self.units]
        return matrix

    def lines(self) -> list[str]:
        """What a text file says of itself, one sentence per line."""
        lines = [
            f"CineHeart biventricular mesh. Frame {self.frame} ({FRAMES[self.frame]}), coordinates in {self.units}."
        ]
        if self.frame == "HEART":
            lines.append(f"From LPS mm by rows: {' '.join(f'{v:.12g}' for v in self.from_lps[:3].ravel())};")
        return lines

    def sentence(self) -> str:
        """The same on one line."""
        return " ".join(self.lines())

    def described(self) -> dict[str, object]:
        """The same for JSON."""
        about: dict[str, object] = {"units": self.units, "frame": self.frame}
        return about | ({"from_lps_mm": self.from_lps.tolist()} if self.frame == "HEART" else {})


@dataclass(frozen=True)
class Form:
    """How a mesh is written.

    Attributes:
        stem: name of the files without ending. space: what the mesh's coordinates are in already.
    """

    stem: str = "mesh"
    space: Space = field(default_factory=Space)

    def companion(self, name: str, ending: str) -> str:
        """File that belongs to the mesh's: ``fields.msh`` of mesh.msh, ``heart_fields.msh`` of heart.msh."""
        return f"{name}{ending}" if self.stem == "mesh" else f"{self.stem}_{name}{ending}"


def space_of(mesh: BiVMesh, units: str = "mm", frame: str = "LPS") -> Space:
    """Units and frame by name for a mesh in LPS mm; HEART takes its axes from the mesh.

    Raises:
        InputError: there is no such unit or frame.
    """
    frame = frame.upper()
    if units not in UNITS:
        raise InputError(f"Unknown unit {units!r}: choose from {', '.join(UNITS)}.")
    if frame not in FRAMES:
        raise InputError(f"Unknown frame {frame!r}: choose from {', '.join(FRAMES)}.")
    if frame == "HEART":
        return Space(units, frame, heart_axes(mesh))
    return Space(units, frame, np.diag([-1.0, -1.0, 1.0, 1.0]) if frame == "RAS" else np.eye(4))


def heart_axes(mesh: BiVMesh) -> np.ndarray:
    """(4, 4) rigid map from LPS mm to the heart's own axes.

    z goes from the apex, the node of the LV's outer surface that is farthest from the middle of the LV's opening, to
    that middle; x points from the RV cavity's centre to the long axis, so that the septum lies at negative x. Without
    an RV x is the direction perpendicular to z that is nearest to the patient's left.
    """
    base = np.unique(mesh.patch("BASE"))
    rim = np.intersect1d(np.unique(mesh.patch("ENDO_LV")), base)
    centre = mesh.nodes[rim].mean(0)
    left = np.unique(mesh.tets[mesh.regions != REGIONS["RV_WALL"]])
    outer = np.intersect1d(left, np.unique(mesh.triangles[mesh.patches == PATCHES["EPI"]]))
    apex = mesh.nodes[outer[np.linalg.norm(mesh.nodes[outer] - centre, axis=1).argmax()]]
    z = (centre - apex) / np.linalg.norm(centre - apex)
    endo_rv = np.unique(mesh.patch("ENDO_RV"))
    x = centre - mesh.nodes[endo_rv].mean(0) if len(endo_rv) else np.array([1.0, 0.0, 0.0])
    x = x - (x @ z) * z
    x /= np.linalg.norm(x)
    axes = np.stack([x, np.cross(z, x), z])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, -axes @ apex
    return matrix


def placed(mesh: BiVMesh, matrix: np.ndarray) -> BiVMesh:
    """The mesh with its coordinates mapped by a similarity (4, 4); directions turn, other fields stay."""
    turn = matrix[:3, :3] / np.cbrt(np.linalg.det(matrix[:3, :3]))

    def moved(points):
        return points @ matrix[:3, :3].T + matrix[:3, 3]

    cells = {n: v @ turn.T if v.ndim == 2 and v.shape[1] == 3 else v for n, v in mesh.cell_fields.items()}
    middles = None if mesh.middles is None else moved(mesh.middles)
    rings = tuple(replace(ring, points=moved(ring.points)) for ring in mesh.rings)
    return replace(mesh, nodes=moved(mesh.nodes), middles=middles, cell_fields=cells, rings=rings)


def read_space(text: str) -> Space | None:
    """Units and frame that a text says of itself (:meth:`Space.lines`); None where it says nothing."""
    found = ABOUT.search(text[:HEAD])
    if found is None or found[1] not in FRAMES or found[2] not in UNITS:
        return None
    units, frame, numbers = found[2], found[1], found[3]
    if frame != "HEART":
        return Space(units, frame, np.diag([-1.0, -1.0, 1.0, 1.0]) if frame == "RAS" else np.eye(4))
    values = np.array((numbers or "").split(), float)
    if values.size != 12:
        return None
    return Space(units, frame, np.vstack([values.reshape(3, 4), [0.0, 0.0, 0.0, 1.0]]))
