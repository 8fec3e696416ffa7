"""Train a short-axis network: what ``cineheart train`` and ``python -m monai.bundle run training`` both call."""

from pathlib import Path

import torch

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import read_weights
from CardiacLib.networks.device import supports_bfloat16
from CardiacLib.networks.plain_convolutions import with_plain_convolutions
from CardiacLib.training.engine import Trainer, train
from CardiacLib.training.options import TrainingOptions

from .data import ShortAxisData, SliceBatches, SliceStacks
from .phantoms import random_phantoms

__all__ = ["short_axis_trainer", "slice_dice", "train"]


def short_axis_trainer(
    network: torch.nn.Module, loss: torch.nn.Module, data: ShortAxisData, options: TrainingOptions
) -> Trainer:
    """Trainer of a slice network on the ACDC training split; held-out Dice is logged as a curve, never chosen by.

    Args:
        network: takes (B, 6, H, W), three neighbouring slices at two phases, gives (B, 4, H, W) logits; it may begin
            with the weights of a smaller one, see :func:`begin_with`.
        loss: on logits and what :class:`SliceBatches` gives with the images.
        data: what of the ACDC patients, and of synthetic hearts, is shown.
        options: ``dataset_dir`` is the folder with the ACDC patient folders.
    """
    root, fold, device = options.dataset_dir, options.fold, options.device
    stacks, made = SliceStacks.from_acdc(root, data.pixel_mm, data.canvas, fold=fold), None
    if data.phantoms:
        hearts = random_phantoms(data.phantoms, options.seed)
        made = SliceStacks.from_phases(hearts, data.pixel_mm, data.canvas).to(device)
    held_out = SliceStacks.from_acdc(root, data.pixel_mm, data.canvas, validation=True, fold=fold)
    held_out = held_out.round_hearts(data.windows[0]).to(device)
    batches = SliceBatches(stacks.to(device), data, options, made)
    if options.start_from:
        begin_with(network, read_weights(Path(options.start_from)))
    return Trainer(
        network=with_plain_convolutions(network).to(device),
        batches=batches,
        loss=loss,
        options=options,
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
