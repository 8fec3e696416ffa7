"""Transposed convolutions of stride 1 become the convolutions that they are, with the same answer."""

import pytest
import torch

from CardiacLib.networks.plain_convolutions import PlainConvTranspose2d, with_plain_convolutions


def test_transposed_convolutions_of_stride_one_become_convolutions():
    from monai.networks.nets import UNet

    torch.manual_seed(3)
    network = UNet(2, 3, 4, (4, 8, 8), (1, 2), num_res_units=2).eval()
    plain = with_plain_convolutions(network)
    changed = {m.stride for m in plain.modules() if isinstance(m, PlainConvTranspose2d)}
    left = {m.stride for m in plain.modules() if type(m) is torch.nn.ConvTranspose2d}
    assert changed == {(1, 1)} and left == {(2, 2)}
    assert not any(isinstance(m, PlainConvTranspose2d) for m in network.modules())
    network.load_state_dict(plain.state_dict())
    slices = torch.randn(2, 3, 20, 28)
    with torch.inference_mode():
        torch.testing.assert_close(plain(slices), network(slices))
    assert with_plain_convolutions(plain) is plain


@pytest.mark.parametrize("options", [{"padding": 0}, {"padding": 1}, {"padding": 2, "bias": False}])
def test_a_turned_kernel_gives_what_the_transposed_one_gives(options):
    transposed = torch.nn.ConvTranspose2d(3, 5, (3, 5), **options).eval()
    slices = torch.randn(2, 3, 9, 11)
    plain = with_plain_convolutions(torch.nn.Sequential(transposed))
    assert type(plain[0]) is PlainConvTranspose2d and not plain[0].training
    with torch.inference_mode():
        torch.testing.assert_close(plain(slices), transposed(slices))
