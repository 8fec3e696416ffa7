"""When the frames of a beat were recorded, which not all files say, and where they lie in the beat."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from CardiacLib.errors import InputError


class Timed(Protocol):
    """Frames over one beat: a cine, or what was found in one."""

    @property
    def times_ms(self) -> np.ndarray | None:
        """(T,) after the R wave, or after the first frame; None where the files give no time."""

    @property
    def n_frames(self) -> int:
        """T."""


def checked_times(times_ms: ArrayLike | None, n_frames: int, where: str) -> np.ndarray | None:
    """Times as float64 (T,), or None.

    Raises:
        InputError: there are more or fewer than frames.
    """
    if times_ms is None:
        return None
    times = np.asarray(times_ms, np.float64)
    if times.shape != (n_frames,):
        raise InputError(f"{where}: {n_frames} frames but {times.size} frame times.")
    return times


def times_at(times_ms: np.ndarray | None, frames: Sequence[int]) -> np.ndarray | None:
    """The times of some frames, None where there are none."""
    return None if times_ms is None else times_ms[list(frames)]


def beat_ms(frames: Timed) -> float:
    """Duration of the beat that T frames cover: T mean frame steps; 0 for one frame or frames without times."""
    times, count = frames.times_ms, frames.n_frames
    return 0.0 if times is None else float(times[-1] - times[0]) * count / max(count - 1, 1)


def frame_phases(frames: Timed) -> np.ndarray:
    """(T,) phase of each frame, 0 for the first, taking the frames to cover one whole beat evenly spaced on average.

    Of frames without times (none, or all equal), the number counts.
    """
    times, beat, count = frames.times_ms, beat_ms(frames), frames.n_frames
    return (times - times[0]) / beat if times is not None and beat > 0 else np.arange(count) / count


def times_at_rate(n_frames: int, heart_rate_bpm: float) -> np.ndarray:
    """(T,) ms of frames spread evenly over one beat."""
    return np.arange(n_frames) * 60000.0 / (heart_rate_bpm * n_frames)
