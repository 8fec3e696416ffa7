"""Label all frames of a short-axis cine on its own grid."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from CardiacLib.networks.backends.ahead import answers
from CardiacLib.networks.backends.predictor import Predictor
from CardiacLib.networks.intensity import intensity_limits, rescale
from CardiacLib.networks.opened import runner_of
from CardiacLib.networks.spoilt_slices import bridged, spoilt_slices
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import QUALITIES, NetworkChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap, likeliest
from CardiacLib.types.segmentation import Segmentation, SliceStatistics

from .postprocess import clean_frame
from .preprocess import NetworkGrid, Window, opposite_frames, pad_to_multiple, with_neighbours
from .slice_network import FLIPS, CineSegmenter, OnFrame, SliceNetwork, flipped_logits, mean_probabilities
from .statistics import joined_statistics, slice_statistics
from .temporal import settle

SCOUT_FRAMES = 2
"""Frames in which the heart is looked for, half a cycle apart."""
SCOUT_PIXEL_MM = 2.0
"""Side of the pixels in which it is looked for: half the work of 1.4 mm, and the window moves by 4 mm at most."""
MANY_SLICES = 8
"""Slices from which only every second one is looked through."""
MARGIN = 12
"""Network pixels between the heart and the border of its window."""


def segment_cine(cine: Cine, choice: NetworkChoice = NetworkChoice(), *, progress: Progress = silent) -> LabelMap:
    """Label LV blood pool, LV myocardium and RV blood pool in every frame.

    Args:
        cine: short-axis stack; any orientation, slice order, pixel size and number of slices.
        choice: network, and what runs it.
        progress: called with the fraction done; may raise ``Cancelled``.

    Returns:
        Labels on the grid of the cine.

    Raises:
        InputError: the view is a long-axis view, or bundle, device or backend cannot be used.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> phantom = make_phantom(PhantomOptions.small())
        >>> labels = segment_cine(phantom.cines["sax"].only([0]))
        >>> labels.labels.shape, labels.labels.dtype
        ((1, 13, 96, 96), dtype('uint8'))
        >>> bool(abs(labels.volume_ml(1)[0] / phantom.labels.volume_ml(1)[0] - 1) < 0.1)  # LV blood pool
        True
    """
    progress(0.0, "loading the network")
    return open_segmenter(choice).segment(cine, progress=part(progress, 0.05, 1.0)).labels


def open_segmenter(choice: NetworkChoice = NetworkChoice()) -> CineSegmenter:
    """The segmenter that a bundle asks for by ``runner`` in its ``metadata.json``.

    A bundle that asks for none is run as MONAI does it (:class:`~CardiacSegLib.segment.published.VolumeSegmenter`).

    Raises:
        InputError: bundle, weights, device or backend cannot be used.
    """
    return runner_of(choice, "CardiacSegLib", "CardiacSegLib.segment.published.VolumeSegmenter")(choice)


class Segmenter(SliceNetwork):
    """A short-axis network, loaded once.

    The network sees the heart twice: in a few frames of the whole field, to find it, and then in every frame in a
    window round it, of the size it was trained on. Its instance normalisation sees what the window holds: on the
    whole field, with more background, it draws the myocardium too thick.
    """

    def __init__(self, choice: NetworkChoice = NetworkChoice()):
        super().__init__(choice)
        self.pixel_mm = float(self.opened.number("pixel_mm"))
        self.window = int(self.opened.number("window"))

    def _segment(self, cine: Cine, progress: Progress, on_frame: OnFrame | None) -> Segmentation:
        spoilt = spoilt_slices(cine.frames, cine.spacing)
        seen = cine.with_changes(frames=bridged(cine.frames, spoilt))
        found = self.probabilities(seen, progress, on_frame)
        statistics = joined_statistics(found.statistics, spoilt=tuple(np.flatnonzero(spoilt).tolist()))
        notes = settle(found.probabilities, found.images)
        labels = np.stack([clean_frame(frame) for frame in found.labels()])
        progress(1.0, "labelled all frames")
        result = LabelMap.of(labels, cine)
        return Segmentation(labels=result, statistics=statistics, notes=notes)

    def probabilities(self, cine: Cine, progress: Progress = silent, on_frame: OnFrame | None = None) -> "Prediction":
        """The network's answer in every frame, in a window round the heart, which it finds itself."""
        frames, limits = cine.frames, intensity_limits(cine.frames)
        grid = NetworkGrid(frames.shape[2:], even_spacing(cine), self.pixel_mm)
        chosen = np.unique(np.arange(SCOUT_FRAMES) * cine.n_frames // SCOUT_FRAMES)
        every = 2 if frames.shape[1] >= MANY_SLICES else 1
        coarse = replace(grid, pixel_mm=max(SCOUT_PIXEL_MM, self.pixel_mm))
        look = Look(coarse, coarse.whole, limits, every=every)
        scout = predict(frames[chosen], look, self.predictor, progress=part(progress, 0.0, 0.1))
        seen = np.stack([likeliest(frame) for frame in scout.probabilities])
        window = heart_window(seen, self.window, grid.shape, coarse.pixel_mm / self.pixel_mm)
        progress(0.1, "heart found" if window else "no heart found, looking everywhere")
        look = Look(grid, window or grid.whole, limits, self.flips)
        return predict(frames, look, self.predictor, progress=part(progress, 0.1, 0.95), on_frame=on_frame)


def even_spacing(cine: Cine) -> tuple[float, float]:
    """Spacing along j and i in mm, rounded.

    DICOM and NIfTI round the same spacing differently, and the same study must give the same voxels. Thirds of a
    step, because no spacing that occurs (350/256, 1.4, ...) lies near such a limit.
    """
    return tuple((np.floor(cine.spacing[[1, 0]] * 1e4 + 1 / 3) / 1e4).tolist())


def heart_window(labels: np.ndarray, size: int, shape: tuple[int, int], scale: float = 1.0) -> Window | None:
    """Rows and columns of a window round the heart; None where nothing is labelled.

    Args:
        labels: uint8 (T, K, H, W) rough labels of the whole field.
        size: side of the window in network pixels; grows in steps of 16 until the heart fits with its margins.
        shape: rows and columns of the whole field in network pixels.
        scale: network pixels per pixel of the labels.
    """
    heart = np.stack([clean_frame(frame) for frame in labels]) > 0
    if not heart.any():
        return None
    window = []
    for axis, n in enumerate(shape):
        where = np.flatnonzero(heart.any((0, 1, 3 - axis))) * scale
        centre = (where[0] + where[-1]) / 2
        side = max(size, int(np.ceil((where[-1] - where[0] + 2 * MARGIN) / 16)) * 16)
        start = min(max(round(centre - side / 2), 0), max(n - side, 0))
        window.append(slice(start, min(start + side, n)))
    return tuple(window)


@dataclass(frozen=True)
class Look:
    """How the frames are shown to the network.

    Attributes:
        grid: of the frames.
        window: rows and columns in network pixels to look at.
        limits: intensities that become 0 and 1, :func:`~CardiacLib.networks.intensity.intensity_limits` of the cine.
        flips: sets of axes to flip the input along; probabilities are averaged over the sets.
        every: one in so many slices is labelled, the first and so on; all are seen, as their neighbours.
    """

    grid: NetworkGrid
    window: Window
    limits: tuple[float, float] = (0.0, 1.0)
    flips: tuple[tuple[int, ...], ...] = FLIPS[QUALITIES[0]]
    every: int = 1


@dataclass(frozen=True)
class Prediction:
    """What the network gave for every slice of every frame.

    Attributes:
        images: float32 (T, K, H, W), network pixels of the window, 0..1.
        probabilities: float32 (T, K, 4, H, W), the same pixels; fewer slices if not all were labelled.
        grid: of the images.
        window: rows and columns of network pixels that the probabilities cover; background outside.
        statistics: of every frame's probabilities.
    """

    images: np.ndarray
    probabilities: np.ndarray
    grid: NetworkGrid
    window: Window
    statistics: tuple[SliceStatistics, ...]

    def labels(self) -> np.ndarray:
        """Likeliest structure, uint8 (T, K, J, I) on the grid of the images."""
        return np.stack([self.grid.labels(frame, self.window) for frame in self.probabilities])


def predict(
    frames: np.ndarray,
    look: Look,
    predictor: Predictor,
    *,
    progress: Progress = silent,
    on_frame: OnFrame | None = None,
) -> Prediction:
    """The network's probabilities in every frame.

    Args:
        frames: float32 (T, K, J, I).
        look: how they are shown.
        predictor: float32 (B, 6, H, W), the neighbouring slices of a frame and of the frame most unlike it, to
            (B, 4, H, W) logits. From one frame alone nobody can tell the last basal slice of
            the ventricle at end-systole from an atrium; from two the movement of the base is seen.
        progress: called for every frame.
        on_frame: as of :meth:`~CardiacSegLib.segment.slice_network.CineSegmenter.segment`.
    """
    grid, window = look.grid, look.window
    (n_frames, n_slices), (rows, columns) = frames.shape[:2], (part.stop - part.start for part in window)
    seen = np.empty((n_frames, n_slices, rows, columns), np.float32)
    out = np.empty((n_frames, len(range(0, n_slices, look.every)), 4, rows, columns), np.float32)
    for t, frame in enumerate(frames):
        seen[t] = grid.from_images(rescale(frame, *look.limits), window)
    pieces = [slice(k, k + predictor.batch) for k in range(0, out.shape[1], predictor.batch)]

    def batches() -> Iterator[np.ndarray]:
        for t, other in enumerate(opposite_frames(seen)):
            progress(t / n_frames, f"labelling frame {t + 1} of {n_frames}")
            both = np.concatenate([with_neighbours(seen[which])[:: look.every] for which in (t, other)], 1)
            inputs = pad_to_multiple(both, 16)
            yield from (inputs[piece] for piece in pieces)

    statistics = []
    with closing(answers(partial(flipped_logits, predictor, flips=look.flips), batches())) as found:
        for t in range(n_frames):
            for piece in pieces:
                out[t, piece] = mean_probabilities(next(found), look.flips)[..., :rows, :columns]
            statistics.append(slice_statistics(out[t]))
            if on_frame is not None:
                on_frame(t, clean_frame(grid.labels(out[t], window)))
    return Prediction(seen, out, grid, window, tuple(statistics))
