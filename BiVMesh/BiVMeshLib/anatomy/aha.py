"""The 17 segments of the American Heart Association (Cerqueira et al., Circulation 2002, doi 10.1161/hc0402.102975)."""

import numpy as np

from CardiacLib.aha import APEX_SEGMENT, apical_segment, basal_segment
from CardiacLib.types.bivmesh import BiVMesh

from .coordinates import Coordinates
from .potentials import LongAxis

SEPTUM_HALF_WIDTH = 60.0
"""Degrees that the scheme gives the septum on either side of its middle, whatever this heart's insertions span."""


def aha_segments(mesh: BiVMesh, coordinates: Coordinates, axis: LongAxis) -> np.ndarray:
    """int32 (M,) segment 1..17 of every tet of LV and septum, 0 in the RV wall; by the tet's centre.

    The RV insertions bound the septal segments. Segment 17 lies beyond the end of the cavity; from there to the base
    apical, middle and basal thirds are equal in the apicobasal coordinate.

    Args:
        mesh: both ventricles; coordinates: with ``rotational``.
    """
    lv = ~coordinates.rv_wall
    tets = mesh.tets[lv]
    angle = scheme_angle(_mean_angle(coordinates.rotational[tets]))
    height = coordinates.apicobasal[tets].mean(1)
    tip = _cavity_end(mesh, coordinates, axis)
    level = np.floor(3.0 * (height - tip) / (1.0 - tip))
    basal, apical = basal_segment(angle), apical_segment(angle)
    segments = np.zeros(len(mesh.tets), np.int32)
    segments[lv] = np.select([level >= 2, level == 1, level == 0], [basal, basal + 6, apical], APEX_SEGMENT)
    return segments


def scheme_angle(rotational: np.ndarray) -> np.ndarray:
    """Degrees 0..360 round the scheme from the middle of the septum over the anterior wall.

    The insertions (rotational -pi/2, pi/2) are at -60 and 60 degrees: the septum is two of six basal segments.
    """
    turn = np.abs(rotational) / np.pi
    septum, free = SEPTUM_HALF_WIDTH, 180.0 - SEPTUM_HALF_WIDTH
    angle = np.where(turn < 0.5, 2.0 * turn * septum, septum + (2.0 * turn - 1.0) * free)
    return np.where(rotational < 0, 360.0 - angle, angle) % 360.0


def _mean_angle(corners: np.ndarray) -> np.ndarray:
    """Mean over the corners (M, 4) of angles that may jump from pi to -pi between them."""
    return np.arctan2(np.sin(corners).sum(1), np.cos(corners).sum(1))


def _cavity_end(mesh: BiVMesh, coordinates: Coordinates, axis: LongAxis) -> float:
    """Median apicobasal coordinate of the LV's nodes on the level of the cavity's end, a slab of one edge's height."""
    edge = np.linalg.norm(mesh.nodes[mesh.tets[:, 1]] - mesh.nodes[mesh.tets[:, 0]], axis=1).mean()
    near = (np.abs((mesh.nodes - axis.cavity_end) @ axis.up) < edge / 2) & (coordinates.transventricular < 0)
    return float(np.median(coordinates.apicobasal[near]))
