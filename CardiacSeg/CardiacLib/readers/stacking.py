"""Stack parallel planes into one Cine: match frames by phase, fill missing slices, even out uneven gaps."""

from dataclasses import replace

import numpy as np
from scipy.ndimage import map_coordinates

from CardiacLib.errors import InputError
from CardiacLib.file_grid import FileGrid
from CardiacLib.progress import Progress, silent
from CardiacLib.types.cine import Cine
from CardiacLib.types.patient import Patient

from .planes import Plane, offset_along

EXACT_MM = 0.1
"""In-plane offsets below this are rounding and jitter of numbers in headers; above, the slice is resampled."""
EVEN_FRACTION = 0.01
"""Slice positions this close (in spacings) to an even grid count as on it."""


def stack(planes: list[Plane], view: str, source: str, progress: Progress = silent) -> Cine:
    """One Cine from parallel planes, one per position.

    Slices are sorted along the normal of the planes (i x j), so the matrix is right-handed. Frames are
    matched by phase of the heart beat: one to one where all planes have equally many, else by periodic linear
    interpolation over the normalised RR interval. Frame times are the means over the planes.

    Returns:
        Cine (T, K, J, I); notes tell each thing that is not as in the files.

    Raises:
        InputError: planes with different numbers of frames whose order is known but not their times.
    """
    reference = _reference(planes)
    order = sorted(planes, key=lambda p: offset_along(p, reference.normal))
    _require_times(order, source)
    notes = _notes(order)
    n_frames, times, phases = _common_phases(order, notes)
    slices, moved = [], []
    for number, plane in enumerate(order):
        progress(number / len(order), f"Reading slice {number + 1} of {len(order)}")
        frames = plane.load()
        if plane.n_frames != n_frames:
            frames = _at_phases(frames, plane, phases)
        on_grid = _on_grid_of(reference, plane, frames)
        if on_grid is not frames:
            moved.append(plane.name)
        slices.append(on_grid)
    if moved:
        notes.append(f"resampled in plane onto the grid of {reference.name}: {', '.join(moved)}")
    offsets = np.array([offset_along(p, reference.normal) for p in order])
    frames, first, step = _even(np.stack(slices, 1), offsets, notes)
    step = step or reference.thickness_mm
    matrix = reference.matrix.copy()
    matrix[:3, 3] += reference.normal * (first - offset_along(reference, reference.normal))
    matrix[:3, 2] = reference.normal * step
    progress(1.0, "Slices stacked")
    positions = first + step * np.arange(frames.shape[1])
    files = _files(order, offsets, positions, phases)
    times = times if all(plane.timed for plane in planes) else None
    grid = FileGrid(sized=all(plane.sized for plane in order))
    return Cine(frames, matrix, times, view, source, tuple(dict.fromkeys(notes)), _patient(order), files, grid)


def _require_times(planes: list[Plane], source: str) -> None:
    counts = sorted({plane.n_frames for plane in planes})
    guessed = [plane for plane in planes if plane.order and plane.n_frames > 1]
    if len(counts) > 1 and guessed:
        raise InputError(
            f"{source}: slices have {' or '.join(map(str, counts))} frames, and {guessed[0].name} has no trigger times "
            "that tell which belong together; export the study again."
        )


def _notes(planes: list[Plane]) -> list[str]:
    """What was assumed of the planes; a sentence that holds for all of them once."""
    sentences = dict.fromkeys(note for plane in planes for note in plane.notes)
    result = []
    for sentence in sentences:
        having = [plane for plane in planes if sentence in plane.notes]
        if 1 < len(having) == len(planes):
            result.append(f"all {len(planes)} slices: {sentence}")
        else:
            result += [f"{plane.name}: {sentence}" for plane in having]
    return result


def _reference(planes: list[Plane]) -> Plane:
    """The plane whose grid the stack takes: of the most common shape, and there the first along the normal."""
    shapes = [p.shape for p in planes]
    common = max(shapes, key=lambda s: (shapes.count(s), s))
    return next(p for p in planes if p.shape == common)


def _common_phases(planes: list[Plane], notes: list[str]) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of frames, their mean times in ms, and their phases in 0..1."""
    counts = [p.n_frames for p in planes]
    n_frames = max(counts, key=lambda c: (counts.count(c), c))
    usual = [p for p in planes if p.n_frames == n_frames]
    times = np.mean([p.times_ms for p in usual], axis=0)
    beats = [p.beat_or_estimate_ms() for p in usual]
    beat = float(np.mean(beats))
    phases = np.mean([p.times_ms / b if b else p.times_ms * 0 for p, b in zip(usual, beats, strict=True)], axis=0)
    if len(usual) < len(planes):
        others = ", ".join(f"{p.name} ({p.n_frames})" for p in planes if p.n_frames != n_frames)
        notes.append(f"resampled in time over the heart beat to {n_frames} frames: {others}")
    spread = max(beats) - min(beats)
    if beat and spread > 0.02 * beat and n_frames > 1 and all(plane.timed for plane in usual):
        notes.append(
            f"the RR interval differs between slices ({min(beats):.0f} to {max(beats):.0f} ms): "
            "frames are matched by phase, frame times are means"
        )
    return n_frames, times, phases


def _at_phases(frames: np.ndarray, plane: Plane, phases: np.ndarray) -> np.ndarray:
    """(T', J, I) frames at given phases, by periodic linear interpolation; a single frame is repeated."""
    if len(frames) == 1:
        return np.repeat(frames, len(phases), axis=0)
    own = (plane.times_ms - plane.times_ms[0]) / plane.beat_or_estimate_ms()
    first = plane.times_ms[0] / plane.beat_or_estimate_ms()
    knots = np.append(own, 1.0)
    wanted = np.mod(phases - first, 1.0)
    after = np.clip(np.searchsorted(knots, wanted, side="right"), 1, len(knots) - 1)
    width = np.maximum(knots[after] - knots[after - 1], 1e-9)
    weight = np.clip((wanted - knots[after - 1]) / width, 0.0, 1.0).astype(np.float32)[:, None, None]
    return frames[after - 1] * (1 - weight) + frames[after % len(frames)] * weight


def _files(planes: list[Plane], offsets: np.ndarray, positions: np.ndarray, phases: np.ndarray) -> tuple:
    """``Cine.files``: the plane that lies where the slice does, and of it the frame nearest in phase."""
    if not all(plane.files for plane in planes):
        return ()
    slices = []
    for position in positions:
        near = int(np.abs(offsets - position).argmin())
        if len(planes) > 1 and abs(offsets[near] - position) > EVEN_FRACTION * np.diff(offsets).min():
            slices.append([None] * len(phases))
            continue
        plane = planes[near]
        slices.append([plane.files[frame] for frame in _nearest_in_phase(plane, phases)])
    return tuple(zip(*slices, strict=True))


def _nearest_in_phase(plane: Plane, phases: np.ndarray) -> np.ndarray:
    """(T',) number of the plane's frame at each phase of the stack."""
    if plane.n_frames in (1, len(phases)):
        return np.arange(len(phases)) % plane.n_frames
    away = np.abs(phases[:, None] - plane.times_ms / plane.beat_or_estimate_ms()) % 1.0
    return np.minimum(away, 1.0 - away).argmin(1)


def _on_grid_of(reference: Plane, plane: Plane, frames: np.ndarray) -> np.ndarray:
    """Frames on the reference plane's pixels; the same object if they are there already."""
    n_j, n_i = reference.shape
    # Pixels are projected along the normal: the slice stays where it is, only its in-plane grid changes.
    to_plane = np.linalg.inv(plane.matrix) @ reference.matrix
    corners = np.array([[0, 0, 0, 1], [n_i - 1, 0, 0, 1], [0, n_j - 1, 0, 1]], float)
    where = (to_plane @ corners.T).T[:, :2]
    spacing = np.linalg.norm(plane.matrix[:3, :2], axis=0)
    if plane.shape == reference.shape and (np.abs(where - corners[:, :2]) * spacing).max() < EXACT_MM:
        return frames
    j, i = np.mgrid[:n_j, :n_i]
    coordinates = np.einsum("ab,bji->aji", to_plane[:2], np.stack([i, j, np.zeros_like(i), np.ones_like(i)]))
    # The outermost half pixel belongs to the image: rounding must not blacken a border row.
    size = np.array(plane.shape)[:, None, None]
    at = coordinates[::-1]
    at = np.where((at > -0.5) & (at < size - 0.5), np.clip(at, 0, size - 1), at)
    return np.stack([map_coordinates(f, at, order=1, mode="constant", cval=0.0) for f in frames]).astype(np.float32)


def _even(frames: np.ndarray, offsets: np.ndarray, notes: list[str]) -> tuple[np.ndarray, float, float]:
    """Frames (T, K, J, I) on evenly spaced slices, offset of the first and spacing in mm (0 if there is one)."""
    n = len(offsets)
    if n == 1:
        return frames, float(offsets[0]), 0.0
    gaps = np.diff(offsets)
    usual = float(np.median(gaps)) if n > 3 else float(gaps.min())
    counts = np.maximum(np.round(gaps / usual), 1).astype(int)
    index = np.concatenate([[0], np.cumsum(counts)])
    step, first = np.polyfit(index, offsets, 1)
    on_grid = np.abs(first + step * index - offsets).max() <= EVEN_FRACTION * step
    if on_grid and (counts == 1).all():
        return frames, float(first), float(step)
    if on_grid:
        missing = sorted(set(range(index[-1] + 1)) - set(index.tolist()))
        notes.append(
            f"missing slices filled by interpolation between their neighbours (slice spacing {step:.2f} mm): "
            f"slice index {', '.join(map(str, missing))} of {index[-1] + 1}"
        )
        wanted = first + step * np.arange(index[-1] + 1)
    else:
        n_even = round((offsets[-1] - offsets[0]) / usual) + 1
        wanted = np.linspace(offsets[0], offsets[-1], n_even)
        first, step = wanted[0], wanted[1] - wanted[0]
        notes.append(
            f"uneven slice gaps ({gaps.min():.2f} to {gaps.max():.2f} mm) were resampled to {n_even} slices "
            f"{step:.2f} mm apart"
        )
    return _interpolate_slices(frames, offsets, wanted), float(first), float(step)


def _interpolate_slices(frames: np.ndarray, offsets: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(offsets, wanted), 1, len(offsets) - 1)
    weight = np.clip((wanted - offsets[after - 1]) / (offsets[after] - offsets[after - 1]), 0.0, 1.0)
    # Slices that were acquired stay exactly as they are.
    near = np.abs(wanted[:, None] - offsets[None]).argmin(1)
    acquired = np.abs(wanted - offsets[near]) < EVEN_FRACTION * np.diff(offsets).min()
    out = np.empty((len(frames), len(wanted), *frames.shape[2:]), np.float32)
    for k, (b, w) in enumerate(zip(after, weight, strict=True)):
        out[:, k] = frames[:, near[k]] if acquired[k] else frames[:, b - 1] * (1 - w) + frames[:, b] * w
    return out


def _patient(planes: list[Plane]) -> Patient:
    """Facts of the planes merged; the heart rate of the stack is the mean over its planes."""
    merged = Patient()
    for plane in planes:
        merged = merged.completed_by(plane.patient)
    rates = [p.patient.heart_rate_bpm for p in planes if p.patient.heart_rate_bpm is not None]
    if not rates:
        return merged
    return replace(merged, heart_rate_bpm=float(60000.0 / np.mean([60000.0 / rate for rate in rates])))
