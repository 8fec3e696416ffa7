"""The network: a residual U-Net from a long-axis image to maps of the ten points, their absence, and the view."""

import itertools

import torch
from monai.networks.blocks import Convolution, ResidualUnit, UpSample
from torch import nn

from .decode import CHANNELS, POINTS


class LongAxisNet(nn.Module):
    """Input (B, 1, H, W), H and W multiples of 32; output (B, CHANNELS, H / 2, W / 2) logits (see ``decode``).

    The first convolution halves the image; every further level halves it again. Absence and view come from the
    deepest level and the peaks of the maps, and are the same in all cells of the output.

    Args:
        channels: of each level, the first at half the resolution of the image.
        dropout: of the deepest features, for absence and view.
    """

    def __init__(self, channels: tuple[int, ...] = (24, 48, 96, 160, 224), dropout: float = 0.1):
        super().__init__()
        common = {"norm": ("INSTANCE", {"affine": True}), "act": "LEAKYRELU"}
        self.stem = Convolution(2, 1, channels[0], strides=2, kernel_size=5, **common)
        pairs = list(itertools.pairwise(channels))
        self.top = ResidualUnit(2, channels[0], channels[0], strides=1, subunits=1, **common)
        self.down = nn.ModuleList(ResidualUnit(2, a, b, strides=2, subunits=2, **common) for a, b in pairs)
        self.rise = nn.ModuleList(UpSample(2, b, a, 2, mode="deconv") for a, b in reversed(pairs))
        self.join = nn.ModuleList(
            ResidualUnit(2, 2 * a, a, strides=1, subunits=1, **common) for a, _ in reversed(pairs)
        )
        self.maps = nn.Conv2d(channels[0], POINTS, 3, padding=1)
        self.whole = nn.Sequential(
            nn.LayerNorm(2 * channels[-1] + POINTS),
            nn.Linear(2 * channels[-1] + POINTS, 128),
            nn.LeakyReLU(),
            nn.Dropout(dropout),
            nn.Linear(128, CHANNELS - POINTS),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of every cell."""
        features = [self.top(self.stem(images))]
        for level in self.down:
            features.append(level(features[-1]))
        x = features.pop()
        deepest = x
        for rise, join in zip(self.rise, self.join, strict=True):
            x = join(torch.cat([features.pop(), rise(x)], 1))
        maps = self.maps(x)
        # Means alone tell little: instance normalisation has made them nearly alike in all images.
        whole = self.whole(torch.cat([deepest.mean((-1, -2)), deepest.amax((-1, -2)), maps.amax((-1, -2))], 1))
        return torch.cat([maps, whole[:, :, None, None].expand(-1, -1, *maps.shape[-2:])], 1)
