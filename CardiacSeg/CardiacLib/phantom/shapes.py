"""Implicit building blocks: approximate signed distances in mm, negative inside, on broadcastable float arrays."""

from collections.abc import Sequence

import numpy as np

Place = Sequence[np.ndarray]
"""x, y and z in mm, arrays that broadcast together."""


def ellipsoid(at: Place, center, semi) -> np.ndarray:
    """Distance to an ellipsoid with half axes ``semi``: exact at its surface to first order (f / |grad f|)."""
    (x, y, z), (ax, ay, az) = at, semi
    qx, qy, qz = (x - center[0]) / ax, (y - center[1]) / ay, (z - center[2]) / az
    k0 = np.sqrt(qx * qx + qy * qy + qz * qz)
    qx, qy, qz = qx / ax, qy / ay, qz / az
    k1 = np.sqrt(qx * qx + qy * qy + qz * qz) + 1e-6
    return k0 * (k0 - 1.0) / k1


def capsule(at: Place, start, stop, radius, radius_stop=None) -> np.ndarray:
    """Distance to a round-ended tube from ``start`` to ``stop`` whose radius may change linearly."""
    x, y, z = at
    d = [float(b - a) for a, b in zip(start, stop, strict=True)]
    px, py, pz = x - start[0], y - start[1], z - start[2]
    t = np.clip((px * d[0] + py * d[1] + pz * d[2]) * (1.0 / sum(c * c for c in d)), 0.0, 1.0)
    px, py, pz = px - t * d[0], py - t * d[1], pz - t * d[2]
    reach = radius if radius_stop is None else radius + (radius_stop - radius) * t
    return np.sqrt(px * px + py * py + pz * pz) - reach


def above_plane(at: Place, plane) -> np.ndarray:
    """Signed height in mm over the plane z = plane[0] + plane[1] x + plane[2] y (positive above)."""
    (x, y, z), (h0, hx, hy) = at, plane
    return (z - h0 - hx * x - hy * y) * (1.0 / (1.0 + hx * hx + hy * hy) ** 0.5)


def smooth_union(a, b, width) -> np.ndarray:
    """Union of two fields, blended where they differ by less than ``width`` mm (quadratic smooth minimum)."""
    overlap = np.maximum(width - np.abs(a - b), 0.0)
    return np.minimum(a, b) - overlap * overlap * (0.25 / width)


def cap_volume(semi, center_z, plane) -> float:
    """Volume in mm^3 of an ellipsoid on the z axis below a plane (affine image of a spherical cap, exact)."""
    ax, ay, az = semi
    h0, hx, hy = plane
    depth = (h0 - center_z) / (az**2 + (ax * hx) ** 2 + (ay * hy) ** 2) ** 0.5
    depth = min(max(depth, -1.0), 1.0)
    return float(np.pi * ax * ay * az * (2.0 / 3.0 + depth - depth**3 / 3.0))
