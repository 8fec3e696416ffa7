"""Where a ventricle is open at the base: the rim of its endocardium, which is one plane closed line."""

from dataclasses import dataclass

import numpy as np

from BiVMeshLib.check.topology import edge_counts


@dataclass(frozen=True)
class Opening:
    """The opening of one ventricle in the base plane.

    Attributes:
        line: int64 (R,) nodes along the rim, counterclockwise seen from outside the blood.
        origin: (3,) in the plane, LPS mm. axes: (3, 3) columns: two directions in the plane, its normal out of the
            blood.
        flat: (R, 2) mm, the rim in the plane.
    """

    line: np.ndarray
    origin: np.ndarray
    axes: np.ndarray
    flat: np.ndarray

    @property
    def spacing_mm(self) -> float:
        """Median length of the rim's edges."""
        return float(np.median(np.linalg.norm(self.flat - np.roll(self.flat, -1, axis=0), axis=1)))

    def to_plane(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) in the plane, along its normal, of points (..., 3) in LPS mm."""
        return (points - self.origin) @ self.axes[:, :2]

    def to_lps(self, flat: np.ndarray) -> np.ndarray:
        """(..., 3) LPS mm of points (..., 2) of the plane."""
        return self.origin + flat @ self.axes[:, :2].T


def opening_of(nodes: np.ndarray, endocardium: np.ndarray) -> Opening:
    """The opening of a ventricle.

    Args:
        nodes: (N, 3) LPS mm.
        endocardium: (F, 3) triangles that point into the blood, as those of a mesh do.

    Raises:
        ValueError: the rim is not one closed line.
    """
    return opened(nodes, rim(endocardium))


def opened(nodes: np.ndarray, line: np.ndarray) -> Opening:
    """The opening whose rim are these nodes (R,)."""
    origin, axes = nodes[line].mean(0), plane_axes(nodes[line])
    return Opening(line=line, origin=origin, axes=axes, flat=(nodes[line] - origin) @ axes[:, :2])


def plane_axes(line: np.ndarray) -> np.ndarray:
    """(3, 3) columns: two directions in the plane of a closed line (R, 3), and the normal about which it goes."""
    around = line - line.mean(0)
    normal = np.cross(around, np.roll(around, -1, axis=0)).sum(0)
    normal /= np.linalg.norm(normal)
    across = np.linalg.svd(normal[None])[2][1:]
    if np.cross(*across) @ normal < 0:
        across = across[::-1]
    return np.column_stack([*across, normal])


def rim(triangles: np.ndarray) -> np.ndarray:
    """(R,) nodes along the one border of a surface, in the direction of its triangles.

    Raises:
        ValueError: the border is not one closed line.
    """
    sides = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, count, number = edge_counts(triangles)
    following = dict(sides[count[number] == 1].tolist())
    line = [next(iter(following))]
    while following[line[-1]] != line[0]:
        line.append(following[line[-1]])
        if len(line) > len(following):
            break
    if len(line) != len(following):
        raise ValueError("The endocardium's rim is not one closed line.")
    return np.array(line)


def within(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """bool (P,): points (P, 2) inside a closed line (R, 2)."""
    from skimage.measure import points_in_poly

    return points_in_poly(points, polygon)


def to_segments(starts: np.ndarray, ends: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (P,) of points (P, D) from the nearest of segments (S, D), and which one (P,)."""
    way = ends - starts
    share = ((points[:, None] - starts) * way).sum(2) / np.maximum((way**2).sum(1), 1e-30)
    gap = points[:, None] - (starts + np.clip(share, 0.0, 1.0)[..., None] * way)
    distance = np.sqrt((gap**2).sum(2))
    nearest = distance.argmin(1)
    return distance[np.arange(len(points)), nearest], nearest
