"""The network of the short-axis bundle: MONAI's ``UNet`` with an answer that is not normalised."""

import torch
from monai.networks.nets import UNet


class FeatureUNet(UNet):
    """MONAI's ``UNet`` that ends in features, and a convolution of one pixel that makes the answer of them.

    MONAI's own ``UNet`` normalises the channels of its answer over every slice, so that it can hardly say that a slice
    holds no right ventricle, and nothing but that answer is left at the finest level.

    Args:
        features: channels at the finest level before the answer.
        out_channels: channels of the answer.
        **unet: as of MONAI's ``UNet``.
    """

    def __init__(self, features: int, out_channels: int, **unet):
        super().__init__(out_channels=features, **unet)
        self.answer = torch.nn.Conv2d(features, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, out_channels, H, W) of slices (B, in_channels, H, W)."""
        return self.answer(super().forward(x))
