"""Whether images look like those that a network learned from: contrasts, noise and sharpness of the heart it labelled.

Confidence is fitted on cines; on late enhancement, maps or spoilt images a network may be sure and wrong. Seven numbers
of a heart are compared with those of the training images by their Mahalanobis distance (Lee et al., NeurIPS 2018, take
it in feature space for the same end).
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from CardiacLib.errors import InputError
from CardiacLib.files import write_json
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.segmentation import SliceStatistics

from .confidence import expected_dice, logit, weights_sha256
from .flags import Flag

UNLIKE = "unlike_training"
"""Code of the flag."""
FILE = "appearance.json"
"""In the bundle's ``configs``."""
FEATURES = {
    "contrast": ("blood and muscle differ less", "blood and muscle differ much"),
    "muscle_to_blood": ("muscle is darker", "muscle is brighter"),
    "rv_to_lv": ("blood of the RV is darker than that of the LV", "blood of the RV is brighter than that of the LV"),
    "fine_to_coarse": ("edges are blurred", "there is more noise"),
    "bright_share": ("the body round the heart is darker", "the body round the heart is brighter"),
    "entropy": ("the network is surer", "the network is less sure"),
    "expected_dice": ("the network is less sure", "the network is surer"),
}
"""Name of each number, and what it means when it is low and when it is high, against the training images."""
MOST_FRAMES = 6
"""Frames of a cine that are looked at, spread over the cycle."""
QUANTILE = 0.98
"""Of the training images' own distances: the limit, and beyond which a second fit leaves images out."""
FINE, COARSE = 0.7, 3.0
"""Standard deviations in pixels of the blurs that part fine from coarse structure."""
SHRINKAGE = 0.05
"""Share of the diagonal in the covariance."""
LEAST_PIXELS = 30
ENOUGH = 4.0
"""Contrast, in standard deviations within blood and muscle, beyond which more of it is no worry."""


@dataclass(frozen=True)
class Appearance:
    """What the training images look like.

    Attributes:
        mean: (7,) of FEATURES.
        precision: (7, 7) inverse of their covariance.
        limit: distance beyond which images are called unlike.
    """

    mean: np.ndarray
    precision: np.ndarray
    limit: float

    @classmethod
    def of(cls, features: np.ndarray) -> "Appearance":
        """Of the numbers (N, 7) of N hearts, none of them missing."""
        first = cls._of_all(features)
        return cls._of_all(features[first._distances(features) <= first.limit])._limited(features)

    @classmethod
    def _of_all(cls, features: np.ndarray) -> "Appearance":
        covariance = np.cov(features.T)
        covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance))
        return cls(features.mean(0), np.linalg.inv(covariance), 0.0)._limited(features)

    def _limited(self, features: np.ndarray) -> "Appearance":
        return replace(self, limit=float(np.quantile(self._distances(features), QUANTILE)))

    def _distances(self, features: np.ndarray) -> np.ndarray:
        return np.array([self.distance(row) for row in features])

    def distance(self, features: np.ndarray) -> float:
        """Mahalanobis distance of the numbers (7,) of one heart; those that are missing (NaN) count as usual."""
        off = np.nan_to_num(features - self.mean)
        return float(np.sqrt(off @ self.precision @ off))

    def flags(self, features: np.ndarray) -> list[Flag]:
        """A warning where a heart (7,) is unlike the training images, with what is most unusual about it."""
        distance = self.distance(features)
        if distance <= self.limit:
            return []
        spread = np.sqrt(np.diag(np.linalg.inv(self.precision)))
        off = np.nan_to_num((features - self.mean) / spread)
        oddest = int(np.abs(off).argmax())
        meaning = list(FEATURES.values())[oddest][int(off[oddest] > 0)]
        return [
            Flag(
                UNLIKE,
                "warning",
                f"These images are unlike those that the network learned from (distance {distance:.1f}, limit "
                f"{self.limit:.1f}): {meaning}.",
            )
        ]

    def write(self, folder: Path, fitted_on: str, hearts: int) -> None:
        """Keep it in a bundle."""
        content = {
            "about": "Numbers of the training images; made by 'cineheart calibrate --appearance'.",
            "features": list(FEATURES),
            "mean": [round(float(value), 6) for value in self.mean],
            "precision": [[round(float(value), 6) for value in row] for row in self.precision],
            "limit": round(self.limit, 3),
            "fitted_on": fitted_on,
            "hearts": hearts,
            "weights_sha256": weights_sha256(folder),
        }
        write_json(folder / "configs" / FILE, content)


def load_appearance(bundle: str | Path) -> Appearance | None:
    """What a bundle's training images look like; None where it does not say, or says it of other weights.

    Raises:
        InputError: the bundle does not exist, or its file cannot be read.
    """
    folder = bundle_path(str(bundle))
    path = folder / "configs" / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["features"] != list(FEATURES):
            raise ValueError("other features")
        found = Appearance(np.array(content["mean"]), np.array(content["precision"]), float(content["limit"]))
        return found if content["weights_sha256"] == weights_sha256(folder) else None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read; make it again with 'cineheart calibrate --appearance'.") from error


def appearance_features(cine: Cine, labels: LabelMap, statistics: SliceStatistics) -> np.ndarray:
    """The numbers (7,) of one heart, each the median over some frames; NaN where nothing tells them.

    Args:
        cine: short-axis stack.
        labels: that a network drew on it.
        statistics: of its probabilities.
    """
    chosen = np.unique(np.linspace(0, cine.n_frames - 1, min(cine.n_frames, MOST_FRAMES)).round().astype(int))
    looked = np.array([_looks(cine.frames[t].astype(np.float32), labels.labels[t]) for t in chosen])
    hard = statistics.hard[chosen].sum((1, 2))
    entropy = np.log(np.maximum(statistics.entropy[chosen].sum(1), 1e-3) / np.maximum(hard, 1.0))
    surely = logit(expected_dice(statistics)[chosen])
    known = np.isfinite(surely)
    expected = np.where(known.any(1), np.where(known, surely, 0).sum(1) / np.maximum(known.sum(1), 1), np.nan)
    rows = np.column_stack([looked, np.where(hard > 0, entropy, np.nan), expected])
    return np.array(
        [np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan for column in rows.T]
    )


def _looks(image: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Contrast, muscle to blood, RV to LV, fine to coarse and bright share of one frame (K, J, I)."""
    slices = ((labels == LV).any((1, 2)) & (labels == MYO).any((1, 2))).nonzero()[0]
    if not len(slices):
        return (np.nan,) * 5
    image, labels = image[slices], labels[slices]
    where = np.nonzero(labels.any(0))
    margin = [max(int(0.5 * (axis.max() - axis.min())), 4) for axis in where]
    box = tuple(slice(max(axis.min() - m, 0), axis.max() + m + 1) for axis, m in zip(where, margin, strict=True))
    image, labels = image[:, box[0], box[1]], labels[:, box[0], box[1]]
    image = image - min(float(image.min()), 0.0)
    blood, muscle, right = (image[labels == value] for value in (LV, MYO, RV))
    if min(len(blood), len(muscle)) < LEAST_PIXELS:
        return (np.nan,) * 5
    spread = np.sqrt((_spread(blood) ** 2 + _spread(muscle) ** 2) / 2)
    lit, dark = float(np.median(blood)), float(np.median(muscle))
    if not (lit > 0 and spread > 0):
        return (np.nan,) * 5
    fine = image - ndimage.gaussian_filter(image, (0, FINE, FINE))
    coarse = image - fine - ndimage.gaussian_filter(image, (0, COARSE, COARSE))
    outside = image[labels == 0]
    return (
        min((lit - dark) / spread, ENOUGH),
        dark / lit,
        float(np.median(right)) / lit if len(right) >= LEAST_PIXELS else np.nan,
        float(np.log(max(fine.std(), 1e-6) / max(coarse.std(), 1e-6))),
        float((outside > (lit + dark) / 2).mean()) if len(outside) else np.nan,
    )


def _spread(values: np.ndarray) -> float:
    """Robust standard deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
