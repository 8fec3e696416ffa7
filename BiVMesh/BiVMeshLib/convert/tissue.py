"""Regions of the user: labels on any grid (infarct, fibrosis, a segment) as fields of the tetrahedra."""

from dataclasses import replace

import numpy as np

from CardiacLib import geometry
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import BiVMesh

PER_EDGE = 4
"""Sample points along an edge of a tet: 35 in all, of equal weight."""


def barycentric_points() -> np.ndarray:
    """(35, 4) weights of the corners, evenly spread within a tet, none on its surface."""
    steps = np.array([(i, j, k) for i in range(5) for j in range(5 - i) for k in range(5 - i - j)], float)
    weights = np.column_stack([steps, PER_EDGE - steps.sum(1)])
    return (weights + 0.5) / (PER_EDGE + 2.0)


def with_tissue(mesh: BiVMesh, name: str, labels_kji: np.ndarray, ijk_to_lps: np.ndarray) -> BiVMesh:
    """The mesh with fields of a label map on another grid.

    Args:
        mesh: LPS mm.
        name: of the fields.
        labels_kji: whole numbers (K, J, I), 0 is none. ijk_to_lps: (4, 4), voxel centres.

    Returns:
        with cell fields ``name``, int32 (M,), the value that fills most of each tet, and for each value v but 0
        ``name_v``, float64 (M,), the share of the tet that it fills. Outside the grid is 0.

    Raises:
        InputError: the labels lie outside the mesh, or there is a field of that name.
    """
    if name in mesh.cell_fields:
        raise InputError(f"The mesh has a field {name!r} already; give the labels another name.")
    values = np.unique(labels_kji)
    shares = np.zeros((len(values), len(mesh.tets)))
    for weights in barycentric_points():
        places = np.einsum("n,mni->mi", weights, mesh.nodes[mesh.tets])
        index = np.rint(geometry.index_of(ijk_to_lps, places)).astype(np.int64)
        within = ((index >= 0) & (index < labels_kji.shape[::-1])).all(1)
        i, j, k = index[within].T
        found = np.zeros(len(places), labels_kji.dtype)
        found[within] = labels_kji[k, j, i]
        for n, value in enumerate(values):
            shares[n] += found == value
    shares /= len(barycentric_points())
    if not shares[values != 0].any():
        raise InputError(f"The labels of {name!r} touch no tetrahedron: give labels of the same heart, in its place.")
    most = np.where(shares.sum(0) > 0, values[shares.argmax(0)], 0).astype(np.int32)
    fields = {f"{name}_{value:g}": shares[n] for n, value in enumerate(values) if value != 0}
    return replace(mesh, cell_fields={**mesh.cell_fields, name: most, **fields})
