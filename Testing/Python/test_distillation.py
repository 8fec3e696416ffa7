"""Distillation: soft labels stay on their image, and a network that learns from them comes nearer to its teacher."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from training_options import STILL, training_options

from CardiacLib.errors import InputError
from CardiacLib.training.augment import Augmentation
from CardiacLib.training.engine import Trainer
from CardiacLib.types.choices import SHORT_AXIS_BUNDLE
from CardiacSegLib.segment.preprocess import resampled_shape
from CardiacSegLib.train.data import ShortAxisData, SliceBatches, SliceStacks
from CardiacSegLib.train.distillation import Distillation, DistillationLoss, Teachers, soft_loss
from CardiacSegLib.train.loss import HeartDiceCELoss
from cineheart.commands.networks.train import TrainOptions


@pytest.fixture(scope="module")
def cine(little_heart):
    return little_heart.cines["sax"].only([0, 1])


def rings(cine) -> np.ndarray:
    """Soft labels of three rings round the middle, uint8 (T, K, 3, H, W)."""
    shape = resampled_shape(cine.frames.shape[2:], (cine.spacing[1], cine.spacing[0]), 1.4)
    rows, columns = np.indices(shape)
    far = np.hypot(rows - shape[0] / 2, columns - shape[1] / 2)
    discs = [np.clip(radius - far, 0, 1) for radius in (0, 8, 16, 22)]
    soft = np.diff(np.stack(discs), axis=0)
    return np.broadcast_to(np.rint(soft * 255).astype(np.uint8), (*cine.frames.shape[:2], *soft.shape)).copy()


@pytest.fixture(scope="module")
def stacks(cine):
    return SliceStacks.from_cines([cine], 1.4, 64, rings)


def test_of_unlabelled_cines_teachers_alone_say_what_is_what(cine, stacks):
    n_frames, n_slices = cine.frames.shape[:2]
    assert stacks.soft.shape == (n_frames * n_slices, 3, 64, 64) and not stacks.drawn.any()
    assert torch.equal(stacks.opposite, torch.arange(len(stacks)).roll(n_slices))
    assert (stacks.heart_centres() - 31.5).abs().max() < 1.5
    loss = HeartDiceCELoss()(torch.randn(2, 4, 64, 64), (stacks.labels[:2].long(), stacks.structure_weights()[:2]))
    assert loss == 0  # nothing but the teachers
    assert (stacks.soft_weights() > 0).all()


def test_soft_labels_stay_on_their_image(stacks):
    shown = replace(stacks, images=stacks.soft[:, 0])
    data = ShortAxisData(pixel_mm=1.4, canvas=64, windows=[40])
    ranges = replace(STILL, scale=0.2, elastic=0.02, turn=Augmentation().turn)
    images, target = SliceBatches(shown, data, training_options(augmentation=ranges)).make(torch.arange(4))
    labels, weights, soft, soft_weights, domain = target
    assert soft.shape == (4, 3, 40, 40) and weights.shape == soft_weights.shape == (4, 3) and domain.shape == (4,)
    torch.testing.assert_close(soft[:, 0], images[:, 1], atol=1e-5, rtol=0)
    assert labels.unique().tolist() in ([255], [0, 255])  # background beyond the canvas


def test_the_distance_is_least_at_the_soft_label_itself():
    soft = torch.full((1, 3, 8, 8), 0.2)
    logits = torch.log(torch.tensor([0.4, 0.2, 0.2, 0.2]))[None, :, None, None].expand(1, 4, 8, 8)
    weights = torch.ones(1, 3)
    assert soft_loss(logits, soft, weights).item() == pytest.approx(0, abs=1e-5)
    sharper = soft_loss(2 * logits, soft, weights)
    assert sharper > 0.1
    both = DistillationLoss(lambda outputs, target: torch.tensor(3.0), 0.25)
    assert both(2 * logits, (None, None, soft, weights)).item() == pytest.approx(0.75 * 3 + 0.25 * sharper.item())


def test_a_student_comes_nearer_to_its_teacher(stacks, tmp_path):
    torch.manual_seed(3)
    layers = torch.nn.Conv2d(6, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3, padding=1)
    network = torch.nn.Sequential(*layers)
    shades = torch.tensor([0.9, 0.5, 0.2])[:, None, None]
    stacks = replace(stacks, images=(stacks.soft * shades).sum(1).to(torch.uint8))
    data = ShortAxisData(pixel_mm=1.4, canvas=64, windows=[32])
    options = training_options(epochs=6, output_dir=str(tmp_path), learning_rate=0.02)
    batches = SliceBatches(stacks, data, options)
    images, target = batches.make(torch.arange(4))
    before = soft_loss(network(images), *target[2:4]).item()
    learned = Trainer(network, batches, DistillationLoss(HeartDiceCELoss(), 0.5), options).run()
    assert soft_loss(learned(images), *target[2:4]).item() < 0.5 * before


@dataclass
class Answer:
    """What a segmenter gives, in a window at the corner."""

    probabilities: np.ndarray
    window: tuple[slice, slice] = (slice(2, 12), slice(3, 13))


class Made:
    """A segmenter that knows one answer, and counts how often it is asked."""

    pixel_mm = 1.4

    def __init__(self, share: float):
        self.share, self.asked = share, 0

    def probabilities(self, cine):
        self.asked += 1
        return Answer(np.full((*cine.frames.shape[:2], 4, 10, 10), self.share, np.float32))


def test_the_mean_of_teachers_is_kept(cine, tmp_path, monkeypatch):
    made = iter((Made(0.2), Made(0.4)))
    monkeypatch.setattr("CardiacSegLib.train.distillation.Segmenter", lambda choice: next(made))
    teachers = Teachers(Distillation([SHORT_AXIS_BUNDLE] * 2), 1.4, tmp_path)
    soft = teachers(cine)
    assert soft[:, :, :, 2:12, 3:13].min() == soft.max() == round(0.3 * 255) and (soft[..., :2, :] == 0).all()
    np.testing.assert_array_equal(teachers(cine), soft)
    assert [network.asked for network in teachers.networks] == [1, 1]
    next(tmp_path.glob("*.npz")).write_bytes(b"broken")
    np.testing.assert_array_equal(teachers(cine), soft)
    assert [network.asked for network in teachers.networks] == [2, 2]


def test_a_teacher_of_other_pixels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("CardiacSegLib.train.distillation.Segmenter", lambda choice: Made(0.2))
    with pytest.raises(InputError, match=r"sees pixels of 1\.4 mm"):
        Teachers(Distillation([SHORT_AXIS_BUNDLE]), 2.0, tmp_path)


def test_soft_labels_need_a_teacher():
    with pytest.raises(InputError, match="--teacher"):
        TrainOptions(soft_weight=0.3).overrides()
    with pytest.raises(InputError, match="needs a teacher"):
        Distillation([])
    with pytest.raises(InputError, match="within 0 and 1"):
        Distillation(["a"], weight=1.5)
    assert TrainOptions(teachers=("a",), soft_weight=0.3).overrides()["distillation"]["weight"] == 0.3
