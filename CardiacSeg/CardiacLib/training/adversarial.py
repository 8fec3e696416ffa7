"""Training against a classifier of vendors, so that features do not tell the scanner.

Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17 (59), 2016: the classifier sees the features of
the deepest layer; the gradient it sends back is reversed and weighted by lambda, which rises from 0 to ``weight``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from CardiacLib.errors import InputError

HIDDEN = 64
Loss = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Adversarial:
    """How much the features must not tell the vendor.

    Attributes:
        weight: of the reversed gradient at the end.
        steepness: of lambda's rise, ``weight * (2 / (1 + exp(-steepness p)) - 1)`` at the part ``p`` of the training.
        held_out_images: the classifier also sees the images of held-out cases, without their labels.
    """

    weight: float = 0.1
    steepness: float = 10.0
    held_out_images: bool = False


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, features: torch.Tensor, weight: float) -> torch.Tensor:
        context.weight = weight
        return features.view_as(features)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -context.weight * gradient, None


class AdversarialNetwork(torch.nn.Module):
    """A network with a classifier on its deepest features; in evaluation mode the network alone.

    Args:
        network: to be trained; ``segmenter`` afterwards.
        sample: input of it, to find the deepest layer with.
        domains: number of vendors.
        steps: of the whole training.
        options: weight and schedule.
    """

    steps_done: torch.Tensor

    def __init__(self, network: torch.nn.Module, sample: torch.Tensor, domains: int, steps: int, options: Adversarial):
        super().__init__()
        self.segmenter, self.steps, self.options = network, steps, options
        self.tap, channels = deepest_layer(network, sample)
        self.classifier = torch.nn.Sequential(
            torch.nn.Linear(channels, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, domains)
        )
        self.register_buffer("steps_done", torch.zeros(()))

    @property
    def strength(self) -> float:
        """Lambda now."""
        part = float(self.steps_done) / max(self.steps, 1)
        return self.options.weight * (2 / (1 + math.exp(-self.options.steepness * part)) - 1)

    def forward(self, inputs: torch.Tensor) -> Any:
        """The network's answer; in training mode (answer, logits of the vendor (B, domains))."""
        if not self.training:
            return self.segmenter(inputs)
        seen: list[torch.Tensor] = []
        handle = self.segmenter.get_submodule(self.tap).register_forward_hook(lambda *given: seen.append(given[2]))
        try:
            answer = self.segmenter(inputs)
        finally:
            handle.remove()
        features = seen[-1].float().mean(tuple(range(2, seen[-1].ndim)))
        self.steps_done += 1
        return [answer, self.classifier(_Reversed.apply(features, self.strength))]


class AdversarialLoss(torch.nn.Module):
    """The network's own loss + cross entropy of the vendor, whose number is the last entry of the target."""

    def __init__(self, loss: Callable[..., torch.Tensor]):
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Sequence[torch.Tensor], target: Sequence[torch.Tensor]) -> torch.Tensor:
        answer, vendor = outputs
        return self.loss(answer, target) + functional.cross_entropy(vendor, target[-1])


def adversarial(
    network: torch.nn.Module, loss: Loss, shape: tuple[int, int], domains: int, batches: Any, options: Any
) -> tuple[AdversarialNetwork, AdversarialLoss]:
    """Network and loss of an adversarial training.

    Args:
        network, loss: of the training without it.
        shape: channels and side of the network's input.
        domains: number of vendors.
        batches: of an epoch, for the number of steps.
        options: ``TrainingOptions`` with ``adversarial``.

    Raises:
        InputError: all cases are of one vendor.
    """
    if domains < 2:
        raise InputError("Adversarial training needs cases of two vendors or centres at least; the data state one.")
    sample = torch.zeros(1, shape[0], shape[1], shape[1])
    steps = options.epochs * len(batches)
    return AdversarialNetwork(network, sample, domains, steps, options.adversarial), AdversarialLoss(loss)


@torch.no_grad()
def deepest_layer(network: torch.nn.Module, sample: torch.Tensor) -> tuple[str, int]:
    """Name and channels of the layer whose output has the fewest pixels; the last of several.

    Args:
        network: any of images.
        sample: input (1, C, H, W).
    """
    outputs: dict[str, tuple[int, ...]] = {}
    handles = [
        module.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: tuple(out.shape)}))
        for name, module in network.named_modules()
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d))
    ]
    network.eval()(sample)
    network.train()
    for handle in handles:
        handle.remove()
    fewest = min(math.prod(shape[2:]) for shape in outputs.values())
    name = [n for n, shape in outputs.items() if math.prod(shape[2:]) == fewest][-1]
    return name, outputs[name][1]
