"""Random windows of long-axis images for training, with their points in window pixels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from CardiacLib.training.augment import random_intensity, random_maps, sampling_grid
from CardiacLib.training.options import TrainingOptions

from .examples import ABSENT, PRESENT, Examples
from .loss import Target

COARSE_SHARE = 0.2
"""Part of the windows that show the whole image on coarse pixels, as the first look of inference does."""
COARSE_MM = (1.7, 2.8)
CENTRE_MM = 14.0
"""Standard deviation of a fine window's centre from the middle of the points."""


@dataclass(frozen=True)
class LongAxisData:
    """What the landmark network is shown in training.

    Attributes:
        pixel_mm: side of a window's pixel, before the random zoom.
        window: side of the windows in pixels.
        hearts: number of synthetic hearts.
        mixed: number of mixed images.
        shares: part of the windows by source: synthetic images by view (``examples.VIEWS``), real frames ``checked``
            by eye, real frames ``unchecked``, ``mixed`` images of both kinds (:mod:`.mixing`). A source that is not
            named is not used.
        synthetic_dir: where the synthetic images are kept; those that are missing are made first.
    """

    pixel_mm: float
    window: int
    hearts: int
    mixed: int
    shares: Mapping[str, float]
    synthetic_dir: str


class LandmarkBatches:
    """Random augmented windows drawn from several sources in given shares.

    Args:
        sources: examples by source.
        data: windows, and the shares of the sources.
        options: size and number of batches, augmentation, seed, and device to work on.
    """

    def __init__(self, sources: Mapping[str, Examples], data: LongAxisData, options: TrainingOptions):
        device = options.device
        joined = Examples.join(list(sources.values()))
        self.examples = {k: torch.from_numpy(np.asarray(v)).to(device) for k, v in joined.to_dict().items()}
        self.centres = torch.from_numpy(joined.centres()).to(device)
        counts = {name: len(source) for name, source in sources.items()}
        chance = np.concatenate([np.full(n, data.shares[name] / n) for name, n in counts.items()])
        self.chance = torch.from_numpy(chance).to(device)
        self.batch, self.batches = options.batch_size, options.batches
        self.window, self.pixel_mm = data.window, data.pixel_mm
        self.augmentation, self.device = options.augmentation, device
        self.generator = torch.Generator(device).manual_seed(options.seed)

    def __len__(self) -> int:
        return self.batches

    def __iter__(self):
        for _ in range(self.batches):
            yield self.make(torch.multinomial(self.chance, self.batch, replacement=True, generator=self.generator))

    def make(self, index: torch.Tensor) -> tuple[torch.Tensor, Target]:
        """Windows (B, 1, window, window) of the examples ``index``, and what is known of them."""
        images = self.examples["images"][index][:, None].float() / 255
        step, centres = self._framing(index)
        where = random_maps(centres, self.window, self.augmentation, self.generator, step)
        grid = sampling_grid(where, images.shape[-2:])
        cut = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        points, inside = locate(where, self.examples["points"][index])
        state = self.examples["state"][index]
        state = torch.where((state == PRESENT) & ~inside, ABSENT, state)
        target = Target(points, state, self.examples["doubt"][index], self.examples["view"][index].long())
        return random_intensity(cut, self.augmentation, self.generator), target

    def _framing(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Image pixels per window pixel (B,) and window centres (B, 2): near the valves, or the whole image."""
        n, pixel = len(index), self.examples["pixel_mm"][index]
        low, high = COARSE_MM
        coarse = torch.rand(n, device=self.device, generator=self.generator) < COARSE_SHARE
        drawn = torch.rand(n, device=self.device, generator=self.generator)
        mm = torch.where(coarse, low * (high / low) ** drawn, self.pixel_mm)
        off = torch.randn(n, 2, device=self.device, generator=self.generator) * CENTRE_MM
        middle = (self.examples["size"][index] - 1) / 2
        centres = torch.where(coarse[:, None], middle, self.centres[index]) + off / pixel[:, None]
        return mm / pixel, centres


def locate(where: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where in a window image points lie: the nearest window pixel, refined with the map's own slope there.

    Args:
        where: (B, h, w, 2) image row and column of every window pixel.
        points: (B, P, 2) image row and column; NaN gives NaN.

    Returns:
        (B, P, 2) window row and column, and (B, P) whether they lie in the window.
    """
    b, h, w, _ = where.shape
    flat = where.reshape(b, h * w, 2)
    nearest = torch.cdist(torch.nan_to_num(points), flat).argmin(-1)
    row, column = (nearest // w).clamp(1, h - 2), (nearest % w).clamp(1, w - 2)

    def at(r, c):
        return flat.gather(1, (r * w + c)[..., None].expand(-1, -1, 2))

    slope = torch.stack(
        [(at(row + 1, column) - at(row - 1, column)) / 2, (at(row, column + 1) - at(row, column - 1)) / 2], -1
    )
    rest = torch.linalg.solve(slope, points - at(row, column))
    found = torch.stack([row, column], -1) + rest
    edge = torch.tensor([h - 0.5, w - 0.5], device=where.device)
    inside = ((found > -0.5) & (found < edge)).all(-1)
    return found, inside
