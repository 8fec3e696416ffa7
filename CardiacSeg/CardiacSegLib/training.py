"""Train a short-axis network: what ``cineheart train`` and ``python -m monai.bundle run training`` both call."""

import os
from pathlib import Path

import torch

from CardiacLib.device import supports_bfloat16
from CardiacLib.progress import Progress, silent
from CardiacLib.training.augment import Augmentation
from CardiacLib.training.engine import Trainer

from .training_data import SliceBatches, SliceStacks


def short_axis_trainer(
    network: torch.nn.Module,
    loss: torch.nn.Module,
    augmentation: Augmentation,
    dataset_dir: str,
    output_dir: str,
    device: torch.device,
    seed: int,
    epochs: int,
    batch_size: int,
    pixel_mm: float,
    canvas: int,
    window: int,
    learning_rate: float,
    weight_decay: float,
) -> Trainer:
    """Trainer of a slice network on the ACDC training split; held-out Dice is logged as a curve, never chosen by.

    Args:
        network: takes (B, 3, H, W) neighbouring slices, gives (B, 4, H, W) logits.
        loss: MONAI loss on logits and (B, 1, H, W) labels.
        augmentation: strength of the random changes.
        dataset_dir: folder with the ACDC patient folders.
        output_dir: checkpoints and log.
        device: to train on.
        seed: of weights, order and augmentation.
        epochs, batch_size, learning_rate, weight_decay: of the optimisation.
        pixel_mm: pixel side the network sees.
        canvas: side of the cached slices in pixels.
        window: side of the training windows in pixels.
    """
    stacks = SliceStacks.from_acdc(dataset_dir, pixel_mm, canvas).to(device)
    held_out = SliceStacks.from_acdc(dataset_dir, pixel_mm, canvas, validation=True).round_hearts(window).to(device)
    batches = SliceBatches(stacks, batch_size, window, augmentation, seed)
    return Trainer(
        network=network.to(device),
        batches=batches,
        loss=lambda outputs, target: loss(outputs, target[:, None]),
        output=Path(output_dir),
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        validate=lambda net: slice_dice(net, held_out),
    )


@torch.inference_mode()
def slice_dice(network: torch.nn.Module, stacks: SliceStacks, batch: int = 8) -> dict[str, float]:
    """Dice of LV, myocardium and RV over all slices pooled: a quick curve, not the evaluation of the model card."""
    overlap, total = torch.zeros(3), torch.zeros(3)
    for start in range(0, len(stacks.images), batch):
        index = torch.arange(start, min(start + batch, len(stacks.images)), device=stacks.images.device)
        channels = []
        for side in (-1, 0, 1):
            where = index + side
            inside = (where >= stacks.first[index]) & (where <= stacks.last[index])
            picked = stacks.images[where.clamp(0, len(stacks.images) - 1)].float() / 255
            channels.append(picked * inside[:, None, None])
        device = stacks.images.device
        with torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
            found = network(torch.stack(channels, 1)).argmax(1)
        for label in (1, 2, 3):
            a, b = found == label, stacks.labels[index] == label
            overlap[label - 1] += (a & b).sum().cpu()
            total[label - 1] += (a.sum() + b.sum()).cpu()
    dice = 2 * overlap / total
    return {"lv": float(dice[0]), "myo": float(dice[1]), "rv": float(dice[2])}


def train(trainer: Trainer, bundle_root: str | Path, progress: Progress = silent) -> Path:
    """Run the trainer and write the averaged weights, fp16, to ``models/model.pt`` of the bundle."""
    network = trainer.run(progress)
    target = Path(bundle_root) / "models" / "model.pt"
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_suffix(".part")
    torch.save({k: v.detach().half().cpu() for k, v in network.state_dict().items()}, work)
    os.replace(work, target)
    return target
