"""Long-axis images with what is known of their ten points: the training arrays of the landmark network."""

from dataclasses import dataclass, fields

import numpy as np

VIEWS = ("2ch", "3ch", "4ch", "other")
"""What an image may show, in the order of the network's answers."""
UNKNOWN_VIEW = len(VIEWS)
"""The view of an image whose view nothing shall be learnt from."""
UNKNOWN, PRESENT, ABSENT = 0, 1, 2
"""State of a point: nothing known, in the image, not in the image."""
CANVAS = 256
"""Side of the square array that an image lies in, its first pixel at the first of the array."""


@dataclass(frozen=True)
class Examples:
    """Images and points.

    Attributes:
        images: uint8 (N, CANVAS, CANVAS), zero beyond the image.
        points: float32 (N, 10, 2) row and column in pixels; NaN where the state is not PRESENT.
        state: uint8 (N, 10).
        doubt: float32 (N, 10), probability that a point is not where it is said to be.
        view: uint8 (N,), index in VIEWS, or UNKNOWN_VIEW.
        pixel_mm: float32 (N,) side of a pixel.
        size: int32 (N, 2) rows and columns of each image.
    """

    images: np.ndarray
    points: np.ndarray
    state: np.ndarray
    doubt: np.ndarray
    view: np.ndarray
    pixel_mm: np.ndarray
    size: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def join(cls, parts) -> "Examples":
        """All examples of several, in their order."""
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})

    def where(self, chosen: np.ndarray) -> "Examples":
        """The examples at indices, or where a boolean (N,) is true."""
        return Examples(**{name: values[chosen] for name, values in self.to_dict().items()})

    def to_dict(self) -> dict[str, np.ndarray]:
        """The arrays by name, for ``numpy.savez``."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def centres(self) -> np.ndarray:
        """Float32 (N, 2): middle of the points in each image, of the image where it has none."""
        seen = (self.state == PRESENT)[..., None]
        count = np.maximum(seen.sum(1), 1)
        middle = np.where(seen, self.points, 0).sum(1) / count
        return np.where(seen.any(1), middle, (self.size - 1) / 2).astype(np.float32)


@dataclass(frozen=True)
class Cutouts:
    """Examples with what is needed to cut hearts out of them.

    Attributes:
        examples: N images.
        apex: float32 (N, 2) row and column of the LV cavity's apex; NaN where it is not in the image.
        cover: uint8 (N, CANVAS, CANVAS), 255 where a pixel is wholly heart (phantom) or LV cavity (real).
    """

    examples: Examples
    apex: np.ndarray
    cover: np.ndarray

    def __len__(self) -> int:
        return len(self.examples)

    def where(self, chosen: np.ndarray) -> "Cutouts":
        """Those at indices, or where a boolean (N,) is true."""
        return Cutouts(self.examples.where(chosen), self.apex[chosen], self.cover[chosen])

    @classmethod
    def join(cls, parts) -> "Cutouts":
        """All of several, in their order."""
        parts = list(parts)
        whole = Examples.join([part.examples for part in parts])
        return cls(whole, *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)[1:]))


def to_bytes(image: np.ndarray) -> np.ndarray:
    """An image (rows, columns, at most CANVAS) as uint8 on the canvas, 1st..99th percentile as 0..255."""
    low, high = np.percentile(image, (1, 99))
    scaled = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = np.rint(255 * scaled)
    return canvas
