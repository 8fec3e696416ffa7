"""From a stack's own grid to the network's pixels and back, the same for training and inference.

The arithmetic is that of MONAI's ``Spacingd`` (first voxel centres coincide, bilinear, border padding) and
``ScaleIntensityRangePercentilesd``, so that the bundle run by MONAI itself sees the same input.
"""

import numpy as np

PERCENTILES = (1.0, 99.0)


def normalise(volume: np.ndarray) -> np.ndarray:
    """Map the 1st..99th percentile of a whole volume or cine to 0..1 and clip; a flat image becomes zeros."""
    low, high = np.percentile(volume, PERCENTILES)
    if high <= low:
        return np.zeros(volume.shape, np.float32)
    return np.clip((volume - low) / (high - low), 0.0, 1.0).astype(np.float32)


def resampled_shape(shape: tuple[int, int], spacing: tuple[float, float], pixel_mm: float) -> tuple[int, int]:
    """Rows and columns of a (J, I) slice after resampling from ``spacing`` (j, i) mm to square pixels."""
    return tuple(round((n - 1) * s / pixel_mm) + 1 for n, s in zip(shape, spacing, strict=True))


def sample_slices(images, scale: tuple[float, float], shape: tuple[int, int]):
    """Sample (N, C, H, W) at index ``(row, column) * scale`` for an output of ``shape``; bilinear, border padded."""
    import torch

    axes = [
        2.0 * torch.arange(n, dtype=torch.float32) * s / max(size - 1, 1) - 1.0
        for n, s, size in zip(shape, scale, images.shape[2:], strict=True)
    ]
    rows, columns = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack([columns, rows], -1).to(images.device).expand(len(images), -1, -1, -1)
    return torch.nn.functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def with_neighbours(volume):
    """(..., K, H, W) to (..., K, 3, H, W): the slice before, the slice and the slice after; zeros beyond the ends."""
    import torch

    before = torch.zeros_like(volume)
    after = torch.zeros_like(volume)
    before[..., 1:, :, :] = volume[..., :-1, :, :]
    after[..., :-1, :, :] = volume[..., 1:, :, :]
    return torch.stack([before, volume, after], -3)


def pad_to_multiple(images, multiple: int):
    """Zero-pad (N, C, H, W) at the far ends to multiples of ``multiple``."""
    import torch

    height, width = images.shape[-2:]
    return torch.nn.functional.pad(images, (0, -width % multiple, 0, -height % multiple))
