"""What a landmark network gives, whichever network it is."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent
from CardiacLib.types.landmarks import LANDMARK_NAMES
from CardiacLib.types.values import job_value

DETECTED_VIEWS = ("2ch", "3ch", "4ch")
"""Views that a network tells apart, in the order of their probabilities."""
CONFIDENT = 0.5
"""Confidence below which a point is as likely wrong as right by the network's own word."""
NEAR_MM = 7.5
"""The distance that the confidence speaks of."""


@job_value
@dataclass(frozen=True)
class Detection:
    """What a network found in the frames of one cine, frame by frame.

    Attributes:
        points: float64 (T, 10, 2), row and column in pixels of the cine (pixel centres at whole numbers), in the order
            of LANDMARK_NAMES; NaN where a point was not found.
        confidence: float64 (T, 10), 0 to 1; of a point that was not found, the confidence that it would have had.
        views: float64 (3,), probability of each of DETECTED_VIEWS for the whole cine; NaN from networks that do not
            tell views apart.
    """

    points: np.ndarray
    confidence: np.ndarray
    views: np.ndarray

    def __post_init__(self):
        points, confidence, views = (np.asarray(v, np.float64) for v in (self.points, self.confidence, self.views))
        shape = (len(points), len(LANDMARK_NAMES))
        if points.shape != (*shape, 2) or confidence.shape != shape or views.shape != (len(DETECTED_VIEWS),):
            raise InputError(
                f"A detection is points (T, 10, 2), confidence (T, 10) and views (3,), got {points.shape}, "
                f"{confidence.shape} and {views.shape}."
            )
        for name, value in (("points", points), ("confidence", confidence), ("views", views)):
            object.__setattr__(self, name, value)


class Detector(Protocol):
    """A landmark network, loaded once.

    Attributes:
        bundle: name of its bundle.
        said: what runs it and why, a sentence.
    """

    bundle: str
    said: str

    def detect(
        self,
        frames: np.ndarray,
        spacing_mm: tuple[float, float],
        *,
        view: str | None = None,
        progress: Progress = silent,
    ) -> Detection:
        """Points of every frame of one long-axis cine.

        Args:
            frames: float32 (T, H, W), intensities as stored.
            spacing_mm: between rows and between columns.
            view: one of DETECTED_VIEWS if it is known: points of other views are then not looked for; None if it is
                not, and the network decides.
            progress: called with the fraction done; may raise ``Cancelled``.
        """
        ...
