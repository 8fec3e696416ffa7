"""Fibre axes that move with their tets."""

import numpy as np


def carried_axes(axes: np.ndarray, before: np.ndarray, after: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M, 3, 3) fibre, sheet, normal of the moved tets; nodes (N, 3), tets (M, 4)."""
    return carried_by(edge_columns(after, tets) @ np.linalg.inv(edge_columns(before, tets)), axes)


def carried_by(gradient: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(M, 3, 3) fibre, sheet, normal after a deformation with this gradient (M, 3, 3).

    The fibre turns and stretches with its tet, the sheet stays in the plane of both; again orthonormal.
    """
    fibre, sheet = np.moveaxis(gradient @ axes[:, :, :2], 2, 0)
    fibre = fibre / np.linalg.norm(fibre, axis=1, keepdims=True)
    sheet = sheet - (sheet * fibre).sum(1, keepdims=True) * fibre
    sheet = sheet / np.linalg.norm(sheet, axis=1, keepdims=True)
    return np.stack([fibre, sheet, np.cross(fibre, sheet)], axis=2)


def edge_columns(nodes: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M, 3, 3) columns: edges from the first corner."""
    return np.swapaxes(nodes[tets[:, 1:]] - nodes[tets[:, :1]], 1, 2)
