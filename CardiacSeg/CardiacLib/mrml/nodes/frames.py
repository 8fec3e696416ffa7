"""Between the library's LPS frame and MRML's RAS frame, and between numpy and VTK."""

import numpy as np

from CardiacLib.errors import InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Its own inverse; a half turn about the third axis, so orientation of meshes and handedness of grids are kept."""


def swap_frame(matrix: np.ndarray) -> np.ndarray:
    """Index-to-LPS (4, 4) from index-to-RAS, or the other way round."""
    return LPS_TO_RAS @ np.asarray(matrix, float)


def swap_points(points: np.ndarray) -> np.ndarray:
    """LPS points (..., 3) from RAS points, or the other way round."""
    return np.asarray(points, float) * np.diag(LPS_TO_RAS)[:3]


def to_vtk_matrix(matrix: np.ndarray):
    """vtkMatrix4x4 from a (4, 4) array."""
    import vtk

    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, float).ravel().tolist())
    return result


def to_array(matrix) -> np.ndarray:
    """(4, 4) float64 array from a vtkMatrix4x4."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def to_vtk_image(array: np.ndarray, image=None):
    """vtkImageData (or the ``image`` given) holding a (K, J, I) array, with unit spacing and zero origin."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData() if image is None else image
    image.SetDimensions(*reversed(array.shape))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))
    return image


def from_vtk_image(image) -> np.ndarray:
    """(K, J, I) array, a copy, of a single-component vtkImageData."""
    from vtk.util.numpy_support import vtk_to_numpy

    shape = tuple(reversed(image.GetDimensions()))
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape).copy()


def world_transform(node) -> np.ndarray:
    """(4, 4) RAS matrix of the transforms above a node: identity where there are none.

    Raises:
        InputError: the node stands under a non-linear transform, which no index-to-LPS matrix can hold.
    """
    import vtk

    parent = node.GetParentTransformNode()
    matrix = vtk.vtkMatrix4x4()
    if parent is not None:
        if not parent.IsTransformToWorldLinear():
            raise InputError(f"'{node.GetName()}' is under a non-linear transform; harden the transform first.")
        parent.GetMatrixTransformToWorld(matrix)
    return to_array(matrix)


def named_array(name: str, values: np.ndarray):
    """VTK array, a copy, of (N,) or (N, components) values."""
    from vtk.util.numpy_support import numpy_to_vtk

    array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
    array.SetName(name)
    return array


def points_ras(lps: np.ndarray):
    """vtkPoints in RAS of (N, 3) LPS points."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    points = vtk.vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(swap_points(lps)), deep=True))
    return points


def cell_array(indices: np.ndarray):
    """vtkCellArray of cells with equal numbers of nodes, from (M, n) node indices."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtkIdTypeArray

    flat = np.ascontiguousarray(indices, np.int64).ravel()
    offsets = np.arange(0, flat.size + 1, indices.shape[1], dtype=np.int64)
    cells = vtk.vtkCellArray()
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(flat, deep=True))
    return cells
