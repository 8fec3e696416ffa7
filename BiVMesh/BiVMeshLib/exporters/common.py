"""What the writers share: the names in use, the tet behind a triangle, the material axes."""

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import ALL_PATCHES, REGIONS, BiVMesh


def patch_names(mesh: BiVMesh) -> dict[str, int]:
    """Name and id of the patches that the mesh has; a left ventricle alone has no ENDO_RV."""
    return {name: number for name, number in ALL_PATCHES.items() if (mesh.patches == number).any()}


def region_names(mesh: BiVMesh) -> dict[str, int]:
    """Name and id of the regions that the mesh has."""
    return {name: number for name, number in REGIONS.items() if (mesh.regions == number).any()}


def tet_of_triangle(mesh: BiVMesh) -> tuple[np.ndarray, np.ndarray]:
    """(F,) number of the tet that each boundary triangle belongs to, and (F,) that tet's corner 0..3 opposite to it."""
    size = len(mesh.nodes)

    def keys(faces):
        low, middle, high = np.sort(faces, axis=-1).astype(np.int64).T
        return (low * size + middle) * size + high

    faces = mesh.tets[:, [(1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)]]
    every = keys(faces.reshape(-1, 3))
    order = np.argsort(every)
    found = order[np.searchsorted(every[order], keys(mesh.triangles))]
    return found // 4, found % 4


def material_axes(mesh: BiVMesh) -> tuple[np.ndarray, np.ndarray] | None:
    """(M, 3) fibre and (M, 3) sheet of each tet; None for a mesh without fibres.

    Raises:
        InputError: there are fibres but no sheets, and the format needs two axes.
    """
    if "fibre" not in mesh.cell_fields:
        return None
    if "sheet" not in mesh.cell_fields:
        raise InputError("The mesh has fibres but no sheet directions; this format needs both: compute them together.")
    return mesh.cell_fields["fibre"], mesh.cell_fields["sheet"]
