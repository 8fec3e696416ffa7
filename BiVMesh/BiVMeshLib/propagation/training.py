"""Train the slice networks: what ``cineheart train`` and ``python -m monai.bundle run training`` both call."""

from dataclasses import replace
from pathlib import Path

import torch

from CardiacLib.datasets.splits import open_cases
from CardiacLib.networks.bundles import read_weights
from CardiacLib.networks.device import supports_bfloat16
from CardiacLib.progress import part
from CardiacLib.training.augment import Augmentation
from CardiacLib.training.engine import Trainer, train
from CardiacLib.training.options import TrainingOptions
from CardiacLib.training.start import begin_with_any

from .training_data import Heart, InitializationBatches, PropagationBatches, SliceData, WindowBatches, isotropic_hearts

__all__ = ["slice_trainer", "train"]
BATCHES = {"initialization": InitializationBatches, "propagation": PropagationBatches}
STILL = Augmentation(scale=0, shear=0, elastic=0, gamma=0, bias=0, noise=0, blur=0, contrast=0)
CHECKED = 4
"""Windows per held-out heart and direction in the quick curve of training."""


def slice_trainer(
    task: str, network: torch.nn.Module, loss: torch.nn.Module, data: SliceData, options: TrainingOptions
) -> Trainer:
    """Trainer of one of the two slice networks on the training cases of a data set; held-out Dice is logged.

    Args:
        task: ``initialization`` or ``propagation``.
        network: InitializationNet or PropagationNet.
        loss: PropagationLoss of as many structures.
        data: what of the hearts is shown.
        options: ``dataset_dir`` is what :func:`CardiacLib.datasets.find.find_cases` finds cases in.
    """
    kind, structures = BATCHES[task], network.structures
    split = open_cases(options.dataset_dir, options.chosen_cases)
    hearts = isotropic_hearts(split.training, data.rv_wall_mm, part(options.progress, 0.0, 0.8))
    held_out = isotropic_hearts(split.validation, data.rv_wall_mm, part(options.progress, 0.8, 1.0))
    notes = [split.told]
    if options.start_from:
        notes += begin_with_any(network, read_weights(Path(options.start_from)))
    made = kind(hearts, structures, data, options)
    checks = check_windows(kind, held_out, structures, data, options)
    return Trainer(
        network=network.to(options.device, memory_format=torch.channels_last),
        batches=made,
        loss=loss,
        options=options,
        validate=(lambda net: window_dice(net, checks)) if checks else None,
        validate_every=5,
        scores=lambda values: {"": values["muscle"]},
        split=split,
        notes=tuple(notes),
    )


def check_windows(
    kind: type[WindowBatches], hearts: list[Heart], structures: int, data: SliceData, options: TrainingOptions
) -> list:
    """Windows at even places of held-out hearts, turned but else as they are: batches of (input, labels)."""
    still = replace(options, augmentation=STILL, seed=0, batch_size=1, batches=1)
    cutter = kind(hearts, structures, replace(data, moving=0.0, spoilt=0.0), still)
    found = []
    for heart in hearts:
        pairs = [cutter.place(heart, n / (CHECKED - 1), up) for n in range(CHECKED) for up in cutter.directions]
        inputs, labels = zip(*pairs, strict=True)
        inputs = torch.stack(inputs).to(options.device, memory_format=torch.channels_last)
        found.append((inputs, torch.stack(labels).to(options.device)))
    return found


@torch.inference_mode()
def window_dice(network: torch.nn.Module, checks: list) -> dict[str, float]:
    """Dice of both ventricles' myocardium, and of each structure, over all windows pooled: a quick curve only."""
    structures = network.structures
    overlap, total = torch.zeros(structures), torch.zeros(structures)
    muscle = torch.zeros(2)
    for inputs, labels in checks:
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=supports_bfloat16(inputs.device)):
            logits = network(inputs)
        found = _labels(logits.float(), structures, labels.shape[1])
        for n in range(structures):
            a, b = found == n + 1, labels == n + 1
            overlap[n] += (a & b).sum().cpu()
            total[n] += (a.sum() + b.sum()).cpu()
        a, b = (_muscle(x, structures) for x in (found, labels))
        muscle += torch.stack([(a & b).sum(), a.sum() + b.sum()]).cpu()
    names = ("lv", "myo", "rv", "rv_wall")[:structures] if structures > 1 else ("one_class",)
    dice = {name: float(2 * o / t) for name, o, t in zip(names, overlap, total, strict=True)}
    return dice | {"muscle": float(2 * muscle[0] / muscle[1])}


def _labels(logits: torch.Tensor, structures: int, slices: int) -> torch.Tensor:
    parts = logits.unflatten(1, (slices, -1))
    return (parts[:, :, 0] > 0).long() if structures == 1 else parts.argmax(2)


def _muscle(labels: torch.Tensor, structures: int) -> torch.Tensor:
    return labels == 1 if structures == 1 else (labels == 2) | (labels == 4)
