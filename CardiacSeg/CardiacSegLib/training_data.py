"""Training arrays of the short-axis network: ACDC patients on the network's pixels, and random batches of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent
from CardiacLib.readers.acdc import read_acdc_patient
from CardiacLib.training.augment import Augmentation, random_intensity, random_window

from .preprocess import normalise, resampled_shape, sample_slices

VALIDATION_EVERY = 5
"""ACDC patients 005, 010, ..., 100 are for validation and never trained on."""


def patient_folders(root: str | Path, validation: bool) -> list[Path]:
    """ACDC patient folders of the training or of the validation split, in the order of their numbers."""
    folders = sorted(folder for folder in Path(root).glob("patient*") if folder.is_dir())
    if not folders:
        raise InputError(f"{root}: no ACDC patient folders (patient001, ...); give the folder that holds them.")
    return [f for f in folders if (int(f.name.removeprefix("patient")) % VALIDATION_EVERY == 0) == validation]


@dataclass(frozen=True)
class SliceStacks:
    """Labelled stacks on the network's pixels.

    Attributes:
        images: uint8 (N, size, size), all stacks one after the other, 0..1 as 0..255.
        labels: uint8 (N, size, size).
        first, last: (N,) index of the first and last slice of the stack that a slice belongs to.
    """

    images: torch.Tensor
    labels: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor

    @classmethod
    def from_acdc(cls, root, pixel_mm: float, size: int, validation: bool = False, progress: Progress = silent):
        """Read ED and ES of every patient of a split."""
        folders = patient_folders(root, validation)
        stacks = []
        for done, folder in enumerate(folders):
            progress(done / len(folders), f"reading {folder.name}")
            patient = read_acdc_patient(folder)
            stacks += [_on_canvas(cine, labels, pixel_mm, size) for cine, labels in (patient.ed, patient.es)]
        counts = torch.tensor([len(images) for images, _ in stacks])
        ends = counts.cumsum(0)
        return cls(
            images=torch.cat([images for images, _ in stacks]),
            labels=torch.cat([labels for _, labels in stacks]),
            first=torch.repeat_interleave(ends - counts, counts),
            last=torch.repeat_interleave(ends - 1, counts),
        )

    def round_hearts(self, size: int) -> "SliceStacks":
        """The same stacks in a window of ``size`` pixels round each heart, as inference sees them."""
        offsets = (self.heart_centres() - size / 2).round().long().clamp(0, self.images.shape[-1] - size).tolist()
        images, labels = (
            torch.stack([a[r : r + size, c : c + size] for a, (r, c) in zip(arrays, offsets, strict=True)])
            for arrays in (self.images, self.labels)
        )
        return SliceStacks(images, labels, self.first, self.last)

    def heart_centres(self) -> torch.Tensor:
        """(N, 2) row and column of the heart in each slice's stack."""
        size = self.labels.shape[-1]
        heart = (self.labels > 0).cpu().numpy()
        centres = np.full((len(heart), 2), (size - 1) / 2, np.float32)
        first = self.first.cpu().numpy()
        for start in np.unique(first):
            members = first == start
            rows, columns = np.nonzero(heart[members].any(0))
            if rows.size:
                centres[members] = rows.mean(), columns.mean()
        return torch.from_numpy(centres).to(self.labels.device)

    def to(self, device) -> "SliceStacks":
        """The same arrays on another device."""
        return SliceStacks(self.images.to(device), self.labels.to(device), self.first.to(device), self.last.to(device))


def _on_canvas(cine, labels, pixel_mm: float, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One stack as uint8 (K, size, size) images and labels, its centre at the centre of the canvas."""
    spacing = (cine.spacing[1], cine.spacing[0])
    shape = resampled_shape(cine.frames.shape[2:], spacing, pixel_mm)
    scale = tuple(pixel_mm / s for s in spacing)
    image = torch.from_numpy(normalise(cine.frames[0]))[:, None]
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels.labels[0]).long(), 4).permute(0, 3, 1, 2).float()
    image = (sample_slices(image, scale, shape)[:, 0] * 255).round().to(torch.uint8)
    label = sample_slices(one_hot, scale, shape).argmax(1).to(torch.uint8)
    return _centre(image, size), _centre(label, size)


def _centre(stack: torch.Tensor, size: int) -> torch.Tensor:
    out = stack.new_zeros(len(stack), size, size)
    from_, to = zip(*(_overlap(n, size) for n in stack.shape[1:]), strict=True)
    out[:, to[0], to[1]] = stack[:, from_[0], from_[1]]
    return out


def _overlap(n: int, size: int) -> tuple[slice, slice]:
    """Slices of the source and of the canvas when n pixels are centred on ``size`` pixels."""
    length = min(n, size)
    start, target = (n - length) // 2, (size - length) // 2
    return slice(start, start + length), slice(target, target + length)


class SliceBatches:
    """Random augmented batches of (slice before, slice, slice after) and the labels of the middle slice.

    For stacks that ACDC lacks, the slice order is reversed at random, neighbours are taken two slices away
    (double gap) or left out (end of the stack, single slice).

    Args:
        stacks: the labelled slices.
        batch: slices per batch.
        window: side of the training window in pixels.
        augmentation: strength of the random changes.
        seed: of everything random here.
    """

    def __init__(self, stacks: SliceStacks, batch: int, window: int, augmentation: Augmentation, seed: int):
        self.stacks, self.batch, self.window, self.augmentation = stacks, batch, window, augmentation
        self.device = stacks.images.device
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.centres = stacks.heart_centres()

    def __len__(self) -> int:
        return len(self.stacks.images) // self.batch

    def state(self) -> torch.Tensor:
        """Random state, for checkpoints."""
        return self.generator.get_state()

    def load_state(self, state: torch.Tensor) -> None:
        self.generator.set_state(state.cpu())

    def __iter__(self):
        order = torch.randperm(len(self.stacks.images), device=self.device, generator=self.generator)
        for start in range(0, len(self) * self.batch, self.batch):
            yield self.make(order[start : start + self.batch])

    def make(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, 3, window, window) and labels (B, window, window) of the slices ``index``."""
        images = self._neighbourhood(index).float() / 255
        labels = self.stacks.labels[index].long()
        images, labels = random_window(
            images, labels, self._window_centres(index), self.window, self.augmentation, 4, self.generator
        )
        return random_intensity(images, self.augmentation, self.generator), labels

    def _neighbourhood(self, index: torch.Tensor) -> torch.Tensor:
        n = len(index)
        steps = torch.where(self._chance(n, 0.25), 2, 1) * torch.where(self._chance(n, 0.5), -1, 1)
        channels = []
        for side in (-1, 0, 1):
            where = index + side * steps
            inside = (where >= self.stacks.first[index]) & (where <= self.stacks.last[index])
            if side:
                inside &= ~self._chance(n, 0.1)
            picked = self.stacks.images[where.clamp(0, len(self.stacks.images) - 1)]
            channels.append(picked * inside[:, None, None])
        return torch.stack(channels, 1)

    def _window_centres(self, index: torch.Tensor) -> torch.Tensor:
        n, size = len(index), self.stacks.images.shape[-1]
        near = self.centres[index] + 20.0 * torch.randn(n, 2, device=self.device, generator=self.generator)
        anywhere = size * (0.2 + 0.6 * torch.rand(n, 2, device=self.device, generator=self.generator))
        return torch.where(self._chance(n, 0.2)[:, None], anywhere, near)

    def _chance(self, n: int, probability: float) -> torch.Tensor:
        return torch.rand(n, device=self.device, generator=self.generator) < probability
