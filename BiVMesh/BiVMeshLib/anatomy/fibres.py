"""Rule-based fibre, sheet and normal directions per tetrahedron.

Bayer et al., Ann Biomed Eng 2012, doi 10.1007/s10439-012-0593-5: a frame at each endocardium and at the epicardium from
Laplace potentials, turned by the angles alpha and beta, and blended by ``bislerp``. Kept as published: the axis system,
the LV/RV blend in the septum and the interpolation of frames. Changed, as Schuler (KIT LDRB, 2021) found necessary too:
as published the endocardial frame keeps its angle through the free walls, so that the blended angle varies with the
square of the depth; here both frames carry the angle of the depth they stand at, and the angle is linear in depth.
"""

from dataclasses import dataclass

import numpy as np
import scipy

from CardiacLib.types.bivmesh import BiVMesh
from CardiacLib.types.mesh_options import FibreOptions

from . import quaternions
from .potentials import Potentials

PARALLEL = 1e-3
"""Sine of the angle between apicobasal and transmural direction below which a frame is not defined."""

FLAT = 1e-9
"""Share of the median gradient below which a gradient is rounding."""


@dataclass(frozen=True)
class Fibres:
    """Directions per tet, orthonormal and right-handed: fibre x sheet = normal.

    Attributes:
        fibre, sheet, normal: float64 (M, 3) LPS unit vectors.
        repaired: number of tets without a frame of their own, which have that of the nearest tet.
    """

    fibre: np.ndarray
    sheet: np.ndarray
    normal: np.ndarray
    repaired: int


def make_fibres(mesh: BiVMesh, potentials: Potentials, options: FibreOptions) -> Fibres:
    """Fibre, sheet and normal of every tet of a mesh of one or both ventricles."""
    elements, tets = potentials.elements, mesh.tets
    epi, share = potentials.epi[tets].mean(1), potentials.rv_share()
    up = elements.gradient(potentials.apicobasal)
    alpha, beta = (
        np.radians((1.0 - epi) * endo + epi * outer)
        for endo, outer in ((options.alpha_endo, options.alpha_epi), (options.beta_endo, options.beta_epi))
    )
    # From +alpha at the LV to -alpha at the RV, whose transmural axis points the other way.
    flip = 1.0 - 2.0 * share
    towards_rv, bad_rv = axes(up, elements.gradient(potentials.rv))
    from_lv, bad_lv = axes(up, -elements.gradient(potentials.lv))
    outwards, bad_epi = axes(up, elements.gradient(potentials.epi))
    at_endo = turn(flip * alpha, flip * beta)
    endo = bislerp(quaternions.product(from_lv, at_endo), quaternions.product(towards_rv, at_endo), share)
    frame = quaternions.matrices(bislerp(endo, quaternions.product(outwards, turn(alpha, beta)), epi))
    # A frame that is not defined matters only where it has weight.
    bad = (bad_epi & (epi > 0.01)) | (epi < 0.99) & ((bad_lv & (share < 0.99)) | (bad_rv & (share > 0.01)))
    if bad.any() and not bad.all():
        centres = mesh.nodes[tets].mean(1)
        frame[bad] = frame[~bad][scipy.spatial.cKDTree(centres[~bad]).query(centres[bad])[1]]
    return Fibres(fibre=frame[:, :, 0], sheet=frame[:, :, 2], normal=-frame[:, :, 1], repaired=int(bad.sum()))


def axes(up: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local axes from the apicobasal and the transmural gradient (both (M, 3)), and where they are not defined.

    Quaternions (4, M) of the matrices with the columns circumferential, longitudinal (along ``up``), transmural
    (``across`` without its part along ``up``). The frame of a cell that has no such axes, bool (M,), is some rotation.
    """
    e1, flat = _unit(up)
    across, none = _unit(across)
    e2 = across - (e1 * across).sum(0) * e1
    size = np.sqrt((e2**2).sum(0))
    bad = flat | none | (size < PARALLEL)
    e1[:, flat] = np.array([[0.0], [0.0], [1.0]])
    e2[:, bad] = np.cross(e1[:, bad].T, np.eye(3)[np.abs(e1[:, bad]).argmin(0)]).T
    size[bad] = np.sqrt((e2[:, bad] ** 2).sum(0))
    e2 /= size
    return quaternions.from_axes(np.cross(e1, e2, axis=0), e1, e2), bad


def _unit(gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (3, M) along gradients (M, 3), and bool (M,) where there is none but for rounding."""
    vectors = np.ascontiguousarray(gradient.T)
    length = np.sqrt((vectors**2).sum(0))
    none = length <= FLAT * np.median(length)
    return vectors / np.where(none, 1.0, length), none


def turn(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Rotations by alpha about the third axis, then by -beta about the new first one: ``orient`` of Bayer 2012."""
    (c, s), (cb, sb) = ((np.cos(angle / 2), np.sin(angle / 2)) for angle in (alpha, -beta))
    return np.stack([c * sb, s * sb, s * cb, c * cb])


def bislerp(one: np.ndarray, two: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Spherical interpolation from frames ``one`` to ``two`` (4, M) by ``share`` (M,), the short way between axes.

    Directions have no sign: of the four frames that differ from ``one`` by half turns about its axes, the nearest to
    ``two`` is taken.
    """
    x, y, z, w = one
    half_turns = [one, np.stack([w, z, -y, -x]), np.stack([-z, w, x, -y]), np.stack([y, -x, w, -z])]
    start, nearest = one, np.abs((one * two).sum(0))
    for turned in half_turns[1:]:
        agreement = np.abs((turned * two).sum(0))
        start, nearest = np.where(agreement > nearest, turned, start), np.maximum(agreement, nearest)
    return quaternions.slerp(start, two, share)
