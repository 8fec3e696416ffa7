"""Annuli from valve points: a closed curve through the hinges of each valve, in a plane of its own.

A view gives two opposite points of an annulus, three views six. The curve's distance from the middle of the hinges is a
Fourier series of second order over the angle: a circle, moved and oval as far as the points ask for it.
"""

from itertools import pairwise

import numpy as np

from BiVMeshLib.prepare.valve_base import SPREAD_MM
from CardiacLib.types.bivmesh import ValveRing
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, valve_points

from .openings import Opening, within

OVAL = 0.15
"""Standard deviation of each coefficient of the series, over the mean radius, known before any point is seen."""
TILT = np.tan(np.deg2rad(20.0))
"""Standard deviation of the slope of an annulus against the base."""
LEAST = 0.5
"""The curve comes nowhere nearer to its middle, over the mean radius."""
SAMPLES = 72
SLIDE, STEP_MM = 0.5, 0.5
"""How far the ring of one view may be moved across it, over its radius, and in which steps."""
ALL_BUT = 0.01
"""Share of a ring within the opening that is not worth a longer way."""


def fit_ring(name: str, points: np.ndarray, normal: np.ndarray) -> ValveRing | None:
    """The annulus of one valve; None unless one view shows both of its hinges.

    Args:
        name: of VALVE_PATCHES.
        points: (10, 3) valve points of the frame, LPS mm in the order of LANDMARK_NAMES, NaN where not seen.
        normal: (3,) of the base plane, out of the blood. Points of one view leave the annulus across it as the base is.
    """
    own = [n for n in valve_points(name.lower()) if np.isfinite(points[n]).all()]
    pairs = [(a, b) for a, b in pairwise(own) if LANDMARK_VIEWS[a] == LANDMARK_VIEWS[b]]
    if not pairs:
        return None
    places, middle = points[own], np.mean([points[list(pair)].mean(0) for pair in pairs], axis=0)
    weight = np.array([SPREAD_MM[LANDMARK_VIEWS[n]] for n in own]) ** -2.0
    axes = _axes(normal, points[pairs[0][0]] - middle)
    local = (places - middle) @ axes
    design = np.column_stack([np.ones(len(local)), local[:, :2]])
    height, *slope = _ridge(design, local[:, 2], weight, np.array([np.inf, TILT, TILT]))
    axes = _axes(axes @ np.array([-slope[0], -slope[1], 1.0]), axes[:, 0])
    middle = middle + height * normal
    local = (places - middle) @ axes
    radius, angle = np.hypot(local[:, 0], local[:, 1]), np.arctan2(local[:, 1], local[:, 0])
    mean = float(radius.mean())
    series = _ridge(_harmonics(angle), radius, weight, np.array([np.inf, *[OVAL * mean] * 4]))
    turn = np.linspace(0.0, 2.0 * np.pi, SAMPLES, endpoint=False)
    along = np.maximum(_harmonics(turn) @ series, LEAST * mean)
    missed = np.hypot(radius - _harmonics(angle) @ series, local[:, 2])
    return ValveRing(
        name=name,
        points=middle + along[:, None] * (np.stack([np.cos(turn), np.sin(turn)], 1) @ axes[:, :2].T),
        used=tuple(LANDMARK_NAMES[n] for n in own),
        rms_mm=float(np.sqrt(np.mean(missed**2))),
    )


def slid_into(ring: ValveRing, points: np.ndarray, opening: Opening) -> tuple[ValveRing, float]:
    """A ring of one view where most of it lies within the opening, and by how many mm it was moved there.

    Two hinges do not say where along the normal of their image the middle of the annulus lies. The ring is moved that
    way, and no farther than it takes. A ring of more views stays where it is.

    Args:
        points: (10, 3) as of :func:`fit_ring`.
    """
    if len(ring.used) > 2:
        return ring, 0.0
    hinges = opening.to_plane(points[[LANDMARK_NAMES.index(name) for name in ring.used]])
    along = hinges[1] - hinges[0]
    across = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    curve = opening.to_plane(ring.points)
    middle, shares = curve.mean(0), np.sqrt((np.arange(8) + 0.5) / 8)
    disc = (middle + shares[:, None, None] * (curve - middle)).reshape(-1, 2)  # of equal area each
    reach = SLIDE * float(np.linalg.norm(curve - middle, axis=1).mean())
    ways = np.arange(-np.floor(reach / STEP_MM), np.floor(reach / STEP_MM) + 1) * STEP_MM
    inside = np.array([within(opening.flat, disc + way * across).mean() for way in ways])
    good = ways[inside >= inside.max() - ALL_BUT]
    way = float(good[np.abs(good).argmin()])
    moved = ring.points + way * (opening.axes[:, :2] @ across)
    return ValveRing(ring.name, moved, ring.used, ring.rms_mm), abs(way)


def _axes(normal: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(3, 3) right-handed orthonormal columns: ``along`` as far as it is perpendicular to the last, ``normal``."""
    normal = normal / np.linalg.norm(normal)
    first = along - (along @ normal) * normal
    first /= np.linalg.norm(first)
    return np.column_stack([first, np.cross(normal, first), normal])


def _harmonics(angle: np.ndarray) -> np.ndarray:
    """(P, 5) constant, cosine and sine of the angle and of twice the angle."""
    return np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=1)


def _ridge(design: np.ndarray, values: np.ndarray, weight: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Least squares with a prior standard deviation of each unknown."""
    weighted = design * weight[:, None]
    return np.linalg.solve(design.T @ weighted + np.diag(spread**-2.0), weighted.T @ values)
