"""The loss of the slice networks: stabilised, class-balanced cross entropy at every scale, and soft Dice."""

import torch
from torch import nn
from torch.nn import functional

from .answers import channels_of
from .networks import probabilities

SCALE, OFFSET = 0.999, 0.0005
"""p' = SCALE p + OFFSET keeps the logarithm finite."""
SETTLED = 0.02
"""Pixels whose p' is nearer to the truth than this have no loss, so that the easy many do not outweigh the hard few."""


def stabilised_cross_entropy(p: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Per-pixel loss of probabilities ``p`` against ``truth`` (0 or 1), of any common shape; zero where settled.

    With p' = 0.999 p + 0.0005: -log p' where the truth is 1, -log(1 - p') where it is 0, and 0 where
    |truth - p'| < 0.02 (the "stabilised and class-balanced cross entropy" of the paper, which sums over the pixels).
    """
    stable = SCALE * p + OFFSET
    right = torch.where(truth > 0.5, stable, 1 - stable)
    return torch.where(1 - right < SETTLED, torch.zeros_like(right), -right.log())


class PropagationLoss(nn.Module):
    """Mean over the scales of the stabilised cross entropy plus the soft Dice loss of the structures.

    The cross entropy is the paper's, its sum over channels and pixels divided by the number of pixels; the Dice term
    is ours, for the RV wall is thin.

    Args:
        structures: as of the network.
        dice: weight of the Dice term.
    """

    def __init__(self, structures: int, dice: float = 0.5):
        super().__init__()
        self.structures, self.dice = structures, dice

    def forward(self, outputs, target: torch.Tensor) -> torch.Tensor:
        """Loss of logits, or of a list of them at growing scales, against labels (B, S, H, W) int64."""
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        truth = one_hot(target, self.structures)
        total = 0.0
        for logits in outputs:
            found = probabilities(logits.float(), self.structures)
            total = total + self._at_scale(found, _shrunk(truth, target.shape[-1] // logits.shape[-1]))
        return total / len(outputs)

    def _at_scale(self, found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        pixels = found.shape[0] * found.shape[1] * found.shape[-2] * found.shape[-1]
        loss = stabilised_cross_entropy(found, truth).sum() / pixels
        if self.dice:
            own, real = (x[:, :, 1:] if self.structures > 1 else x for x in (found, truth))
            sums = (0, 1, 3, 4)
            dice = (2 * (own * real).sum(sums) + 1) / (own.sum(sums) + real.sum(sums) + 1)
            loss = loss + self.dice * (1 - dice).mean()
        return loss


def one_hot(labels: torch.Tensor, structures: int) -> torch.Tensor:
    """Labels (B, S, H, W) to float (B, S, channels, H, W): background and structures, or the one class alone."""
    if structures == 1:
        return (labels > 0).float()[:, :, None]
    return functional.one_hot(labels, channels_of(structures)).movedim(-1, 2).float()


def _shrunk(truth: torch.Tensor, factor: int) -> torch.Tensor:
    """The truth at a coarser scale: in every coarse pixel the class that most of its pixels have."""
    if factor == 1:
        return truth
    share = functional.avg_pool2d(truth.flatten(0, 1), factor).unflatten(0, truth.shape[:2])
    if truth.shape[2] == 1:
        return (share >= 0.5).float()
    return functional.one_hot(share.argmax(2), truth.shape[2]).movedim(-1, 2).float()
