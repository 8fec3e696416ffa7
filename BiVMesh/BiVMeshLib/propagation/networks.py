"""The initialization and the propagation network: coarse to fine, a prediction at every scale.

After Zheng, Delingette, Duchateau, Ayache, "3D Consistent Biventricular Myocardial Segmentation Using Deep Learning for
Mesh Generation" (2017, arXiv 1803.11080): sub-networks for images of 32, 64 and 128 pixels, each given the slices at
its own size and the enlarged answer of the one before it; convolution, batch normalisation, leaky ReLU of slope 0.25.
The paper gives no layer widths. Layers of noise stand before the first convolution and work in training only.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional

from .answers import channels_of, multiple_of
from .isotropic import STEP

SLOPE = 0.25


def probabilities(logits: torch.Tensor, structures: int) -> torch.Tensor:
    """Logits (B, S * channels, H, W) of S slices to probabilities (B, S, channels, H, W)."""
    parts = logits.unflatten(1, (-1, channels_of(structures)))
    return parts.sigmoid() if structures == 1 else parts.softmax(2)


class Noise(nn.Module):
    """Gaussian noise, and salt and pepper, on images and mask; the identity in evaluation.

    The paper's third kind of noise, a rotation of images and masks together, concerns the target as well and is
    part of the random map of the training windows.

    Args:
        images: number of channels, the first ones, that are images; the others are the mask.
        sigma: largest standard deviation of the Gaussian noise, images in 0..1.
        flips: largest share of the pixels of images and mask that become 0 or 1.
    """

    def __init__(self, images: int, sigma: float = 0.04, flips: float = 0.01):
        super().__init__()
        self.images, self.sigma, self.flips = images, sigma, flips

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to the same."""
        if not self.training:
            return inputs
        each = (len(inputs), 1, 1, 1)
        images, mask = inputs[:, : self.images], inputs[:, self.images :]
        images = images + torch.randn_like(images) * torch.rand(each, device=inputs.device) * self.sigma
        drawn = torch.rand_like(inputs)
        share = torch.rand(each, device=inputs.device) * self.flips / 2
        noisy = torch.cat([images, mask], 1)
        return noisy.masked_fill(drawn < share, 0.0).masked_fill(drawn > 1 - share, 1.0)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers = []
    for a in (inputs, outputs):
        layers += [
            nn.Conv2d(a, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
    return nn.Sequential(*layers)


class SubNet(nn.Module):
    """Encoder and decoder for one image size; every further level halves it.

    Args:
        inputs, outputs: channels.
        channels: of each level, from the full size down.
    """

    def __init__(self, inputs: int, outputs: int, channels: tuple[int, ...]):
        super().__init__()
        pairs = list(itertools.pairwise(channels))
        self.down = nn.ModuleList([_block(inputs, channels[0])] + [_block(a, b) for a, b in pairs])
        self.up = nn.ModuleList(_block(a + b, a) for a, b in reversed(pairs))
        self.answer = nn.Conv2d(channels[0], outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, outputs, H, W) of (B, inputs, H, W)."""
        features = [self.down[0](x)]
        for level in self.down[1:]:
            features.append(level(functional.max_pool2d(features[-1], 2)))
        x = features.pop()
        for level in self.up:
            skip = features.pop()
            x = level(torch.cat([skip, functional.interpolate(x, scale_factor=2, mode="nearest")], 1))
        return self.answer(x)


class CoarseToFine(nn.Module):
    """Sub-networks for growing image sizes; each sees the enlarged probabilities of the one before.

    Args:
        inputs: channels of the input.
        images: how many of them, the first ones, are images.
        slices: number of slices that are labelled.
        structures: number of structures besides the background; 1 is the published one-class form.
        widths: channels of the levels of each sub-network, coarsest first; the last works at full size.
    """

    def __init__(self, inputs: int, images: int, slices: int, structures: int, widths: list[list[int]]):
        super().__init__()
        self.structures, self.slices = structures, slices
        outputs = slices * channels_of(structures)
        self.noise = Noise(images)
        counts = [inputs] + [inputs + outputs] * (len(widths) - 1)
        self.nets = nn.ModuleList(SubNet(n, outputs, tuple(w)) for n, w in zip(counts, widths, strict=True))
        self.multiple = multiple_of(widths)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits (B, slices * channels, H, W); in training a list of them, coarsest first, each scale at its size."""
        inputs = self.noise(inputs)
        found, before = [], None
        for n, net in enumerate(self.nets):
            shrink = 2 ** (len(self.nets) - 1 - n)
            seen = functional.avg_pool2d(inputs, shrink) if shrink > 1 else inputs
            if before is not None:
                seen = torch.cat([seen, functional.interpolate(before, scale_factor=2, mode="bilinear")], 1)
            found.append(net(seen))
            before = probabilities(found[-1], self.structures).flatten(1, 2)
        return found if self.training else found[-1]


class InitializationNet(CoarseToFine):
    """Labels one slice: input (B, 1, H, W), sub-networks at a quarter, at half and at full size.

    Args:
        structures, widths: as of :class:`CoarseToFine`.
    """

    def __init__(self, structures: int, widths: list[list[int]]):
        super().__init__(1, 1, 1, structures, widths)


class PropagationNet(CoarseToFine):
    """Labels the next slices from a labelled one: sub-networks at half and at full size.

    Input (B, 1 + n STEP + structures, H, W): the labelled slice, the next n STEP slices, the mask of the first, one
    channel per structure. Which way the next slices lie, to the base or to the apex, it is not told. What comes out is
    of the last STEP slices; for n > 1 the network first carries the mask there itself, without gradients, so that in
    training it meets the errors of its own masks.

    Args:
        structures, widths: as of :class:`CoarseToFine`.
    """

    def __init__(self, structures: int, widths: list[list[int]]):
        super().__init__(1 + STEP + structures, 1 + STEP, STEP, structures, widths)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits as of :class:`CoarseToFine`."""
        images, mask = inputs[:, : -self.structures], inputs[:, -self.structures :]
        while images.shape[1] > 1 + STEP:
            mask = self._carried(torch.cat([images[:, : 1 + STEP], mask], 1))
            images = images[:, STEP:]
        return super().forward(torch.cat([images, mask], 1))

    @torch.no_grad()
    def _carried(self, inputs: torch.Tensor) -> torch.Tensor:
        """The mask (B, structures, H, W), 0 or 1, of the slice STEP further, as inference would find it."""
        training = self.training
        self.eval()
        found = probabilities(super().forward(inputs).float(), self.structures)[:, -1]
        self.train(training)
        if self.structures == 1:
            return (found > 0.5).to(inputs.dtype)
        labels = functional.one_hot(found.argmax(1), channels_of(self.structures))
        return labels.movedim(-1, 1)[:, 1:].to(inputs.dtype)
