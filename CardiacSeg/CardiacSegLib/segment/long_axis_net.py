"""The network that labels the four-chamber view: features at half the resolution, and an answer for every pixel."""

import torch
from monai.networks.blocks import Convolution
from torch import nn
from torch.nn import functional

from CardiacLib.networks.trunks.long_axis import NORM_ACT, LongAxisTrunk


class LongAxisLabelNet(LongAxisTrunk):
    """Input (B, 1, H, W), H and W multiples of 32; output (B, classes, H, W) logits.

    The trunk is that of the landmark network, whose weights training may begin with.

    Args:
        channels: of each level, the first at half the resolution of the image.
        classes: background and structures.
        fine: channels at the resolution of the image.
    """

    def __init__(self, channels: tuple[int, ...] = (24, 48, 96, 160, 224), classes: int = 4, fine: int = 16):
        super().__init__(channels)
        self.fine = Convolution(2, channels[0] + 1, fine, **NORM_ACT)
        self.answer = nn.Conv2d(fine, classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of every pixel."""
        features, _ = self.features(images)
        large = functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.answer(self.fine(torch.cat([large, images], 1)))
