"""What a segmenter gives: labels of every frame and what the network's probabilities say about them."""

from dataclasses import dataclass

import numpy as np

from CardiacLib.labels import LV, MYO, RV, LabelMap

from .valve_plane import ValveCut
from .ventricle_extent import VentricleExtent, ventricle_extent

STRUCTURES = {"LV": LV, "MYO": MYO, "RV": RV}
"""Order of the structures in every statistic."""


@dataclass(frozen=True)
class SliceStatistics:
    """Sums over the pixels of each slice of each frame, from the network's probabilities before any clean-up.

    Attributes:
        soft: float32 (T, K, 3) sum of the probability of LV, myocardium and RV, in pixels.
        hard: float32 (T, K, 3) number of pixels in which that structure is the likeliest.
        both: float32 (T, K, 3) sum of its probability over the pixels in which it is the likeliest.
        entropy: float32 (T, K) sum of the pixels' entropy in nats.
    """

    soft: np.ndarray
    hard: np.ndarray
    both: np.ndarray
    entropy: np.ndarray


@dataclass(frozen=True)
class Segmentation:
    """Labels of every frame of a cine.

    Attributes:
        labels: on the grid of the cine.
        statistics: of the network's probabilities, slice by slice.
        notes: what was done to the labels beyond the network, one sentence each.
        cut: volumes with the basal slices counted by fraction, where valve points were given.
    """

    labels: LabelMap
    statistics: SliceStatistics
    notes: tuple[str, ...] = ()
    cut: ValveCut | None = None

    @property
    def extent(self) -> VentricleExtent:
        """The slices that carry each structure in every frame."""
        return ventricle_extent(self.labels)
