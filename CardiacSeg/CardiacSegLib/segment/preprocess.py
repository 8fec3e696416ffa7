"""From a stack's own grid to the network's pixels and back, the same for training and inference.

The arithmetic is that of MONAI's ``Spacingd`` (first voxel centres coincide, bilinear, border padding) and
``ScaleIntensityRangePercentilesd``, so that the bundle run by MONAI itself sees the same input.
"""

from dataclasses import dataclass

import numpy as np

from CardiacLib.types.labels import likeliest

Window = tuple[slice, slice]
"""Rows and columns."""


def resampled_shape(shape: tuple[int, int], spacing: tuple[float, float], pixel_mm: float) -> tuple[int, int]:
    """Rows and columns of a (J, I) slice after resampling from ``spacing`` (j, i) mm to square pixels."""
    return tuple(round((n - 1) * s / pixel_mm) + 1 for n, s in zip(shape, spacing, strict=True))


def sample_slices(images, scale: tuple[float, float], shape: tuple[int, int], first: tuple[float, float] = (0.0, 0.0)):
    """Sample (N, C, H, W) at ``first + (row, column) * scale`` for an output of ``shape``; bilinear, border padded."""
    import torch

    axes = [
        2.0 * (start + torch.arange(n, dtype=torch.float32) * s) / max(size - 1, 1) - 1.0
        for n, s, start, size in zip(shape, scale, first, images.shape[2:], strict=True)
    ]
    rows, columns = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack([columns, rows], -1).to(images.device).expand(len(images), -1, -1, -1)
    return torch.nn.functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


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

    def from_images(self, images, window: Window):
        """Torch (N, J, I) slices to (N, H, W) network pixels of a window."""
        scale = tuple(self.pixel_mm / s for s in self.spacing)
        first = tuple(side.start * s for side, s in zip(window, scale, strict=True))
        shape = tuple(side.stop - side.start for side in window)
        return sample_slices(images[:, None], scale, shape, first)[:, 0]

    def labels(self, probabilities, window: Window):
        """Torch (N, 4, H, W) probabilities in a window to uint8 (N, J, I) labels; background outside the window."""
        import torch

        # One pixel of background round the window, where it is not at the border of the field.
        sides = [(int(w.start > 0), int(w.stop < n)) for w, n in zip(window, self.shape, strict=True)]
        ringed = torch.nn.functional.pad(probabilities, (*sides[1], *sides[0]))
        ringed[:, 0] = torch.nn.functional.pad(probabilities[:, 0], (*sides[1], *sides[0]), value=1.0)
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
        labels = probabilities.new_zeros((len(probabilities), *self.image_shape), dtype=torch.uint8)
        inside = labels[:, lows[0] : ends[0], lows[1] : ends[1]]
        inside[:] = likeliest(sample_slices(ringed, scale, box, first))
        return labels


def with_neighbours(volume):
    """(..., K, H, W) to (..., K, 3, H, W): the slice before, the slice and the slice after; zeros beyond the ends."""
    import torch

    before = torch.zeros_like(volume)
    after = torch.zeros_like(volume)
    before[..., 1:, :, :] = volume[..., :-1, :, :]
    after[..., :-1, :, :] = volume[..., 1:, :, :]
    return torch.stack([before, volume, after], -3)


def opposite_frames(images) -> np.ndarray:
    """(T,) for every frame the one that differs most from it: end-systole for end-diastole, and the reverse.

    Args:
        images: torch (T, K, H, W) of the heart's surroundings. A single frame is its own opposite.
    """
    seen = images[..., ::2, ::2].float().flatten(1)
    return np.array([int((seen - frame).abs().mean(1).argmax()) for frame in seen])


def pad_to_multiple(images, multiple: int):
    """Zero-pad (N, C, H, W) at the far ends to multiples of ``multiple``."""
    import torch

    missing = (0, -images.shape[-1] % multiple, 0, -images.shape[-2] % multiple)
    return torch.nn.functional.pad(images, missing) if any(missing) else images
