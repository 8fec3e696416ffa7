"""How well a mesh keeps the labels it was made from: volumes under the base, distance of its surface to the contours.

Measured against the labels as they were given, without the clean-up: what was removed counts as error.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy

from BiVMeshLib.prepare.frame import HeartFrame
from BiVMeshLib.prepare.labels_check import LabelStack
from CardiacLib import geometry
from CardiacLib.types.bivmesh import BiVMesh
from CardiacLib.types.labels import LV, MYO, RV, RV_WALL
from CardiacLib.types.mesh_quality import Distances, MeshFidelity, MeshVolumes

PER_SIDE = 4
"""Points on each straight piece of a contour: two or more per mm."""
CANDIDATES = 12
"""A point's nearest triangle is looked for among this many with the nearest centres."""
BESIDE_RV = 5.0
"""mm. Nearer than this to the RV the LV's outer contour lies within the muscle of septum and insertions."""
ON_BASE = 0.01
"""mm under the base plane at which a slice that lies in it cuts the mesh."""
STRUCTURES = {"lv_pool": (LV,), "lv_myocardium": (MYO,), "rv_pool": (RV,), "rv_wall": (RV_WALL,)}
SURFACES = {"lv_pool": ((LV,), "ENDO_LV"), "rv_pool": ((RV,), "ENDO_RV"), "lv_outer": ((LV, MYO), "EPI")}
"""By name the labels inside a contour and the mesh's patch that follows it."""


def measure_fidelity(mesh: BiVMesh, volumes: MeshVolumes, stack: LabelStack, frame: HeartFrame) -> MeshFidelity:
    """Volumes of the labels and of the mesh against them, distances of all contours and per surface.

    Args:
        mesh: in LPS mm. volumes: of its structures.
        frame: of the mesh; the base is its plane z = 0.
    """
    labels = label_volumes(stack, frame)
    found = contour_distances(mesh, stack, frame)
    return MeshFidelity(
        label_ml=labels,
        volume_error_percent={
            name: 100.0 * (getattr(volumes, f"{name}_ml") / volume - 1.0) for name, volume in labels.items()
        },
        contour_distance_mm={
            name: Distances(mean=float(d.mean()), p95=float(np.percentile(d, 95)), max=float(d.max()))
            for name, d in {"all": np.concatenate(list(found.values())), **found}.items()
        },
    )


def label_volumes(stack: LabelStack, frame: HeartFrame) -> dict[str, float]:
    """Volumes in ml of the given labels under the base plane, each slice counted as a slab of the slice distance."""
    one_ml = geometry.voxel_ml(stack.ijk_to_lps)
    slab = abs(float(frame.axes[:, 2] @ stack.ijk_to_lps[:3, 2]))
    volumes = {}
    for name, labels in STRUCTURES.items():
        k, j, i = np.nonzero(np.isin(stack.given, labels))
        height = frame.from_lps(stack.to_lps(i, j, k))[:, 2]
        share = np.clip(0.5 - height / slab, 0.0, 1.0).sum()
        if share > 0:
            volumes[name] = float(share * one_ml)
    return volumes


def contour_distances(mesh: BiVMesh, stack: LabelStack, frame: HeartFrame) -> dict[str, np.ndarray]:
    """Distances in mm between the mesh's surface and the label contours under the base, by the names of SURFACES.

    In both directions: from points on the contours to the patch, and from points on the patch's sections with the
    slices to the contours. The outer surface counts farther than BESIDE_RV from the RV, where it is nearer to the LV.
    """
    rv = contour_points(stack, frame, (RV, RV_WALL))

    def measured(name: str) -> np.ndarray | None:
        labels, patch = SURFACES[name]
        triangles = mesh.patch(patch)
        contour, section = contour_points(stack, frame, labels), _sections(mesh.nodes, triangles, stack)
        if name == "lv_outer" and len(rv) and len(contour):
            contour, section = _away_from_rv(contour, section, rv)
        if not len(contour) or not len(section):
            return None
        there = distance_to_triangles(contour, mesh.nodes, triangles)
        return np.concatenate([there, scipy.spatial.cKDTree(contour).query(section)[0]])

    with ThreadPoolExecutor(2) as two:
        found = dict(zip(SURFACES, two.map(measured, SURFACES), strict=True))
    return {name: distances for name, distances in found.items() if distances is not None}


def _away_from_rv(contour: np.ndarray, section: np.ndarray, rv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of points (P, 3) on the LV's outer contour and on sections those that count; ``rv``: on the RV's contour.

    They are farther than BESIDE_RV from it, those of sections also nearer to the LV's. How far away the RV is, which
    takes long to find, is only looked for where it matters.
    """
    to_rv, to_lv = scipy.spatial.cKDTree(rv), scipy.spatial.cKDTree(contour)
    beside = np.nextafter(BESIDE_RV, np.inf)
    far = [np.isinf(to_rv.query(points, distance_upper_bound=beside)[0]) for points in (contour, section)]
    section = section[far[1]]
    distance = to_lv.query(section)[0]
    open_question = np.flatnonzero(distance >= BESIDE_RV)
    nearer = np.ones(len(section), bool)
    nearer[open_question] = to_rv.query(section[open_question])[0] > distance[open_question]
    return contour[far[0]], section[nearer]


def contour_points(stack: LabelStack, frame: HeartFrame, labels: tuple[int, ...]) -> np.ndarray:
    """(P, 3) LPS points on the contours of the given labels under the base, in slices up to that with a closed ring."""
    found = [np.zeros((0, 3))]
    for k, section in enumerate(stack.given[: stack.base + 1]):
        rows, columns = border(np.isin(section, labels)).T
        found.append(stack.to_lps(columns, rows, np.full(len(rows), k)))
    points = np.concatenate(found)
    return points[frame.from_lps(points)[:, 2] < ON_BASE]


def border(mask: np.ndarray) -> np.ndarray:
    """(P, 2) rows and columns of points along the border of a mask (J, I), PER_SIDE or more per pixel.

    The border joins the middles between pixels inside and outside (marching squares); where pixels meet at a corner
    it parts them.
    """
    padded = np.pad(mask, 1)
    corners = [padded[:-1, :-1], padded[:-1, 1:], padded[1:, 1:], padded[1:, :-1]]
    middle = np.array([(-1.0, -0.5), (-0.5, 0.0), (0.0, -0.5), (-0.5, -1.0)])
    crossed = [corners[n] != corners[(n + 1) % 4] for n in range(4)]
    saddle = np.logical_and.reduce(crossed)
    inside = corners[0]
    share = (np.arange(PER_SIDE) + 0.5)[:, None] / PER_SIDE
    points = []
    for a, b in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        here = crossed[a] & crossed[b] & ~saddle
        if (a + b) % 2:
            parts_first = (a, b) in ((0, 3), (1, 2))
            here |= saddle & (inside == parts_first)
        start = np.argwhere(here)[:, None]
        points.append((start + middle[a] + share * (middle[b] - middle[a])).reshape(-1, 2))
    return np.concatenate(points)


def distance_to_triangles(points: np.ndarray, nodes: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(P,) distance in mm of points (P, 3) to the nearest of the CANDIDATES triangles with the nearest centres."""
    corners = nodes[triangles]
    centres, count = corners.mean(1), min(CANDIDATES, len(triangles))
    radius = np.linalg.norm(corners - centres[:, None], axis=2).max(1)
    to_centre, nearest = (n.reshape(-1, count) for n in scipy.spatial.cKDTree(centres).query(points, count))
    best = np.full(len(points), np.inf)
    for n in range(count):
        near = np.flatnonzero(to_centre[:, n] - radius[nearest[:, n]] < best)
        best[near] = np.minimum(best[near], _to_triangle(points[near], corners[nearest[near, n]]))
    return best


def _to_triangle(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(P,) distance of each point to its triangle (P, 3, 3): to its plane above it, else to its sides."""
    side = np.roll(corners, -1, axis=1) - corners
    normal = np.cross(side[:, 0], side[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    offset = points[:, None] - corners
    inside = (np.einsum("pnk,pk->pn", np.cross(side, offset), normal) >= 0).all(1)
    share = np.einsum("pnk,pnk->pn", offset, side) / np.maximum(np.einsum("pnk,pnk->pn", side, side), 1e-30)
    to_sides = np.linalg.norm(offset - np.clip(share, 0.0, 1.0)[..., None] * side, axis=2).min(1)
    return np.where(inside, np.abs(np.einsum("pk,pk->p", offset[:, 0], normal)), to_sides)


def _sections(nodes: np.ndarray, triangles: np.ndarray, stack: LabelStack) -> np.ndarray:
    """(P, 3) points on the sections of triangles with the planes of all slices whose contours count."""
    up = geometry.slice_normal(stack.ijk_to_lps)
    up = up * np.sign(up @ stack.ijk_to_lps[:3, 2])
    share = ((np.arange(PER_SIDE) + 0.5) / PER_SIDE)[:, None]
    found, along = [np.zeros((0, 3))], nodes @ up
    corners = along[triangles]
    low, high = corners.min(1), corners.max(1)
    for k in range(stack.base + 1):
        level = stack.to_lps(0, 0, k) @ up - ON_BASE
        crossed = np.flatnonzero((high > level) & (low <= level))
        crossing, above = triangles[crossed], corners[crossed] > level
        # From the corner that lies alone on its side to the two others.
        alone = np.where(above.sum(1) == 1, above.argmax(1), (~above).argmax(1))
        apex, *others = (np.take_along_axis(crossing, (alone[:, None] + n) % 3, 1)[:, 0] for n in range(3))
        ends = []
        for other in others:
            part = (along[apex] - level) / (along[apex] - along[other])
            ends.append(nodes[apex] + part[:, None] * (nodes[other] - nodes[apex]))
        found.append((ends[0][:, None] + share * (ends[1] - ends[0])[:, None]).reshape(-1, 3))
    return np.concatenate(found)
