"""Find the valve points with the default network ``cineheart_lax_landmarks``: look at the whole image, then closely.

A few frames of the whole image on coarse pixels show where the valves are; a window on the network's own pixels,
one for the whole cine, then gives the points of every frame. Every other frame is seen mirrored, and a frame whose
points are not all sure both ways.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from CardiacLandmarksLib.train.examples import VIEWS
from CardiacLib.errors import InputError
from CardiacLib.networks.backends.ahead import answers
from CardiacLib.networks.intensity import normalise
from CardiacLib.networks.opened import open_network
from CardiacLib.networks.sampling import sample
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.choices import LANDMARK_BUNDLE, NetworkChoice
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS

from .beat import beat_places
from .decode import REACH_CELLS, STRIDE, VALVES, decode, log_views, mean_outputs
from .detector import CONFIDENT, DETECTED_VIEWS, Detection
from .follow import FOLLOWED
from .trajectories import LEAST_SHARE

FOUND = 0.3
"""A point of less confidence is not found."""
LOOKS = 3
"""Frames that are looked at to find the valves."""
SURE = 0.7
"""A frame with a point of less confidence is seen a second time, mirrored; the answers are averaged."""
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
            place = Place(centre, pixel_mm / spacing, self.window)
            _, (points, confidence, views) = self._points(some, place)
            views = mean_views(views)
            likeliest = DETECTED_VIEWS[int(views[: len(DETECTED_VIEWS)].argmax())]
            centre = _middle(points, of_view(confidence, views, view or likeliest), centre)
        place = Place(centre, self.pixel_mm / spacing, self.window)
        outputs, (points, confidence, views) = self._look(images, place, view, progress)
        views = mean_views(views)
        confidence = of_view(confidence, views, view)
        places, own = _by_the_beat(confidence, outputs, images, place)
        own, off = of_view(own, views, view), np.linalg.norm((points - places) / place.step, axis=-1)
        doubted = np.isfinite(off) & ((confidence < CONFIDENT) | (off > REACH_CELLS * STRIDE))
        points[doubted], confidence[doubted] = places[doubted], np.clip(own[doubted], FOLLOWED, CONFIDENT)
        points[confidence < FOUND] = np.nan
        return Detection(points, confidence, views[: len(DETECTED_VIEWS)])

    def _look(self, images, place: "Place", view: str | None, progress: Progress = silent, sure: float = SURE):
        """As :meth:`_points`, of every frame; of frames with a point less than ``sure`` the mean of both ways."""
        mirrored = np.arange(len(images)) % 2 == 1
        outputs, found = self._points(images, place, mirrored, part(progress, 0.0, 0.5))
        again = np.flatnonzero(_least_sure(*found[1:], view) < sure)
        if again.size:
            late = part(progress, 0.5, 1.0)
            outputs[again], both = self._points(images[again], place, ~mirrored[again], late, outputs[again])
            for values, better in zip(found, both, strict=True):
                values[again] = better
        return outputs, found

    def _points(
        self,
        images: np.ndarray,
        place: "Place",
        mirrored: np.ndarray | None = None,
        progress: Progress = silent,
        before: np.ndarray | None = None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """The network's outputs (T, CHANNELS, h, w) in the windows of a place, and their points (:meth:`Place.points`).

        Of the frames that ``mirrored`` (T,) names it sees the mirror image; the outputs are flipped back. With outputs
        of ``before`` for the same windows, all is of the means of both.
        """
        flip = np.zeros(len(images), bool) if mirrored is None else mirrored
        pieces = [slice(start, start + self.predictor.batch) for start in range(0, len(images), self.predictor.batch)]

        def windows() -> Iterator[np.ndarray]:
            for piece in pieces:
                progress(piece.start / len(images), f"finding valve points in frame {piece.start + 1} of {len(images)}")
                yield _flipped(cut_windows(images[piece], place), flip[piece])

        outputs, found = [], []
        for piece, answer in zip(pieces, answers(self.predictor, windows()), strict=True):
            here = _flipped(answer, flip[piece])
            outputs.append(here if before is None else mean_outputs([before[piece], here]))
            found.append(place.points(outputs[-1], images.shape[1:]))
        return np.concatenate(outputs), tuple(np.concatenate(values) for values in zip(*found, strict=True))


@dataclass(frozen=True)
class Place:
    """Where a window lies in the images of a cine.

    Attributes:
        centre: row and column of its middle, in image pixels.
        step: image pixels between its pixels, along rows and columns.
        side: its pixels.
    """

    centre: np.ndarray
    step: np.ndarray
    side: int

    def points(self, outputs: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (T, 10, 2) in image pixels, confidence (T, 10) and log views (T, 4) of a network's outputs.

        Args:
            outputs: (T, CHANNELS, h, w) of windows that lie here.
            shape: rows and columns of the images; beyond them the confidence is 0.
        """
        points, confidence = (values.astype(np.float64) for values in decode(outputs))
        points = self.in_image(points)
        return points, np.where(_outside(points, shape), 0.0, confidence), log_views(outputs).astype(np.float64)

    def in_image(self, points: np.ndarray) -> np.ndarray:
        """Rows and columns (..., 2) of the image from those of the window."""
        return self.centre + (points - (self.side - 1) / 2) * self.step


def scaled(frames: np.ndarray) -> np.ndarray:
    """Float32 (T, H, W) in 0..1: intensities of the whole cine, as all networks see them.

    Raises:
        InputError: not three axes, or no frame.
    """
    frames = np.asarray(frames, np.float32)
    if frames.ndim != 3 or 0 in frames.shape:
        raise InputError(f"Frames must have shape (T, H, W), got {frames.shape}.")
    return normalise(frames)


def cut_windows(images: np.ndarray, place: Place) -> np.ndarray:
    """Float32 (T, 1, side, side), the windows of a place, of images (T, H, W)."""
    offsets = np.arange(place.side) - (place.side - 1) / 2
    rows, columns = (c + s * offsets for c, s in zip(place.centre, place.step, strict=True))
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


def _by_the_beat(confidence: np.ndarray, outputs: np.ndarray, images: np.ndarray, place: Place):
    """Places (T, 10, 2) in the images by the whole beat, and the probability (T, 10) that the network gives them.

    Of points that were found in most frames, but of a valve that is doubtful in some; NaN for others, and beyond the
    images.

    Args:
        confidence: (T, 10), of this view.
        outputs: (T, CHANNELS, h, w) in the windows of ``place``.
        images: (T, H, W).
        place: of the windows.
    """
    known, sure = (confidence >= FOUND).mean(0) >= LEAST_SHARE, (confidence >= CONFIDENT).all(0)
    wanted = known & np.repeat([not sure[list(valve)].all() for valve in VALVES], 2)
    if not wanted.any():
        return np.full((*confidence.shape, 2), np.nan), np.zeros(confidence.shape)
    found, own = beat_places(outputs, cut_windows(images, place)[:, 0], wanted)
    places = place.in_image(found)
    places[_outside(places, images.shape[1:])] = np.nan
    return places, own


def _outside(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Whether rows and columns (..., 2) lie beyond an image of this shape."""
    return ((points < -0.5) | (points > np.array(shape) - 0.5)).any(-1)


def _flipped(images: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Those of (T, ..., W) that ``which`` (T,) names with their columns in reverse order, in place."""
    images[which] = images[which, ..., ::-1].copy()
    return images


def _least_sure(confidence: np.ndarray, views: np.ndarray, view: str | None) -> np.ndarray:
    """(T,) confidence of the least sure point of the view, or of the likeliest; 0 where that has no points.

    Args:
        confidence: (T, 10), whatever the view.
        views: (T, 4), logarithms.
        view: given; None takes the likeliest.
    """
    mean = mean_views(views)
    own = [n for n, of in enumerate(LANDMARK_VIEWS) if of == (view or VIEWS[int(mean.argmax())])]
    return of_view(confidence, mean, view)[:, own].min(1) if own else np.zeros(len(confidence))


def _middle(points: np.ndarray, confidence: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Middle of the sure points; ``otherwise`` where there are none."""
    sure = confidence >= FOUND
    medians = [np.median(points[sure[:, n], n], axis=0) for n in range(len(LANDMARK_NAMES)) if sure[:, n].any()]
    return np.mean(medians, axis=0) if medians else otherwise
