"""The network: a residual U-Net from a long-axis image to maps of the ten points, their absence, and the view."""

import torch
from torch import nn

from CardiacLib.networks.trunks.long_axis import LongAxisTrunk

from .decode import CHANNELS, POINTS


class SummedLayerNorm(nn.LayerNorm):
    """The layer normalisation of rows (B, N), with sums instead of means.

    OpenVINO would make one operation of means, and its code for that crashes (2026.4) where it is kept to AVX2 and N is
    no multiple of 16.
    """

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Normalised rows."""
        count = rows.shape[-1]
        centred = rows - rows.sum(-1, keepdim=True) / count
        spread = (centred * centred).sum(-1, keepdim=True) / count
        return centred / torch.sqrt(spread + self.eps) * self.weight + self.bias


class LongAxisNet(LongAxisTrunk):
    """Input (B, 1, H, W), H and W multiples of 32; output (B, CHANNELS, H / 2, W / 2) logits (see ``decode``).

    Absence and view come from the deepest level and the peaks of the maps, and are the same in all cells of the output.

    Args:
        channels: of each level, the first at half the resolution of the image.
        dropout: of the deepest features, for absence and view.
    """

    def __init__(self, channels: tuple[int, ...] = (24, 48, 96, 160, 224), dropout: float = 0.1):
        super().__init__(channels)
        self.maps = nn.Conv2d(channels[0], POINTS, 3, padding=1)
        self.whole = nn.Sequential(
            SummedLayerNorm(2 * channels[-1] + POINTS),
            nn.Linear(2 * channels[-1] + POINTS, 128),
            nn.LeakyReLU(),
            nn.Dropout(dropout),
            nn.Linear(128, CHANNELS - POINTS),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of every cell."""
        x, deepest = self.features(images)
        maps = self.maps(x)
        # Means alone tell little: instance normalisation has made them nearly alike in all images.
        whole = self.whole(torch.cat([deepest.mean((-1, -2)), deepest.amax((-1, -2)), maps.amax((-1, -2))], 1))
        return torch.cat([maps, whole[:, :, None, None].expand(-1, -1, *maps.shape[-2:])], 1)
