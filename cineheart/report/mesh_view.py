"""Pictures of the mesh: shaded triangles drawn back to front, so that no OpenGL is needed on any machine."""

import numpy as np

from CardiacLib.types.bivmesh import ALL_PATCH_RGB, ALL_PATCHES, REGIONS, BiVMesh

from .pictures import Picture, png

REGION_RGB = {"LV_MYO": (0.80, 0.45, 0.38), "RV_WALL": (0.55, 0.62, 0.82), "SEPTUM": (0.72, 0.56, 0.70)}
"""Colour of cut tetrahedra by region, 0..1."""
_TET_FACES = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])


def mesh_views(mesh: BiVMesh) -> Picture:
    """The mesh from the front, seen into from its base, and cut open through both cavities."""
    from matplotlib.figure import Figure

    right, front, up = heart_frame(mesh)
    middle = (mesh.nodes.max(0) + mesh.nodes.min(0)) / 2
    outside = (mesh.triangles, colours_of(mesh.patches, ALL_PATCHES, ALL_PATCH_RGB))
    opened = cut_open(mesh, front)
    figure = Figure(figsize=(10.5, 3.5), facecolor="none")
    views = (
        ("From the front", outside, (right, up)),
        ("Into the base", outside, (right, -front)),
        ("Cut open", opened, (right, up)),
    )
    along = (mesh.nodes - middle) @ np.column_stack([right, front, up])
    middle = middle + np.column_stack([right, front, up]) @ (along.max(0) + along.min(0)) / 2
    reach = (along.max(0) - along.min(0)).max() / 2 * 1.05
    for number, (name, (triangles, colours), (across, upwards)) in enumerate(views):
        axes = figure.add_axes((number / 3, 0.0, 1 / 3, 0.94))
        draw(axes, mesh.nodes - middle, triangles, colours, across, upwards)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_axis_off()
        axes.set_title(name, fontsize=9, color="#7d8792", pad=2)
    return png(figure, "The biventricular mesh from the front, into its base, and cut open", dpi=110)


def heart_frame(mesh: BiVMesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors (LPS) for drawing: right of the picture, towards the viewer, up.

    Up is from apex to base; the LV stands at the picture's right and the RV at its left, as the viewer of a
    four-chamber image sees them. Without an RV the patient's left is right, without a base the patient's head is up.
    """

    def centre(patch):
        used = np.unique(mesh.patch(patch))
        return mesh.nodes[used].mean(0) if used.size else None

    base, lv, rv = centre("BASE"), centre("ENDO_LV"), centre("ENDO_RV")
    up = _unit(np.array([0.0, 0.0, 1.0]) if base is None else base - mesh.nodes.mean(0))
    towards_lv = np.array([1.0, 0.0, 0.0]) if lv is None or rv is None else lv - rv
    right = _unit(towards_lv - up * (towards_lv @ up))
    return right, np.cross(right, up), up


def cut_open(mesh: BiVMesh, front: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(triangles, colours) of the half of the mesh behind a plane through the middle of the LV cavity.

    The half is made of whole tetrahedra: its cut shows them, coloured by region, before the patches behind.
    """
    inside = np.unique(mesh.patch("ENDO_LV"))
    plane = mesh.nodes[inside].mean(0) @ front if inside.size else mesh.nodes.mean(0) @ front
    kept = mesh.nodes[mesh.tets].mean(1) @ front < plane
    faces = mesh.tets[kept][:, _TET_FACES].reshape(-1, 3)
    regions = np.repeat(mesh.regions[kept], 4)
    _, first, count = np.unique(_keys(faces), return_index=True, return_counts=True)
    single = first[count == 1]
    triangles, colours = faces[single], colours_of(regions[single], REGIONS, REGION_RGB)
    boundary, own = _keys(mesh.triangles), _keys(triangles)
    order = np.argsort(boundary)
    place = order[np.minimum(np.searchsorted(boundary, own, sorter=order), len(order) - 1)]
    patches = np.where(boundary[place] == own, mesh.patches[place], 0)
    colours[patches > 0] = colours_of(patches[patches > 0], ALL_PATCHES, ALL_PATCH_RGB)
    return triangles, colours


def _keys(faces: np.ndarray) -> np.ndarray:
    """One number per triangle (F, 3), the same for the same three of up to two million nodes in any order."""
    low, middle, high = np.sort(faces.astype(np.int64), axis=1).T
    return (low << 42) | (middle << 21) | high


def colours_of(ids: np.ndarray, names: dict[str, int], rgb: dict[str, tuple]) -> np.ndarray:
    """(F, 3) colours of ids (F,) by name."""
    colours = np.zeros((len(ids), 3))
    for name, number in names.items():
        colours[ids == number] = rgb[name]
    return colours


def draw(axes, nodes, triangles, colours, across, upwards) -> None:
    """Triangles of a closed surface by depth, farthest first, lit from the viewer's upper left.

    Those that face away are hidden by others, and left out.
    """
    from matplotlib.collections import PolyCollection

    towards = np.cross(across, upwards)
    corners = nodes[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) @ towards > 0
    corners, colours = corners[facing], colours[facing]
    order = np.argsort(corners.mean(1) @ towards)
    corners, colours = corners[order], colours[order]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    light = _unit(0.9 * towards + 0.35 * upwards - 0.35 * across)
    facing = np.abs(normals @ light)[:, None]
    shaded = np.clip(colours * (0.38 + 0.62 * facing) + 0.10 * facing**12, 0, 1)
    flat = np.stack([corners @ across, corners @ upwards], -1)
    axes.add_collection(PolyCollection(flat, facecolors=shaded, edgecolors=shaded * 0.88, linewidths=0.25))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
