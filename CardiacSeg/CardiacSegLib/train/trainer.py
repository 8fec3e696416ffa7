"""Train a short-axis network: what ``cineheart train`` and ``python -m monai.bundle run training`` both call."""

from collections.abc import Sequence
from pathlib import Path

import torch

from CardiacLib.datasets.hearts import read_hearts
from CardiacLib.datasets.records import UNKNOWN
from CardiacLib.datasets.splits import domain_of, open_cases
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import read_weights
from CardiacLib.networks.device import supports_bfloat16
from CardiacLib.networks.plain_convolutions import with_plain_convolutions
from CardiacLib.progress import part
from CardiacLib.training.adversarial import adversarial
from CardiacLib.training.dice import dice_scores, pooled_dice
from CardiacLib.training.engine import Trainer, train
from CardiacLib.training.options import TrainingOptions
from CardiacLib.training.start import begin_with_any

from .data import ShortAxisData, SliceBatches, SliceStacks
from .distillation import CACHE, DistillationLoss, Teachers, unlabelled_cines
from .phantoms import random_phantoms

__all__ = ["short_axis_trainer", "slice_dice", "train"]


def short_axis_trainer(
    network: torch.nn.Module, loss: torch.nn.Module, data: ShortAxisData, options: TrainingOptions
) -> Trainer:
    """Trainer of a slice network on the training cases of a data set; held-out Dice is logged as a curve.

    Args:
        network: takes (B, 6, H, W), three neighbouring slices at two phases, gives (B, 4, H, W) logits; it may begin
            with the weights of a smaller one, see :func:`begin_with`.
        loss: on logits and what :class:`SliceBatches` gives with the images.
        data: what of the patients, and of synthetic hearts, is shown.
        options: ``dataset_dir`` is what :func:`CardiacLib.datasets.find.find_cases` finds cases in.
    """
    device, progress = options.device, options.progress
    split = open_cases(options.dataset_dir, options.chosen_cases)
    domains = sorted({domain_of(case) for case in (*split.training, *split.validation)})
    size = data.pixel_mm, data.canvas
    told, teach = data.distillation, None
    if told:
        teach = Teachers(told, data.pixel_mm, Path(options.output_dir) / CACHE)
        loss = DistillationLoss(loss, told.weight)
    hearts = read_hearts(split.training, progress=part(progress, 0.0, 0.6))
    stacks, made = SliceStacks.from_hearts(hearts, *size, domains, teach), None
    if told and told.unlabelled:
        cines = unlabelled_cines(told.unlabelled, progress=part(progress, 0.6, 0.6))
        stacks = stacks + SliceStacks.from_cines(cines, *size, teach)
    if options.adversarial and options.adversarial.held_out_images and split.validation:
        unseen = read_hearts(split.validation, unlabelled=True)
        stacks = stacks + SliceStacks.from_hearts(unseen, *size, domains, teach)
    if data.phantoms:
        progress(0.6, f"making {data.phantoms} synthetic hearts")
        made = SliceStacks.from_phases(random_phantoms(data.phantoms, options.seed), *size, teach).to(device)
    held_out = None
    if split.validation:
        hearts = read_hearts(split.validation, progress=part(progress, 0.9, 1.0))
        held_out = SliceStacks.from_hearts(hearts, *size, domains).round_hearts(data.windows[0]).to(device)
    batches = SliceBatches(stacks.to(device), data, options, made)
    notes = [split.told]
    if options.start_from:
        notes += begin_with_any(network, read_weights(Path(options.start_from)), begin_with)
    network = with_plain_convolutions(network)
    if options.adversarial:
        network, loss = adversarial(network, loss, (6, data.windows[0]), len(domains), batches, options)
    return Trainer(
        network=network.to(device),
        batches=batches,
        loss=loss,
        options=options,
        validate=None if held_out is None else lambda net: slice_dice(net, held_out, domains),
        validate_every=max(1, min(10, options.epochs // 10)),
        scores=dice_scores,
        split=split,
        notes=tuple(notes),
    )


@torch.inference_mode()
def slice_dice(
    network: torch.nn.Module, stacks: SliceStacks, domains: Sequence[str] = (), batch: int = 8
) -> dict[str, float]:
    """Dice of LV, myocardium and RV over all slices pooled, where they are drawn: a curve, not an evaluation.

    Returns:
        ``lv``, ``myo``, ``rv`` (those that are drawn), and of several domains the mean of these in each, by its name.
    """
    sums = {domain: torch.zeros(3, 2) for domain in range(max(len(domains), 1))}
    device = stacks.images.device
    for start in range(0, len(stacks.images), batch):
        index = torch.arange(start, min(start + batch, len(stacks.images)), device=device)
        inputs = torch.cat([stacks.seen(index), stacks.seen(stacks.opposite[index])], 1)
        with torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
            found = network(inputs.float() / 255).argmax(1)
        for n, sections in enumerate(index.tolist()):
            true = stacks.labels[sections]
            known = true != UNKNOWN
            for label in (1, 2, 3):
                if stacks.drawn[sections, label - 1]:
                    a, b = (found[n] == label) & known, true == label
                    counts = torch.stack([(a & b).sum(), a.sum() + b.sum()]).cpu()
                    sums[int(stacks.domain[sections]) if domains else 0][label - 1] += counts
    return pooled_dice(sums, domains)


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
