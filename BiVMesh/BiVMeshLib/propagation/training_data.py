"""Training windows of the slice networks: isotropic hearts, moved, turned, deformed, spoilt and given a faulty mask."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from BiVMeshLib.prepare.labels_check import check_labels
from CardiacLib.datasets.hearts import read_hearts, require_complete
from CardiacLib.datasets.records import CaseRecord
from CardiacLib.networks.intensity import normalise
from CardiacLib.progress import Progress, silent
from CardiacLib.training.augment import random_intensity, random_maps
from CardiacLib.training.options import TrainingOptions

from .isotropic import STEP, IsotropicGrid, apex_first, heart_centre
from .simulated_motion import Anatomy, Motion, anatomy_of, imaged_positions, random_motion

MARGIN = 176
"""Side of a kept volume in voxels: a window of 128 may be turned and moved within it."""
MASK_SHIFT = 1.5
"""Standard deviation in voxels of the whole displacement of the mask that the network is given."""
MASK_WARP = 1.5
"""Standard deviation in voxels of its smooth deformation."""


@dataclass(frozen=True)
class SliceData:
    """What a slice network is shown in training.

    Attributes:
        window: side of the windows in voxels of 1.25 mm.
        rv_wall_mm: thickness of the RV wall that is grown round the experts' RV pool.
        moving: part of the windows that have simulated motion.
        spoilt: part of the windows with a spoilt slice.
    """

    window: int
    rv_wall_mm: float
    moving: float = 0.6
    spoilt: float = 0.25


@dataclass(frozen=True)
class Heart:
    """One isotropic labelled volume, slice 0 at the apical end.

    Attributes:
        images: uint8 (Z, H, W), 0..1 as 0..255.
        labels: uint8 (Z, H, W); true up to slice ``base``.
        base: slice of the base plane.
        anatomy: of the labels.
        systolic: imaged at end-systole.
    """

    images: torch.Tensor
    labels: torch.Tensor
    base: int
    anatomy: Anatomy
    systolic: bool


def isotropic_hearts(cases: Iterable[CaseRecord], rv_wall_mm: float, progress: Progress = silent) -> list[Heart]:
    """Every labelled frame of cases as an isotropic heart with an RV wall.

    Raises:
        InputError: a case lacks structures or slices, see :func:`CardiacLib.datasets.hearts.require_complete`.
    """
    hearts = []
    for heart in require_complete(read_hearts(cases, progress=progress)):
        frames = zip(normalise(heart.cine.frames), heart.labels, heart.phases, strict=True)
        for frame, labels, phase in frames:
            hearts.append(make_heart(frame, labels, heart.cine.ijk_to_lps, rv_wall_mm, phase == "ES"))
    return hearts


def make_heart(frame, labels, ijk_to_lps, rv_wall_mm: float, systolic: bool) -> Heart:
    """A heart from one normalised frame (K, J, I) and its labels."""
    stack = check_labels(labels, ijk_to_lps)
    frames, matrix, _ = apex_first(frame, ijk_to_lps, stack)
    grid = IsotropicGrid.round_heart(matrix, frames.shape, heart_centre(stack), MARGIN)
    made = torch.from_numpy(grid.labels(stack, rv_wall_mm))
    base = grid.slice_at(stack.base)
    images = torch.from_numpy((grid.images(frames) * 255).round().astype(np.uint8))
    return Heart(images, made, base, anatomy_of(made, base), systolic)


class WindowBatches:
    """Random windows for one of the two networks; on the processor, as volumes differ in depth.

    Of every window: position and direction in the stack, simulated motion, in-plane map, intensity, and sometimes a
    spoilt slice, as noise, a hole or a displacement, spread to its neighbours as interpolation does. The mask that the
    propagation network is given is displaced and deformed against the images, as its own answers will be.

    Args:
        hearts: to draw from.
        structures: 1, or 4 for LV pool, myocardium, RV pool and RV wall.
        data: windows, and how many of them move or have a spoilt slice.
        options: size and number of batches, augmentation, seed, and the device where batches are wanted.
    """

    mask_channels: int
    """Channels of a network's input, the last ones, that are the mask."""
    most_steps: int
    """A batch's windows hold one to this many steps of propagation."""
    centre_voxels: float
    """Standard deviation of a window's centre from the heart's."""
    directions: tuple[bool, ...]
    """Ways in which slices are taken: True towards the base."""

    def __init__(self, hearts: Iterable[Heart], structures: int, data: SliceData, options: TrainingOptions):
        self.hearts, self.structures, self.data = list(hearts), structures, data
        self.batch, self.batches = options.batch_size, options.batches
        self.augmentation, self.device = options.augmentation, options.device
        self.generator = torch.Generator().manual_seed(options.seed)

    def __len__(self) -> int:
        return self.batches

    def __iter__(self):
        for _ in range(self.batches):
            chosen = torch.randint(len(self.hearts), (self.batch,), generator=self.generator).tolist()
            steps = 1 + int(self.most_steps * self._rand())
            inputs, targets = zip(*(self.make(self.hearts[n], steps) for n in chosen), strict=True)
            inputs, targets = torch.stack(inputs), torch.stack(targets)
            count = inputs.shape[1] - self.mask_channels
            images = random_intensity(inputs[:, :count], self.augmentation, self.generator)
            inputs = torch.cat([images, inputs[:, count:]], 1)
            yield inputs.to(self.device, memory_format=torch.channels_last), targets.to(self.device)

    def make(self, heart: Heart, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Input (C, window, window) and labels (S, window, window) int64 of a random window."""
        up = self.directions[int(len(self.directions) * self._rand())]
        return self.place(heart, self._rand(), up, steps)

    def place(self, heart: Heart, where: float, up: bool, steps: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`make`, ``where`` (0 to 1) of the way that windows have between apex and base; labels are of the
        last step's slices."""
        raise NotImplementedError

    def draw_motion(self, heart: Heart) -> tuple[Motion | None, float]:
        """A motion, or none, and the slice at which the base then lies."""
        if self._rand() >= self.data.moving:
            return None, float(heart.base)
        motion = random_motion(heart.systolic, self.generator)
        return motion, heart.anatomy.apex + (heart.base - heart.anatomy.apex) * motion.length

    def cut(
        self, heart: Heart, slices: torch.Tensor, motion: Motion | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Images (S, w, w) 0..1, labels of the last STEP slices int64, and the map (S, w, w, 3) they were cut by."""
        where = self._map(heart, slices, motion)
        images = sampled_images(heart, where)
        if self._rand() < self.data.spoilt:
            images = self._spoil(images, slices)
        return images, self._classes(hardened(sampled_labels(heart, where[-STEP:]))), where

    def _classes(self, labels: torch.Tensor) -> torch.Tensor:
        """The labels as the network has them: as they are, or both ventricles' muscle as the one class."""
        return labels if self.structures > 1 else ((labels == 2) | (labels == 4)).long()

    def _map(self, heart: Heart, slices: torch.Tensor, motion: Motion | None) -> torch.Tensor:
        middle = heart.anatomy.centres[heart.base // 2]
        side = torch.tensor(heart.labels.shape[1:], dtype=torch.float32)
        centre = 0.5 * (side - 1) + torch.randn(2, generator=self.generator) * self.centre_voxels
        if self._rand() < 0.3:
            centre = 0.5 * (centre + middle)
        plane = random_maps(centre[None], self.data.window, self.augmentation, self.generator)[0]
        z = slices.float()[:, None, None, None].expand(-1, *plane.shape[:2], 1)
        moved = torch.cat([z, plane.expand(len(slices), *plane.shape)], -1)
        return moved if motion is None else imaged_positions(moved, heart.anatomy, motion)

    def _spoil(self, images: torch.Tensor, slices: torch.Tensor) -> torch.Tensor:
        """One slice of the original stack is spoilt; its neighbours on the isotropic grid share the harm."""
        low, high = float(slices.min()), float(slices.max())
        centre, reach = low + (high - low + 6) * self._rand() - 3, 3 + 6 * self._rand()
        share = (1 - (slices - centre).abs() / reach).clamp(0, 1)[:, None, None]
        kind = int(3 * self._rand())
        if kind == 0:
            harm = torch.rand(images.shape, generator=self.generator) * self._rand() + 0.3 * images
        elif kind == 1:
            harm = images * 0.3 * self._rand()
        else:
            row, column = torch.randint(-8, 9, (2,), generator=self.generator).tolist()
            harm = torch.roll(images, (row, column), (-2, -1))
        return (1 - share) * images + share * harm

    def _rand(self) -> float:
        return float(torch.rand((), generator=self.generator))


class InitializationBatches(WindowBatches):
    """Single slices of the whole heart, without its lowest sixth and what lies over the base."""

    mask_channels, most_steps = 0, 1
    centre_voxels = 12.0
    directions = (True,)

    def place(self, heart: Heart, where: float, up: bool, steps: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        apex = heart.anatomy.apex
        motion, base = self.draw_motion(heart)
        low = apex + (base - apex) / 6
        images, labels, _ = self.cut(heart, torch.tensor([low + (base - low) * where]), motion)
        return images, labels


class PropagationBatches(WindowBatches):
    """A slice with its faulty mask and the next slices towards base or apex."""

    most_steps = 3
    centre_voxels = 6.0
    directions = (True, False)

    @property
    def mask_channels(self) -> int:
        return self.structures

    def place(self, heart: Heart, where: float, up: bool, steps: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        motion, base = self.draw_motion(heart)
        apex, ahead = heart.anatomy.apex, torch.arange(steps * STEP + 1)
        if up:
            slices = apex + max(base - ahead[-1] - apex, 0.0) * where + ahead
        else:
            low = max(apex + (steps - 1) * STEP, float(ahead[-1]))
            slices = low + max(base - low, 0.0) * where - ahead
        images, labels, cut_by = self.cut(heart, slices, motion)
        return torch.cat([images, self._faulty(heart, cut_by[0])]), labels

    def _faulty(self, heart: Heart, where: torch.Tensor) -> torch.Tensor:
        """The first slice's mask (structures, w, w), taken from beside where it belongs."""
        shift = torch.randn(2, generator=self.generator) * MASK_SHIFT * self._rand()
        knots = torch.randn(1, 2, 7, 7, generator=self.generator) * MASK_WARP * self._rand()
        field = functional.interpolate(knots, size=where.shape[:2], mode="bicubic", align_corners=True)[0]
        level = torch.randn(1, generator=self.generator) * self._rand()
        off = torch.cat([level.expand(*where.shape[:2], 1), (field + shift[:, None, None]).movedim(0, -1)], -1)
        labels = self._classes(hardened(sampled_labels(heart, (where + off)[None])))[0]
        return functional.one_hot(labels, self.structures + 1).movedim(-1, 0)[1:].float()


def sampled_images(heart: Heart, where: torch.Tensor) -> torch.Tensor:
    """Trilinear images (S, h, w) in 0..1 at ``where`` (S, h, w, 3); zero beside the volume."""
    low, high = _span(heart, where)
    return _sampled(heart.images[low:high].float()[None] / 255, where, low)[:, 0]


def sampled_labels(heart: Heart, where: torch.Tensor) -> torch.Tensor:
    """Trilinear shares (S, 4, h, w) of the structures at ``where`` (S, h, w, 3)."""
    low, high = _span(heart, where)
    part = heart.labels[low:high]
    return _sampled(torch.stack([part == n for n in (1, 2, 3, 4)]).float(), where, low)


def _span(heart: Heart, where: torch.Tensor) -> tuple[int, int]:
    """The slices that positions lie between."""
    low = int(where[..., 0].min().floor().clamp(0, len(heart.images) - 2))
    return low, int(where[..., 0].max().ceil().clamp(low + 1, len(heart.images) - 1)) + 1


def _sampled(volume: torch.Tensor, where: torch.Tensor, low: int) -> torch.Tensor:
    """(S, C, h, w) of a volume (C, Z, H, W) whose first slice is number ``low``; the end slices go on."""
    extent = torch.tensor([n - 1 for n in volume.shape[1:]], dtype=torch.float32)
    grid = 2 * (where - torch.tensor([low, 0.0, 0.0])) / extent - 1
    grid[..., 0].clamp_(-1, 1)
    found = functional.grid_sample(volume[None], grid.flip(-1)[None], mode="bilinear", align_corners=True)
    return found[0].movedim(0, 1)


def hardened(soft: torch.Tensor) -> torch.Tensor:
    """Shares (S, 4, h, w) of the structures to labels (S, h, w) int64."""
    greatest, labels = 1 - soft.sum(1), torch.zeros(soft[:, 0].shape, dtype=torch.int64)
    for n in range(soft.shape[1]):  # argmax over channels takes four times as long
        labels.masked_fill_(soft[:, n] > greatest, n + 1)
        greatest = torch.maximum(greatest, soft[:, n])
    return labels
