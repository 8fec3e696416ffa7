"""Labelled slices of animals as a network of single slices sees them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from CardiacLib.datasets.mouse.hdf5 import Animal, read_animal
from CardiacLib.errors import InputError

from .greys import normalised

CLASSES = 3
TO_CLASS = np.array([0, 2, 1], np.uint8)
"""Class of each of CineHeart's labels 0 to 2, in the order of the published masks: background, myocardium, pool."""


@dataclass(frozen=True)
class LabelledSlices:
    """Slices of drawn frames.

    Attributes:
        images: uint8 (N, J, I), each slice from its darkest to its brightest pixel.
        classes: uint8 (N, J, I), classes of the network.
        animals: (N,) number of the animal.
        names: of the animals.
    """

    images: np.ndarray
    classes: np.ndarray
    animals: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of_files(cls, files: Sequence[Path]) -> "LabelledSlices":
        """All slices of the drawn frames of these files.

        Raises:
            InputError: a file cannot be used, has no drawn frame, or images of another size.
        """
        images, classes, animals, names = [], [], [], []
        for number, path in enumerate(files):
            animal = read_animal(path)
            frames, labels = drawn_frames(animal, path)
            if images and frames.shape[-2:] != images[0].shape[-2:]:
                raise InputError(
                    f"{path}: its images have {frames.shape[-2]} x {frames.shape[-1]} pixels, those before "
                    f"{images[0].shape[-2]} x {images[0].shape[-1]}; train on images of one size."
                )
            images.append(np.rint(255 * normalised(frames)).astype(np.uint8))
            classes.append(TO_CLASS[labels])
            animals.append(np.full(len(frames), number))
            names.append(animal.name)
        return cls(np.concatenate(images), np.concatenate(classes), np.concatenate(animals), tuple(names))


def drawn_frames(animal: Animal, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels (N, J, I) of the slices of an animal's drawn frames.

    Slices without any label within a frame that has some are background: they lie beyond the ventricle.
    """
    if animal.labels is None or not animal.drawn:
        raise InputError(f"{path}: has no labelled frame; a network cannot learn from it, so leave it out.")
    frames = list(animal.drawn)
    shape = animal.cine.frames.shape
    return (
        animal.cine.frames[frames].reshape(-1, *shape[2:]),
        animal.labels.labels[frames].reshape(-1, *shape[2:]),
    )


class SliceBatches:
    """Random batches for :class:`CardiacLib.training.engine.Trainer`, the same for the same seed.

    Args:
        slices: to draw from.
        transform: MONAI dictionary transform of ``image`` (1, J, I) in 0..1 and ``label`` (1, J, I); it may give a list
            of crops, of which the first is taken.
        size: of a batch. count: batches in an epoch; None shows each slice once.
        seed: of order and changes.
    """

    def __init__(self, slices: LabelledSlices, transform: Callable, size: int, count: int | None, seed: int):
        self.slices, self.transform, self.size = slices, transform, size
        self.count = count or max(len(slices.images) // size, 1)
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        total, wanted = len(self.slices.images), self.count * self.size
        rounds = -(-wanted // total)
        order = torch.cat([torch.randperm(total, generator=self.generator) for _ in range(rounds)])[:wanted]
        for chosen in order.split(self.size):
            self.transform.set_random_state(int(torch.randint(2**31, (1,), generator=self.generator)))
            pairs = [self._changed(int(n)) for n in chosen]
            yield torch.stack([p["image"] for p in pairs]), torch.stack([p["label"] for p in pairs])

    def _changed(self, n: int) -> dict[str, torch.Tensor]:
        image = torch.from_numpy(self.slices.images[n].astype(np.float32) / 255)[None]
        found = self.transform({"image": image, "label": torch.from_numpy(self.slices.classes[n].copy())[None]})
        found = found[0] if isinstance(found, list) else found
        return {name: torch.as_tensor(found[name]).float() for name in ("image", "label")}
