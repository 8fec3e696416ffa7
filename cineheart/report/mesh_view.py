"""Pictures of the mesh: shaded triangles drawn back to front, so that no OpenGL is needed on any machine."""

import io

import numpy as np

from CardiacLib.types.bivmesh import PATCH_RGB, PATCHES, REGIONS, BiVMesh

from .pictures import Picture, in_page

REGION_RGB = {"LV_MYO": (0.80, 0.45, 0.38), "RV_WALL": (0.55, 0.62, 0.82), "SEPTUM": (0.72, 0.56, 0.70)}
"""Colour of cut tetrahedra by region, 0..1."""
SIDE, FINER = 450, 2
"""Pixels of a view, and how many times finer it is drawn before it is made smaller."""
_TET_FACES = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])


def mesh_views(mesh: BiVMesh) -> Picture:
    """The mesh from the front, seen into from its base, and cut open through both cavities."""
    from PIL import Image

    right, front, up = heart_frame(mesh)
    middle = (mesh.nodes.max(0) + mesh.nodes.min(0)) / 2
    outside = (mesh.triangles, colours_of(mesh.patches, PATCHES, PATCH_RGB))
    views = ((outside, (right, up)), (outside, (right, -front)), (cut_open(mesh, front), (right, up)))
    along = (mesh.nodes - middle) @ np.column_stack([right, front, up])
    middle = middle + np.column_stack([right, front, up]) @ (along.max(0) + along.min(0)) / 2
    reach = (along.max(0) - along.min(0)).max() / 2 * 1.05
    picture = Image.new("RGBA", (SIDE * len(views), SIDE))
    for number, (surface, axes) in enumerate(views):
        picture.paste(draw((mesh.nodes - middle) / reach, surface, axes), (SIDE * number, 0))
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=4)
    return Picture(
        "The biventricular mesh from the front, into its base, and cut open", in_page(stream.getvalue(), "image/png")
    )


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
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    single = first[count == 1]
    triangles, colours = faces[single], colours_of(regions[single], REGIONS, REGION_RGB)
    patches = _patches_of(triangles, mesh)
    colours[patches > 0] = colours_of(patches[patches > 0], PATCHES, PATCH_RGB)
    return triangles, colours


def _patches_of(triangles: np.ndarray, mesh: BiVMesh) -> np.ndarray:
    """(F,) patch of triangles of the surface, 0 of those within the mesh."""
    both = np.sort(np.concatenate([mesh.triangles, triangles]), axis=1)
    _, key = np.unique(both, axis=0, return_inverse=True)
    patch = np.zeros(key.max() + 1, int)
    patch[key[: len(mesh.triangles)]] = mesh.patches
    return patch[key[len(mesh.triangles) :]]


def colours_of(ids: np.ndarray, names: dict[str, int], rgb: dict[str, tuple]) -> np.ndarray:
    """(F, 3) colours of ids (F,) by name."""
    colours = np.zeros((len(ids), 3))
    for name, number in names.items():
        colours[ids == number] = rgb[name]
    return colours


def draw(nodes, surface, axes, side=SIDE):
    """Triangles by depth, farthest first, lit from the viewer's upper left; both sides of a triangle are shown.

    Args:
        nodes: (N, 3), -1 to 1 within the picture.
        surface: (F, 3) corners of the triangles, and (F, 3) their RGB, 0..1.
        axes: unit vectors to the right of the picture and up.
        side: of the picture in pixels.

    Returns:
        RGBA image of side x side pixels.
    """
    from PIL import Image, ImageDraw

    (triangles, colours), (across, upwards) = surface, axes
    towards = np.cross(across, upwards)
    corners = nodes[triangles]
    order = np.argsort(corners.mean(1) @ towards)
    corners, colours = corners[order], colours[order]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    light = _unit(0.9 * towards + 0.35 * upwards - 0.35 * across)
    facing = np.abs(normals @ light)[:, None]
    shaded = np.clip(colours * (0.38 + 0.62 * facing) + 0.10 * facing**12, 0, 1)
    flat = np.stack([1 + corners @ across, 1 - corners @ upwards], -1).reshape(-1, 6) * side * FINER / 2
    image = Image.new("RGBA", (side * FINER, side * FINER))
    polygon = ImageDraw.Draw(image).polygon
    fills, edges = (list(map(tuple, np.rint(255 * part).astype(int).tolist())) for part in (shaded, shaded * 0.88))
    for points, fill, edge in zip(flat.tolist(), fills, edges, strict=True):
        polygon(points, fill, edge)
    return image.reduce(FINER)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
