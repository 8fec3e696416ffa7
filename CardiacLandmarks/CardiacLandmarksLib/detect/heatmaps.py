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

from .beat import beat_places
from .decode import REACH_CELLS, STRIDE, VALVES, decode, log_probabilities, mean_outputs
from .detector import CONFIDENT, DETECTED_VIEWS, Detection
from .follow import FOLLOWED
from .trajectories import LEAST_SHARE

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

    A mitral or tricuspid point that was found in most frames of a beat, but of a valve that is doubtful in some, is
    placed by the whole beat (:func:`~CardiacLandmarksLib.detect.beat.beat_places`) in frames where its confidence is
    below ``CONFIDENT`` or that place lies farther than REACH_CELLS away; its confidence is then at least ``FOLLOWED``
    and at most ``CONFIDENT``.

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
            step = pixel_mm / spacing
            points, confidence, views = self._decoded(
                self._outputs(self._cut(some, centre, step)), centre, step, images
            )
            likeliest = DETECTED_VIEWS[int(views[: len(DETECTED_VIEWS)].argmax())]
            centre = _middle(points, of_view(confidence, views, view or likeliest), centre)
        windows = self._cut(images, centre, step)
        outputs = self._outputs(windows, MIRRORED, progress)
        points, confidence, views = self._decoded(outputs, centre, step, images)
        confidence = of_view(confidence, views, view)
        known, sure = (confidence >= FOUND).mean(0) >= LEAST_SHARE, (confidence >= CONFIDENT).all(0)
        doubtful = np.repeat([not sure[list(valve)].all() for valve in VALVES], 2)
        places, own = beat_places(outputs, windows[:, 0], known & doubtful)
        places, own = self._in_image(places, centre, step), of_view(own, views, view)
        off = np.linalg.norm((points - places) / step, axis=-1)
        doubted = ~(np.isnan(off) | _outside(places, images)) & (
            (confidence < CONFIDENT) | (off > REACH_CELLS * STRIDE)
        )
        points[doubted], confidence[doubted] = places[doubted], np.clip(own[doubted], FOLLOWED, CONFIDENT)
        points[confidence < FOUND] = np.nan
        return Detection(points, confidence, views[: len(DETECTED_VIEWS)])

    def _cut(self, images: np.ndarray, centre: np.ndarray, step: np.ndarray) -> np.ndarray:
        return cut_windows(images, centre, step, self.window)

    def _outputs(self, windows: np.ndarray, flips=((),), progress: Progress = silent) -> np.ndarray:
        """Outputs (T, CHANNELS, h, w) for windows (T, 1, H, W), their probabilities averaged over ``flips``, sets of
        axes to flip the windows along."""
        found = []
        for start in range(0, len(windows), self.predictor.batch):
            progress(start / len(windows), f"finding valve points in frame {start + 1} of {len(windows)}")
            some = windows[start : start + self.predictor.batch]
            found.append(mean_outputs([np.flip(self.predictor(np.flip(some, axes)), axes) for axes in flips]))
        return np.concatenate(found)

    def _decoded(self, outputs: np.ndarray, centre: np.ndarray, step: np.ndarray, images: np.ndarray):
        """Points (T, 10, 2) in image pixels, confidence (T, 10), and views (4,), from outputs for windows."""
        points, confidence = (values.astype(np.float64) for values in decode(outputs))
        points = self._in_image(points, centre, step)
        views = mean_views(log_probabilities(outputs)[1].astype(np.float64))
        return points, np.where(_outside(points, images), 0.0, confidence), views

    def _in_image(self, points: np.ndarray, centre: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Rows and columns of the image from those of a window round ``centre`` in steps of ``step`` pixels."""
        return centre + (points - (self.window - 1) / 2) * step


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


def _outside(points: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Whether rows and columns (..., 2) lie beyond images (T, H, W)."""
    return ((points < -0.5) | (points > np.array(images.shape[1:]) - 0.5)).any(-1)


def _middle(points: np.ndarray, confidence: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Middle of the sure points; ``otherwise`` where there are none."""
    sure = confidence >= FOUND
    medians = [np.median(points[sure[:, n], n], axis=0) for n in range(len(LANDMARK_NAMES)) if sure[:, n].any()]
    return np.mean(medians, axis=0) if medians else otherwise
