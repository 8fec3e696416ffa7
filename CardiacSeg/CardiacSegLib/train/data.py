"""Training arrays of the short-axis network: labelled hearts on the network's pixels, and random batches of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from CardiacLib.datasets.hearts import LabelledHeart
from CardiacLib.datasets.records import UNKNOWN
from CardiacLib.datasets.splits import domain_of
from CardiacLib.networks.intensity import normalise
from CardiacLib.training.augment import labelled_windows, random_intensity, random_maps
from CardiacLib.training.options import TrainingOptions
from CardiacLib.training.style import StyleOptions, with_amplitude_of, with_quantiles_of
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import likeliest
from CardiacSegLib.segment.preprocess import opposite_frames, resampled_shape, sample_slices

from .distillation import Distillation

Teach = Callable[[Cine], np.ndarray]
"""What :class:`~CardiacSegLib.train.distillation.Teachers` are: a cine to soft labels, uint8 (T, K, 3, H, W)."""
HALF = 127
"""Of a soft label in 0..255."""


@dataclass(frozen=True)
class ShortAxisData:
    """What a short-axis network is shown in training.

    Attributes:
        pixel_mm: pixel side the network sees.
        canvas: side of the cached slices in pixels.
        windows: sides of the training windows in pixels; one of them is drawn for every batch, and held-out hearts are
            seen in the first.
        phantoms: number of synthetic hearts to draw from.
        phantom_slices: number of their slices that are added to the patients' in every epoch.
        style: how often slices get the grey values, and the shading, of another vendor's (or centre's).
        distillation: other networks to learn from too.
    """

    pixel_mm: float
    canvas: int
    windows: Sequence[int]
    phantoms: int = 0
    phantom_slices: int = 0
    style: StyleOptions = StyleOptions()
    distillation: Distillation | None = None


@dataclass(frozen=True)
class SliceStacks:
    """Labelled stacks of one or several frames of every heart on the network's pixels.

    Attributes:
        images: uint8 (N, size, size), all stacks one after the other, 0..1 as 0..255.
        labels: uint8 (N, size, size), :data:`~CardiacLib.datasets.records.UNKNOWN` where nobody looked.
        first, last: (N,) index of the first and last slice of the stack that a slice belongs to.
        opposite: (N,) index of the same slice in the frame most unlike it, at the other of ED and ES; its own where
            there is no other frame.
        drawn: bool (N, 3) whether LV, myocardium and RV are drawn where they are; None: all are.
        domain: int64 (N,) number of the vendor; None: all are of one.
        soft: uint8 (N, 3, size, size), what teachers say of LV, myocardium and RV, 0..1 as 0..255; None: there are
            none, and it becomes (N, 0, size, size).
    """

    images: torch.Tensor
    labels: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    opposite: torch.Tensor
    drawn: torch.Tensor | None = None
    domain: torch.Tensor | None = None
    soft: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if self.drawn is None:
            object.__setattr__(self, "drawn", torch.ones(len(self.images), 3, dtype=torch.bool))
        if self.domain is None:
            object.__setattr__(self, "domain", torch.zeros(len(self.images), dtype=torch.long))
        if self.soft is None:
            object.__setattr__(self, "soft", self.images.new_zeros(len(self.images), 0, *self.images.shape[1:]))

    @classmethod
    def from_hearts(
        cls,
        hearts: Iterable[LabelledHeart],
        pixel_mm: float,
        size: int,
        domains: Sequence[str] = (),
        teach: Teach | None = None,
    ) -> "SliceStacks":
        """Stacks of all frames of hearts of any data set.

        Args:
            hearts: as they are read.
            pixel_mm: pixel side the network sees.
            size: side of the slices in pixels.
            domains: names of the vendors, which number them; empty: they are not told apart.
            teach: gives soft labels too.
        """
        made = [_stacks_of(heart, pixel_mm, size, domains, teach) for heart in hearts]
        return cls.joined(made)

    @classmethod
    def from_cines(cls, cines: Iterable[Cine], pixel_mm: float, size: int, teach: Teach) -> "SliceStacks":
        """Stacks of all frames of cines of which only teachers say what is what."""
        return cls.joined([_unlabelled_stacks(cine, pixel_mm, size, teach) for cine in cines])

    @classmethod
    def joined(cls, parts: Sequence["SliceStacks"]) -> "SliceStacks":
        """All stacks, one part after the other."""
        starts = np.cumsum([0, *(len(part) for part in parts)]).tolist()
        shifted = [part.shifted(start) for part, start in zip(parts, starts, strict=False)]
        return cls(*(torch.cat(tensors) for tensors in zip(*(s.tensors() for s in shifted), strict=True)))

    def shifted(self, start: int) -> "SliceStacks":
        """The same with ``start`` slices before them."""
        return replace(self, first=self.first + start, last=self.last + start, opposite=self.opposite + start)

    @classmethod
    def from_phases(
        cls, patients: Iterable[tuple], pixel_mm: float, size: int, teach: Teach | None = None
    ) -> "SliceStacks":
        """Stacks of hearts given as (cine, labels) of ED and (cine, labels) of ES, on the same grid."""
        images, labels, counts, soft = [], [], [], []
        for ed, es in patients:
            both = np.concatenate([ed[0].frames, es[0].frames])
            if teach is not None:
                soft.append(_soft_on_canvas(teach(ed[0].with_changes(frames=both, times_ms=None)), size))
            shown = normalise(both)
            for frame, (cine, true) in zip(shown, (ed, es), strict=True):
                image, label = _on_canvas(frame, true.labels[0], cine.spacing, pixel_mm, size)
                images.append(image)
                labels.append(label)
                counts.append(len(image))
        counts = torch.tensor(counts)
        ends = counts.cumsum(0)
        first = torch.repeat_interleave(ends - counts, counts)
        is_es = torch.repeat_interleave(torch.arange(len(counts)) % 2, counts)
        own = torch.repeat_interleave(counts, counts)
        return cls(
            images=torch.cat(images),
            labels=torch.cat(labels),
            first=first,
            last=torch.repeat_interleave(ends - 1, counts),
            opposite=torch.arange(len(first)) + torch.where(is_es == 1, -own, own),
            soft=torch.cat(soft) if soft else None,
        )

    def __len__(self) -> int:
        return len(self.images)

    def __add__(self, other: "SliceStacks") -> "SliceStacks":
        """Both sets of stacks, the other's after these."""
        return SliceStacks.joined([self, other])

    def seen(self, index: torch.Tensor, steps: torch.Tensor | int = 1, keep: torch.Tensor | None = None):
        """What the network sees of slices: (B, 3, size, size) uint8, the slice before, the slice, the slice after.

        Args:
            index: (B,) slices.
            steps: how many slices away the neighbours are; negative reverses the order.
            keep: (B, 3) bool, False for a slice to be left out, which is then zeros as beyond the ends of a stack.
        """
        channels = []
        for channel, side in enumerate((-1, 0, 1)):
            where = index + side * steps
            inside = (where >= self.first[index]) & (where <= self.last[index])
            if keep is not None:
                inside = inside & keep[:, channel]
            picked = self.images[where.clamp(0, len(self) - 1)]
            channels.append(picked * inside[:, None, None])
        return torch.stack(channels, 1)

    def round_hearts(self, size: int) -> "SliceStacks":
        """The same stacks in a window of ``size`` pixels round each heart, as inference sees them."""
        offsets = (self.heart_centres() - size / 2).round().long().clamp(0, self.images.shape[-1] - size).tolist()
        images, labels, soft = (
            torch.stack([a[..., r : r + size, c : c + size] for a, (r, c) in zip(arrays, offsets, strict=True)])
            for arrays in (self.images, self.labels, self.soft)
        )
        return replace(self, images=images, labels=labels, soft=soft)

    def heart_centres(self) -> torch.Tensor:
        """(N, 2) row and column of the heart in each slice's stack, as its labels and the teachers say."""
        size = self.labels.shape[-1]
        heart = ((self.labels > 0) & (self.labels != UNKNOWN) | (self.soft > HALF).any(1)).cpu().numpy()
        centres = np.full((len(heart), 2), (size - 1) / 2, np.float32)
        first = self.first.cpu().numpy()
        for start in np.unique(first):
            members = first == start
            rows, columns = np.nonzero(heart[members].any(0))
            if rows.size:
                centres[members] = rows.mean(), columns.mean()
        return torch.from_numpy(centres).to(self.labels.device)

    def structure_weights(self, limit: float = 3.0) -> torch.Tensor:
        """(N, 3) how much a slice's LV, myocardium and RV weigh, for every stack to count the same; 0 if not drawn.

        Median number of pixels of the structure in a stack over that in the slice's own, within 1 / limit and limit.
        """
        pixels = torch.stack([(self.labels == label).sum((1, 2)) for label in (1, 2, 3)], 1)
        return self._even(pixels, self.drawn, limit)

    def soft_weights(self, limit: float = 3.0) -> torch.Tensor:
        """The same of the teachers' structures, (N, 3), none of which is 0; (N, 0) without teachers."""
        pixels = (self.soft > HALF).sum((2, 3))
        return self._even(pixels, torch.ones_like(self.drawn), limit) if pixels.shape[1] else pixels.float()

    def _even(self, pixels: torch.Tensor, drawn: torch.Tensor, limit: float) -> torch.Tensor:
        starts, stack = self.first.unique(return_inverse=True)
        own = pixels.new_zeros(len(starts), 3).index_add_(0, stack, pixels)
        stacks_drawn = drawn[starts]
        usual = torch.stack(
            [own[stacks_drawn[:, n], n].median() if stacks_drawn[:, n].any() else own.new_tensor(1.0) for n in range(3)]
        )
        return (usual / own.clamp_min(1)).clamp(1 / limit, limit)[stack] * drawn

    def to(self, device) -> "SliceStacks":
        """The same arrays on another device."""
        return SliceStacks(*(tensor.to(device) for tensor in self.tensors()))

    def tensors(self) -> list[torch.Tensor]:
        """All of them in the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]


def _stacks_of(
    heart: LabelledHeart, pixel_mm: float, size: int, domains: Sequence[str], teach: Teach | None = None
) -> SliceStacks:
    frames, spacing = normalise(heart.cine.frames), heart.cine.spacing
    pairs = [_on_canvas(f, true, spacing, pixel_mm, size) for f, true in zip(frames, heart.labels, strict=True)]
    images, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    n_frames, n_slices = heart.labels.shape[:2]
    frame, slice_ = torch.arange(n_frames).repeat_interleave(n_slices), torch.arange(n_slices).repeat(n_frames)
    domain = domains.index(domain_of(heart.record)) if domains else 0
    return SliceStacks(
        images=images,
        labels=labels,
        first=frame * n_slices,
        last=frame * n_slices + n_slices - 1,
        opposite=torch.from_numpy(heart.opposite.copy())[frame] * n_slices + slice_,
        drawn=torch.from_numpy(heart.drawn)[frame],
        domain=torch.full((len(images),), domain),
        soft=None if teach is None else _soft_on_canvas(teach(heart.cine), size),
    )


def _unlabelled_stacks(cine: Cine, pixel_mm: float, size: int, teach: Teach) -> SliceStacks:
    frames = normalise(cine.frames)
    nothing = np.full(frames.shape[1:], UNKNOWN, np.uint8)
    images, labels = (
        torch.cat(parts)
        for parts in zip(*(_on_canvas(f, nothing, cine.spacing, pixel_mm, size) for f in frames), strict=True)
    )
    soft = _soft_on_canvas(teach(cine), size)
    n_frames, n_slices = frames.shape[:2]
    frame, slice_ = torch.arange(n_frames).repeat_interleave(n_slices), torch.arange(n_slices).repeat(n_frames)
    # The frame most unlike each is sought where the heart moves.
    heart = (soft > HALF).any(1).any(0).numpy()
    moving = images.reshape(n_frames, n_slices, size, size).numpy() * heart
    return SliceStacks(
        images=images,
        labels=labels,
        first=frame * n_slices,
        last=frame * n_slices + n_slices - 1,
        opposite=torch.from_numpy(opposite_frames(moving))[frame] * n_slices + slice_,
        drawn=torch.zeros(len(images), 3, dtype=torch.bool),
        soft=soft,
    )


def _soft_on_canvas(soft: np.ndarray, size: int) -> torch.Tensor:
    """Soft labels uint8 (T, K, 3, H, W) of all frames as (T K, 3, size, size)."""
    flat = torch.from_numpy(soft.reshape(-1, *soft.shape[3:]))
    return _centre(flat, size).reshape(-1, 3, size, size)


def _on_canvas(frame, labels, spacing_ijk, pixel_mm: float, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One stack as uint8 (K, size, size) images and labels, its centre at the centre of the canvas."""
    spacing = (spacing_ijk[1], spacing_ijk[0])
    shape = resampled_shape(frame.shape[1:], spacing, pixel_mm)
    scale = tuple(pixel_mm / s for s in spacing)
    unknown = labels == UNKNOWN
    known = np.where(unknown, np.uint8(0), labels)
    one_hot = (known[:, None] == np.arange(4, dtype=np.uint8)[:, None, None]).astype(np.float32)
    image = np.rint(sample_slices(frame, scale, shape) * 255).astype(np.uint8)
    label = likeliest(sample_slices(one_hot, scale, shape))
    if unknown.any():
        label[sample_slices(unknown.astype(np.float32), scale, shape) > 0.5] = UNKNOWN
    return _centre(torch.from_numpy(image), size), _centre(torch.from_numpy(label), size)


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
    """Random augmented batches of what the network sees of a slice at two phases; labels and weights at the first.

    For stacks that the data lack, the slice order is reversed at random, neighbours are left out (end of the stack,
    single slice) or, in thick stacks, taken two slices away and left out more often: such a stack may end at a slice
    that still cuts both ventricles. The second phase is sometimes the first again, as of a single volume. The window
    of a batch is one of several, because instance normalisation would otherwise learn one field of view by heart.

    Args:
        stacks: the labelled slices; an epoch shows each of them once.
        data: windows, and how many slices of ``extra`` an epoch shows.
        options: size of a batch, augmentation and seed.
        extra: further slices, of which an epoch shows ``data.phantom_slices`` at random.
    """

    def __init__(
        self, stacks: SliceStacks, data: ShortAxisData, options: TrainingOptions, extra: SliceStacks | None = None
    ):
        self.always, self.drawn = len(stacks), min(data.phantom_slices, len(extra)) if extra else 0
        self.stacks = stacks + extra if extra else stacks
        self.batch, self.windows, self.augmentation = options.batch_size, tuple(data.windows), options.augmentation
        self.device = stacks.images.device
        self.generator = torch.Generator(self.device).manual_seed(options.seed)
        self.centres = self.stacks.heart_centres()
        self.weights, self.style = self.stacks.structure_weights(), data.style
        self.soft_weights = self.stacks.soft_weights()
        domains = self.stacks.domain
        self.others = [torch.nonzero(domains != n).flatten() for n in range(int(domains.max()) + 1)]

    def __len__(self) -> int:
        return (self.always + self.drawn) // self.batch

    def __iter__(self):
        others = self.always + self._order(len(self.stacks) - self.always)[: self.drawn]
        shown = torch.cat([torch.arange(self.always, device=self.device), others])
        shown = shown[self._order(len(shown))]
        for start in range(0, len(self) * self.batch, self.batch):
            yield self.make(shown[start : start + self.batch])

    def _order(self, n: int) -> torch.Tensor:
        return torch.randperm(n, device=self.device, generator=self.generator)

    def make(self, index: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Images (B, 6, side, side) of slices, and their target.

        The target is labels (B, side, side), weights (B, 3) and domains (B,); with teachers their soft labels
        (B, 3, side, side) and the weights of these (B, 3) lie before the domains.
        """
        side = self.windows[int(torch.randint(len(self.windows), (), device=self.device, generator=self.generator))]
        images = self._styled(self._two_phases(index).float() / 255, index)
        labels, soft = self.stacks.labels[index].long(), self.stacks.soft[index].float() / 255
        where = random_maps(self._window_centres(index), side, self.augmentation, self.generator)
        unknown = labels == UNKNOWN
        parts = images, soft, unknown[:, None].to(images.dtype)
        cut, labels = labelled_windows(torch.cat(parts, 1), labels * ~unknown, where, 4)
        images, soft, unknown = cut.split([part.shape[1] for part in parts], 1)
        labels[unknown[:, 0] > 0.5] = UNKNOWN
        images = random_intensity(images, self.augmentation, self.generator)
        taught = (soft, self.soft_weights[index]) if soft.shape[1] else ()
        return images, (labels, self.weights[index], *taught, self.stacks.domain[index])

    def _two_phases(self, index: torch.Tensor) -> torch.Tensor:
        n = len(index)
        thick = self._chance(n, 0.3)
        steps = torch.where(thick, 2, 1) * torch.where(self._chance(n, 0.5), -1, 1)
        left_out = torch.where(thick, 0.25, 0.1)
        before, after = self._chance(n, left_out), self._chance(n, left_out)
        keep = torch.stack([~before, torch.ones_like(thick), ~after], 1)
        other = torch.where(self._chance(n, 0.15), index, self.stacks.opposite[index])
        return torch.cat([self.stacks.seen(which, steps, keep) for which in (index, other)], 1)

    def _styled(self, images: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Some of the images (B, 6, size, size) with the grey values, some with the shading, of other vendors'."""
        n = len(index)
        matched, shaded = self._chance(n, self.style.matched), self._chance(n, self.style.synthesised)
        for which in torch.nonzero(matched | shaded).flatten().tolist():
            choice = self.others[int(self.stacks.domain[index[which]])]
            count = len(choice) or len(self.stacks)
            drawn = torch.randint(count, (), device=self.device, generator=self.generator)
            other = self.stacks.images[choice[drawn] if len(choice) else drawn].float() / 255
            if matched[which]:
                images[which] = with_quantiles_of(images[which], other[None])
            if shaded[which]:
                inside = images[which] > 0
                styled = torch.stack([with_amplitude_of(image, other) for image in images[which]])
                images[which] = styled.clamp(0, 1) * inside
        return images

    def _window_centres(self, index: torch.Tensor) -> torch.Tensor:
        n, size = len(index), self.stacks.images.shape[-1]
        near = self.centres[index] + 20.0 * torch.randn(n, 2, device=self.device, generator=self.generator)
        anywhere = size * (0.2 + 0.6 * torch.rand(n, 2, device=self.device, generator=self.generator))
        return torch.where(self._chance(n, 0.2)[:, None], anywhere, near)

    def _chance(self, n: int, probability: float | torch.Tensor) -> torch.Tensor:
        return torch.rand(n, device=self.device, generator=self.generator) < probability
