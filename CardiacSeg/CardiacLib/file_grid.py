"""How the voxels of a Cine or a label map lie in the file that they came from."""

from dataclasses import dataclass

import numpy as np

from CardiacLib.types.values import job_value


@job_value
@dataclass(frozen=True)
class FileGrid:
    """What is left of the file's grid where it is not the usual one.

    Attributes:
        axes: which axis of the file, counted from 0 as i, j, k, each index is: (1, 2, 0) where the file's slices lie
            along its first axis.
        sized: False where the file has lost its voxel size, so that nothing is known in mm or ml.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    sized: bool = True

    def in_file(self, array: np.ndarray, ijk_to_lps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Voxels (..., K, J, I) and their (4, 4) matrix in the order of the file."""
        own = [self.axes.index(axis) for axis in range(3)]
        return _reordered(array, ijk_to_lps, own)

    def columns_of_file(self, ijk_to_lps: np.ndarray) -> np.ndarray:
        """The (4, 4) matrix of the file for indices in the order of these: the inverse of :meth:`in_file`."""
        return ijk_to_lps[:, [*self.axes, 3]]


USUAL_GRID = FileGrid()


def with_slices_along(array: np.ndarray, ijk_to_lps: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, FileGrid]:
    """Voxels (..., K, J, I) with the slices along k that lie along another axis, and their matrix.

    The axes are turned in a circle, which keeps right-handed axes right-handed.
    """
    order = tuple((axis + 1 + n) % 3 for n in range(3))
    return (*_reordered(array, ijk_to_lps, order), FileGrid(order))


def _reordered(array: np.ndarray, ijk_to_lps: np.ndarray, order) -> tuple[np.ndarray, np.ndarray]:
    """``order``: which present index (i, j, k as 0, 1, 2) each new one is."""
    before = array.ndim - 3
    places = [*range(before), *(before + 2 - axis for axis in reversed(list(order)))]
    return array.transpose(places), ijk_to_lps[:, [*order, 3]]
