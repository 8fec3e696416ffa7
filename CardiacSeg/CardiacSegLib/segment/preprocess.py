"""From a stack's own grid to the network's pixels and back, the same for training and inference.

The arithmetic is that of MONAI's ``Spacingd`` (first voxel centres coincide, bilinear, border padding) and
``ScaleIntensityRangePercentilesd``, so that the bundle run by MONAI itself sees the same input.
"""

from dataclasses import dataclass

import numpy as np

from CardiacLib.networks.sampling import sample
from CardiacLib.types.labels import likeliest

Window = tuple[slice, slice]
"""Rows and columns."""


def resampled_shape(shape: tuple[int, int], spacing: tuple[float, float], pixel_mm: float) -> tuple[int, int]:
    """Rows and columns of a (J, I) slice after resampling from ``spacing`` (j, i) mm to square pixels."""
    return tuple(round((n - 1) * s / pixel_mm) + 1 for n, s in zip(shape, spacing, strict=True))


def sample_slices(
    images: np.ndarray, scale: tuple[float, float], shape: tuple[int, int], first: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """Sample (..., H, W) at ``first + (row, column) * scale`` for an output of ``shape``; bilinear, border padded."""
    rows, columns = (start + np.arange(n) * step for n, step, start in zip(shape, scale, first, strict=True))
    return sample(images, rows, columns)


@dataclass(frozen=True)
class NetworkGrid:
    """The slices of a stack in the network's pixels.

    Attributes:
        image_shape: rows and columns of the stack's own slices.
        spacing: of its pixels along j and i in mm.
        pixel_mm: side of a network pixel.
    """

    image_shape: tuple[int, int]
    spacing: tuple[float, float]
    pixel_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a whole slice in network pixels."""
        return resampled_shape(self.image_shape, self.spacing, self.pixel_mm)

    @property
    def whole(self) -> Window:
        """The window that holds everything."""
        return tuple(slice(0, n) for n in self.shape)

    def from_images(self, images: np.ndarray, window: Window) -> np.ndarray:
        """Float32 (N, J, I) slices to (N, H, W) network pixels of a window."""
        scale = tuple(self.pixel_mm / s for s in self.spacing)
        first = tuple(side.start * s for side, s in zip(window, scale, strict=True))
        shape = tuple(side.stop - side.start for side in window)
        return sample_slices(images, scale, shape, first)

    def labels(self, probabilities: np.ndarray, window: Window) -> np.ndarray:
        """Float32 (N, 4, H, W) probabilities in a window to uint8 (N, J, I) labels; background outside the window."""
        probabilities, window = _round_structures(probabilities, window)
        # One pixel of background round the window, where it is not at the border of the field.
        sides = [(int(w.start > 0), int(w.stop < n)) for w, n in zip(window, self.shape, strict=True)]
        ringed = np.pad(probabilities, [(0, 0), (0, 0), *sides])
        ringed[:, 0] = np.pad(probabilities[:, 0], [(0, 0), *sides], constant_values=1.0)
        scale = tuple(s / self.pixel_mm for s in self.spacing)
        starts = [w.start - before for w, (before, _) in zip(window, sides, strict=True)]
        stops = [w.stop - 1 + after for w, (_, after) in zip(window, sides, strict=True)]
        lows = [int(np.ceil(start / s)) for start, s in zip(starts, scale, strict=True)]
        ends = [
            n if stop >= size - 1 else min(int(stop / s) + 1, n)
            for n, stop, s, size in zip(self.image_shape, stops, scale, self.shape, strict=True)
        ]
        first = tuple(low * s - start for low, s, start in zip(lows, scale, starts, strict=True))
        box = tuple(end - low for low, end in zip(lows, ends, strict=True))
        labels = np.zeros((len(probabilities), *self.image_shape), np.uint8)
        labels[:, lows[0] : ends[0], lows[1] : ends[1]] = likeliest(sample_slices(ringed, scale, box, first))
        return labels


def _round_structures(probabilities: np.ndarray, window: Window) -> tuple[np.ndarray, Window]:
    """Probabilities (N, 4, H, W), and their window, without the margin where background is likelier than all else.

    One pixel of that margin stays, or the whole window if it is all margin: labels are the same with and without it.
    """
    somewhere = (probabilities[:, 1:].max(1) >= probabilities[:, 0]).any(0)
    if not somewhere.any():
        return probabilities, window
    held = [np.flatnonzero(somewhere.any(axis)) for axis in (1, 0)]
    rows, columns = (
        slice(max(int(where[0]) - 1, 0), min(int(where[-1]) + 2, n))
        for where, n in zip(held, somewhere.shape, strict=True)
    )
    inside = tuple(slice(w.start + s.start, w.start + s.stop) for w, s in zip(window, (rows, columns), strict=True))
    return probabilities[..., rows, columns], inside


def with_neighbours(volume: np.ndarray) -> np.ndarray:
    """(K, H, W) to (K, 3, H, W): the slice before, the slice and the slice after; zeros beyond the ends."""
    stacked = np.zeros((len(volume), 3, *volume.shape[1:]), volume.dtype)
    stacked[1:, 0] = volume[:-1]
    stacked[:, 1] = volume
    stacked[:-1, 2] = volume[1:]
    return stacked


def opposite_frames(images: np.ndarray) -> np.ndarray:
    """(T,) for every frame the one that differs most from it: end-systole for end-diastole, and the reverse.

    Args:
        images: (T, K, H, W) of the heart's surroundings. A single frame is its own opposite.
    """
    seen = np.ascontiguousarray(images[..., ::2, ::2], np.float32).reshape(len(images), -1)
    return np.array([int(np.abs(seen - frame).mean(1).argmax()) for frame in seen])


def pad_to_multiple(images: np.ndarray, multiple: int) -> np.ndarray:
    """Zero-pad (N, C, H, W) at the far ends to multiples of ``multiple``."""
    missing = [(0, -n % multiple) for n in images.shape[-2:]]
    return np.pad(images, [(0, 0), (0, 0), *missing]) if np.any(missing) else images
