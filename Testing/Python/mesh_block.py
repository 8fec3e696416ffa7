"""A small tagged tetrahedral block with the topology of the ventricles: two pits in a box, each face tagged."""

import itertools

import numpy as np

from CardiacLib.types.bivmesh import PATCHES, REGIONS, BiVMesh

CELLS = (7, 5, 4)
CAVITIES = {"ENDO_LV": (1, 3), "ENDO_RV": (4, 6)}
"""Range in x of each pit; in y it goes from 1 to 4 and in z from 1 to the top."""
TETS_OF_CUBE = 6
FACES = np.array([(1, 2, 3), (0, 3, 2), (0, 1, 3), (0, 2, 1)])
"""Outward faces of a positive tet, by the corner opposite to them."""


def make_block(fields: bool = True, cavities: tuple[str, ...] = tuple(CAVITIES), seed: int = 5) -> BiVMesh:
    """The block, turned and moved so that no coordinate is round; ``fields`` adds random fibres and more."""
    rng = np.random.default_rng(seed)
    cubes = np.array(list(itertools.product(*map(range, CELLS))))
    for name in cavities:
        first, last = CAVITIES[name]
        x, y, z = cubes.T
        cubes = cubes[~((x >= first) & (x < last) & (y >= 1) & (y < 4) & (z >= 1))]
    paths = [_path(order) for order in itertools.permutations(range(3))]
    corners = np.concatenate([cubes[:, None] + path for path in paths])
    lattice, tets = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    tets = tets.reshape(-1, 4)
    triangles = _outer_faces(tets)
    middle = lattice[triangles].mean(1)
    patches = np.full(len(triangles), PATCHES["EPI"], np.int32)
    inside = (middle > 0.5).all(1) & (middle[:, :2] < np.array(CELLS[:2]) - 0.5).all(1)
    patches[inside] = np.where(middle[inside, 0] < 3.5, PATCHES["ENDO_LV"], PATCHES["ENDO_RV"])
    patches[middle[:, 2] == CELLS[2]] = PATCHES["BASE"]
    x = lattice[tets].mean(1)[:, 0]
    regions = np.select([x < 3, x < 4], [REGIONS["LV_MYO"], REGIONS["SEPTUM"]], REGIONS["RV_WALL"]).astype(np.int32)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    nodes = (lattice + 0.1 * rng.random(lattice.shape)) @ turn.T * 2.3 + (-71.3, 12.7, 431.9)
    cells, points = _fields(rng, len(tets), len(nodes)) if fields else ({}, {})
    return BiVMesh(nodes, tets, regions, triangles, patches, cell_fields=cells, point_fields=points)


def _path(order) -> np.ndarray:
    """(4, 3) corners of one tet of a cube, positive."""
    steps = np.zeros((4, 3), int)
    for step, axis in enumerate(order):
        steps[step + 1 :, axis] += 1
    odd = np.linalg.det(np.eye(3)[list(order)]) < 0
    return steps[[0, 2, 1, 3]] if odd else steps


def _outer_faces(tets) -> np.ndarray:
    faces = tets[:, FACES].reshape(-1, 3)
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    return faces[first[count == 1]]


def _fields(rng, tets: int, nodes: int):
    frames = np.linalg.qr(rng.normal(size=(tets, 3, 3)))[0]
    fibre, sheet = frames[:, :, 0], frames[:, :, 1]
    cells = {"fibre": fibre, "sheet": sheet, "normal": np.cross(fibre, sheet)}
    cells["aha"] = rng.integers(0, 18, tets).astype(np.int32)
    names = ("transmural", "apicobasal", "rotational", "transventricular")
    return cells, {name: rng.uniform(-1, 1, nodes) for name in names}
