"""Find the valve points with the default network ``cineheart_lax_landmarks``: look at the whole image, then closely.

A few frames of the whole image on coarse pixels show where the valves are; a window on the network's own pixels,
one for the whole cine, then gives the points of every frame.
"""

import numpy as np

from CardiacLandmarksLib.train.examples import VIEWS
from CardiacLib.errors import InputError
from CardiacLib.networks.intensity import normalise
from CardiacLib.networks.opened import open_network
from CardiacLib.networks.sampling import sample
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import LANDMARK_BUNDLE, NetworkChoice
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS

from .decode import decode, log_probabilities, mean_outputs
from .detector import DETECTED_VIEWS, Detection

FOUND = 0.3
"""A point of less confidence is not found."""
LOOKS = 3
"""Frames that are looked at to find the valves."""
MIRRORED = ((), (-1,))
"""Axes along which the network sees every window flipped; its answers are averaged."""
UNLIKELY = 0.1
"""A given view of less probability is believed the less, the less probable it is."""


class HeatmapDetector:
    """The default network, loaded once; a :class:`~CardiacLandmarksLib.detect.detector.Detector`.

    The confidence of a point is the network's probability that it lies within ``decode.REACH_CELLS`` cells (7.5 mm) of
    where it is said to be. With no view given, only points of the likeliest view are found. Where the view is given, it
    is the probability under this condition: a network that doubts the view doubts its points just for that. But a view
    that it holds for impossible stays without points.

    Raises:
        InputError: bundle, weights, device or backend of the choice cannot be used.
    """

    def __init__(self, choice: NetworkChoice = NetworkChoice(LANDMARK_BUNDLE)):
        opened = open_network(choice)
        self.bundle, self.predictor, self.said = opened.name, opened.predictor, opened.said
        self.pixel_mm, self.window = float(opened.number("pixel_mm")), int(opened.number("window"))

    def detect(
        self,
        frames: np.ndarray,
        spacing_mm: tuple[float, float],
        *,
        view: str | None = None,
        progress: Progress = silent,
    ) -> Detection:
        """Points of every frame; see :class:`~CardiacLandmarksLib.detect.detector.Detector`."""
        if view is not None and view not in DETECTED_VIEWS:
            raise InputError(f"No view '{view}' has valve points; choose one of {', '.join(DETECTED_VIEWS)}.")
        progress(0.0, self.said)
        images = scaled(frames)
        spacing = np.asarray(spacing_mm, float)
        some = images[np.unique(np.linspace(0, len(images) - 1, LOOKS).round().astype(int))]
        centre = (np.array(images.shape[1:]) - 1) / 2
        whole = max(float((spacing * images.shape[1:]).max()) / self.window, self.pixel_mm)
        for pixel_mm in (whole, self.pixel_mm):
            points, confidence, views = self._look(some, centre, spacing, pixel_mm)
            views = mean_views(views)
            likeliest = DETECTED_VIEWS[int(views[: len(DETECTED_VIEWS)].argmax())]
            centre = _middle(points, of_view(confidence, views, view or likeliest), centre)
        points, confidence, views = self._look(images, centre, spacing, self.pixel_mm, MIRRORED, progress)
        views = mean_views(views)
        confidence = of_view(confidence, views, view)
        points[confidence < FOUND] = np.nan
        return Detection(points, confidence, views[: len(DETECTED_VIEWS)])

    def _look(self, images, centre, spacing, pixel_mm: float, flips=((),), progress: Progress = silent):
        """Points (T, 10, 2) in image pixels, confidence (T, 10) and log views (T, 4) in windows round ``centre``.

        Probabilities are averaged over sets of axes, ``flips``, to flip the windows along.
        """
        step = pixel_mm / spacing
        found: list[list] = [[], [], []]
        for start in range(0, len(images), self.predictor.batch):
            progress(start / len(images), f"finding valve points in frame {start + 1} of {len(images)}")
            cut = cut_windows(images[start : start + self.predictor.batch], centre, step, self.window)
            outputs = mean_outputs([np.flip(self.predictor(np.flip(cut, axes)), axes) for axes in flips])
            parts = (*decode(outputs), log_probabilities(outputs)[1])
            for values, more in zip(found, parts, strict=True):
                values.append(more.astype(np.float64))
        points, confidence, views = (np.concatenate(values) for values in found)
        points = centre + (points - (self.window - 1) / 2) * step
        outside = ((points < -0.5) | (points > np.array(images.shape[1:]) - 0.5)).any(-1)
        return points, np.where(outside, 0.0, confidence), views


def scaled(frames: np.ndarray) -> np.ndarray:
    """Float32 (T, H, W) in 0..1: intensities of the whole cine, as all networks see them.

    Raises:
        InputError: not three axes, or no frame.
    """
    frames = np.asarray(frames, np.float32)
    if frames.ndim != 3 or 0 in frames.shape:
        raise InputError(f"Frames must have shape (T, H, W), got {frames.shape}.")
    return normalise(frames)


def cut_windows(images: np.ndarray, centre: np.ndarray, step: np.ndarray, window: int) -> np.ndarray:
    """Float32 (T, 1, window, window) sampled round ``centre`` (row, column), ``step`` image pixels apart."""
    rows, columns = (c + s * (np.arange(window) - (window - 1) / 2) for c, s in zip(centre, step, strict=True))
    return sample(images, rows, columns, "zeros")[:, None]


def mean_views(views: np.ndarray) -> np.ndarray:
    """(4,) probability of each of VIEWS for a cine from its frames' logarithms (T, 4): their geometric mean."""
    mean = np.exp(views.mean(0))
    return mean / mean.sum()


def of_view(confidence: np.ndarray, views: np.ndarray, view: str | None) -> np.ndarray:
    """Confidence (T, 10) of the points of one view, 0 for those of others.

    Args:
        confidence: (T, 10), whatever the view.
        views: (4,) probability of each of VIEWS for the cine.
        view: given; None takes the likeliest.
    """
    wanted = view or VIEWS[int(views.argmax())]
    if view is not None:  # a point is there only in its view: P(there | view) = P(there) / P(view)
        likely = float(views[VIEWS.index(view)])
        confidence = np.minimum(confidence * min(1.0 / max(likely, UNLIKELY), likely / UNLIKELY**2), 1.0)
    return np.where([own == wanted for own in LANDMARK_VIEWS], confidence, 0.0)


def _middle(points: np.ndarray, confidence: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Middle of the sure points; ``otherwise`` where there are none."""
    sure = confidence >= FOUND
    medians = [np.median(points[sure[:, n], n], axis=0) for n in range(len(LANDMARK_NAMES)) if sure[:, n].any()]
    return np.mean(medians, axis=0) if medians else otherwise
