"""Train a network of single slices on animals: what ``cineheart train`` and ``monai.bundle run training`` both call."""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from CardiacLib.networks.bundles import read_weights
from CardiacLib.progress import Progress, silent
from CardiacLib.training.engine import Trainer, train
from CardiacLib.training.options import TrainingOptions

from .slices import CLASSES, LabelledSlices, SliceBatches
from .split import MouseData, split_files

__all__ = ["mouse_trainer", "settle_statistics", "supervised_loss", "train"]
VALIDATION_BATCH = 4
SETTLING_BATCHES = 60
"""Over which the statistics of batch normalisation are taken for the final weights."""


def mouse_trainer(network: torch.nn.Module, loss: Callable, data: MouseData, options: TrainingOptions) -> Trainer:
    """Trainer on the animals of a folder; some of them, whole, are kept for validation.

    Args:
        network: takes (B, 1, H, W) and gives logits (B, 3, H, W), in training a list of them.
        loss: on logits and classes (B, 1, H, W).
        data: how animals are split.
        options: ``dataset_dir`` is the folder of HDF5 files; ``augmentation`` is a MONAI dictionary transform.

    Raises:
        InputError: the folder has fewer than two animals, or one of them cannot be used.
    """
    learned, held = split_files(options.dataset_dir, data)
    batches = SliceBatches(
        LabelledSlices.of_files(learned), options.augmentation, options.batch_size, options.batches, options.seed
    )
    validation = LabelledSlices.of_files(held)
    if options.start_from:
        network.load_state_dict(read_weights(Path(options.start_from)))
    return SettlingTrainer(
        network=network.to(options.device),
        batches=OnDevice(batches, options.device),
        loss=supervised_loss(loss),
        options=options,
        validate=lambda net: slice_scores(net, validation, loss, data.validation_slices),
        validate_every=1 if options.patience is not None else 5,
    )


class SettlingTrainer(Trainer):
    """A :class:`Trainer` that takes the statistics of batch normalisation anew when the weights are final.

    Running statistics are those of weights of the last hundred batches and of their average: the wall came out thinner
    than it is.
    """

    def run(self, progress: Progress = silent) -> torch.nn.Module:
        """As of the base class."""
        network = super().run(progress)
        settle_statistics(network, islice(self.batches, SETTLING_BATCHES))
        return network.eval()


@torch.no_grad()
def settle_statistics(network: torch.nn.Module, batches: Iterable) -> None:
    """Set means and variances of batch normalisation to their mean over ``batches`` of (inputs, target), in place."""
    layers = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch then takes the mean of all batches
    network.train()
    for inputs, _ in batches:
        network(inputs)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


class OnDevice:
    """Batches, moved to a device."""

    def __init__(self, batches: SliceBatches, device: torch.device):
        self.batches, self.device, self.generator = batches, device, batches.generator

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        for images, classes in self.batches:
            yield images.to(self.device), classes.to(self.device)


def supervised_loss(loss: Callable) -> Callable:
    """The mean of ``loss`` over the answers of a network that answers at several levels."""

    def of_all(outputs, target):
        several = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return torch.stack([loss(output, target) for output in several]).mean()

    return of_all


@torch.inference_mode()
def slice_scores(network: torch.nn.Module, slices: LabelledSlices, loss: Callable, most: int) -> dict[str, float]:
    """Loss, and Dice of pool and wall pooled over slices, of whole slices: a curve, not the evaluation of the card."""
    chosen = np.unique(np.linspace(0, len(slices.images) - 1, min(most, len(slices.images))).astype(int))
    device = next(network.parameters()).device
    losses, overlap, total = [], np.zeros(CLASSES), np.zeros(CLASSES)
    for start in range(0, len(chosen), VALIDATION_BATCH):
        index = chosen[start : start + VALIDATION_BATCH]
        images = torch.from_numpy(slices.images[index].astype(np.float32) / 255)[:, None].to(device)
        classes = torch.from_numpy(slices.classes[index])[:, None].to(device)
        logits = network(images).float()
        losses.append(float(loss(logits, classes.float())) * len(index))
        found = logits.argmax(1, keepdim=True)
        for n in range(CLASSES):
            a, b = found == n, classes == n
            overlap[n] += float((a & b).sum())
            total[n] += float(a.sum() + b.sum())
    dice = 2 * overlap / np.maximum(total, 1)
    return {"val_loss": sum(losses) / len(chosen), "dice_myo": float(dice[1]), "dice_blood": float(dice[2])}
