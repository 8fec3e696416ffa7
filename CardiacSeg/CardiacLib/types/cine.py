"""The Cine: images of one view over one heart beat, on one grid."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.file_grid import USUAL_GRID, FileGrid
from CardiacLib.geometry import spacing_of, voxel_ml

from .patient import Patient
from .times import checked_times, times_at, times_at_rate
from .values import job_value

VIEWS = ("sax", "2ch", "3ch", "4ch", "other")


@job_value
@dataclass(frozen=True)
class Cine:
    """Frames of one view over the cardiac cycle.

    Attributes:
        frames: float32 (T, K, J, I); a single volume has T = 1, a single slice K = 1.
        ijk_to_lps: float64 (4, 4), voxel index (i, j, k, 1) at the voxel centre to LPS mm.
        times_ms: float64 (T,), time after the R wave (or after the first frame), not decreasing; None where the files
            give no time.
        view: one of VIEWS.
        source: path that it was read from, for messages and reports.
        notes: what the reader repaired, filled in or left out, one sentence each.
        patient: facts that the files gave.
        files: of a cine read from DICOM, T tuples of K entries: (path, number of the frame in a multi-frame file or
            None), or None for a slice that was interpolated. Empty for any other cine.
        grid: how the voxels lay in the file, and whether it gave their size.

    Example:
        >>> import numpy as np
        >>> frames = np.zeros((2, 3, 4, 5), np.float32)  # frame, slice, row, column
        >>> cine = Cine(frames, np.diag([1.5, 1.5, 8.0, 1.0]), times_ms=None, view="sax")
        >>> cine.n_frames, cine.n_slices, cine.spacing.tolist(), round(cine.voxel_ml, 3)
        (2, 3, [1.5, 1.5, 8.0], 0.018)
    """

    frames: np.ndarray
    ijk_to_lps: np.ndarray
    times_ms: np.ndarray | None
    view: str = "other"
    source: str = ""
    notes: tuple[str, ...] = ()
    patient: Patient = Patient()
    files: tuple[tuple[tuple[str, int | None] | None, ...], ...] = ()
    grid: FileGrid = USUAL_GRID

    def __post_init__(self) -> None:
        frames = np.asarray(self.frames, np.float32)
        matrix = np.asarray(self.ijk_to_lps, np.float64)
        where = self.source or "the cine"
        if frames.ndim != 4 or 0 in frames.shape:
            raise InputError(f"{where}: frames must be (T, K, J, I) without empty axes, got shape {frames.shape}.")
        if not np.isfinite(frames).all():
            raise InputError(f"{where}: contains NaN or infinite pixel values; export the images again without them.")
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
            raise InputError(f"{where}: the index-to-LPS matrix must be an invertible 4x4 matrix.")
        times = checked_times(self.times_ms, len(frames), where)
        if self.view not in VIEWS:
            raise InputError(f"{where}: unknown view '{self.view}', use one of {', '.join(VIEWS)}.")
        if self.files and [len(row) for row in self.files] != [frames.shape[1]] * len(frames):
            raise InputError(f"{where}: files must name one file for every frame and slice.")
        for name, value in (("frames", frames), ("ijk_to_lps", matrix), ("times_ms", times)):
            object.__setattr__(self, name, value)

    @property
    def n_frames(self) -> int:
        return self.frames.shape[0]

    @property
    def n_slices(self) -> int:
        return self.frames.shape[1]

    @property
    def spacing(self) -> np.ndarray:
        """(3,) mm between neighbouring voxel centres along i, j, k (slice gap included)."""
        return spacing_of(self.ijk_to_lps)

    @property
    def voxel_ml(self) -> float:
        """Volume that one voxel stands for, slice gap included, in ml."""
        return voxel_ml(self.ijk_to_lps)

    def only(self, frames: Sequence[int]) -> "Cine":
        """The cine of some of its frames."""
        chosen = list(frames)
        files = tuple(self.files[t] for t in chosen) if self.files else ()
        return replace(self, frames=self.frames[chosen], times_ms=times_at(self.times_ms, chosen), files=files)

    def at_rate(self, heart_rate_bpm: float | None) -> "Cine":
        """The cine itself or, if its files give no times and a heart rate is known, with frames even over one beat."""
        if heart_rate_bpm is None or self.times_ms is not None:
            return self
        return replace(self, times_ms=times_at_rate(self.n_frames, heart_rate_bpm))

    def with_changes(self, **changes: Any) -> "Cine":
        """A copy with some fields replaced; new frames come from no file unless ``files`` are given with them."""
        return replace(self, **({"files": ()} if "frames" in changes else {}) | changes)
