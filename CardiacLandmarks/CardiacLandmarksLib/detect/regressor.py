"""The published network ``PointRegressor``: ten points straight from one image, without heat maps.

Kerfoot et al., STACOM 2020, doi 10.1007/978-3-030-68107-4_15, and the bundle ``valve_landmarks`` of the MONAI model
zoo. Written in plain torch; names and shapes of its tensors are those of the published weights.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

DILATIONS = (1, 2, 4)
KERNEL = 3


class PointRegressor(nn.Module):
    """Images (B, 1, H, W) to points (B, 2, P): row and column in pixels of each of P points.

    Args:
        in_shape: channels, H and W of an image; H and W a multiple of 2 to the power of the number of strides plus 1.
        out_shape: 2 and the number of points.
        channels: of each stage.
        strides: of each stage's last convolution.
    """

    def __init__(
        self, in_shape: Sequence[int], out_shape: Sequence[int], channels: Sequence[int], strides: Sequence[int]
    ):
        super().__init__()
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        self.net = nn.Sequential()
        inputs, *size = self.in_shape
        for n, (outputs, stride) in enumerate(zip(channels, strides, strict=True)):
            last = n == len(channels) - 1
            reduction = _Convolution(outputs, outputs, stride=stride, bare=last)
            self.net.add_module(f"layer_{n}", nn.Sequential(_DenseBlock(inputs, outputs), reduction))
            inputs, size = outputs, [math.ceil(length / stride) for length in size]
        features = 2 * inputs * math.prod(math.ceil(length / 2) for length in size)
        paths = (
            nn.Sequential(
                _Convolution(inputs, 2 * inputs, stride=2, bare=True),
                nn.Flatten(),
                nn.Linear(features, self.out_shape[0]),
            )
            for _ in range(self.out_shape[1])
        )
        self.final = nn.Sequential(_Parallel(paths))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # The 2 P numbers are path by path, and are read here row by row: a path is not one point's. The published
        # weights were trained so.
        return self.final(self.net(images)).reshape(-1, *self.out_shape)


class _Convolution(nn.Module):
    """Convolution that keeps the size but for its stride, then instance norm and PReLU unless ``bare``."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1, bare: bool = False):
        super().__init__()
        padding = dilation * (KERNEL - 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, KERNEL, stride, padding, dilation)
        self.adn = nn.Identity() if bare else nn.Sequential()
        if not bare:
            self.adn.add_module("N", nn.InstanceNorm2d(outputs))
            self.adn.add_module("A", nn.PReLU())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.adn(self.conv(images))


class _ResidualUnit(nn.Module):
    """Two convolutions beside a 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int, dilation: int):
        super().__init__()
        self.conv = nn.Sequential()
        self.conv.add_module("unit0", _Convolution(inputs, outputs, dilation=dilation))
        self.conv.add_module("unit1", _Convolution(outputs, outputs, dilation=dilation))
        self.residual = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images) + self.residual(images)


class _DenseBlock(nn.Sequential):
    """Residual units of growing dilation, each of which sees what went into and came out of all before it."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        third, rest = divmod(outputs - inputs, len(DILATIONS))
        for n, dilation in enumerate(DILATIONS):
            added = third + (rest if n == len(DILATIONS) - 1 else 0)
            self.add_module(f"layers{n}", _ResidualUnit(inputs, added, dilation))
            inputs += added

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        for unit in self:
            images = torch.cat([images, unit(images)], 1)
        return images


class _Parallel(nn.Module):
    """The outputs of several modules side by side."""

    def __init__(self, modules):
        super().__init__()
        for n, module in enumerate(modules):
            self.add_module(f"catmodule_{n}", module)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.cat([module(features) for module in self.children()], 1)
