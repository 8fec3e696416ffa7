"""Find the valve points as the published bundle ``valve_landmarks`` does, in batches and in images of any size.

Images of the network's own size are given to it as the bundle's ``inference.json`` says: as stored, intensities of the
whole cine mapped to 0..1. The network says "not in this view" by a point near (0, 0).
Source: Kerfoot et al., STACOM 2020, doi 10.1007/978-3-030-68107-4_15, and the bundle in the MONAI model zoo.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from CardiacLib.networks.opened import open_network
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacLib.types.landmarks import LANDMARK_VIEWS

from .detector import DETECTED_VIEWS, Detection

SQUARE_PIXEL_MM = (1.0, 2.0)
"""Images with square pixels of such a side are not resampled; which side the network was trained on is not known."""
USUAL_PIXEL_MM = 1.4
"""Side to which other pixels are resampled."""
PRESENT_PIXELS = 32.0
"""Distance from (0, 0) beyond which a point counts as found for certain; absent ones were seen within 2 pixels."""


class PointDetector:
    """The published network, loaded once; a :class:`~CardiacLandmarksLib.detect.detector.Detector`.

    Raises:
        InputError: bundle, weights, device or backend of the choice cannot be used.
    """

    def __init__(self, choice: NetworkChoice):
        opened = open_network(choice, bfloat16=False)
        self.bundle, self.predictor, self.said = opened.name, opened.predictor, opened.said
        rows, columns = opened.setting("network_def", "in_shape")[1:]
        self.size = (int(rows), int(columns))

    def predict(self, images: np.ndarray, progress: Progress = silent) -> np.ndarray:
        """The network's own answer, batch by batch.

        Args:
            images: float32 (T, I, J) of the network's size, 0..1; axes in the order of a NIfTI image.
            progress: called with the fraction done.

        Returns:
            float32 (T, 2, 10), position along I and J in pixels; near (0, 0) for a point that is not in the view.
        """
        found = []
        batch = self.predictor.batch
        for start in range(0, len(images), batch):
            progress(start / len(images), f"finding valve points in frame {start + 1} of {len(images)}")
            found.append(self.predictor(images[start : start + batch, None]))
        return np.concatenate(found)

    def detect(
        self,
        frames: np.ndarray,
        spacing_mm: tuple[float, float],
        *,
        view: str | None = None,
        progress: Progress = silent,
    ) -> Detection:
        """Points of every frame; see :class:`~CardiacLandmarksLib.detect.detector.Detector`.

        The confidence is the distance of the network's answer from (0, 0), of PRESENT_PIXELS and more being 1.
        """
        progress(0.0, self.said)
        fit = Fit.of(frames.shape[1:], spacing_mm, self.size[::-1])
        answers = self.predict(np.ascontiguousarray(fit.apply(scale_series(frames)).transpose(0, 2, 1)), progress)
        points = answers[:, ::-1].transpose(0, 2, 1).astype(np.float64)  # (T, 10, 2), row and column
        confidence = np.clip(np.linalg.norm(points, axis=2) / PRESENT_PIXELS, 0.0, 1.0)
        points = fit.undo(points)
        outside = ((points < -0.5) | (points > np.array(frames.shape[1:]) - 0.5)).any(2)
        confidence[outside] = 0.0
        views = view_shares(confidence)
        if view is not None:
            confidence[:, [other != view for other in LANDMARK_VIEWS]] = 0.0
        points[confidence < 0.5] = np.nan
        return Detection(points, confidence, views)


def view_shares(confidence: np.ndarray) -> np.ndarray:
    """Share of each of DETECTED_VIEWS in the confidence (T, 10); NaN where there is none."""
    means = confidence.mean(0)
    shares = np.array(
        [np.mean([m for m, v in zip(means, LANDMARK_VIEWS, strict=True) if v == w]) for w in DETECTED_VIEWS]
    )
    return shares / shares.sum() if shares.sum() > 0 else np.full(len(shares), np.nan)


def scale_series(frames: np.ndarray) -> np.ndarray:
    """All frames mapped to 0..1 by their common least and greatest value, float32; zeros where these are equal."""
    frames = np.asarray(frames, np.float32)
    low, high = frames.min(), frames.max()
    return (frames - low) / (high - low) if high > low else np.zeros_like(frames)


@dataclass(frozen=True)
class Fit:
    """How images of one size are brought to the network's: resampled, then padded with zeros or cropped evenly.

    Attributes:
        shape: rows and columns of the images.
        resampled: rows and columns after resampling.
        size: rows and columns that the network takes.
    """

    shape: tuple[int, int]
    resampled: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def of(cls, shape, spacing_mm, size) -> "Fit":
        """The fit of images with a spacing between rows and columns in mm; none is needed at the network's own size."""
        shape, size = tuple(shape), tuple(size)
        low, high = SQUARE_PIXEL_MM
        square = abs(spacing_mm[0] / spacing_mm[1] - 1.0) < 0.01
        if shape == size or (square and low <= spacing_mm[0] <= high):
            return cls(shape, shape, size)
        resampled = (max(round(n * step / USUAL_PIXEL_MM), 1) for n, step in zip(shape, spacing_mm, strict=True))
        return cls(shape, tuple(resampled), size)

    @property
    def offset(self) -> np.ndarray:
        """(2,) rows and columns added before the image; negative where they are cropped."""
        return (np.array(self.size) - self.resampled) // 2

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Images (T, H, W) to (T, rows, columns) of the network."""
        if self.resampled != self.shape:
            images = _resampled(images, self.resampled)
        out = np.zeros((len(images), *self.size), np.float32)
        target, source = zip(
            *(_overlap(n, o, s) for n, o, s in zip(self.resampled, self.offset, self.size, strict=True)), strict=True
        )
        out[:, target[0], target[1]] = images[:, source[0], source[1]]
        return out

    def undo(self, points: np.ndarray) -> np.ndarray:
        """Rows and columns (..., 2) in the network's image to those in the images."""
        return (points - self.offset + 0.5) * (np.array(self.shape) / self.resampled) - 0.5


def _resampled(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Images (T, H, W) on ``shape`` pixels over the same field, bilinear, over as many pixels as one of them covers."""
    rows, columns = shape
    return np.stack([np.asarray(Image.fromarray(i).resize((columns, rows), Image.Resampling.BILINEAR)) for i in images])


def _overlap(length: int, offset: int, size: int) -> tuple[slice, slice]:
    """Where ``length`` pixels, moved by ``offset``, lie in ``size`` pixels, and which of them those are."""
    start, stop = max(offset, 0), min(offset + length, size)
    return slice(start, stop), slice(start - offset, stop - offset)
