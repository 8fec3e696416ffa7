"""The ten valve points and their order (the order of the published ``valve_landmarks`` network)."""

from dataclasses import dataclass

import numpy as np

from .errors import InputError

LANDMARK_NAMES = (
    "mitral anterior 2CH",
    "mitral posterior 2CH",
    "mitral septal 3CH",
    "mitral free wall 3CH",
    "mitral septal 4CH",
    "mitral free wall 4CH",
    "aortic septal",
    "aortic free wall",
    "tricuspid septal",
    "tricuspid free wall",
)
LANDMARK_VIEWS = ("2ch", "2ch", "3ch", "3ch", "4ch", "4ch", "3ch", "3ch", "4ch", "4ch")


@dataclass(frozen=True)
class Landmarks:
    """Valve points over the cycle.

    Attributes:
        points: float64 (T, 10, 3) LPS mm in the order of LANDMARK_NAMES; NaN where a point was not seen.
        times_ms: float64 (T,).
    """

    points: np.ndarray
    times_ms: np.ndarray

    def __post_init__(self):
        points = np.asarray(self.points, np.float64)
        if points.ndim != 3 or points.shape[1:] != (len(LANDMARK_NAMES), 3):
            raise InputError(f"Landmarks must have shape (T, {len(LANDMARK_NAMES)}, 3), got {points.shape}.")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "times_ms", np.asarray(self.times_ms, np.float64))
