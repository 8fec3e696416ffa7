"""Train a short-axis network: what ``cineheart train`` and ``python -m monai.bundle run training`` both call."""

from pathlib import Path

import torch

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import read_weights
from CardiacLib.networks.device import supports_bfloat16
from CardiacLib.networks.plain_convolutions import with_plain_convolutions
from CardiacLib.training.augment import Augmentation
from CardiacLib.training.engine import Trainer, train

from .data import SliceBatches, SliceStacks
from .phantoms import random_phantoms

__all__ = ["short_axis_trainer", "slice_dice", "train"]


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
    windows: list[int],
    learning_rate: float,
    weight_decay: float,
    phantoms: int = 0,
    phantom_slices: int = 0,
    start_from: str | None = None,
) -> Trainer:
    """Trainer of a slice network on the ACDC training split; held-out Dice is logged as a curve, never chosen by.

    Args:
        network: takes (B, 6, H, W), three neighbouring slices at two phases, gives (B, 4, H, W) logits.
        loss: on logits and what :class:`SliceBatches` gives with the images.
        augmentation: strength of the random changes.
        dataset_dir: folder with the ACDC patient folders.
        output_dir: checkpoints and log.
        device: to train on.
        seed: of weights, order and augmentation.
        epochs, batch_size, learning_rate, weight_decay: of the optimisation.
        pixel_mm: pixel side the network sees.
        canvas: side of the cached slices in pixels.
        windows: sides of the training windows in pixels; held-out hearts are seen in the first.
        phantoms: number of synthetic hearts to draw from.
        phantom_slices: number of their slices that are added to the patients' in every epoch.
        start_from: weights file to begin with, see :func:`begin_with`. None: random weights.
    """
    stacks, made = SliceStacks.from_acdc(dataset_dir, pixel_mm, canvas), None
    if phantoms:
        made = SliceStacks.from_phases(random_phantoms(phantoms, seed), pixel_mm, canvas).to(device)
    held_out = SliceStacks.from_acdc(dataset_dir, pixel_mm, canvas, validation=True).round_hearts(windows[0]).to(device)
    batches = SliceBatches(stacks.to(device), batch_size, windows, augmentation, seed, made, phantom_slices)
    if start_from:
        begin_with(network, read_weights(Path(start_from)))
    return Trainer(
        network=with_plain_convolutions(network).to(device),
        batches=batches,
        loss=loss,
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
        inputs = torch.cat([stacks.seen(index), stacks.seen(stacks.opposite[index])], 1)
        device = stacks.images.device
        with torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
            found = network(inputs.float() / 255).argmax(1)
        for label in (1, 2, 3):
            a, b = found == label, stacks.labels[index] == label
            overlap[label - 1] += (a & b).sum().cpu()
            total[label - 1] += (a.sum() + b.sum()).cpu()
    dice = 2 * overlap / total
    return {"lv": float(dice[0]), "myo": float(dice[1]), "rv": float(dice[2])}


def begin_with(network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load the weights of a network with fewer inputs or features; the larger one begins with the same answer.

    Further inputs begin without influence. Further features keep their random weights, and nothing is made of them yet:
    where the smaller one has no layer ``answer`` (:class:`~CardiacSegLib.segment.feature_unet.FeatureUNet`), its own
    last channels are the answer.

    Raises:
        InputError: the weights are of another kind of network, or of a larger one.
    """
    state = network.state_dict()
    if "answer.weight" in state and "answer.weight" not in weights:
        known = len(state["answer.bias"])
        weights = weights | {"answer.weight": torch.eye(known)[..., None, None], "answer.bias": torch.zeros(known)}
    wrong = [name for name, own in state.items() if name not in weights or not _fits(weights[name], own)]
    wrong += [name for name in weights if name not in state]
    if wrong:
        raise InputError(
            f"The weights to begin with are not of a network like this one, or of a larger one; {len(wrong)} tensors "
            f"do not fit, such as '{wrong[0]}'."
        )
    for name, own in state.items():
        corner = tuple(slice(0, n) for n in weights[name].shape)
        own[corner[:1]] = 0.0
        own[corner] = weights[name].to(own)


def _fits(smaller: torch.Tensor, larger: torch.Tensor) -> bool:
    same = smaller.ndim == larger.ndim and smaller.shape[2:] == larger.shape[2:]
    return same and all(a <= b for a, b in zip(smaller.shape, larger.shape, strict=True))
