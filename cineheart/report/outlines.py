"""Outlines of labels as lines, in the short axis and where a plane of another view cuts the stack."""

import numpy as np

from CardiacLib import Cine, LabelMap
from CardiacLib.geometry import apply, index_of

from .pictures import CONTOURS

Lines = list[np.ndarray]
"""Each (N, 2): x, y in pixels of the image, counted from the centre of its first pixel."""


def level_lines(amount: np.ndarray, box: tuple[slice, slice]) -> Lines:
    """The 0.5 contour of an image (J, I) of 0..1 within a box, in pixels of the whole image."""
    from contourpy import contour_generator

    rows, columns = box
    inside = amount[rows, columns]
    if min(inside.shape) < 2 or not inside.min() < 0.5 < inside.max():
        return []
    offset = np.array([columns.start, rows.start])
    return [line + offset for line in contour_generator(z=inside).lines(0.5)]


def label_lines(labels: np.ndarray, box: tuple[slice, slice]) -> list[Lines]:
    """Lines of each contour of CONTOURS around labels (J, I)."""
    return [level_lines(np.isin(labels, values).astype(np.float32), box) for _, values, _ in CONTOURS]


class PlaneCut:
    """Where one plane of a cine cuts the labels of the short axis.

    Linear within a short-axis slice, nearest across slices, nothing beyond half a slice outside the stack.
    """

    def __init__(self, cine: Cine, labelmap: LabelMap, slice_number: int = 0):
        """Look up the pixels once; ``slice_number`` is the plane of the cine."""
        self._labels = labelmap.labels
        self._shape = cine.frames.shape[2:]
        j, i = np.meshgrid(*(np.arange(n) for n in self._shape), indexing="ij")
        points = apply(cine.ijk_to_lps, np.stack([i, j, np.full_like(i, slice_number)], -1))
        index = index_of(labelmap.ijk_to_lps, points).reshape(-1, 3)
        depth, rows, columns = labelmap.labels.shape[1:]
        slices = np.rint(index[:, 2])
        met = (slices >= 0) & (slices < depth)
        for axis, length in ((0, columns), (1, rows)):
            met &= (index[:, axis] >= 0) & (index[:, axis] <= length - 1)
        self._pixels = np.flatnonzero(met)
        across, down = index[met, 0], index[met, 1]
        left = np.minimum(across.astype(int), max(columns - 2, 0))
        upper = np.minimum(down.astype(int), max(rows - 2, 0))
        first = (slices[met].astype(int) * rows + upper) * columns + left
        a, b = across - left, down - upper
        self._corners = np.stack([first, first + (columns > 1), first + columns * (rows > 1)])
        self._corners = np.vstack([self._corners, self._corners[1:2] + columns * (rows > 1)])
        self._weights = np.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b]).astype(np.float32)

    def amounts(self, frame: int) -> list[np.ndarray]:
        """How much of each contour's inside is cut in a frame: (J, I) in 0..1, in the order of CONTOURS."""
        found = self._labels[frame].reshape(-1)[self._corners]
        return [self._image(np.isin(found, values)) for _, values, _ in CONTOURS]

    def ever(self) -> np.ndarray:
        """Bool (J, I): any label in any frame."""
        found = (self._labels > 0).any(0).reshape(-1)[self._corners]
        return self._image(found) > 0

    def _image(self, inside: np.ndarray) -> np.ndarray:
        image = np.zeros(int(np.prod(self._shape)), np.float32)
        image[self._pixels] = (self._weights * inside).sum(0)
        return image.reshape(self._shape)


def same_phase(frame: int, n_frames: int, n_other: int) -> int:
    """Frame of a cine with ``n_other`` frames at the phase of ``frame`` of ``n_frames``."""
    return round(frame * n_other / n_frames) % n_other
