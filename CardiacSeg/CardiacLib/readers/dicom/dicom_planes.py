"""Turn DICOM frames into planes: group by geometry, order by trigger time."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers.planes import Plane, plane_matrix
from CardiacLib.readers.views import hint_of

from .headers import FrameHeader, read_headers
from .pixels import PixelLoader

GEOMETRY_DECIMALS = 2
"""Position in mm and direction cosines (times 100) are compared to this many decimals."""
MOST_BEATS = 1.6
"""Trigger times may run past the nominal RR interval (arrhythmia, prospective gating), but not over two beats."""


def read_dicom_planes(paths: list[Path], progress: Progress = silent) -> tuple[list[Plane], list[str], bool]:
    """All cine planes of the DICOM MR files among ``paths``; pixels are not read yet.

    Returns:
        planes, reasons for what was left out, and whether any DICOM image was found.

    Raises:
        InputError: a damaged file, or images of another modality only (names it).
    """
    headers, left_out = read_headers(paths, part(progress, 0.0, 0.9))
    usable = _mr_images(headers, left_out)
    _require_mr(headers)
    planes: list[Plane] = []
    pixels = PixelLoader()
    for frames in _by_plane(usable):
        ordered, notes = _in_time(frames)
        planes.append(_plane(ordered, notes, pixels))
    progress(1.0, f"{len(planes)} planes found")
    return planes, left_out, bool(headers)


def _require_mr(headers: list[FrameHeader]) -> None:
    found = sorted({frame.modality for frame in headers})
    if headers and "MR" not in found:
        kinds = " and ".join(found) or "unknown"
        raise InputError(f"{headers[0].path.parent}: holds {kinds} images; CineHeart reads cine cardiac MR.")
    patients = sorted({frame.patient.id or "" for frame in headers if frame.modality == "MR"})
    if len(patients) > 1:
        raise InputError(f"{headers[0].path.parent}: images of {len(patients)} patients; give the folder of one study.")


def _mr_images(headers: list[FrameHeader], left_out: list[str]) -> list[FrameHeader]:
    """The frames that may belong to a cine; the others are listed once per series and reason."""
    usable, refused = [], defaultdict(int)
    for frame in headers:
        if frame.modality != "MR":
            refused[series_name(frame), f"{frame.modality} images"] += 1
        elif frame.geometry is None:
            refused[series_name(frame), "images without position in space"] += 1
        elif frame.component != "M":
            refused[series_name(frame), f"{frame.component.lower()} images, not magnitude"] += 1
        else:
            usable.append(frame)
    left_out += [f"{name}: {count} {why}" for (name, why), count in refused.items()]
    return usable


def series_name(frame: FrameHeader) -> str:
    """How messages call a series: number, description, and folder or (for a multi-frame file) file."""
    place = frame.path.name if frame.index is not None else frame.path.parent.name
    text = f" '{frame.description}'" if frame.description else ""
    return f"series {frame.series_number}{text} ({place})"


def _by_plane(frames: list[FrameHeader]) -> list[list[FrameHeader]]:
    """Frames of the same series on the same plane; single frames of several series on one plane come together."""
    planes: dict[tuple, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        planes[(frame.series_uid, *_place(frame))].append(frame)
    singles: dict[tuple, list[FrameHeader]] = defaultdict(list)
    result = []
    for group in planes.values():
        if len(group) > 1:
            result.append(group)
        else:
            singles[_place(group[0])].append(group[0])
    for group in singles.values():
        # One series per frame: the frames of one plane differ in trigger time.
        if len({frame.trigger_ms for frame in group}) == len(group):
            result.append(group)
        else:
            result += [[frame] for frame in group]
    return result


def _place(frame: FrameHeader) -> tuple:
    numbers = np.array(frame.geometry)
    numbers[3:9] *= 100.0
    return (frame.technique, frame.shape, *np.round(numbers, GEOMETRY_DECIMALS).tolist())


def _in_time(frames: list[FrameHeader]) -> tuple[list[FrameHeader], list[str]]:
    """Frames by trigger time, else by instance number; one frame per time."""
    if len(frames) == 1:
        return frames, []
    triggers = [frame.trigger_ms for frame in frames]
    if None in triggers or len(set(triggers)) == 1:
        ordered = sorted(frames, key=lambda f: f.order)
        return ordered, ["no trigger times: frames are in the order of their instance numbers"]
    latest: dict[float, FrameHeader] = {}
    for frame in sorted(frames, key=lambda f: (f.acquired, f.order)):
        latest[frame.trigger_ms] = frame
    dropped = len(frames) - len(latest)
    notes = [f"{dropped} frames with a repeated trigger time were left out (the last was kept)"] if dropped else []
    return [latest[time] for time in sorted(latest)], notes


def _plane(frames: list[FrameHeader], notes: list[str], pixels: PixelLoader) -> Plane:
    first = frames[0]
    numbers = first.geometry
    beats = [frame.beat_ms for frame in frames if frame.beat_ms]
    beat = float(np.median(beats)) if beats else None
    times, time_notes = _times(frames, beat)
    return Plane(
        matrix=plane_matrix(numbers[:3], numbers[3:6], numbers[6:9], numbers[9:]),
        shape=first.shape,
        times_ms=times,
        beat_ms=beat,
        load=lambda: pixels.load(frames),
        name=series_name(first),
        thickness_mm=first.thickness_mm,
        keys=(first.series_uid, first.description, str(first.series_number), first.path.parent.name, first.path.name),
        hint=hint_of(first.description, first.path.parent.name),
        technique=first.technique,
        acquired=max(frame.acquired for frame in frames),
        notes=tuple(notes + time_notes),
        patient=first.patient,
        fault=_fault(frames, beat),
        files=tuple((str(frame.path), frame.index) for frame in frames),
    )


def _fault(frames: list[FrameHeader], beat: float | None) -> str:
    triggers = [frame.trigger_ms for frame in frames if frame.trigger_ms is not None]
    if len(frames) == 1:
        return "a single image, not a cine"
    if len(set(triggers)) == 1 and triggers[0] > 0:
        return f"{len(frames)} images of the same phase (perfusion or mapping), not a cine"
    if triggers and beat and max(triggers) - min(triggers) > MOST_BEATS * beat:
        return f"{len(frames)} images over more than one heart beat (real time), not a gated cine"
    return ""


def _times(frames: list[FrameHeader], beat: float | None) -> tuple[np.ndarray, list[str]]:
    triggers = [frame.trigger_ms for frame in frames]
    if None not in triggers and len(set(triggers)) == len(triggers):
        return np.array(triggers, float), []
    if len(frames) == 1:
        return np.zeros(1), []
    if beat:
        return np.arange(len(frames)) * beat / len(frames), ["frame times spread evenly over the RR interval"]
    return np.arange(len(frames)) * 1000.0 / len(frames), ["no RR interval: frames spread evenly over 1000 ms"]
