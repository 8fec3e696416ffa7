"""What all segmenters share: a bundle's slice network, loaded once, and how a cine is given to it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.networks.backends.predictor import Predictor
from CardiacLib.networks.opened import open_network
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import QUALITIES, NetworkChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.segmentation import Segmentation

from .valve_plane import cut_at_valve_plane

OnFrame = Callable[[int, np.ndarray], None]

Flips = tuple[tuple[int, ...], ...]
FLIPS = dict(zip(QUALITIES, (((),), ((), (-1,), (-2,), (-2, -1))), strict=True))
"""Axes along which the network sees the images flipped, by quality; its answers are averaged."""


class CineSegmenter(Protocol):
    """A network that labels short-axis cines, loaded once.

    Attributes:
        predictor: runs it; a caller whose memory is short may make its ``batch`` smaller.
    """

    predictor: Predictor

    def segment(
        self,
        cine: Cine,
        *,
        landmarks: Landmarks | None = None,
        progress: Progress = silent,
        on_frame: OnFrame | None = None,
    ) -> Segmentation:
        """Labels of a cine, and what the network's probabilities say about them.

        Args:
            cine: short-axis stack; any orientation, slice order, pixel size and number of slices.
            landmarks: valve points of the same frames; the ventricles then end at their planes.
            progress: called with the fraction done; may raise ``Cancelled``.
            on_frame: called with number and labels, uint8 (K, J, I), of each frame when the network has seen it, before
                anything that looks at the whole cycle.

        Raises:
            InputError: the view is a long-axis view, or the valve points are of another number of frames.
        """
        ...


class SliceNetwork:
    """A :class:`CineSegmenter`; subclasses say in ``_segment`` how a cine becomes the network's input.

    Raises:
        InputError: bundle, weights, device or backend of the choice cannot be used.
    """

    def __init__(self, choice: NetworkChoice):
        self.opened = open_network(choice)
        self.predictor, self.said = self.opened.predictor, self.opened.said
        self.flips = FLIPS[choice.quality]

    def segment(
        self,
        cine: Cine,
        *,
        landmarks: Landmarks | None = None,
        progress: Progress = silent,
        on_frame: OnFrame | None = None,
    ) -> Segmentation:
        """As of :class:`CineSegmenter`."""
        self._require_view(cine)
        progress(0.0, self.said)
        found = replace(self._segment(cine, progress, on_frame), run_by=self.said)
        if landmarks is None:
            return found
        cut = cut_at_valve_plane(found.labels, landmarks)
        return replace(found, labels=cut.labels, notes=(*found.notes, *cut.notes), cut=cut)

    def _require_view(self, cine: Cine) -> None:
        """Raise InputError for a view that the network does not label."""
        require_short_axis(cine)

    def _segment(self, cine: Cine, progress: Progress, on_frame: OnFrame | None) -> Segmentation:
        """What :meth:`segment` does before the valves."""
        raise NotImplementedError


def require_short_axis(cine: Cine) -> None:
    """Raise InputError for a long-axis view."""
    if cine.view not in ("sax", "other"):
        raise InputError(f"{cine.source}: is a {cine.view} view; the network labels short-axis stacks only.")


def flipped_mean(
    logits: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, flips: Flips = FLIPS[QUALITIES[0]]
) -> np.ndarray:
    """Probabilities (N, classes, H, W) of slices (N, C, H, W), averaged over sets of axes to flip them along.

    Args:
        logits: gives those of such slices.
        inputs: the slices.
        flips: sets of axes.
    """
    return mean_probabilities(flipped_logits(logits, inputs, flips), flips)


def flipped_logits(
    logits: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, flips: Flips = FLIPS[QUALITIES[0]]
) -> list[np.ndarray]:
    """Logits (N, classes, H, W) of slices (N, C, H, W), flipped along each set of axes."""
    return [logits(np.flip(inputs, axes)) for axes in flips]


def mean_probabilities(flipped: Sequence[np.ndarray], flips: Flips) -> np.ndarray:
    """Probabilities averaged over what :func:`flipped_logits` gives for sets of axes."""
    total = np.zeros((), np.float32)
    for answer, axes in zip(flipped, flips, strict=True):
        total = total + np.flip(softmax(answer), axes)
    return total / np.float32(len(flips))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, both float32 (N, classes, H, W)."""
    found = logits - logits.max(1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(1, keepdims=True)
    return found
