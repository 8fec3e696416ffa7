"""Augmentation of a whole batch at once, on the device of the batch.

One random affine and elastic map per sample is drawn and applied in a single interpolation; intensity changes follow.
All functions take and return images as float (B, C, H, W) and labels as int64 (B, H, W).
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; every one is drawn per sample.

    Attributes:
        scale: largest absolute logarithm of the zoom.
        turn: largest absolute angle in radians.
        flip: probability of a mirrored image; 0 where left and right are told by the image.
        shear: largest absolute shear.
        elastic: standard deviation of the smooth displacement, as a fraction of the window.
        gamma: largest absolute logarithm of the exponent.
        bias: standard deviation of the logarithm of the smooth bias field.
        noise: largest standard deviation of Gaussian noise, images in 0..1.
        blur: probability of a loss of resolution (down to half the pixels).
        contrast: largest absolute logarithm of the gain; the offset is a third of it.
    """

    scale: float = 0.3
    shear: float = 0.1
    elastic: float = 0.015
    gamma: float = 0.5
    bias: float = 0.25
    noise: float = 0.06
    blur: float = 0.3
    contrast: float = 0.3
    turn: float = math.pi
    flip: float = 0.5


def _uniform(n: int, half_range: float, device, generator) -> torch.Tensor:
    return (torch.rand(n, device=device, generator=generator) * 2 - 1) * half_range


def _smooth_field(n: int, channels: int, knots: int, size: tuple[int, int], device, generator) -> torch.Tensor:
    coarse = torch.randn(n, channels, knots, knots, device=device, generator=generator)
    return functional.interpolate(coarse, size=size, mode="bicubic", align_corners=True)


def random_maps(centres, size: int, ranges: Augmentation, generator=None, step=None):
    """Where each pixel of randomly turned, flipped, zoomed, sheared and deformed windows lies in its image.

    Args:
        centres: (B, 2) row and column of the window centres, on the device to work on.
        size: side of the windows in pixels.
        ranges: strength of the changes.
        generator: torch random generator on that device.
        step: (B,) image pixels per window pixel before zooming; None is 1.

    Returns:
        (B, size, size, 2) row and column in the image.
    """
    n, device = len(centres), centres.device
    angle = _uniform(n, ranges.turn, device, generator)
    zoom = torch.exp(_uniform(n, ranges.scale, device, generator))
    shear = _uniform(n, ranges.shear, device, generator)
    flip = torch.where(torch.rand(n, device=device, generator=generator) < ranges.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    zero, one = torch.zeros_like(shear), torch.ones_like(shear)
    skew = torch.stack([torch.stack([flip, shear], -1), torch.stack([zero, one], -1)], -2)
    step = torch.ones(n, device=device) if step is None else step
    matrix = (turn @ skew) * (step / zoom)[:, None, None]

    axis = torch.arange(size, device=device, dtype=torch.float32) - (size - 1) / 2
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([rows, columns], -1).reshape(1, -1, 2)
    where = (points @ matrix.transpose(1, 2)).reshape(n, size, size, 2) + centres[:, None, None, :].to(torch.float32)
    field = _smooth_field(n, 2, 5, (size, size), device, generator).permute(0, 2, 3, 1)
    strength = torch.rand(n, 1, 1, 1, device=device, generator=generator) * ranges.elastic * size
    return where + field * strength * step[:, None, None, None]


def sampling_grid(where, shape):
    """``where`` (B, h, w, 2), row and column in images of ``shape`` (H, W), as torch's ``grid_sample`` takes it."""
    extent = torch.tensor([shape[0] - 1, shape[1] - 1], device=where.device, dtype=torch.float32)
    return (2 * where / extent - 1).flip(-1)


def labelled_windows(images, labels, where, n_classes: int):
    """Images and labels in windows.

    Args:
        images: (B, C, H, W).
        labels: (B, H, W) int64.
        where: (B, h, w, 2) row and column in the image of every window pixel, as of :func:`random_maps`.
        n_classes: number of label values.

    Returns:
        images (B, C, h, w) and labels (B, h, w); zeros and background beyond the image.
    """
    grid = sampling_grid(where, images.shape[-2:])
    cut = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    one_hot = functional.one_hot(labels, n_classes).permute(0, 3, 1, 2).to(images.dtype)[:, 1:]
    soft = functional.grid_sample(one_hot, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    background = 1 - soft.sum(1, keepdim=True)
    return cut, torch.cat([background, soft], 1).argmax(1)


def random_intensity(images, ranges: Augmentation, generator=None):
    """Gain and offset, gamma, bias field, loss of resolution and noise, on images in about 0..1."""
    n, _, height, width = images.shape
    device = images.device

    def column(half_range):
        return _uniform(n, half_range, device, generator)[:, None, None, None]

    field = torch.exp(_smooth_field(n, 1, 4, (height, width), device, generator) * column(ranges.bias))
    images = (images.clamp(0, 1) ** torch.exp(column(ranges.gamma))) * field
    images = images * torch.exp(column(ranges.contrast)) + column(ranges.contrast / 3)
    images = _lose_resolution(images, ranges.blur, generator)
    sigma = torch.rand(n, 1, 1, 1, device=device, generator=generator) ** 2 * ranges.noise
    return images + torch.randn(images.shape, device=device, generator=generator) * sigma


def _lose_resolution(images, probability: float, generator):
    """Half of the chosen samples lose resolution along one axis, as thick pixels do; one factor for the batch."""
    n, _, height, width = images.shape
    device = images.device
    factors = 0.5 + 0.5 * torch.rand(2, device=device, generator=generator)
    coarse = functional.interpolate(
        images, size=[int(height * factors[0]), int(width * factors[1])], mode="bilinear", antialias=True
    )
    blurred = functional.interpolate(coarse, size=(height, width), mode="bilinear")
    chosen = torch.rand(n, 1, 1, 1, device=device, generator=generator) < probability
    return torch.where(chosen, blurred, images)
