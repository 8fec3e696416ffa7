"""Train the slice networks: what ``cineheart train`` and ``python -m monai.bundle run training`` both call."""

from pathlib import Path

import torch

from CardiacLib.networks.device import supports_bfloat16
from CardiacLib.training.augment import Augmentation
from CardiacLib.training.engine import Trainer, train

from .training_data import Heart, InitializationBatches, PropagationBatches, WindowBatches, read_hearts

__all__ = ["slice_trainer", "train"]
BATCHES = {"initialization": InitializationBatches, "propagation": PropagationBatches}
CHECKED = 4
"""Windows per held-out heart and direction in the quick curve of training."""


def slice_trainer(
    task: str,
    network: torch.nn.Module,
    loss: torch.nn.Module,
    augmentation: Augmentation,
    dataset_dir: str,
    output_dir: str,
    device: torch.device,
    seed: int,
    epochs: int,
    batches: int,
    batch_size: int,
    window: int,
    rv_wall_mm: float,
    learning_rate: float,
    weight_decay: float,
    fold: int = 0,
) -> Trainer:
    """Trainer of one of the two slice networks on the ACDC training split; held-out Dice is logged, never chosen by.

    Args:
        task: ``initialization`` or ``propagation``.
        network: InitializationNet or PropagationNet.
        loss: PropagationLoss of as many structures.
        augmentation: strength of the random changes.
        dataset_dir: folder with the ACDC patient folders.
        output_dir: checkpoints and log.
        device: to train on.
        seed: of order and everything random in the windows.
        epochs, batches, batch_size, learning_rate, weight_decay: of the optimisation; ``batches`` per epoch.
        window: side of the training windows in voxels of 1.25 mm.
        rv_wall_mm: thickness of the RV wall that is grown round the experts' RV pool.
        fold: patients held out, as of ``CardiacLib.datasets.acdc.patient_folders``.
    """
    hearts = read_hearts(dataset_dir, False, rv_wall_mm, fold)
    held_out = read_hearts(dataset_dir, True, rv_wall_mm, fold)
    made = BATCHES[task](hearts, batch_size, batches, window, network.structures, augmentation, seed, device)
    checks = check_windows(BATCHES[task], held_out, window, network.structures, device)
    return Trainer(
        network=network.to(device, memory_format=torch.channels_last),
        batches=made,
        loss=loss,
        output=Path(output_dir),
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        validate=lambda net: window_dice(net, checks),
        validate_every=5,
    )


def check_windows(kind: type[WindowBatches], hearts: list[Heart], window: int, structures: int, device) -> list:
    """Windows at even places of held-out hearts, turned but else as they are: batches of (input, labels)."""
    still = Augmentation(scale=0, shear=0, elastic=0, gamma=0, bias=0, noise=0, blur=0, contrast=0)
    cutter = kind(hearts, 1, 1, window, structures, still, 0, device, moving=0.0, spoilt=0.0)
    found = []
    for heart in hearts:
        pairs = [cutter.place(heart, n / (CHECKED - 1), up) for n in range(CHECKED) for up in cutter.directions]
        inputs, labels = zip(*pairs, strict=True)
        inputs = torch.stack(inputs).to(device, memory_format=torch.channels_last)
        found.append((inputs, torch.stack(labels).to(device)))
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
