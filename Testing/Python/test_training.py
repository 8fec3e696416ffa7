"""Training: augmentation keeps labels on their image, an interrupted run continues to the same weights, ACDC splits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from training_options import STILL, training_options

from CardiacLib.datasets.acdc import patient_folders
from CardiacLib.errors import InputError
from CardiacLib.phantom import make_phantom
from CardiacLib.training.augment import Augmentation, labelled_windows, random_intensity, random_maps
from CardiacLib.training.engine import Trainer
from CardiacSegLib.segment.feature_unet import FeatureUNet
from CardiacSegLib.train import phantoms
from CardiacSegLib.train.data import ShortAxisData, SliceBatches, SliceStacks
from CardiacSegLib.train.loss import HeartDiceCELoss
from CardiacSegLib.train.phantoms import random_phantoms
from CardiacSegLib.train.trainer import begin_with


def batches_of(stacks, windows, extra=None, drawn=0, **changes) -> SliceBatches:
    data = ShortAxisData(pixel_mm=1.4, canvas=48, windows=windows, phantom_slices=drawn)
    return SliceBatches(stacks, data, training_options(**changes), extra)


def made_stacks(size=48) -> SliceStacks:
    rows, columns = np.mgrid[:size, :size]
    labels = np.zeros((6, size, size), np.uint8)
    for k in range(6):
        labels[k][np.hypot(rows - 20, columns - 26) < 12 - k] = 2
        labels[k][np.hypot(rows - 20, columns - 26) < 7 - k] = 1
    images = labels * 80 + 20
    first, last = torch.tensor([0, 0, 0, 3, 3, 3]), torch.tensor([2, 2, 2, 5, 5, 5])
    opposite = torch.tensor([3, 4, 5, 0, 1, 2])
    return SliceStacks(torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels), first, last, opposite)


def test_labels_stay_on_their_image():
    labels = made_stacks().labels.long()
    images = (labels.float() / 3)[:, None]
    ranges = Augmentation()
    generator = torch.Generator().manual_seed(1)
    centres = torch.tensor([[20.0, 26.0]]).expand(6, 2)
    cut, turned = labelled_windows(images, labels, random_maps(centres, 40, ranges, generator), 4)
    assert cut.shape == (6, 1, 40, 40) and turned.shape == (6, 40, 40)
    assert (turned > 0).any((1, 2)).all()
    inside = torch.nn.functional.max_pool2d((turned == 0).float()[:, None], 3, 1, 1) == 0
    assert (cut[inside] > 0.2).all()
    far = torch.nn.functional.max_pool2d((turned > 0).float()[:, None], 5, 1, 2) == 0
    assert (cut[far] < 0.1).all()


def test_augmentation_changes_and_repeats():
    images = torch.rand(4, 3, 32, 32)
    one, two = (random_intensity(images, Augmentation(), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.allclose(one, images, atol=0.02)
    assert torch.allclose(random_intensity(images, STILL, torch.Generator()), images, atol=1e-6)


def test_neighbours_never_cross_stacks():
    images = made_stacks().images.clone()
    images[:3] = 0
    stacks = replace(made_stacks(), images=images)
    for step in (1, -1, 2, -2):
        assert not stacks.seen(torch.tensor([0, 1, 2]), step).any()
    assert stacks.seen(torch.tensor([4])).flatten(2).any(2).all()
    assert not stacks.seen(torch.tensor([4]), keep=torch.tensor([[False, True, True]]))[0, 0].any()


def test_the_second_phase_is_the_opposite_or_the_same():
    images = torch.arange(6, dtype=torch.uint8)[:, None, None].expand(6, 48, 48)
    batches = batches_of(replace(made_stacks(), images=images), [32])
    others = [int(batches._two_phases(torch.tensor([4]))[0, 4].unique()) for _ in range(100)]
    assert set(others) == {1, 4} and 2 < others.count(4) < 40


def test_windows_of_several_sizes():
    batches = batches_of(made_stacks(), [16, 32], augmentation=Augmentation())
    sides = {batches.make(torch.tensor([0, 4]))[0].shape for _ in range(12)}
    assert sides == {(2, 6, 16, 16), (2, 6, 32, 32)}


def test_weights_of_the_smaller_stack_are_larger():
    stacks = made_stacks()
    stacks.labels[3:][:, :, :26] = 0
    pixels = torch.stack([(part == 1).sum() for part in (stacks.labels[:3], stacks.labels[3:])])
    exact = stacks.structure_weights(limit=100)
    torch.testing.assert_close(exact[3, 0] / exact[0, 0], pixels[0] / pixels[1])
    weights = stacks.structure_weights()
    assert weights.shape == (6, 3) and weights.min() == pytest.approx(1 / 3)
    images, (labels, drawn, _) = batches_of(stacks, [16]).make(torch.tensor([4, 1]))
    assert images.shape[0] == len(labels) and torch.equal(drawn, weights[[4, 1]])


def test_loss_with_equal_weights_is_that_of_monai():
    torch.manual_seed(2)
    logits, labels = torch.randn(3, 4, 20, 20), torch.randint(0, 4, (3, 20, 20))
    peer = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)(logits, labels[:, None])
    torch.testing.assert_close(HeartDiceCELoss()(logits, (labels, torch.ones(3, 3))), peer)


def test_every_heart_counts_the_same_in_the_loss():
    labels = torch.zeros(2, 40, 40, dtype=torch.long)
    labels[0, :30], labels[1, :10] = 3, 3  # the second heart has a third of the pixels
    loss = HeartDiceCELoss()
    right = 20.0 * torch.nn.functional.one_hot(labels, 4).permute(0, 3, 1, 2).float()

    def rise(wrong, weights):
        logits = right.clone()
        rows = int((labels[wrong] == 3).any(1).sum()) // 2
        logits[wrong, :, :rows] = torch.tensor([20.0, 0, 0, 0])[:, None, None]
        entropy = torch.nn.functional.cross_entropy(logits, labels)
        return float(loss(logits, (labels, weights)) - entropy - loss(right, (labels, weights)))

    equal, by_size = torch.ones(2, 3), torch.tensor([1.0, 3.0])[:, None].expand(2, 3)
    assert rise(0, by_size) == pytest.approx(rise(1, by_size), rel=1e-3)
    assert rise(0, equal) > 2 * rise(1, equal)


@pytest.mark.slow
def test_phantoms_join_the_patients(monkeypatch):
    small = {"n_frames": 2, "sax_size": 72, "sax_pixel_mm": 2.8}
    monkeypatch.setattr(phantoms, "make_phantom", lambda options: make_phantom(replace(options, **small)))
    pair = list(random_phantoms(2, 3))
    again = next(random_phantoms(1, 3))
    np.testing.assert_array_equal(pair[0][0][0].frames, again[0][0].frames)
    one, both = (SliceStacks.from_phases(hearts, 2.8, 96) for hearts in (pair[:1], pair))
    joined = one + SliceStacks.from_phases(pair[1:], 2.8, 96)
    for name in ("images", "labels", "first", "last", "opposite"):
        assert torch.equal(getattr(joined, name), getattr(both, name)), name
    assert torch.equal(both.opposite[both.opposite], torch.arange(len(both)))
    ed = (both.first == 0).sum()
    assert (both.labels[:ed] == 1).sum() > (both.labels[both.opposite[:ed]] == 1).sum() > 0


def test_weights_for_fewer_inputs_keep_their_answer():
    torch.manual_seed(0)
    narrow, wide = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(6, 4, 3)
    begin_with(wide, narrow.state_dict())
    seen = torch.randn(2, 6, 8, 8)
    torch.testing.assert_close(wide(seen), narrow(seen[:, :3]))


def test_a_network_with_features_begins_with_the_answer_of_one_without():
    torch.manual_seed(0)
    shape = {"spatial_dims": 2, "channels": [4, 8, 8], "strides": [1, 2], "num_res_units": 2, "norm": "INSTANCE"}
    plain = UNet(in_channels=3, out_channels=4, **shape)
    network = FeatureUNet(features=16, in_channels=6, out_channels=4, **shape)
    begin_with(network, plain.state_dict())
    seen = torch.randn(2, 6, 16, 16)
    torch.testing.assert_close(network(seen), plain(seen[:, :3]))
    network(seen).square().sum().backward()
    assert network.answer.weight.grad[:, 4:].abs().min() > 0  # the further features are learned from
    again = FeatureUNet(features=16, in_channels=6, out_channels=4, **shape)
    begin_with(again, network.state_dict())
    assert torch.equal(again(seen), network(seen))
    larger = FeatureUNet(features=20, in_channels=6, out_channels=4, **shape)
    for known, other in ((network, torch.nn.Conv2d(3, 4, 3)), (network, larger), (plain, network)):
        with pytest.raises(InputError, match="not of a network like this one"):
            begin_with(known, other.state_dict())


def test_an_epoch_shows_every_patient_and_some_phantoms():
    shades = replace(made_stacks(), images=torch.arange(6, dtype=torch.uint8)[:, None, None].expand(6, 48, 48))
    made = replace(shades, images=shades.images + 100)
    batches = batches_of(shades, [32], made, 2)
    seen: list[list[int]] = []
    batches.make = lambda index: seen[-1].extend(int(i) for i in batches.stacks.images[index, 0, 0])
    for _ in range(20):
        seen.append([])
        assert len(list(batches)) == len(batches) == 4
        assert sorted(seen[-1])[:6] == list(range(6)) and len(set(seen[-1])) == 8
    assert {shade for epoch in seen for shade in epoch if shade >= 100} == set(range(100, 106))


def test_neighbours_are_left_out_more_often_in_thick_stacks():
    stack = SliceStacks(
        torch.arange(1, 10, dtype=torch.uint8)[:, None, None].expand(9, 48, 48),
        made_stacks().labels[:1].expand(9, 48, 48),
        torch.zeros(9, dtype=torch.long),
        torch.full((9,), 8),
        torch.arange(9),
    )
    batches = batches_of(stack, [32])
    before, _, after = batches._two_phases(torch.full((20000,), 4))[:, :3, 0, 0].long().T
    known = (before > 0) | (after > 0)
    thick = known & (((before - 5).abs() == 2) & (before > 0) | ((after - 5).abs() == 2) & (after > 0))
    assert float(thick.sum() / known.sum()) == pytest.approx(0.3, abs=0.02)
    for stacks, share in ((thick, 0.25), (known & ~thick, 0.1)):
        # Those that lack both neighbours are told apart by nothing, and left out here.
        assert float((before[stacks] == 0).double().mean()) == pytest.approx(
            share * (1 - share) / (1 - share**2), abs=0.02
        )


class Toy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(6, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


class Stop(Exception):
    pass


def trainer(output, epochs=4) -> Trainer:
    options = training_options(
        output_dir=output, epochs=epochs, learning_rate=0.03, augmentation=Augmentation(), seed=7
    )
    batches = SliceBatches(made_stacks(), ShortAxisData(1.4, 48, [32]), options)
    return Trainer(Toy(), batches, HeartDiceCELoss(), options, validate=lambda network: {"x": 1.0})


def test_an_interrupted_run_continues_to_the_same_weights(tmp_path):
    whole = trainer(tmp_path / "whole").run()

    def stop_at_half(fraction, message):
        if fraction >= 0.5:
            raise Stop

    with pytest.raises(Stop):
        trainer(tmp_path / "parts").run(stop_at_half)
    resumed = trainer(tmp_path / "parts").run()
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert (tmp_path / "parts" / "log.csv").read_text().count("\n") == 5


@pytest.mark.parametrize("steps", [1, 9, 10, 11])
def test_the_rate_of_few_steps(steps, tmp_path):
    short = trainer(tmp_path, epochs=steps)
    short.batches = [next(iter(short.batches))]
    optimiser, schedule, _ = short._prepare()
    rates = [schedule.get_last_lr()[0]]
    for _ in range(steps - 1):
        optimiser.step()
        schedule.step()
        rates += schedule.get_last_lr()
    assert 0 < min(rates) <= max(rates) <= short.options.learning_rate * (1 + 1e-6)


def test_training_lowers_the_loss(tmp_path):
    trainer(tmp_path, epochs=30).run()
    losses = [float(line.split(",")[1]) for line in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_every_fifth_patient_is_held_out(tmp_path):
    for number in range(1, 21):
        (tmp_path / f"patient{number:03d}").mkdir()
    held_out = [f.name for f in patient_folders(tmp_path, validation=True)]
    assert held_out == ["patient005", "patient010", "patient015", "patient020"]
    assert not set(held_out) & {f.name for f in patient_folders(tmp_path, validation=False)}


def test_a_folder_without_patients(tmp_path):
    with pytest.raises(InputError, match="no ACDC patient folders"):
        patient_folders(tmp_path, validation=False)
