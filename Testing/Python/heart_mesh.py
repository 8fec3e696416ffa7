"""Meshes for the tests of fibres and coordinates: a coarse phantom heart and a structured ellipsoidal shell."""

from functools import cache
from itertools import permutations

import numpy as np

from BiVMeshLib import MeshOptions, build_mesh
from BiVMeshLib.check.quality import signed_volumes
from BiVMeshLib.check.topology import boundary_faces
from CardiacLib.phantom import PhantomOptions, make_phantom
from CardiacLib.types.bivmesh import PATCHES, REGIONS, BiVMesh

ENDO_RADII, EPI_RADII = np.array([20.0, 20.0, 45.0]), np.array([32.0, 32.0, 57.0])


@cache
def phantom_mesh(**choices) -> tuple[BiVMesh, np.ndarray]:
    """Mesh of the small phantom at ED, not optimised to save the time, and the 4x4 from heart frame to LPS."""
    phantom = make_phantom(PhantomOptions.small(n_frames=2, **choices))
    coarse = MeshOptions(edge_length_mm=3.4, grid_mm=2.0, refinements=0, optimise=False)
    return build_mesh(phantom.labels.labels[0], phantom.labels.ijk_to_lps, coarse), phantom.heart_to_lps


def in_heart_frame(points, heart_to_lps) -> np.ndarray:
    """LPS (N, 3) to the phantom's frame: x to the septum, y to the anterior wall, z to the base."""
    return (points - heart_to_lps[:3, 3]) @ heart_to_lps[:3, :3]


def lv_alone(mesh: BiVMesh) -> BiVMesh:
    """The LV and the septum of a mesh, as a mesh of one ventricle."""
    old, tets = np.unique(mesh.tets[mesh.regions != REGIONS["RV_WALL"]], return_inverse=True)
    tets = tets.reshape(-1, 4)
    nodes, faces = mesh.nodes[old], boundary_faces(tets)
    patch = np.full(len(faces), PATCHES["EPI"], np.int32)
    for name in ("ENDO_LV", "BASE"):
        patch[np.isin(old[faces], mesh.patch(name)).all(1)] = PATCHES[name]
    return BiVMesh(nodes, tets, np.full(len(tets), REGIONS["LV_MYO"], np.int32), faces, patch)


@cache
def shell(side: int = 24, layers: int = 6) -> tuple[BiVMesh, np.ndarray, np.ndarray]:
    """Half of an ellipsoidal shell as an LV, base in z = 0, from a curved block of side x side x layers bricks.

    Returns:
        the mesh; at the nodes (N,) the depth in the wall, 0 to 1, and the angle from the apex, 0 to pi/2.
    """
    u, v, depth = np.meshgrid(*2 * [np.linspace(-1, 1, side + 1)], np.linspace(0, 1, layers + 1), indexing="ij")
    x, y = u * np.sqrt(1 - v**2 / 2), v * np.sqrt(1 - u**2 / 2)
    angle, turn = np.hypot(x, y) * np.pi / 2, np.arctan2(y, x)
    unit = np.stack([np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), -np.cos(angle)], axis=-1)
    nodes = (unit * (ENDO_RADII + depth[..., None] * (EPI_RADII - ENDO_RADII))).reshape(-1, 3)
    number = np.arange(len(nodes)).reshape(u.shape)
    tets = []
    for order in permutations(range(3)):  # Kuhn: a path along the brick's edges per order of the axes
        corner, path = np.zeros(3, int), [np.zeros(3, int)]
        for axis in order:
            corner = corner + np.eye(3, dtype=int)[axis]
            path.append(corner)
        tets.append(np.stack([number[i : i + side, j : j + side, k : k + layers].ravel() for i, j, k in path], axis=1))
    tets = np.concatenate(tets)
    # Two corners of the block lie flat on the base's rim.
    used, tets = np.unique(tets[np.abs(signed_volumes(nodes, tets)) > 1e-9], return_inverse=True)
    tets, nodes, depth, angle = tets.reshape(-1, 4), nodes[used], depth.ravel()[used], angle.ravel()[used]
    tets = np.where((signed_volumes(nodes, tets) < 0)[:, None], tets[:, [0, 2, 1, 3]], tets)
    faces = boundary_faces(tets)
    patch = np.full(len(faces), PATCHES["BASE"], np.int32)
    patch[(depth[faces] == 0).all(1)] = PATCHES["ENDO_LV"]
    patch[(depth[faces] == 1).all(1)] = PATCHES["EPI"]
    regions = np.full(len(tets), REGIONS["LV_MYO"], np.int32)
    return BiVMesh(nodes, tets, regions, faces, patch), depth, angle
