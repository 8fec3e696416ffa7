"""What a short-axis network is trained to make small."""

import torch
from torch.nn import functional

from CardiacLib.datasets.records import UNKNOWN


class HeartDiceCELoss(torch.nn.Module):
    """1 - Dice pooled over a batch, in which every heart counts the same, + cross entropy.

    Pooled Dice of slices as they are is that of the large hearts: the RVs of the 80 training patients hold 13 to 263 ml
    at end-systole, and mistakes in a small one hardly count. The accuracy that is reported is the mean over hearts, so
    each slice is weighted by how small the structure is in the stack that it comes from.
    """

    def forward(self, logits: torch.Tensor, target: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Loss, a scalar.

        Args:
            logits: (B, 4, H, W).
            target: labels, int64 (B, H, W), UNKNOWN where nobody looked; the weights of LV, myocardium and RV in each
                slice, (B, 3), 0 for structures that are not drawn in it; whatever follows is not looked at.
        """
        labels, weights = target[:2]
        known = labels != UNKNOWN
        drawn = weights > 0
        if not (known.all() and drawn.all()):
            return partial_loss(logits, labels, weights)
        found = logits.softmax(1)[:, 1:]
        true = functional.one_hot(labels, 4).permute(0, 3, 1, 2)[:, 1:].to(found.dtype)
        overlap = (weights * (found * true).sum((2, 3))).sum(0)
        total = (weights * (found + true).sum((2, 3))).sum(0)
        dice = (2 * overlap + 1e-5) / (total + 1e-5)
        return (1 - dice).mean() + functional.cross_entropy(logits, labels)


def partial_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The same where only some structures are drawn, and in known pixels only.

    A pixel that is none of the drawn structures may be background or any other one: their probabilities are added
    before the logarithm (marginal loss, Shi et al., Medical Image Analysis 2021).

    Args:
        logits, labels, weights: as of :meth:`HeartDiceCELoss.forward`.
    """
    known = (labels != UNKNOWN) & (weights > 0).any(1)[:, None, None]
    drawn = (weights > 0)[:, :, None, None]
    values = labels * known
    true = functional.one_hot(values, 4).permute(0, 3, 1, 2)[:, 1:].to(logits.dtype) * drawn
    found = logits.softmax(1)[:, 1:] * drawn * known[:, None]
    overlap = (weights * (found * true).sum((2, 3))).sum(0)
    total = (weights * (found + true).sum((2, 3))).sum(0)
    dice = (2 * overlap + 1e-5) / (total + 1e-5)
    some = (weights > 0).any(0)
    likely = logits.log_softmax(1)
    background = torch.ones_like(drawn[:, :1])
    others = likely.masked_fill(~torch.cat([background, ~drawn], 1), float("-inf")).logsumexp(1)
    own = (likely[:, 1:] * true).sum(1)
    entropy = -torch.where(true.sum(1) > 0, own, others) * known
    return ((1 - dice) * some).sum() / some.sum().clamp_min(1) + entropy.sum() / known.sum().clamp_min(1)
