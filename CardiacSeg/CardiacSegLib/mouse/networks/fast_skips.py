"""The same UNet 3+, computed where it is cheap: convolutions of enlarged images at the size before enlargement.

A 3 x 3 convolution of an image enlarged k-fold sums nine mixtures of its channels, each shifted by at most a pixel.
Mixing channels and enlarging are linear and commute, so the channels are mixed at the small size, by a quarter to a
256th of the work, and the nine mixtures are enlarged and shifted together: along rows and along columns by one matrix
each, since bilinear enlargement is separable. The result is exact but for rounding.

For inference alone, each scale is made smaller once, step by step, for all that need it; normalisation lies in the
convolutions; and what has been convolved is written once, where its decoder level reads it.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .unet3plus import LEVELS, UNet3Plus, enlarged

LARGEST_TWOFOLD = 64
"""Side in pixels up to which mixing at the small size pays for a twofold enlargement; of larger ones it always does."""


class FastUNet3Plus(UNet3Plus):
    """A :class:`UNet3Plus` with the same layers, weights and answers; it learns as the plain one does.

    When it is traced, the size of the images becomes a constant.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """As of the base class."""
        if self.training or self.supervised:
            return super().forward(images)
        scales: list[list[torch.Tensor]] = []
        for level in range(1, LEVELS + 1):
            found = self.encoder[str(level)](scales[-1][1] if scales else images)
            smaller = [found]
            # The encoder below needs the half of it, and so does each decoder level in turn; the last has none.
            for _ in range(max(LEVELS - 1 - level, int(level < LEVELS))):
                smaller.append(halved(smaller[-1]))
            scales.append(smaller)
        below = scales[-1][0]
        for to in range(LEVELS - 1, 0, -1):
            convolved = [self._convolved(scales[level - 1][to - level], level, to) for level in range(1, to + 1)]
            convolved.append(self._convolved(below, to + 1, to))
            convolved += [self._convolved(scales[level - 1][0], level, to) for level in range(to + 2, LEVELS + 1)]
            below = self.decoder[str(to)](positive_parts(convolved))
        return self.answer(below, 1)

    def skip(self, found: torch.Tensor, level: int, to: int) -> torch.Tensor:
        """As of the base class."""
        if not self._pays(found, level, to):
            return super().skip(found, level, to)
        convolution, normalisation, activation = self.skips[f"{level}_{to}"]
        return activation(normalisation(conv_of_enlarged(found, convolution, 2 ** (level - to))))

    def _convolved(self, found: torch.Tensor, level: int, to: int) -> torch.Tensor:
        """What a level, already as small as level ``to`` or smaller, gives to it, before its activation."""
        convolution, normalisation, _ = self.skips[f"{level}_{to}"]
        if isinstance(normalisation, nn.BatchNorm2d):  # OpenVINO would take it for a step of the matrix product
            convolution = nn.utils.fusion.fuse_conv_bn_eval(convolution, normalisation)
        factor = 2 ** max(level - to, 0)
        if self._pays(found, level, to):
            return conv_of_enlarged(found, convolution, factor)
        return convolution(found if factor == 1 else enlarged(found, factor))

    @staticmethod
    def _pays(found: torch.Tensor, level: int, to: int) -> bool:
        """Whether to mix channels at the small size."""
        return level - to > 1 or (level - to == 1 and max(found.shape[-2:]) <= LARGEST_TWOFOLD)


def fast_path(network: UNet3Plus) -> FastUNet3Plus:
    """A network for inference with the answers of ``network``, which stays as it is: fast skips, no normalisation."""
    own = network.encoder["1"][0][0].weight
    fast = FastUNet3Plus(network.filters, own.shape[1], network.classes).to(own.device)
    fast.load_state_dict(network.state_dict())
    fast.eval().requires_grad_(False)
    fold_normalisation(fast)
    return fast


def halved(images: torch.Tensor) -> torch.Tensor:
    """Maxima of 2 x 2 pixels of images (B, C, H, W) of even sides."""
    if torch.jit.is_tracing():  # one node of the graph
        return functional.max_pool2d(images, 2)
    rows = torch.maximum(images[:, :, ::2], images[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def positive_parts(parts: list[torch.Tensor]) -> torch.Tensor:
    """What is positive of parts (B, C_n, H, W), behind one another along the channels, else 0."""
    if torch.jit.is_tracing() or parts[0].requires_grad:
        return torch.cat([functional.relu(part) for part in parts], 1)
    (count, _, *image), widths = parts[0].shape, [part.shape[1] for part in parts]
    joined = parts[0].new_empty((count, sum(widths), *image))
    for part, place in zip(parts, joined.split(widths, 1), strict=True):
        torch.clamp_min(part, 0, out=place)
    return joined


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
    return found if conv.bias is None else found.add_(conv.bias[:, None, None])


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
    """Put each batch normalisation that follows a convolution into its weights, activate in place; all in place."""
    for block in network.modules():
        if not isinstance(block, nn.Sequential) or len(block) < 2:
            continue
        if isinstance(block[0], nn.Conv2d) and isinstance(block[1], nn.BatchNorm2d):
            block[0] = nn.utils.fusion.fuse_conv_bn_eval(block[0], block[1])
            block[1], block[2] = nn.Identity(), nn.ReLU(inplace=True)
