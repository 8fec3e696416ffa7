"""Transposed convolutions of stride 1 as the convolutions that they are."""

import copy


def with_plain_convolutions(network):
    """A network with the same answer, up to rounding, and without transposed convolutions of stride 1.

    MONAI's ``UNet`` ends with one where its first stride is 1. It is the convolution with the turned kernel, which
    PyTorch and OpenVINO run sooner; OpenVINO runs the transposed one in float32 even where bfloat16 is native.
    Measured in Docs/Speed.md.

    Args:
        network: torch module; it stays as it is.

    Returns:
        A copy, or the network itself where it has none.
    """
    names = [name for name, module in network.named_modules() if _is_plain(module)]
    if not names:
        return network
    network = copy.deepcopy(network)
    for name in names:
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, _convolution(network.get_submodule(name)))
    return network


def _is_plain(module) -> bool:
    import torch

    return (
        isinstance(module, torch.nn.ConvTranspose2d)
        and set(module.stride) == set(module.dilation) == {1}
        and set(module.output_padding) == {0}
        and module.groups == 1
        and all(pad < size for pad, size in zip(module.padding, module.kernel_size, strict=True))
    )


def _convolution(transposed):
    import torch

    sides = zip(transposed.kernel_size, transposed.padding, strict=True)
    weight, bias = transposed.weight, transposed.bias
    plain = torch.nn.utils.skip_init(
        torch.nn.Conv2d,
        transposed.in_channels,
        transposed.out_channels,
        transposed.kernel_size,
        padding=tuple(size - 1 - pad for size, pad in sides),
        bias=bias is not None,
        device=weight.device,
        dtype=weight.dtype,
    )
    with torch.no_grad():
        plain.weight.copy_(weight.transpose(0, 1).flip(2, 3))
        if bias is not None:
            plain.bias.copy_(bias)
    return plain.train(transposed.training)
