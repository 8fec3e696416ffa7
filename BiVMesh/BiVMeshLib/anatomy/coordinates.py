"""Ventricular coordinates at the nodes: transmural, apicobasal, rotational, transventricular.

Meaning and ranges are those of the universal ventricular coordinates (Bayer et al., Med Image Anal 2018, doi
10.1016/j.media.2018.01.005). As in Cobiveco (Schuler et al., Med Image Anal 2021, doi 10.1016/j.media.2021.102247) the
transmural coordinate is normalised along the wall's own thickness. The rotational coordinate is one harmonic solution
on the whole mesh instead of a chain of them on its parts.
"""

from dataclasses import dataclass

import numpy as np

from CardiacLib.types.bivmesh import REGIONS, BiVMesh

from .laplace import DirichletProblem
from .potentials import LongAxis, Potentials, nodes_of, on_patch

INSERTION_ABOVE = 0.35
"""Apicobasal coordinate from which the RV insertions hold the rotational one: in the basal and middle thirds."""
INSERTION_WIDTH_DEG = 25.0
"""Insertions nearer than this to the middle of the septum belong to the closing RV apex and hold nothing."""
CUT = 1e-3
"""Weight of the tets on the long axis, where the angle is not defined."""


@dataclass(frozen=True)
class Coordinates:
    """Coordinates at the nodes, float64 (N,).

    Attributes:
        transmural: LV and septum: 0 on ENDO_LV to 1 on EPI and on the septum's RV side. RV wall: 0 on ENDO_RV to 1
            on EPI. Rises evenly along the field lines. Jumps between LV and RV wall.
        apicobasal: 0 at the apex (a line through the wall), 1 on BASE, evenly along the wall.
        rotational: radians, anticlockwise as seen from the base in a normally placed heart: -pi/2 inferior insertion
            of the RV, 0 middle of the septum (and of the RV wall), pi/2 anterior insertion; it jumps from pi to -pi
            in the middle of the LV free wall. None without an RV.
        transventricular: -1 LV and septum, 1 RV wall; nodes on their common face are -1.
        rv_wall: bool (M,) tets of the RV wall, without those so tagged beside the LV cavity.
        mirrored: the direction that LPS calls anterior is where a mirrored heart would have it.
    """

    transmural: np.ndarray
    apicobasal: np.ndarray
    rotational: np.ndarray | None
    transventricular: np.ndarray
    rv_wall: np.ndarray
    mirrored: bool


def make_coordinates(mesh: BiVMesh, potentials: Potentials, towards_anterior: np.ndarray) -> Coordinates:
    """Coordinates of a mesh of one or both ventricles.

    Args:
        towards_anterior: (3,) LPS, from ``CardiacLib.geometry.towards_anterior`` of the labels' file.

    Raises:
        ArithmeticError: a solve did not converge.
    """
    rv_wall = (mesh.regions == REGIONS["RV_WALL"]) & (potentials.rv_share() > 0.5)
    lv = nodes_of(mesh, ~rv_wall)
    transmural = np.where(lv, 1.0 - potentials.lv, potentials.epi)
    rotational, mirrored = _rotational(mesh, potentials, lv & nodes_of(mesh, rv_wall), towards_anterior)
    return Coordinates(
        transmural=transmural,
        apicobasal=potentials.apicobasal,
        rotational=rotational,
        transventricular=np.where(lv, -1.0, 1.0),
        rv_wall=rv_wall,
        mirrored=mirrored,
    )


def wrapped(angle: np.ndarray) -> np.ndarray:
    """Angles in radians brought into (-pi, pi]."""
    return np.pi - (np.pi - angle) % (2.0 * np.pi)


def _rotational(
    mesh: BiVMesh, potentials: Potentials, between: np.ndarray, towards_anterior: np.ndarray
) -> tuple[np.ndarray | None, bool]:
    """The harmonic angle about the long axis that is +-pi/2 at the insertions, nodes ``between`` LV and RV wall.

    The angle in space gives the jump, which a harmonic function could not have; what is solved for is the difference
    to it, which has none.
    """
    if not between.any():
        return None, False
    septal, anterior, mirrored = directions(mesh, potentials.axis, towards_anterior)
    offset = mesh.nodes - potentials.axis.apex
    angle = np.arctan2(offset @ anterior, offset @ septal)
    held = between & (potentials.apicobasal > INSERTION_ABOVE) & (np.abs(angle) > np.radians(INSERTION_WIDTH_DEG))
    if not held.any():
        return None, mirrored
    steps = wrapped(angle[mesh.tets] - angle[mesh.tets[:, :1]])
    around = np.abs(steps[:, [2, 3, 3]] - steps[:, [1, 1, 2]]).max(1) > np.pi  # the axis passes through the tet
    slope = np.einsum("mnk,mn->mk", potentials.elements.gradients, steps)
    weight = np.where(around, CUT, 1.0)
    slope[around] = 0.0
    problem = DirichletProblem(potentials.elements.stiffness(weight), held, mesh.nodes)
    target = np.where(held, np.sign(angle) * np.pi / 2 - angle, 0.0)
    difference = problem.solve(target, -potentials.elements.divergence(slope))
    return wrapped(angle + difference), mirrored


def directions(mesh: BiVMesh, axis: LongAxis, towards_anterior: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Unit vectors across the long axis to the middle of the septum and to the anterior wall, LPS, and mirrored.

    The septum is where the RV is. Of the two directions across, the anterior one is nearer to ``towards_anterior``;
    ``mirrored``: it is not up x septal, where a heart has its anterior wall unless it is a mirror image.
    """
    septal = mesh.nodes[on_patch(mesh, "ENDO_RV")].mean(0) - axis.apex
    septal -= (septal @ axis.up) * axis.up
    septal /= np.linalg.norm(septal)
    across = np.cross(axis.up, septal)
    mirrored = bool(across @ towards_anterior < 0)
    return septal, -across if mirrored else across, mirrored
