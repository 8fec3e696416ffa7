"""UNet 3+: every decoder level sees every scale of the image.

Source: Huang et al., ICASSP 2020, doi 10.1109/ICASSP40776.2020.9053405, in the form that the published mouse framework
trains: two convolutions per encoder level, one per skip and per decoder level, batch normalisation, deep supervision.
Layers carry the names of the published Keras model, so that its weights find their places.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

LEVELS = 5
PUBLISHED = (32, 64, 128, 256, 512)
"""Filters of the published model, 12 963 443 numbers."""
EPSILON = 1e-3
"""Of Keras' batch normalisation; torch's own is 1e-5."""
MOMENTUM = 0.01
"""Of the running statistics: Keras says 0.99 of the old, torch 0.01 of the new."""


class ConvBlock(nn.Sequential):
    """Convolution 3 x 3 with bias, batch normalisation, ReLU: (B, in, H, W) to (B, out, H, W)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs, EPSILON, MOMENTUM), nn.ReLU()
        )
        nn.init.kaiming_normal_(self[0].weight)
        nn.init.zeros_(self[0].bias)


class UNet3Plus(nn.Module):
    """Logits (B, classes, H, W) of images (B, channels, H, W); H and W are multiples of 16.

    In training mode the answer is a list, from the coarsest level to the finest, each at full size; in evaluation mode
    it is the finest, the one that is used.

    Args:
        filters: of the five levels.
        channels: of the image.
        classes: background included.
        supervised: whether to make all five answers in evaluation mode too.
    """

    def __init__(
        self, filters: Sequence[int] = PUBLISHED, channels: int = 1, classes: int = 3, supervised: bool = False
    ):
        super().__init__()
        if len(filters) != LEVELS:
            raise ValueError(f"filters must be {LEVELS} numbers, got {list(filters)}")
        self.filters, self.classes, self.supervised = tuple(filters), classes, supervised
        self.encoder, self.skips = nn.ModuleDict(), nn.ModuleDict()
        self.decoder, self.heads = nn.ModuleDict(), nn.ModuleDict()
        before = channels
        for level, width in enumerate(filters, 1):
            self.encoder[str(level)] = nn.Sequential(ConvBlock(before, width), ConvBlock(width, width))
            before = width
        for to in range(LEVELS - 1, 0, -1):
            width = filters[to - 1]
            for level in range(1, LEVELS + 1):
                self.skips[f"{level}_{to}"] = ConvBlock(filters[level - 1], width)
            self.decoder[str(to)] = ConvBlock(LEVELS * width, width)
        for level in range(LEVELS, 0, -1):
            self.heads[str(level)] = nn.ModuleList(
                (nn.Conv2d(filters[level - 1], classes, 3, padding=1), nn.Conv2d(classes, classes, 3, padding=1))
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits; softmax over the classes gives the published answer."""
        encoded, found = [], images
        for level in range(1, LEVELS + 1):
            found = self.encoder[str(level)](functional.max_pool2d(found, 2) if level > 1 else found)
            encoded.append(found)
        decoded = {LEVELS: found}
        for to in range(LEVELS - 1, 0, -1):
            # The level below comes from the decoder, all deeper ones from the encoder.
            parts = [
                self.skip(decoded[level] if level == to + 1 else encoded[level - 1], level, to)
                for level in range(1, LEVELS + 1)
            ]
            decoded[to] = self.decoder[str(to)](torch.cat(parts, 1))
        if self.training or self.supervised:
            return [self.answer(decoded[level], level) for level in range(LEVELS, 0, -1)]
        return self.answer(decoded[1], 1)

    def skip(self, found: torch.Tensor, level: int, to: int) -> torch.Tensor:
        """What a level gives to decoder level ``to``: brought to its size, then convolved."""
        block = self.skips[f"{level}_{to}"]
        if level < to:
            return block(functional.max_pool2d(found, 2 ** (to - level)))
        return block(found if level == to else enlarged(found, 2 ** (level - to)))

    @staticmethod
    def keras_layers() -> dict[str, str]:
        """Name of each layer with weights of the published Keras model to the name of our module."""
        return layer_names()

    def answer(self, found: torch.Tensor, level: int) -> torch.Tensor:
        """Logits of one level at full size."""
        first, second = self.heads[str(level)]
        found = first(found)
        return second(found if level == 1 else enlarged(found, 2 ** (level - 1)))


def enlarged(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Bilinear enlargement as Keras' UpSampling2D: pixels have areas, their corners are aligned, not their centres."""
    return functional.interpolate(images, scale_factor=factor, mode="bilinear", align_corners=False)


def n_numbers(network: nn.Module) -> int:
    """Numbers that Keras counts: parameters and the running statistics."""
    return sum(v.numel() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked"))


def layer_names() -> dict[str, str]:
    """Name of each Keras layer with weights to the name of our module."""
    names = {}
    for level in range(1, LEVELS + 1):
        for i in (1, 2):
            names |= _block(f"Encoder{level}", i, f"encoder.{level}.{i - 1}")
    for to in range(LEVELS - 1, 0, -1):
        for level in range(1, LEVELS + 1):
            names |= _block(f"Skip{level}_{to}", 1, f"skips.{level}_{to}")
        names |= _block(f"Decoder{to}", 1, f"decoder.{to}")
    for level in range(LEVELS, 0, -1):
        names |= {f"deepsup_conv_{level}_{i}": f"heads.{level}.{i - 1}" for i in (1, 2)}
    return names


def _block(layer: str, i: int, module: str) -> dict[str, str]:
    return {f"{layer}_Conv_{i}": f"{module}.0", f"{layer}_BN_{i}": f"{module}.1"}
