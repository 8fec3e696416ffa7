"""Smoothing over the cardiac cycle: truncated Fourier series that are periodic and zero in one frame."""

import numpy as np

from CardiacLib.errors import InputError

MOST_MISSING = 0.25
"""Share of the frames that may be filled in from the others."""


class Cycle:
    """The frames of one cycle, and the series that may be fitted to values in them."""

    def __init__(self, times_ms: np.ndarray | None, frame: int, usable: np.ndarray):
        """``times_ms`` (T,), or None; ``frame`` where all values are zero; ``usable`` bool (T,): frames with values.

        Raises:
            InputError: too few frames can be used.
        """
        self.frame, self.usable = frame, np.asarray(usable)
        times = np.zeros(len(self.usable)) if times_ms is None else np.asarray(times_ms, float)
        count, missing = len(times), int((~self.usable).sum())
        if missing > MOST_MISSING * count:
            raise InputError(
                f"The labels of {missing} of {count} frames cannot be used for a motion; check them, or mesh one frame."
            )
        length = (times[-1] - times[0]) * count / max(count - 1, 1)
        if length <= 0:
            times, length = np.arange(count, dtype=float), float(count)
        self.phase = 2.0 * np.pi * (times - times[0]) / length

    def smooth(self, values: np.ndarray, harmonics: int) -> np.ndarray:
        """(T, ...) least squares fit of at most ``harmonics`` to values (T, ...).

        Values of frames that cannot be used are first put between their neighbours'. Fewer than five frames are not
        smoothed.
        """
        values = self._filled(values)
        order = min(harmonics, (len(values) - 1) // 2)
        if order < 2:
            return values
        waves = self.phase[:, None] * np.arange(1, order + 1)
        basis = np.concatenate([np.cos(waves), np.sin(waves)], axis=1)
        basis -= basis[self.frame]
        flat = values.reshape(len(values), -1)
        return (basis @ np.linalg.pinv(basis) @ flat).reshape(values.shape)

    def _filled(self, values: np.ndarray) -> np.ndarray:
        """``values`` with those of unusable frames linear in time between the nearest usable ones, round the cycle."""
        filled, known = values.copy(), np.flatnonzero(self.usable)
        for t in np.flatnonzero(~self.usable):
            after = known[np.searchsorted(known, t) % len(known)]
            before = known[np.searchsorted(known, t) - 1]
            run, whole = ((self.phase[[t, after]] - self.phase[before]) % (2.0 * np.pi)).tolist()
            filled[t] = values[before] + run / whole * (values[after] - values[before])
        return filled
