"""Slice propagation: the published loss, the networks with their noise, and simulated motion."""

import math

import numpy as np
import pytest
import torch

from BiVMeshLib.propagation.loss import PropagationLoss, one_hot, stabilised_cross_entropy
from BiVMeshLib.propagation.networks import STEP, InitializationNet, Noise, PropagationNet, probabilities
from BiVMeshLib.propagation.simulated_motion import Anatomy, Motion, imaged_positions, random_motion
from CardiacLib.networks.bundles import bundle_path, read_config

NARROW = {"biv_propagation": [[8, 12], [6, 8]], "biv_initialization": [[6, 8], [6, 8], [6, 8]]}


# Loss


def test_loss_is_the_published_formula():
    p = torch.tensor([0.9, 0.3, 0.985, 0.5, 0.01], requires_grad=True)
    truth = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    stable = [0.999 * v + 0.0005 for v in p.tolist()]
    expected = [-math.log(stable[0]), -math.log(stable[1]), 0.0, -math.log(1 - stable[3]), 0.0]
    found = stabilised_cross_entropy(p, truth)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-6)
    found.sum().backward()
    slopes = [-0.999 / stable[0], -0.999 / stable[1], 0.0, 0.999 / (1 - stable[3]), 0.0]
    np.testing.assert_allclose(p.grad, slopes, rtol=1e-5)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_loss_is_finite_where_the_network_is_wholly_wrong(p):
    value = stabilised_cross_entropy(torch.tensor(p), torch.tensor(1.0 - p))
    assert float(value) == pytest.approx(-math.log(0.0005), rel=1e-4)


@pytest.mark.parametrize("structures", [1, 4])
def test_loss_of_all_scales(structures):
    target = torch.zeros(2, STEP, 16, 16, dtype=torch.int64)
    target[:, :, 4:12, 4:12] = 1
    truth = one_hot(target, structures)
    right = 20 * (2 * truth - 1) if structures == 1 else 20 * truth
    half = torch.nn.functional.avg_pool2d(right.flatten(0, 1), 2).unflatten(0, (2, STEP))
    loss = PropagationLoss(structures)
    good = [x.flatten(1, 2) for x in (half, right)]
    assert float(loss(good, target)) < 0.01
    # The mean over scales: one scale wrong costs half of what both wrong cost.
    bad = [-x for x in good]
    whole, part = float(loss(bad, target)), float(loss([good[0], bad[1]], target))
    assert whole > 1 and part == pytest.approx(float(loss([bad[1]], target)) / 2, rel=0.05)


# Networks


def test_noise_works_in_training_only():
    torch.manual_seed(4)
    noise, x = Noise(images=2, flips=0.1), torch.rand(3, 4, 32, 32)
    assert torch.equal(noise.eval()(x), x)
    noisy = noise.train()(x)
    assert not torch.equal(noisy[:, :2], x[:, :2])
    kept = noisy[:, 2:] == x[:, 2:]
    assert 0.9 < kept.float().mean() < 0.99  # salt and pepper alone touch the mask
    assert set(noisy[:, 2:][~kept].unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("structures", [1, 4])
def test_answers_of_every_scale(structures):
    channels = 1 if structures == 1 else 5
    net = PropagationNet(structures, NARROW["biv_propagation"])
    x = torch.rand(2, 1 + STEP + structures, 32, 48)
    shapes = [tuple(o.shape) for o in net.train()(x)]
    assert shapes == [(2, STEP * channels, 16, 24), (2, STEP * channels, 32, 48)]
    assert net.eval()(x).shape == shapes[-1]
    first = InitializationNet(structures, NARROW["biv_initialization"])
    assert [o.shape[-1] for o in first.train()(torch.rand(2, 1, 32, 48))] == [12, 24, 48]


def test_further_slices_are_reached_by_the_networks_own_masks():
    torch.manual_seed(2)
    net = PropagationNet(4, NARROW["biv_propagation"]).eval()
    images, mask = torch.rand(2, 1 + 2 * STEP, 32, 32), torch.zeros(2, 4, 32, 32)
    mask[:, 1, 8:20, 8:20] = 1
    with torch.no_grad():
        both = net(torch.cat([images, mask], 1))
        near = probabilities(net(torch.cat([images[:, : 1 + STEP], mask], 1)), 4)[:, -1].argmax(1)
        own = torch.stack([near == n for n in (1, 2, 3, 4)], 1).float()
        far = net(torch.cat([images[:, STEP:], own], 1))
    torch.testing.assert_close(both, far)
    net.train()(torch.cat([images, mask], 1))
    assert net.training and net.noise.training


def test_both_weights_fit_the_size_promised():
    count = sum(
        sum(
            p.numel()
            for p in read_config(bundle_path(name), "inference").get_parsed_content("network_def").parameters()
        )
        for name in NARROW
    )
    assert 2 * count < 10e6  # bytes as fp16


# Simulated motion


HEART = Anatomy(torch.full((60, 2), 64.0), torch.full((60,), 18.0), torch.full((60,), 26.0), 5.0, 55.0, math.pi)


def disc(z=30.0, side=128) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    return torch.stack([torch.full_like(rows, z), rows, columns], -1)


def test_no_motion_is_no_motion():
    np.testing.assert_allclose(imaged_positions(disc(), HEART, Motion(0.0)), disc(), atol=2e-3)


def test_contraction_keeps_the_wall_and_empties_the_cavity():
    motion = Motion(0.3, length=0.85, rv=0.0)
    found = imaged_positions(disc(), HEART, motion)
    radius = (found[..., 1:] - 64).norm(dim=-1)
    cavity, wall = (radius < 18).sum(), ((radius >= 18) & (radius < 26)).sum()
    assert float(cavity) == pytest.approx(math.pi * (0.7 * 18) ** 2, rel=0.02)
    assert float(wall) * 0.85 == pytest.approx(math.pi * (26**2 - 18**2), rel=0.02)
    assert float(found[0, 0, 0]) == pytest.approx(5 + 25 / 0.85)


def test_an_infarct_contracts_less_than_the_opposite_wall():
    motion = Motion(0.3, rv=0.0, infarct_depth=1.0, infarct_angle=0.0, infarct_height=0.5)
    found = imaged_positions(disc(), HEART, motion)
    border = [int(((found[64, 64:, 1:] - 64).norm(dim=-1) < 18).sum()), 0]
    border[1] = int(((found[64, :65, 1:] - 64).norm(dim=-1) < 18).sum())
    assert border[0] == pytest.approx(18, abs=1) and border[1] == pytest.approx(0.7 * 18, abs=1.5)


def test_motion_never_folds():
    draw = torch.Generator().manual_seed(3)
    for systolic in (False, True) * 10:
        found = imaged_positions(disc(), HEART, random_motion(systolic, draw))[..., 1:]
        along, across = (torch.diff(found, dim=d) for d in (0, 1))
        area = along[:, :-1, 0] * across[:-1, :, 1] - along[:, :-1, 1] * across[:-1, :, 0]
        middle = (disc()[:-1, :-1, 1:] - 64).norm(dim=-1) > 2  # polar coordinates are singular at the axis
        assert area[middle].min() > 0
