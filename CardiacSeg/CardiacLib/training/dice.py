"""Pooled Dice of held-out cases while a network is trained."""

from collections.abc import Mapping, Sequence

import torch

STRUCTURES = ("lv", "myo", "rv")


def pooled_dice(sums: Mapping[int, torch.Tensor], domains: Sequence[str]) -> dict[str, float]:
    """Dice of each structure over all domains, and of several domains the mean over structures in each.

    Args:
        sums: number of a domain to (3, 2), of LV, myocardium and RV the pixels of the overlap, and those of both masks
            together.
        domains: names.

    Returns:
        By ``lv``, ``myo``, ``rv`` and the names of domains; what is nowhere drawn is left out.
    """
    found = _dice(torch.stack(list(sums.values())).sum(0))
    if len(domains) > 1:
        for number, name in enumerate(domains):
            own = _dice(sums[number])
            if own:
                found[name or "no vendor"] = sum(own.values()) / len(own)
    return found


def dice_scores(values: Mapping[str, float]) -> dict[str, float]:
    """What a network is judged by: mean Dice of the structures under the empty name, of domains under theirs."""
    own = [value for name, value in values.items() if name in STRUCTURES]
    scores = {name: value for name, value in values.items() if name not in STRUCTURES}
    return ({"": sum(own) / len(own)} if own else {}) | scores


def _dice(counts: torch.Tensor) -> dict[str, float]:
    return {name: float(2 * o / t) for name, (o, t) in zip(STRUCTURES, counts, strict=True) if t > 0}
