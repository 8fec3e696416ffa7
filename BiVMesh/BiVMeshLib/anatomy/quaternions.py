"""Unit quaternions of many rotations at once: float64 (4, M) arrays with rows x, y, z, w.

scipy's ``Rotation`` checks and normalises at every step, which for the frames of a mesh takes longer than the rest.
"""

import numpy as np


def from_axes(one: np.ndarray, two: np.ndarray, three: np.ndarray) -> np.ndarray:
    """(4, M) rotations whose matrices have the columns ``one``, ``two``, ``three``, each (3, M), orthonormal.

    The largest of the four components is found first, so that none is divided by a small number (Shepperd 1978,
    doi 10.2514/3.55767b).
    """
    trace = one[0] + two[1] + three[2]
    largest = np.stack([one[0], two[1], three[2], trace]).argmax(0)
    found = np.empty((4, len(trace)))
    columns = (one, two, three)
    for i in range(3):
        rows = np.flatnonzero(largest == i)
        a, b, c = (columns[n % 3][:, rows] for n in (i, i + 1, i + 2))
        j, k = (i + 1) % 3, (i + 2) % 3
        found[i, rows] = 1.0 - trace[rows] + 2.0 * a[i]
        found[j, rows], found[k, rows] = b[i] + a[j], c[i] + a[k]
        found[3, rows] = b[k] - c[j]
    rows = np.flatnonzero(largest == 3)
    a, b, c = (column[:, rows] for column in columns)
    found[:, rows] = b[2] - c[1], c[0] - a[2], a[1] - b[0], 1.0 + trace[rows]
    return found / np.sqrt((found**2).sum(0))


def product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """(4, M) the rotation ``q``, then ``p``: the product of their matrices."""
    (a, b, c, d), (x, y, z, w) = p, q
    return np.stack(
        [
            d * x + a * w + b * z - c * y,
            d * y - a * z + b * w + c * x,
            d * z + a * y - b * x + c * w,
            d * w - a * x - b * y - c * z,
        ]
    )


def matrices(q: np.ndarray) -> np.ndarray:
    """(M, 3, 3) rotation matrices."""
    x, y, z, w = q
    found = np.empty((q.shape[1], 3, 3))
    found[:, 0, 0] = 1.0 - 2.0 * (y * y + z * z)
    found[:, 1, 1] = 1.0 - 2.0 * (x * x + z * z)
    found[:, 2, 2] = 1.0 - 2.0 * (x * x + y * y)
    found[:, 0, 1], found[:, 1, 0] = 2.0 * (x * y - z * w), 2.0 * (x * y + z * w)
    found[:, 0, 2], found[:, 2, 0] = 2.0 * (x * z + y * w), 2.0 * (x * z - y * w)
    found[:, 1, 2], found[:, 2, 1] = 2.0 * (y * z - x * w), 2.0 * (y * z + x * w)
    return found


def slerp(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(4, M) spherical interpolation by ``share`` (M,) the short way round."""
    cosine = (start * end).sum(0)
    end, cosine = np.where(cosine < 0, -end, end), np.abs(cosine)
    angle = np.arccos(np.minimum(cosine, 1.0))
    sine = np.sin(angle)
    near = sine < 1e-8
    sine = np.where(near, 1.0, sine)
    one = np.where(near, 1.0 - share, np.sin((1.0 - share) * angle) / sine)
    two = np.where(near, share, np.sin(share * angle) / sine)
    found = one * start + two * end
    return found / np.sqrt((found**2).sum(0))
