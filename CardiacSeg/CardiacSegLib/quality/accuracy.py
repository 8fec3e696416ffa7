"""How well confidence tells good segmentations from bad ones."""

from typing import NamedTuple

import numpy as np
import scipy

BAD_DICE = 0.85
"""A segmentation is bad below this Dice with the experts' labels."""


class Detection(NamedTuple):
    """How well a predicted Dice finds the bad ones.

    Attributes:
        count, bad: how many, and how many of them have a true Dice below the limit.
        auc: area under the ROC curve; None where all are good or all are bad.
        spearman: rank correlation of predicted and true Dice; None where either does not vary.
        error: mean absolute difference of predicted and true Dice.
    """

    count: int
    bad: int
    auc: float | None
    spearman: float | None
    error: float


def detection(predicted: np.ndarray, dice: np.ndarray, limit: float = BAD_DICE) -> Detection:
    """Compare predicted with true Dice, both (N,) and without NaN, N > 0."""
    predicted, dice = np.asarray(predicted, float), np.asarray(dice, float)
    varies = np.ptp(predicted) > 0 and np.ptp(dice) > 0
    return Detection(
        count=len(dice),
        bad=int((dice < limit).sum()),
        auc=roc_auc(-predicted, dice < limit),
        spearman=float(scipy.stats.spearmanr(predicted, dice).statistic) if varies else None,
        error=float(np.abs(predicted - dice).mean()),
    )


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties counting half.

    The Mann-Whitney statistic over the number of pairs (Hanley and McNeil, Radiology 1982, doi
    10.1148/radiology.143.1.7063747).

    Args:
        scores: (N,), higher for what should be positive.
        positive: bool (N,).

    Returns:
        0..1, or None where there are no positives or no negatives.
    """
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    if positive.all() or not positive.any():
        return None
    pairs = np.count_nonzero(positive) * np.count_nonzero(~positive)
    return float(scipy.stats.mannwhitneyu(scores[positive], scores[~positive]).statistic / pairs)
