"""What the landmark network learns from: targets as probability maps, and a loss that bears doubtful labels."""

from typing import NamedTuple

import torch
from torch.nn import functional

from CardiacLandmarksLib.detect.decode import POINTS, SIGMA_CELLS, STRIDE

from .examples import ABSENT, PRESENT, UNKNOWN, UNKNOWN_VIEW

VIEW_WEIGHT = 0.3


class Target(NamedTuple):
    """What is known of a batch: ``points`` (B, 10, 2) row and column in window pixels, ``state`` (B, 10) and ``doubt``
    (B, 10) as in ``examples.Examples``, ``view`` (B,) index in VIEWS."""

    points: torch.Tensor
    state: torch.Tensor
    doubt: torch.Tensor
    view: torch.Tensor


def log_probabilities(outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As of :func:`CardiacLandmarksLib.detect.decode.log_probabilities`, for torch tensors."""
    maps, absent = outputs[:, :POINTS].flatten(2), outputs[:, POINTS : 2 * POINTS, 0, 0]
    places = torch.cat([maps, absent[..., None]], -1).log_softmax(-1)
    return places, outputs[:, 2 * POINTS :, 0, 0].log_softmax(-1)


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
