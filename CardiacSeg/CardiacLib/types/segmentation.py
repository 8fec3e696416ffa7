"""What a segmenter gives: labels of every frame and what the network's probabilities say about them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cine import Cine
from .labels import LV, MYO, RV, LabelMap
from .values import job_value

STRUCTURES = {"LV": LV, "MYO": MYO, "RV": RV}
"""Order of the structures in every statistic."""


@job_value
@dataclass(frozen=True)
class SliceStatistics:
    """Sums over the pixels of each slice of each frame, from the network's probabilities before any clean-up.

    Attributes:
        soft: float32 (T, K, 3) sum of the probability of LV, myocardium and RV, in pixels.
        hard: float32 (T, K, 3) number of pixels in which that structure is the likeliest.
        both: float32 (T, K, 3) sum of its probability over the pixels in which it is the likeliest.
        entropy: float32 (T, K) sum of the pixels' entropy in nats.
        spoilt: slices, counted from 0, whose image shows nothing that goes on from its neighbours: the network saw an
            interpolated one.
    """

    soft: np.ndarray
    hard: np.ndarray
    both: np.ndarray
    entropy: np.ndarray
    spoilt: tuple[int, ...] = ()


@job_value
@dataclass(frozen=True)
class ValveCut:
    """Labels that end at the valve planes.

    Attributes:
        labels: pixels whose centre lies beyond the plane of their valve are background.
        lv_ml, myo_ml, rv_ml: (T,) volumes with the slices that a plane crosses counted by fraction.
        notes: what was done, one sentence each.
        whole_ml: (T, 3) volumes of LV, myocardium and RV before, whole slices; None where nobody kept them.
    """

    labels: LabelMap
    lv_ml: np.ndarray
    myo_ml: np.ndarray
    rv_ml: np.ndarray
    notes: tuple[str, ...]
    whole_ml: np.ndarray | None = None


@job_value
@dataclass(frozen=True)
class Segmentation:
    """Labels of every frame of a cine.

    Attributes:
        labels: on the grid of the cine.
        statistics: of the network's probabilities, slice by slice; None where they are not finished.
        notes: what was done to the labels beyond the network, one sentence each.
        cut: volumes with the basal slices counted by fraction, where valve points were given.
        run_by: what ran the network and why, a sentence; empty where no network did.
    """

    labels: LabelMap
    statistics: SliceStatistics | None
    notes: tuple[str, ...] = ()
    cut: ValveCut | None = None
    run_by: str = ""


def labels_of_part(cine: Cine, frames: Sequence[np.ndarray]) -> Segmentation:
    """The labels, uint8 (K, J, I) each, of the first frames of a cine; the others are empty, as a note says."""
    labels = np.zeros(cine.frames.shape, np.uint8)
    labels[: len(frames)] = frames
    note = f"{len(frames)} of {cine.n_frames} frames were labelled before the run was cancelled; the others are empty."
    return Segmentation(LabelMap.of(labels, cine), None, (note,))
