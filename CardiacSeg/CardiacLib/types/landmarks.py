"""The ten valve points and their order (the order of the published ``valve_landmarks`` network)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

from .times import checked_times, times_at
from .values import job_value

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
VALVE_COLOURS = {"mitral": (1.0, 0.3, 0.3), "aortic": (0.3, 0.75, 1.0), "tricuspid": (1.0, 0.82, 0.25)}
"""Valves, and the colour (red, green, blue, 0 to 1) in which each one's points are shown."""


def valve_points(valve: str) -> list[int]:
    """Indices of a valve's points in LANDMARK_NAMES."""
    return [n for n, name in enumerate(LANDMARK_NAMES) if name.startswith(valve)]


@job_value
@dataclass(frozen=True)
class Landmarks:
    """Valve points over the cycle.

    Attributes:
        points: float64 (T, 10, 3) LPS mm in the order of LANDMARK_NAMES; NaN where a point was not seen.
        times_ms: float64 (T,), as of the images; None where their files give no time.
        confidence: float64 (T, 10), 0 to 1; NaN where nobody said.
        notes: what the user should know, one sentence each.
    """

    points: np.ndarray
    times_ms: np.ndarray | None
    confidence: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        points = np.asarray(self.points, np.float64)
        if points.ndim != 3 or points.shape[1:] != (len(LANDMARK_NAMES), 3):
            raise InputError(f"Landmarks must have shape (T, {len(LANDMARK_NAMES)}, 3), got {points.shape}.")
        confidence = np.full(points.shape[:2], np.nan) if self.confidence is None else self.confidence
        if np.shape(confidence) != points.shape[:2]:
            raise InputError(
                f"Landmarks of {len(points)} frames need (T, {len(LANDMARK_NAMES)}) confidences, got "
                f"{np.shape(confidence)}."
            )
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "confidence", np.asarray(confidence, np.float64))
        object.__setattr__(self, "times_ms", checked_times(self.times_ms, len(points), "Landmarks"))

    @property
    def n_frames(self) -> int:
        return len(self.points)

    def only(self, frames: Sequence[int]) -> "Landmarks":
        """The points of some frames."""
        chosen = list(frames)
        times = times_at(self.times_ms, chosen)
        confidence = None if self.confidence is None else self.confidence[chosen]
        return replace(self, points=self.points[chosen], times_ms=times, confidence=confidence)


def read_landmarks(path: str | Path) -> Landmarks:
    """Read a ``landmarks.json`` (Docs/formats.md).

    Raises:
        InputError: the file is missing or is no such file.
    """
    try:
        frames = json.loads(Path(path).read_text(encoding="utf-8"))["frames"]
        if not frames:
            raise ValueError("no frames")
        points = np.full((len(frames), len(LANDMARK_NAMES), 3), np.nan)
        confidence = np.full(points.shape[:2], np.nan)
        for t, frame in enumerate(frames):
            for n, name in enumerate(LANDMARK_NAMES):
                if (entry := frame["points"].get(name)) is not None:
                    points[t, n] = entry["lps_mm"]
                    confidence[t, n] = np.nan if entry.get("confidence") is None else entry["confidence"]
        times = [frame["time_ms"] for frame in frames]
        return Landmarks(points, None if None in times else np.array(times, np.float64), confidence)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give the landmarks.json of this study."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is no landmarks.json of CineHeart; make one with 'cineheart landmarks'.") from error
