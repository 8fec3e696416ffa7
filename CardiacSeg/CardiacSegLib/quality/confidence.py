"""How right a segmentation probably is, from the network's own probabilities.

If the probabilities p were right, a structure drawn where it is the likeliest (mask M) would overlap the truth in
sum over M of p pixels, and the truth would have sum of p pixels: the Dice is about 2 sum_M p / (sum p + |M|). Networks
are surer than they are right, so that a monotone curve, fitted on patients whose truth is known, maps this expected
Dice to the Dice. The entropy and what rules find add nothing to it that could be told from chance
(Docs/QualityControl.md).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path, weights_path
from CardiacLib.types.segmentation import STRUCTURES, SliceStatistics

FILE = "quality.json"
"""In the bundle's ``configs``."""
EMPTY_SLICE = 0.01
"""A slice with less than this share of the fullest slice's heart has nothing to judge."""
_LIMIT = 1e-4


@dataclass(frozen=True)
class Calibration:
    """From expected to probable Dice: ``sigmoid(offset + slope * logit(expected))``, rising with the expected Dice.

    Attributes:
        offsets: of LV, myocardium and RV.
        slope: of all three, not negative.
        slice_offset, slice_slope: of the heart in one slice.
        warn_below, serious_below: probable Dice of a structure in a frame under which it is flagged.
        serious_below_unlike: the second of images unlike the training images, on which the curve was not fitted.
        calibrated: false for the identity, which takes the network's word.
        volume_share: of LV, myocardium and RV: one standard deviation of the volume over the volume in which labels of
            the probable Dice differ from the truth; None where that was not fitted.
    """

    offsets: tuple[float, float, float] = (0.0, 0.0, 0.0)
    slope: float = 1.0
    slice_offset: float = 0.0
    slice_slope: float = 1.0
    warn_below: float = 0.90
    serious_below: float = 0.80
    serious_below_unlike: float = 0.80
    calibrated: bool = False
    volume_share: tuple[float, ...] | None = None

    def dice(self, expected: np.ndarray) -> np.ndarray:
        """Probable Dice of (..., 3) expected Dice of LV, myocardium and RV; NaN stays NaN."""
        return sigmoid(np.asarray(self.offsets) + self.slope * logit(expected))

    def slice_dice(self, expected: np.ndarray) -> np.ndarray:
        """Probable Dice of the heart in slices, any shape; NaN stays NaN."""
        return sigmoid(self.slice_offset + self.slice_slope * logit(expected))


def expected_dice(statistics: SliceStatistics) -> np.ndarray:
    """(T, 3) Dice of LV, myocardium and RV in each frame that the probabilities promise; NaN where there is none."""
    soft, hard, both = (a.sum(1, dtype=np.float64) for a in (statistics.soft, statistics.hard, statistics.both))
    return _ratio(both, soft + hard, hard > 0)


def expected_slice_dice(statistics: SliceStatistics) -> np.ndarray:
    """(T, K) Dice of all structures together that the probabilities promise; NaN in slices without heart."""
    soft, hard, both = (a.sum(2, dtype=np.float64) for a in (statistics.soft, statistics.hard, statistics.both))
    heart = soft + hard
    return _ratio(both, heart, heart > EMPTY_SLICE * heart.max())


def _ratio(both: np.ndarray, total: np.ndarray, valid: np.ndarray) -> np.ndarray:
    return np.divide(2.0 * both, total, out=np.full(total.shape, np.nan), where=valid)


def logit(share: np.ndarray) -> np.ndarray:
    """Log odds, finite at 0 and 1."""
    share = np.clip(share, _LIMIT, 1.0 - _LIMIT)
    return np.log(share / (1.0 - share))


def sigmoid(value: np.ndarray) -> np.ndarray:
    """Inverse of :func:`logit`."""
    return 1.0 / (1.0 + np.exp(-np.asarray(value)))


def load_calibration(bundle: str | Path) -> tuple[Calibration, str]:
    """A bundle's calibration, and why it has none (the identity then stands in), or what is to be known of it, if any.

    Raises:
        InputError: the bundle does not exist, or its file cannot be read.
    """
    folder = bundle_path(str(bundle))
    path = folder / "configs" / FILE
    without = f"The confidence is the network's own opinion: {{}} ('cineheart calibrate {folder.name}' makes one)."
    if not path.is_file():
        return Calibration(), without.format(f"{folder.name} has no calibration")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        offsets = tuple(float(content["offsets"][name]) for name in STRUCTURES)
        names = ("slope", "slice_offset", "slice_slope", "warn_below", "serious_below")
        share = content.get("volume_share")
        share = None if share is None else tuple(float(share[name]) for name in STRUCTURES)
        single = {name: float(content[name]) for name in names}
        single["serious_below_unlike"] = float(content.get("serious_below_unlike", single["serious_below"]))
        found = Calibration(offsets, **single, calibrated=True, volume_share=share)
        weights, note = content["weights_sha256"], str(content.get("note", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no calibration; make it again with 'cineheart calibrate'.") from error
    if weights != weights_sha256(folder):
        return Calibration(), without.format(f"the calibration of {folder.name} belongs to other weights")
    return found, note


def weights_sha256(folder: Path) -> str:
    """Checksum of a bundle's weights, which a calibration is tied to."""
    return hashlib.sha256(weights_path(folder).read_bytes()).hexdigest()
