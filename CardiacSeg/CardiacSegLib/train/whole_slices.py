"""Train networks of whole slices (``mnms2_short_axis``, ``mnms2_long_axis``) on any labelled cases of their view."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from CardiacLib.datasets.hearts import LabelledHeart, read_hearts
from CardiacLib.datasets.records import UNKNOWN, CaseRecord
from CardiacLib.datasets.splits import domain_of, open_cases
from CardiacLib.networks.bundles import read_weights
from CardiacLib.networks.device import supports_bfloat16
from CardiacLib.progress import Progress, part, silent
from CardiacLib.training.adversarial import adversarial
from CardiacLib.training.augment import labelled_windows, random_intensity, random_maps
from CardiacLib.training.dice import dice_scores, pooled_dice
from CardiacLib.training.engine import Trainer, train
from CardiacLib.training.options import TrainingOptions
from CardiacLib.training.start import begin_with_any
from CardiacLib.training.style import StyleOptions, with_amplitude_of, with_histogram_of
from CardiacSegLib.segment.whole_slice import PREPROCESSING, Pose, SliceWindow

__all__ = ["WholeSliceData", "train", "whole_slice_trainer"]
GREY = 6.0
"""Standard deviations that a change of intensity takes as its range from black to white, the mean in the middle."""
CROP = 0.06
"""Standard deviation of a random window's centre, as part of its side."""


@dataclass(frozen=True)
class WholeSliceData:
    """What a network of whole slices is shown.

    Attributes:
        side: of the window in pixels.
        pixel_mm: pixel side; None: the median in-plane spacing of all cases of the data set, of every view.
        style: how often images get the style of another vendor.
        upright: images are turned as :meth:`~CardiacSegLib.segment.whole_slice.Pose.upright` says; for networks that
            are not shown mirrored ones.
    """

    side: int
    pixel_mm: float | None = None
    style: StyleOptions = StyleOptions()
    upright: bool = False


@dataclass(frozen=True)
class SlicePool:
    """Slices in the network's window.

    Attributes:
        images: float16 (N, side, side), mean 0 and SD 1 over each volume.
        labels: uint8 (N, side, side), UNKNOWN where nobody looked.
        drawn: bool (N, 3) whether LV, myocardium and RV are drawn.
        domain: int64 (N,) number of the vendor.
    """

    images: torch.Tensor
    labels: torch.Tensor
    drawn: torch.Tensor
    domain: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def from_hearts(
        cls,
        hearts: Iterable[LabelledHeart],
        pixel_mm: float,
        side: int,
        domains: Sequence[str],
        *,
        upright: bool = False,
    ) -> "SlicePool":
        """All slices of hearts at one pixel size, in windows of ``side`` pixels, as stored or upright."""
        images, labels, drawn, domain = [], [], [], []
        for heart in hearts:
            pose = Pose.upright(heart.cine) if upright else Pose()
            for frame, true, is_drawn in zip(heart.cine.frames, heart.labels, heart.drawn, strict=True):
                frame, true = pose.shown(frame), pose.shown(true)
                window = SliceWindow.of(frame, pose.spacing(heart.cine), pixel_mm, side)
                images.append(torch.from_numpy(window.images(frame).astype(np.float16)))
                labels.append(torch.from_numpy(window.labels(true)))
                drawn.append(torch.from_numpy(is_drawn).expand(len(images[-1]), 3))
                domain.append(torch.full((len(images[-1]),), domains.index(domain_of(heart.record))))
        return cls(*(torch.cat(parts) for parts in (images, labels, drawn, domain)))

    def __add__(self, other: "SlicePool") -> "SlicePool":
        names = ("images", "labels", "drawn", "domain")
        return SlicePool(*(torch.cat([getattr(self, name), getattr(other, name)]) for name in names))


class WholeSliceBatches:
    """Random augmented batches: style of another vendor, place, size and turn, intensity; each slice once an epoch.

    Args:
        pool: slices.
        data: window and styles.
        options: size of a batch, augmentation, seed, and the device where batches are wanted.
    """

    def __init__(self, pool: SlicePool, data: WholeSliceData, options: TrainingOptions):
        self.pool, self.data, self.options = pool, data, options
        self.generator = torch.Generator().manual_seed(options.seed)
        self.others = [torch.nonzero(pool.domain != n).flatten() for n in range(int(pool.domain.max()) + 1)]

    def __len__(self) -> int:
        return math.ceil(len(self.pool) / self.options.batch_size)

    def __iter__(self):
        order = torch.randperm(len(self.pool), generator=self.generator)
        for index in order.split(self.options.batch_size):
            # Batch normalisation needs two at least; the last batch begins again where it has one.
            yield self.make(torch.cat([index, order[:1]]) if len(index) == 1 else index)

    def make(self, index: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Images (B, 1, side, side), and labels (B, side, side), which structures are drawn (B, 3), domains (B,)."""
        images, labels = self.pool.images[index].float(), self.pool.labels[index].long()
        for n, slice_ in enumerate(index.tolist()):
            images[n] = self._styled(images[n], int(self.pool.domain[slice_]))
        side, ranges = self.data.side, self.options.augmentation
        centres = (side - 1) / 2 + CROP * side * torch.randn(len(index), 2, generator=self.generator)
        unknown = labels == UNKNOWN
        both = torch.stack([images, unknown.float()], 1)
        where = random_maps(centres, side, ranges, self.generator)
        both, labels = labelled_windows(both, labels * ~unknown, where, 4)
        labels[both[:, 1] > 0.5] = UNKNOWN
        grey = random_intensity(both[:, :1] / GREY + 0.5, ranges, self.generator)
        images = (grey - 0.5) * GREY
        target = labels, self.pool.drawn[index].float(), self.pool.domain[index]
        device = self.options.device
        return images.to(device), tuple(tensor.to(device) for tensor in target)

    def _styled(self, image: torch.Tensor, domain: int) -> torch.Tensor:
        chances = torch.rand(2, generator=self.generator).tolist()
        style, others = self.data.style, self.others[domain]
        if chances[0] < style.matched:
            image = with_histogram_of(image, self._one_of(others))
        if chances[1] < style.synthesised:
            image = with_amplitude_of(image, self._one_of(others))
        return image

    def _one_of(self, others: torch.Tensor) -> torch.Tensor:
        """A slice of another vendor, or any where there is one vendor."""
        count = len(others) or len(self.pool)
        chosen = int(torch.randint(count, (), generator=self.generator))
        return self.pool.images[int(others[chosen]) if len(others) else chosen].float()


class ScalesLoss(torch.nn.Module):
    """A loss over the answers of a network with deep supervision, each half as heavy as the one before, the last not.

    Args:
        loss: of one answer (B, C, H, W) and the target.
    """

    def __init__(self, loss: torch.nn.Module):
        super().__init__()
        self.loss = loss

    def forward(self, outputs: torch.Tensor, target: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """A scalar; outputs are (B, scales, C, H, W), the finest first, or (B, C, H, W)."""
        if outputs.ndim == 4:
            return self.loss(outputs, target)
        count = max(outputs.shape[1] - 1, 1)
        weights = [0.5**n for n in range(count)]
        losses = [weight * self.loss(outputs[:, n], target) for n, weight in enumerate(weights)]
        return torch.stack(losses).sum() / sum(weights)


def whole_slice_trainer(
    network: torch.nn.Module, loss: torch.nn.Module, data: WholeSliceData, bundle_root: str, options: TrainingOptions
) -> Trainer:
    """Trainer of a network of whole slices; writes the pixel size into the bundle's ``configs/preprocessing.json``.

    Args:
        network: (B, 1, side, side) to logits (B, 4, side, side), or in training (B, scales, 4, side, side).
        loss: of what it gives and what :class:`WholeSliceBatches` gives with the images.
        data: window, pixel size, styles.
        bundle_root: folder of the bundle that is trained.
        options: ``dataset_dir`` is what :func:`CardiacLib.datasets.find.find_cases` finds cases in.
    """
    split = open_cases(options.dataset_dir, options.chosen_cases)
    domains = sorted({domain_of(case) for case in (*split.training, *split.validation)})
    pixel_mm = data.pixel_mm or median_pixel_mm(split.found.cases, part(options.progress, 0.0, 0.2))
    write_preprocessing(Path(bundle_root), pixel_mm, data.upright)
    size = pixel_mm, data.side, domains
    hearts = read_hearts(split.training, progress=part(options.progress, 0.2, 0.8))
    pool = SlicePool.from_hearts(hearts, *size, upright=data.upright)
    if options.adversarial and options.adversarial.held_out_images and split.validation:
        pool = pool + SlicePool.from_hearts(read_hearts(split.validation, unlabelled=True), *size, upright=data.upright)
    batches = WholeSliceBatches(pool, data, options)
    held_out = None
    if split.validation:
        hearts = read_hearts(split.validation, progress=part(options.progress, 0.8, 1.0))
        held_out = SlicePool.from_hearts(hearts, *size, upright=data.upright)
    notes = [f"{split.told} Pixels of {pixel_mm:.3f} mm."]
    if options.start_from:
        notes += begin_with_any(network, read_weights(Path(options.start_from)))
    if options.adversarial:
        network, loss = adversarial(network, loss, (1, data.side), len(domains), batches, options)
    return Trainer(
        network=network.to(options.device),
        batches=batches,
        loss=loss,
        options=options,
        validate=None if held_out is None else lambda net: pool_dice(net, held_out, domains, options.device),
        validate_every=max(1, min(10, options.epochs // 10)),
        scores=dice_scores,
        split=split,
        notes=tuple(notes),
    )


def median_pixel_mm(cases: Sequence[CaseRecord], progress: Progress = silent) -> float:
    """Median of the in-plane spacing of cases of all views, mm."""
    anyhow = [replace(case, structures=()) for case in cases]
    hearts = read_hearts(anyhow, unlabelled=True, progress=progress)
    return float(np.median([heart.cine.spacing[:2] for heart in hearts]))


def write_preprocessing(folder: Path, pixel_mm: float, upright: bool) -> None:
    """Write pixel size and pose where :class:`~CardiacSegLib.segment.whole_slice.WholeSliceSegmenter` reads them."""
    path = folder / "configs" / f"{PREPROCESSING}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_suffix(".part")
    document = {"pixel_mm": round(pixel_mm, 4)} | ({"upright": True} if upright else {})
    work.write_text(json.dumps(document, indent=4) + "\n", encoding="utf-8")
    os.replace(work, path)


@torch.inference_mode()
def pool_dice(
    network: torch.nn.Module, pool: SlicePool, domains: Sequence[str], device: torch.device, batch: int = 8
) -> dict[str, float]:
    """Dice over all slices pooled, where structures are drawn, as of :func:`CardiacLib.training.dice.pooled_dice`."""
    sums = {n: torch.zeros(3, 2) for n in range(len(domains))}
    for index in torch.arange(len(pool)).split(batch):
        with torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
            found = network(pool.images[index].float()[:, None].to(device)).argmax(1).cpu()
        for n, place in enumerate(index.tolist()):
            true = pool.labels[place]
            for label in (1, 2, 3):
                if pool.drawn[place, label - 1]:
                    a, b = (found[n] == label) & (true != UNKNOWN), true == label
                    counts = torch.stack([(a & b).sum(), a.sum() + b.sum()]).float()
                    sums[int(pool.domain[place])][label - 1] += counts
    return pooled_dice(sums, domains)
