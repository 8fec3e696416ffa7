"""Transposed convolutions of stride 1, computed as the convolutions that they are."""

import copy

import torch
from torch.nn import functional


class PlainConvTranspose2d(torch.nn.ConvTranspose2d):
    """A transposed convolution of stride 1 as the convolution with the turned kernel; its weights are the same."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, out, H', W') of values (N, in, H, W), as of ``ConvTranspose2d`` up to rounding."""
        kernel = self.weight.transpose(0, 1).flip(2, 3)
        sides = zip(self.kernel_size, self.padding, strict=True)
        return functional.conv2d(values, kernel, self.bias, padding=tuple(size - 1 - pad for size, pad in sides))


def with_plain_convolutions(network: torch.nn.Module) -> torch.nn.Module:
    """A network with the same answer, up to rounding, and the same weights by the same names, that is run sooner.

    MONAI's ``UNet`` ends with a transposed convolution of stride 1 where its first stride is 1. PyTorch and OpenVINO
    run the convolution with the turned kernel sooner, in training too; OpenVINO runs the transposed one in float32 even
    where bfloat16 is native. Measured in Docs/Speed.md.

    Args:
        network: stays as it is.

    Returns:
        A copy, or the network itself where nothing is to be changed.
    """
    if not any(_is_plain(module) for module in network.modules()):
        return network
    network = copy.deepcopy(network)
    for module in filter(_is_plain, network.modules()):
        module.__class__ = PlainConvTranspose2d
    return network


def _is_plain(module: torch.nn.Module) -> bool:
    return (
        type(module) is torch.nn.ConvTranspose2d
        and set(module.stride) == set(module.dilation) == {1}
        and set(module.output_padding) == {0}
        and module.groups == 1
        and all(pad < size for pad, size in zip(module.padding, module.kernel_size, strict=True))
    )
