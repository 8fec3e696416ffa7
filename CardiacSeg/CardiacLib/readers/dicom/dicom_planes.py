"""Turn DICOM frames into planes: group by place, split acquisitions, order in time."""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers.planes import PARALLEL_DEGREES, Plane, plane_matrix
from CardiacLib.readers.view.views import hint_of

from .headers import NO_GROUPS, FrameHeader, read_headers
from .order import KEYS, TRIGGER, Ordered, in_time, usable_keys
from .pixels import PixelLoader
from .places import acquisitions, by_plane, without_copies
from .studies import by_study, one_study


@dataclass(frozen=True, eq=False)
class _Pass:
    """Frames of one plane from one acquisition, not yet ordered.

    ``name`` is for messages, ``acquisition`` and ``acquired`` are those of Plane.
    """

    frames: list[FrameHeader]
    name: str
    acquisition: tuple = ()
    acquired: tuple = ()
    fault: str = ""

    @property
    def normal(self) -> np.ndarray:
        numbers = self.frames[0].geometry
        normal = np.cross(numbers[3:6], numbers[6:9])
        return normal / np.linalg.norm(normal)

    @property
    def beat_ms(self) -> float | None:
        beats = [frame.beat_ms for frame in self.frames if frame.beat_ms]
        return float(np.median(beats)) if beats else None


def read_dicom_planes(
    paths: list[Path], progress: Progress = silent, *, study_uid: str = ""
) -> tuple[list[Plane], list[str], bool]:
    """All cine planes of the DICOM MR files among ``paths``; pixels are read only to tell copies.

    Args:
        paths: of DICOM and other files.
        progress: told the fraction done; may raise Cancelled.
        study_uid: StudyInstanceUID of the study to take where there are several of one patient.

    Returns:
        planes, reasons for what was left out, and whether any DICOM image was found.

    Raises:
        InputError: a damaged file, images of another modality only (names it), cines of several studies, or multi-frame
            files without functional groups only.
    """
    headers, left_out = read_headers(paths, part(progress, 0.0, 0.9))
    usable = _mr_images(headers, left_out)
    _require_mr(headers)
    found = by_study(usable)
    for one in found:
        one.planes, one.left_out = _planes_of(one.frames)
    planes, more = one_study(found, study_uid)
    left_out += more
    _require_groups(paths, headers, left_out)
    progress(1.0, f"{len(planes)} planes found")
    return planes, left_out, bool(headers)


def _planes_of(frames: list[FrameHeader]) -> tuple[list[Plane], list[str]]:
    """The planes of the images of one study, and what was left out of them."""
    left_out: list[str] = []
    pixels = PixelLoader([frame for frame in frames if frame.inverted])
    frames, copies = without_copies(frames, pixels)
    if copies:
        left_out.append(f"{copies} copies of images that agree in place, time and pixels")
    shared = _shared_identifiers(frames)
    passes = _passes(by_plane(frames))
    planes = []
    for done, by in zip(passes, _keys(passes), strict=True):
        ordered = _ordered(done, by)
        if shared & {frame.uid for frame in ordered.frames}:
            note = "different images have the same SOPInstanceUID: all of them were used"
            ordered = replace(ordered, notes=(*ordered.notes, note))
        if ordered.left_out:
            left_out.append(f"{done.name}: {ordered.left_out} images of other heart beats (real time)")
        planes.append(_plane(done, ordered, pixels))
    return planes, left_out


def _require_groups(paths: list[Path], headers: list[FrameHeader], left_out: list[str]) -> None:
    """Raise InputError where all there is are multi-frame files that say nothing of their frames."""
    ungrouped = [sentence for sentence in left_out if sentence.endswith(NO_GROUPS)]
    if ungrouped and not headers:
        where = paths[0] if len(paths) == 1 else paths[0].parent
        raise InputError(
            f"{where}: {ungrouped[0]}; export the study again as enhanced MR, or as one file for each image."
        )


def _require_mr(headers: list[FrameHeader]) -> None:
    found = sorted({frame.modality for frame in headers})
    if headers and "MR" not in found:
        kinds = " and ".join(filter(None, found)) or "unknown"
        raise InputError(f"{headers[0].path.parent}: holds {kinds} images; CineHeart reads cine cardiac MR.")
    known = [frame.patient for frame in headers if frame.modality == "MR"]
    patients = {patient.id or (patient.name or "").strip("^ ").lower() for patient in known}
    if len(patients) > 1:
        raise InputError(f"{headers[0].path.parent}: images of {len(patients)} patients; give the folder of one study.")


def _mr_images(headers: list[FrameHeader], left_out: list[str]) -> list[FrameHeader]:
    """The frames that may belong to a cine; the others are listed once per series and reason."""
    usable, refused = [], defaultdict(int)
    for frame in headers:
        if frame.modality != "MR":
            refused[series_name(frame), f"{frame.modality or 'unknown'} images"] += 1
        elif frame.component != "M":
            refused[series_name(frame), f"{frame.component.lower()} images, not magnitude"] += 1
        elif frame.geometry is None:
            refused[series_name(frame), "images without position in space"] += 1
        elif frame.scaling[0] == 0.0:
            refused[series_name(frame), "images with a rescale slope of 0, which makes all pixels alike"] += 1
        else:
            usable.append(frame)
    left_out += [f"{name}: {count} {why}" for (name, why), count in refused.items()]
    return usable


def series_name(frame: FrameHeader) -> str:
    """How messages call a series: number, description, and folder or (for a multi-frame file) file."""
    place = frame.path.name if frame.index is not None else frame.path.parent.name
    text = f" '{frame.description}'" if frame.description else ""
    return f"series {frame.series_number}{text} ({place})"


def _shared_identifiers(frames: list[FrameHeader]) -> set[str]:
    """SOPInstanceUIDs that several images have."""
    counts = Counter((frame.uid, frame.index) for frame in frames)
    return {uid for (uid, _), count in counts.items() if count > 1}


def _passes(planes: list[list[FrameHeader]]) -> list[_Pass]:
    """The acquisitions of every plane, named, with what tells those of one series apart."""
    series: dict[str, list[list[FrameHeader]]] = defaultdict(list)
    for plane in planes:
        series[plane[0].series_uid].append(plane)
    result = []
    for uid, members in series.items():
        found: list[tuple[int, _Pass]] = []
        for plane in members:
            fault = _fault_of_all(plane)
            groups = [plane] if fault else acquisitions(plane)
            for number, group in enumerate(groups):
                more = f", acquisition {number + 1} of {len(groups)}" if len(groups) > 1 else ""
                found.append((number, _Pass(group, series_name(group[0]) + more, fault=fault)))
        labels = _labels([one.frames for _, one in found], [number for number, _ in found])
        for (number, one), label in zip(found, labels, strict=True):
            last = max(frame.instance or 0.0 for frame in one.frames)
            acquired = (*max(frame.acquired for frame in one.frames), float(number), last)
            acquisition = (uid if len(members) > 1 else "", label)
            result.append(replace(one, acquired=acquired, acquisition=acquisition))
    return result


def _labels(groups: list[list[FrameHeader]], numbers: list[int]) -> list[object]:
    """For the groups of frames of one series what is the same in all planes of one acquisition."""
    ways = (
        [_only({frame.acquisition for frame in group}) for group in groups],
        [max(frame.acquired[0] for frame in group) for group in groups],
    )
    for labels in ways:
        counts = Counter(labels)
        if None not in counts and len(counts) > 1 and 2 * len(counts) <= len(groups):
            return labels
    return list(numbers)


def _only(values: set) -> object:
    return next(iter(values)) if len(values) == 1 else None


def _fault_of_all(frames: list[FrameHeader]) -> str:
    """Why all images of one plane are no cine, however they are ordered."""
    triggers = {frame.trigger_ms for frame in frames}
    if len(frames) == 1:
        return "a single image, not a cine"
    if len(triggers) == 1 and next(iter(triggers)):
        return f"{len(frames)} images of the same phase (perfusion or mapping), not a cine"
    if len(triggers) == 1 and any(frame.volumetric for frame in frames):
        return f"{len(frames)} images of a 3-D volume, not a cine"
    if len(triggers) == 1 and any(frame.localizer for frame in frames):
        return f"{len(frames)} images of a localiser, not a cine"
    return ""


def _keys(passes: list[_Pass]) -> list[str]:
    """By what the frames of each pass are ordered: one key for all slices of a stack. Empty: by nothing."""
    stacks: list[list[int]] = []
    limit = np.cos(np.radians(PARALLEL_DEGREES))
    for index, one in enumerate(passes):
        kind = (one.frames[0].technique, one.frames[0].description, len(one.frames), bool(one.fault))
        for stack in stacks:
            first = passes[stack[0]]
            same = kind == (
                first.frames[0].technique, first.frames[0].description, len(first.frames), bool(first.fault)
            )  # fmt: skip
            if same and abs(float(first.normal @ one.normal)) > limit:
                stack.append(index)
                break
        else:
            stacks.append([index])
    result = [""] * len(passes)
    for stack in stacks:
        usable = [usable_keys(passes[index].frames) for index in stack]
        common = next((key for key in KEYS if all(key in keys for keys in usable)), "")
        for index, keys in zip(stack, usable, strict=True):
            # One slice that nothing orders spoils its stack: its neighbours' order may be as wrong.
            result[index] = common or (keys[0] if all(usable) else "")
    return result


def _ordered(one: _Pass, by: str) -> Ordered:
    if one.fault or len(one.frames) == 1:
        times = np.zeros(1) if len(one.frames) == 1 else None
        return Ordered(one.frames, by, times, fault=one.fault)
    if not by:
        fault = "images that no trigger time, acquisition time, content time or instance number orders"
        return Ordered(one.frames, by, None, fault=f"{len(one.frames)} {fault}")
    return in_time(one.frames, by, one.beat_ms)


def _plane(one: _Pass, ordered: Ordered, pixels: PixelLoader) -> Plane:
    frames, first = ordered.frames, ordered.frames[0]
    numbers = np.median([frame.geometry for frame in frames], axis=0)
    real_time = bool(ordered.fault and ordered.notes)
    single = len(frames) == 1 and not first.volumetric and not first.localizer

    def load() -> np.ndarray:
        if len(frames) > 1 and not ordered.by:
            raise InputError(f"{one.name}: holds {ordered.fault}; export the study again with one of them.")
        return pixels.load(frames)

    return Plane(
        matrix=plane_matrix(numbers[:3], numbers[3:6], numbers[6:9], numbers[9:]),
        shape=first.shape,
        times_ms=np.arange(len(frames), dtype=float) if ordered.times_ms is None else ordered.times_ms,
        timed=ordered.times_ms is not None,
        beat_ms=one.beat_ms,
        load=load,
        name=one.name,
        thickness_mm=first.thickness_mm,
        keys=(first.series_uid, first.description, str(first.series_number), first.path.parent.name, first.path.name),
        hint=hint_of(first.description, first.path.parent.name),
        technique=first.technique,
        acquired=one.acquired,
        acquisition=one.acquisition,
        order="" if ordered.by == TRIGGER else ordered.by,
        notes=ordered.notes,
        patient=first.patient,
        fault=ordered.fault,
        last_resort=single or real_time,
        files=tuple((str(frame.path), frame.index) for frame in frames),
    )
