"""Distillation: a network learns what others answer in the mean over flips, so that one pass of it is as good.

Hinton et al., Distilling the Knowledge in a Neural Network, 2015, arXiv 1503.02531. The second part of the loss is the
Dice semimetric loss of Wang et al., NeurIPS 2023, arXiv 2303.16296: smallest where the answer is the soft label itself,
whereas soft Dice is smallest where the answer is that label made hard.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from CardiacLib.errors import InputError
from CardiacLib.files import atomic_file
from CardiacLib.networks.bundles import bundle_path, require_weights
from CardiacLib.progress import Progress, silent
from CardiacLib.readers.study import read_study
from CardiacLib.types.choices import QUALITIES, NetworkChoice
from CardiacLib.types.cine import Cine
from CardiacSegLib.segment.preprocess import resampled_shape
from CardiacSegLib.segment.segmenter import Segmenter

CACHE = "soft_labels"
"""Folder of the teachers' answers beside the checkpoint."""


@dataclass(frozen=True)
class Distillation:
    """Whose answers a short-axis network learns from, beside its data's own labels.

    Attributes:
        teachers: bundles by name or folder; the mean of their answers over four flips is learned.
        weight: of the teachers in the loss, 0..1; the data's labels have the rest.
        unlabelled: studies, or files with a short-axis cine, of which only the teachers say what is what.
        trust: let the configuration of a foreign teacher run code.

    Raises:
        InputError: there is no teacher, or the weight is not within 0..1.
    """

    teachers: Sequence[str]
    weight: float = 0.5
    unlabelled: Sequence[str] = ()
    trust: bool = False

    def __post_init__(self) -> None:
        if not self.teachers:
            raise InputError("Distillation needs a teacher: name a bundle with --teacher.")
        if not 0 <= self.weight <= 1:
            raise InputError(f"The weight of the teachers must be within 0 and 1; {self.weight:g} is not.")


class Teachers:
    """Mean answer of networks over four flips, on the network pixels of the whole field.

    Args:
        options: bundles and trust.
        pixel_mm: pixel side of the network that learns; theirs must be the same.
        cache: folder for what they answer, so that an interrupted training does not ask again.

    Raises:
        InputError: a bundle cannot be used, or is no short-axis network of such pixels.
    """

    def __init__(self, options: Distillation, pixel_mm: float, cache: Path):
        self.cache, self.pixel_mm, self.key = cache, pixel_mm, hashlib.sha256()
        self.networks = [self._opened(name, options.trust, pixel_mm) for name in options.teachers]

    def _opened(self, name: str, trust: bool, pixel_mm: float) -> Segmenter:
        network = Segmenter(NetworkChoice(name, quality=QUALITIES[-1], trust=trust))
        if network.pixel_mm != pixel_mm:
            raise InputError(
                f"{name}: sees pixels of {network.pixel_mm:g} mm, the network that is to learn from it of "
                f"{pixel_mm:g} mm; choose another teacher."
            )
        self.key.update(require_weights(bundle_path(name)).read_bytes())
        return network

    def __call__(self, cine: Cine) -> np.ndarray:
        """LV, myocardium and RV of a cine, uint8 (T, K, 3, H, W), probabilities 0..1 as 0..255."""
        key = self.key.copy()
        key.update(repr((cine.frames.shape, cine.spacing.tolist())).encode() + np.ascontiguousarray(cine.frames).data)
        path = self.cache / f"{key.hexdigest()[:24]}.npz"
        if path.is_file():
            try:
                with np.load(path, allow_pickle=False) as kept:
                    return kept["soft"]
            except (OSError, KeyError, ValueError, zipfile.BadZipFile):
                path.unlink()  # a broken file is made again
        shape = resampled_shape(cine.frames.shape[2:], (cine.spacing[1], cine.spacing[0]), self.pixel_mm)
        mean = sum(_whole(network, cine, shape) for network in self.networks) / len(self.networks)
        soft = np.rint(mean * 255).astype(np.uint8)
        with atomic_file(path) as work, open(work, "wb") as stream:
            np.savez_compressed(stream, soft=soft)
        return soft


def _whole(network: Segmenter, cine: Cine, shape: tuple[int, int]) -> np.ndarray:
    """Probabilities of the structures, float32 (T, K, 3, H, W), zeros beyond the window round the heart."""
    found = network.probabilities(cine)
    rows, columns = found.window
    whole = np.zeros((*found.probabilities.shape[:2], 3, *shape), np.float32)
    inside = whole[..., rows, columns]  # the spacing that the network is told is rounded: a border may lie beyond
    inside[...] = found.probabilities[:, :, 1:, : inside.shape[-2], : inside.shape[-1]]
    return whole


def unlabelled_cines(paths: Sequence[str], progress: Progress = silent) -> Iterator[Cine]:
    """The short-axis cine of every study or file.

    Raises:
        InputError: as of :func:`~CardiacLib.readers.study.read_study`.
    """
    for number, path in enumerate(paths):
        progress(number / len(paths), f"reading {path}")
        yield read_study(path).cines["sax"]


class DistillationLoss(torch.nn.Module):
    """A loss on the data's own labels, and the distance to the teachers' answer.

    Args:
        loss: of logits (B, 4, H, W) and target.
        weight: of the distance, 0..1; the loss has the rest.
    """

    def __init__(self, loss: Callable[..., torch.Tensor], weight: float):
        super().__init__()
        self.loss, self.weight = loss, weight

    def forward(self, logits: torch.Tensor, target: Sequence[torch.Tensor]) -> torch.Tensor:
        """A scalar; third and fourth of the target are what :func:`soft_loss` takes."""
        own = self.loss(logits, target)
        return (1 - self.weight) * own + self.weight * soft_loss(logits, target[2], target[3])


def soft_loss(logits: torch.Tensor, soft: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence, mean over pixels, + Dice semimetric loss pooled over the batch; 0 where both agree.

    Args:
        logits: (B, 4, H, W).
        soft: probabilities of LV, myocardium and RV (B, 3, H, W); background has the rest.
        weights: of the structures in each slice (B, 3).
    """
    target = torch.cat([(1 - soft.sum(1, keepdim=True)).clamp_min(0), soft], 1)
    divergence = torch.special.xlogy(target, target) - target * logits.log_softmax(1)
    found = logits.softmax(1)[:, 1:]
    apart = (weights * (found - soft).abs().sum((2, 3))).sum(0)
    total = (weights * (found + soft).sum((2, 3))).sum(0)
    return divergence.sum(1).mean() + (apart / (total + 1e-5)).mean()
