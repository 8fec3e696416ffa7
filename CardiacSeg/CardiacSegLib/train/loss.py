"""What a short-axis network is trained to make small."""

import torch
from torch.nn import functional


class HeartDiceCELoss(torch.nn.Module):
    """1 - Dice pooled over a batch, in which every heart counts the same, + cross entropy.

    Pooled Dice of slices as they are is that of the large hearts: the RVs of the 80 training patients hold 13 to 263 ml
    at end-systole, and mistakes in a small one hardly count. The accuracy that is reported is the mean over hearts, so
    each slice is weighted by how small the structure is in the stack that it comes from.
    """

    def forward(self, logits: torch.Tensor, target: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Loss, a scalar.

        Args:
            logits: (B, 4, H, W).
            target: labels, int64 (B, H, W), and the weights of LV, myocardium and RV in each slice, (B, 3).
        """
        labels, weights = target
        found = logits.softmax(1)[:, 1:]
        true = functional.one_hot(labels, 4).permute(0, 3, 1, 2)[:, 1:].to(found.dtype)
        overlap = (weights * (found * true).sum((2, 3))).sum(0)
        total = (weights * (found + true).sum((2, 3))).sum(0)
        dice = (2 * overlap + 1e-5) / (total + 1e-5)
        return (1 - dice).mean() + functional.cross_entropy(logits, labels)
