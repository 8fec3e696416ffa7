"""The same UNet 3+, computed where it is cheap: convolutions of enlarged images at the size before enlargement.

A 3 x 3 convolution of an image enlarged k-fold sums nine mixtures of its channels, each shifted by at most a pixel.
Mixing channels and enlarging are linear and commute, so the channels are mixed at the small size, by a ninth to a
256th of the work, and the nine mixtures are enlarged and shifted together: along rows and along columns by one matrix
each, since bilinear enlargement is separable. The result is exact but for rounding.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .unet3plus import UNet3Plus

SMALLEST_FACTOR = 4
"""From which on it pays; a twofold enlargement has too little to save."""


class FastUNet3Plus(UNet3Plus):
    """A :class:`UNet3Plus` with the same layers, weights and answers; it learns as the plain one does.

    When it is traced, the size of the images becomes a constant.
    """

    def skip(self, found: torch.Tensor, level: int, to: int) -> torch.Tensor:
        """As of the base class."""
        factor = 2 ** max(level - to, 0)
        if factor < SMALLEST_FACTOR:
            return super().skip(found, level, to)
        convolution, normalisation, activation = self.skips[f"{level}_{to}"]
        if self.training:
            return activation(normalisation(conv_of_enlarged(found, convolution, factor)))
        if isinstance(normalisation, nn.BatchNorm2d):  # OpenVINO would take it for a step of the matrix product
            convolution = nn.utils.fusion.fuse_conv_bn_eval(convolution, normalisation)
        return activation(conv_of_enlarged(found, convolution, factor))


def fast_path(network: UNet3Plus) -> FastUNet3Plus:
    """A network for inference with the answers of ``network``, which stays as it is: fast skips, no normalisation."""
    own = network.encoder["1"][0][0].weight
    fast = FastUNet3Plus(network.filters, own.shape[1], network.classes).to(own.device)
    fast.load_state_dict(network.state_dict())
    fast.eval().requires_grad_(False)
    fold_normalisation(fast)
    return fast


def conv_of_enlarged(images: torch.Tensor, conv: nn.Conv2d, factor: int) -> torch.Tensor:
    """``conv`` (3 x 3, zeros around) of images (B, C, h, w) enlarged ``factor``-fold, without enlarging them."""
    height, width = (int(n) for n in images.shape[-2:])  # the number of images stays open where this is traced
    rows, columns = (shifted_enlargement(side, factor, images.device) for side in (height, width))
    channels, outputs = conv.in_channels, conv.out_channels
    # Mixtures of the channels, one for each tap: (B, out, tap of rows, h, tap of columns, w).
    taps = conv.weight.permute(2, 3, 0, 1).reshape(9 * outputs, channels, 1, 1)
    mixed = functional.conv2d(images, taps).reshape(-1, 3, 3, outputs, height, width)
    mixed = mixed.permute(0, 3, 1, 4, 2, 5).reshape(-1, outputs, 3 * height, 3 * width)
    found = torch.matmul(rows, torch.matmul(mixed, columns.T))
    return found if conv.bias is None else found + conv.bias[:, None, None]


@lru_cache(maxsize=64)
def shifted_enlargement(size: int, factor: int, device: torch.device) -> torch.Tensor:
    """(size x factor, 3 size) float32: bilinear enlargement of a line, shifted by -1, 0 and 1, side by side."""
    large = size * factor
    at = np.clip((np.arange(large) + 0.5) / factor - 0.5, 0.0, size - 1.0)
    low = np.minimum(at.astype(int), max(size - 2, 0))
    matrix = np.zeros((large + 2, size), np.float32)  # the zero lines at both ends are the padding of the convolution
    matrix[np.arange(large) + 1, low] += 1.0 - (at - low)
    matrix[np.arange(large) + 1, np.minimum(low + 1, size - 1)] += at - low
    side_by_side = np.concatenate([matrix[shift : shift + large] for shift in range(3)], 1)
    with torch.inference_mode(False):  # what is kept must serve training too
        return torch.from_numpy(side_by_side).to(device)


def fold_normalisation(network: nn.Module) -> None:
    """Put each batch normalisation that follows a convolution into the convolution's weights, in place."""
    for block in network.modules():
        if not isinstance(block, nn.Sequential) or len(block) < 2:
            continue
        if isinstance(block[0], nn.Conv2d) and isinstance(block[1], nn.BatchNorm2d):
            block[0] = nn.utils.fusion.fuse_conv_bn_eval(block[0], block[1])
            block[1] = nn.Identity()
