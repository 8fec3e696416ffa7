"""What a file reader returns before it is known to be an image or a label map."""

from dataclasses import dataclass, field

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.file_grid import USUAL_GRID, FileGrid

PLAUSIBLE_BEAT_MS = (60.0, 4000.0)
"""From a mouse's heart beat to a slow human one; used to check units of frame times."""
NO_TIMES = "the file gives no frame times: no cardiac output, no rates, no velocities; --heart-rate tells them"


@dataclass(frozen=True)
class RawImage:
    """Voxels of one file on their own grid.

    Attributes:
        array: (T, K, J, I), the file's numbers after its own rescaling.
        ijk_to_lps: float64 (4, 4), orthogonal axes, voxel centre to LPS mm.
        times_ms: float64 (T,); None where the file gives no time.
        notes: what was repaired or assumed, one sentence each.
        segments: label value of the file -> facts about that segment (``.seg.nrrd`` only), see
            ``readers.labels.label_files``.
        grid: how the voxels lie in the file, and whether it gives their size.
        heart_rate_bpm: where the file states it beside its frame times.
    """

    array: np.ndarray
    ijk_to_lps: np.ndarray
    times_ms: np.ndarray | None
    notes: tuple[str, ...] = ()
    segments: tuple[dict[str, str], ...] = field(default_factory=tuple)
    grid: FileGrid = USUAL_GRID
    heart_rate_bpm: float | None = None


def even_times_ms(
    n_frames: int, step: float, unit_ms: float | None, offset: float = 0.0
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(T,) times from a file's constant time step, and notes.

    ``unit_ms`` is the length of the file's time unit in ms, None where the file does not say. A step that
    does not give a plausible heart beat in its own unit is tried in s and ms; if that fails too, there are no times.
    """
    if n_frames == 1:
        return np.zeros(1), ()
    low, high = PLAUSIBLE_BEAT_MS
    for unit in (unit_ms, 1000.0, 1.0):
        if unit is not None and low <= step * unit * n_frames <= high:
            note = () if unit == unit_ms else (f"frame step {step:g} was taken in {'s' if unit == 1000.0 else 'ms'}",)
            return offset * unit + step * unit * np.arange(n_frames), note
    return None, (NO_TIMES,)


def require_numbers(array: np.ndarray, path) -> None:
    """Raise InputError if the voxels are not plain numbers."""
    if array.dtype.kind not in "uif":
        raise InputError(f"{path}: voxels of type {array.dtype} cannot be read; save it as a grey-value image.")
