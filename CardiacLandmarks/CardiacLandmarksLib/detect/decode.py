"""Between points and heat maps: probability maps over cells and "absent", their targets, loss and sub-pixel decoding.

For each point the network gives one logit per cell of a coarse grid over its window and one for "not in the window".
Their softmax is the probability of where the point is. A cell is STRIDE x STRIDE window pixels; row r of the window
lies at cell (r - (STRIDE - 1) / 2) / STRIDE.
"""

import math
from typing import NamedTuple

import torch
from torch.nn import functional

from CardiacLandmarksLib.train.examples import ABSENT, PRESENT, UNKNOWN, UNKNOWN_VIEW, VIEWS
from CardiacLib.types.landmarks import LANDMARK_NAMES

POINTS = len(LANDMARK_NAMES)
CHANNELS = 2 * POINTS + len(VIEWS)
"""Channels of the network's output: maps of the points, then, the same in all cells, absence and view logits."""
STRIDE = 2
SIGMA_CELLS = 1.0
"""Standard deviation of the target round a point."""
REACH_CELLS = 3
"""Half side of the square that decoding averages over, and radius within which the confidence sums."""
VALVES = tuple((n, n + 1) for n in range(0, POINTS, 2))
"""The two points of each valve in each view."""
VIEW_WEIGHT = 0.3


class Target(NamedTuple):
    """What is known of a batch: ``points`` (B, 10, 2) row and column in window pixels, ``state`` (B, 10) and ``doubt``
    (B, 10) as in ``examples.Examples``, ``view`` (B,) index in VIEWS."""

    points: torch.Tensor
    state: torch.Tensor
    doubt: torch.Tensor
    view: torch.Tensor


def log_probabilities(outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Natural logs of places (B, 10, h * w + 1), the last absent, and views (B, 4), of outputs (B, CHANNELS, h, w)."""
    maps, absent = outputs[:, :POINTS].flatten(2), outputs[:, POINTS : 2 * POINTS, 0, 0]
    places = torch.cat([maps, absent[..., None]], -1).log_softmax(-1)
    return places, outputs[:, 2 * POINTS :, 0, 0].log_softmax(-1)


def mean_outputs(several: list[torch.Tensor]) -> torch.Tensor:
    """Outputs (B, CHANNELS, h, w) whose probabilities are the means of those of several outputs for the same images."""
    both = [log_probabilities(outputs.float()) for outputs in several]
    places, views = (torch.stack(logs).logsumexp(0) - math.log(len(logs)) for logs in zip(*both, strict=True))
    size = several[0].shape[-2:]
    whole = torch.cat([places[..., -1], views], 1)[..., None, None].expand(-1, -1, *size)
    return torch.cat([places[..., :-1].unflatten(-1, size), whole], 1)


def encode(points: torch.Tensor, state: torch.Tensor, cells: int) -> torch.Tensor:
    """Target probabilities (B, 10, cells * cells + 1): a Gaussian round a present point, all in the last if absent."""
    at = (torch.nan_to_num(points) - (STRIDE - 1) / 2) / STRIDE
    axis = torch.arange(cells, device=points.device, dtype=torch.float32)
    rows, columns = ((-0.5 * ((axis - at[..., c, None]) / SIGMA_CELLS) ** 2).softmax(-1) for c in (0, 1))
    place = (rows[..., :, None] * columns[..., None, :]).flatten(-2)
    present = (state == PRESENT)[..., None]
    return torch.cat([place * present, 1.0 - present.float()], -1)


def landmark_loss(outputs: torch.Tensor, target: Target) -> torch.Tensor:
    """Robust likelihood of the known points, and of the view where it is known.

    A point's label is right with probability 1 - doubt, and then the divergence of its target from the prediction
    counts; else it may be anywhere. So a doubtful label far from a sure prediction hardly pulls. Points whose state is
    UNKNOWN count nothing.
    """
    places, views = log_probabilities(outputs)
    wanted = encode(target.points, target.state, outputs.shape[-1])
    divergence = (torch.xlogy(wanted, wanted) - wanted * places).sum(-1)
    anywhere = torch.full_like(divergence, (outputs.shape[-1] * outputs.shape[-2]) ** 0.5).log()
    doubt = target.doubt.clamp(1e-4, 0.9)
    loss = -torch.logaddexp((1 - doubt).log() - divergence, doubt.log() - anywhere)
    known = (target.state != UNKNOWN).float()
    weight = known * torch.where(target.state == ABSENT, 0.3, 1.0)
    points = (loss * weight).sum() / weight.sum().clamp(min=1.0)
    seen = target.view != UNKNOWN_VIEW
    view = functional.nll_loss(views, target.view, ignore_index=UNKNOWN_VIEW, reduction="sum") / seen.sum().clamp(min=1)
    return points + VIEW_WEIGHT * view


def decode(outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and confidence from network outputs (B, CHANNELS, h, w).

    The peak of the probability summed over 3 x 3 cells, refined to the mean over REACH_CELLS round it. Two points of
    one valve cannot lie at the same place: of two that would, the less sure one is looked for elsewhere.

    Returns:
        points (B, 10, 2), row and column in window pixels; confidence (B, 10), the probability that the point lies
        within REACH_CELLS of there.
    """
    places, _ = log_probabilities(outputs.float())
    maps = places[..., :-1].exp().unflatten(-1, outputs.shape[-2:])
    at, confidence = _peaks(maps)
    for one, other in VALVES:
        near = torch.linalg.norm(at[:, one] - at[:, other], dim=-1) < REACH_CELLS
        for weak, strong, less in ((one, other, torch.lt), (other, one, torch.ge)):
            again = near & less(confidence[:, one], confidence[:, other])
            if again.any():
                beyond = _distance(at[again, strong], maps.shape[-2:]) > REACH_CELLS
                at[again, weak], confidence[again, weak] = _peaks(maps[again, weak] * beyond)
    return at * STRIDE + (STRIDE - 1) / 2, confidence


def _peaks(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Places (..., 2) in cells and probability round them (...) of probability maps (..., h, w)."""
    height, width = maps.shape[-2:]
    peak = functional.avg_pool2d(maps.reshape(-1, 1, height, width), 3, 1, 1).flatten(1).argmax(-1)
    peak = peak.reshape(maps.shape[:-2])
    at = torch.stack([peak // width, peak % width], -1).float()
    rows, columns = torch.arange(height, device=at.device), torch.arange(width, device=at.device)
    for _ in range(3):  # the square follows the mean, else its edge would bias it towards the peak's cell
        near_rows = _soft_window(rows - at[..., 0, None])
        near_columns = _soft_window(columns - at[..., 1, None])
        near = maps * near_rows[..., :, None] * near_columns[..., None, :]
        total = near.sum((-1, -2)).clamp(min=1e-12)
        at = torch.stack([(near.sum(-1) * rows).sum(-1) / total, (near.sum(-2) * columns).sum(-1) / total], -1)
    return at, (maps * (_distance(at, maps.shape[-2:]) <= REACH_CELLS)).sum((-1, -2))


def _distance(at: torch.Tensor, shape) -> torch.Tensor:
    """(..., h, w) of every cell from places (..., 2)."""
    rows, columns = torch.arange(shape[0], device=at.device), torch.arange(shape[1], device=at.device)
    return torch.hypot(rows[:, None] - at[..., 0, None, None], columns - at[..., 1, None, None])


def _soft_window(offset: torch.Tensor) -> torch.Tensor:
    """1 within REACH_CELLS, falling to 0 over the next cell, so that the mean moves smoothly."""
    return (REACH_CELLS + 0.5 - offset.abs()).clamp(0, 1)
