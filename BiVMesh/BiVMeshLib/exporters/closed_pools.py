"""Blood pools as closed surfaces, for flow simulation: the endocardium and a flat lid in the base plane."""

from dataclasses import dataclass

import numpy as np

from BiVMeshLib.check.topology import edge_counts
from CardiacLib.types.bivmesh import PATCHES, BiVMesh

LIDS = {"LID_LV": 5, "LID_RV": 6}
"""Ids of the lids, where blood enters and leaves; they go on from PATCHES and are none of REGIONS."""
POOLS = {"LV_POOL": ("ENDO_LV", "LID_LV"), "RV_POOL": ("ENDO_RV", "LID_RV")}
"""Wall and lid of each pool."""


@dataclass(frozen=True)
class ClosedPool:
    """The closed surface of one blood pool.

    Attributes:
        name: LV_POOL or RV_POOL. wall, lid: the names of its two faces.
        nodes: float64 (N, 3) LPS mm, all nodes of the mesh.
        triangles: int64 (F, 3) oriented out of the blood.
        faces: int32 (F,) id of PATCHES for the wall, LIDS for the lid.
    """

    name: str
    wall: str
    lid: str
    nodes: np.ndarray
    triangles: np.ndarray
    faces: np.ndarray

    def ids(self) -> dict[str, int]:
        """Ids of the two faces by name."""
        return {self.wall: PATCHES[self.wall], self.lid: LIDS[self.lid]}

    def volume_ml(self) -> float:
        """Enclosed volume, positive for triangles that point outwards."""
        a, b, c = (self.nodes[self.triangles[:, n]] - self.nodes[self.triangles[0, 0]] for n in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6000.0


def closed_pools(mesh: BiVMesh) -> list[ClosedPool]:
    """The closed pool of each ventricle that the mesh has.

    The nodes are the mesh's own, so that flow and muscle meet without a gap. The lid spans the rim of the endocardium
    with triangles of rim nodes alone; a flow mesher will remesh it.

    Raises:
        ValueError: a rim is not one closed line, which no mesh that passed the gate has.
    """
    pools = []
    for name, (wall, lid) in POOLS.items():
        endo = mesh.patch(wall)
        if len(endo):
            inward = endo[:, ::-1]  # the mesh's triangles point out of the muscle, into the blood
            cover = span(mesh.nodes, rim(inward)[::-1])
            faces = np.repeat(np.array([PATCHES[wall], LIDS[lid]], np.int32), [len(inward), len(cover)])
            pools.append(
                ClosedPool(
                    name=name,
                    wall=wall,
                    lid=lid,
                    nodes=mesh.nodes,
                    triangles=np.concatenate([inward, cover]),
                    faces=faces,
                )
            )
    return pools


def rim(triangles: np.ndarray) -> np.ndarray:
    """(R,) nodes along the one border of a surface, in the direction of its triangles."""
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


def span(nodes: np.ndarray, line: np.ndarray) -> np.ndarray:
    """(R - 2, 3) triangles that fill a plane closed line of nodes, convex or not: the best-shaped ear first.

    The triangles run along the line. Ear clipping: a corner is an ear when it turns left and no other node of the line
    lies in its triangle.
    """
    places = nodes[line] - nodes[line].mean(0)
    normal = np.cross(places, np.roll(places, -1, axis=0)).sum(0)
    across = np.linalg.svd(normal[None])[2][1:]
    if np.cross(*across) @ normal < 0:
        across = across[::-1]
    flat, left, triangles = places @ across.T, list(range(len(line))), []
    shapes = [_ear(flat, left, n) for n in left]
    while len(left) > 3:
        if max(shapes) <= 0:  # a corner may have become an ear since it was looked at
            shapes = [_ear(flat, left, n) for n in range(len(left))]
        best = int(np.argmax(shapes))
        triangles.append([left[best - 1], left[best], left[(best + 1) % len(left)]])
        del left[best], shapes[best]
        for n in (best - 1, best % len(left)):
            shapes[n] = _ear(flat, left, n)
    return line[np.array([*triangles, left])]


def _ear(flat: np.ndarray, left: list[int], n: int) -> float:
    """Shape of the triangle at a corner, 0 to 1 (twice its height over its longest side); -1 if it is no ear."""
    corner = flat[[left[n - 1], left[n], left[(n + 1) % len(left)]]]
    side = np.roll(corner, -1, axis=0) - corner
    double_area = _cross(side[0], side[1])
    if double_area <= 0:
        return -1.0
    others = flat[np.setdiff1d(left, [left[n - 1], left[n], left[(n + 1) % len(left)]])]
    inside = np.all([_cross(side[k], others - corner[k]) >= 0 for k in range(3)], axis=0)
    return -1.0 if inside.any() else double_area / float((side**2).sum(1).max())


def _cross(a: np.ndarray, b: np.ndarray):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
