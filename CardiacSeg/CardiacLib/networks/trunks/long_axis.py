"""The residual U-Net of the long-axis networks, without what it answers."""

import itertools

import torch
from monai.networks.blocks import Convolution, ResidualUnit, UpSample
from torch import nn

NORM_ACT = {"norm": ("INSTANCE", {"affine": True}), "act": "LEAKYRELU"}


class LongAxisTrunk(nn.Module):
    """Features of a long-axis image (B, 1, H, W), H and W multiples of ``2 ** len(channels)``.

    The first convolution halves the image; every further level halves it again.

    Args:
        channels: of each level, the first at half the resolution of the image.
    """

    def __init__(self, channels: tuple[int, ...]):
        super().__init__()
        self.stem = Convolution(2, 1, channels[0], strides=2, kernel_size=5, **NORM_ACT)
        pairs = list(itertools.pairwise(channels))
        self.top = ResidualUnit(2, channels[0], channels[0], strides=1, subunits=1, **NORM_ACT)
        self.down = nn.ModuleList(ResidualUnit(2, a, b, strides=2, subunits=2, **NORM_ACT) for a, b in pairs)
        self.rise = nn.ModuleList(UpSample(2, b, a, 2, mode="deconv") for a, b in reversed(pairs))
        self.join = nn.ModuleList(
            ResidualUnit(2, 2 * a, a, strides=1, subunits=1, **NORM_ACT) for a, _ in reversed(pairs)
        )

    def features(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, channels[0], H / 2, W / 2) of the last level, and those of the deepest."""
        features = [self.top(self.stem(images))]
        for level in self.down:
            features.append(level(features[-1]))
        x = features.pop()
        deepest = x
        for rise, join in zip(self.rise, self.join, strict=True):
            x = join(torch.cat([features.pop(), rise(x)], 1))
        return x, deepest
