"""Which DICOM frames lie on one plane, which are copies, and which belong to another acquisition of the plane."""

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from .headers import FrameHeader
from .pixels import PixelLoader

SAME_PLACE_MM = 0.2
"""Images whose centres differ by less lie on one plane: headers are rounded text, positions jitter."""
SAME_DIRECTION = 2e-3
"""Direction cosines, and pixel sizes as fractions, that differ by less are the same."""
PAUSE_S = 2.0
"""Between frames of one acquisition passes less time."""


def without_copies(frames: list[FrameHeader], pixels: PixelLoader) -> tuple[list[FrameHeader], int]:
    """The frames, each only once, and how many were copies: images that agree in place, time and pixels.

    Identifiers do not count: anonymisers give all files the same, and exports of one study new ones.
    """
    alike: dict[tuple, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        time = (frame.trigger_ms,) if frame.trigger_ms is not None else (frame.clocks, frame.temporal, frame.instance)
        alike[frame.technique, frame.shape, frame.geometry, frame.acquired[0], time].append(frame)
    copies: set[int] = set()
    for group in alike.values():
        seen: set[bytes] = set()
        for frame in group if len(group) > 1 else ():
            digest = pixels.digest(frame)
            if digest in seen:
                copies.add(id(frame))
            seen.add(digest)
    return [frame for frame in frames if id(frame) not in copies], len(copies)


def by_plane(frames: list[FrameHeader]) -> list[list[FrameHeader]]:
    """Frames of the same series on the same plane; single frames of several series on one plane come together."""
    series: dict[tuple, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        series[frame.series_uid, frame.series_number, frame.description].append(frame)
    planes = [plane for group in series.values() for plane in _by_place(group)]
    result = [plane for plane in planes if len(plane) > 1]
    for group in _by_place([plane[0] for plane in planes if len(plane) == 1]):
        # One series per frame: the frames of one plane differ in trigger time.
        if len({frame.trigger_ms for frame in group}) == len(group):
            result.append(group)
        else:
            result += [[frame] for frame in group]
    return result


def _by_place(frames: list[FrameHeader]) -> list[list[FrameHeader]]:
    places: dict[tuple, list[list[FrameHeader]]] = defaultdict(list)
    centers: dict[int, np.ndarray] = {}
    for frame in frames:
        centers[id(frame)] = _center(frame)
        groups = places[frame.technique, frame.shape]
        for group in groups:
            if np.abs(centers[id(group[0])] - centers[id(frame)]).max() < SAME_PLACE_MM and _turned(group[0], frame):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return [group for groups in places.values() for group in groups]


def _center(frame: FrameHeader) -> np.ndarray:
    numbers = np.array(frame.geometry)
    half = (np.array(frame.shape[::-1]) - 1) / 2
    return numbers[:3] + numbers[3:6] * half[0] * numbers[9] + numbers[6:9] * half[1] * numbers[10]


def _turned(first: FrameHeader, second: FrameHeader) -> bool:
    """Whether two frames have the same directions and pixel sizes."""
    a, b = np.array(first.geometry), np.array(second.geometry)
    directions = np.abs(a[3:9] - b[3:9]).max() < SAME_DIRECTION
    return bool(directions and (np.abs(a[9:] - b[9:]) < SAME_DIRECTION * a[9:]).all())


def acquisitions(frames: list[FrameHeader]) -> list[list[FrameHeader]]:
    """Frames of one plane split into complete passes over the beat, in the order they were taken.

    They are told by number of acquisition, else a pause, else the order of equal or rising trigger times.
    """
    ways: tuple[Callable[[list[FrameHeader]], list[list[FrameHeader]]], ...] = (
        lambda fs: _same(fs, lambda f: f.acquisition),
        lambda fs: _pauses(fs, lambda f: f.clocks[0]),
        lambda fs: _pauses(fs, lambda f: f.clocks[1]),
        lambda fs: _pauses(fs, lambda f: f.clocks[2]) if _triggers(fs) else [fs],
        _ranks,
        lambda fs: _same(fs, lambda f: f.beat_ms) if _triggers(fs) else [fs],
        _runs,
    )
    for way in ways:
        groups = way(frames)
        if 1 < len(groups) <= len(frames) / 2 and _cover_the_same(groups):
            return sorted([part for group in groups for part in acquisitions(group)], key=_taken)
    return [frames]


def _taken(frames: list[FrameHeader]) -> tuple:
    """When an acquisition ended; of those that do not say, anything that is the same in all slices."""
    last = max(frame.acquired for frame in frames), max(frame.instance or 0.0 for frame in frames)
    return *last, max(frame.beat_ms or 0.0 for frame in frames), min(frame.trigger_ms or 0.0 for frame in frames)


def _triggers(frames: list[FrameHeader]) -> list[float]:
    """Trigger times if all frames have one and they differ."""
    triggers = [frame.trigger_ms for frame in frames if frame.trigger_ms is not None]
    return triggers if len(triggers) == len(frames) and len(set(triggers)) > 1 else []


def _same(frames: list[FrameHeader], key: Callable[[FrameHeader], float | None]) -> list[list[FrameHeader]]:
    groups: dict[float | None, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return [frames] if None in groups else list(groups.values())


def _pauses(frames: list[FrameHeader], key: Callable[[FrameHeader], float | None]) -> list[list[FrameHeader]]:
    """Groups with pauses between them."""
    if any(key(frame) is None for frame in frames):
        return [frames]
    ordered = sorted(frames, key=lambda frame: key(frame) or 0.0)
    groups = [[ordered[0]]]
    for before, frame in pairwise(ordered):
        if (key(frame) or 0.0) - (key(before) or 0.0) > PAUSE_S:
            groups.append([])
        groups[-1].append(frame)
    return groups


def _ranks(frames: list[FrameHeader]) -> list[list[FrameHeader]]:
    """Every time occurs equally often: the first images of all times, the second, ..."""
    times: dict[float, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        time = frame.trigger_ms if frame.trigger_ms is not None else frame.temporal
        if time is None:
            return [frames]
        times[time].append(frame)
    counts = {len(group) for group in times.values()}
    ordered = [sorted(group, key=lambda f: (f.acquired, f.instance or 0.0)) for group in times.values()]
    if len(counts) > 1 or any(len({(f.acquired, f.instance) for f in group}) < len(group) for group in ordered):
        return [frames]
    return [list(group) for group in zip(*ordered, strict=True)]


def _runs(frames: list[FrameHeader]) -> list[list[FrameHeader]]:
    """In the order of instance numbers the trigger times rise, fall back, and rise again."""
    if not _triggers(frames) or len({frame.instance for frame in frames} - {None}) < len(frames):
        return [frames]
    ordered = sorted(frames, key=lambda frame: frame.instance or 0.0)
    groups = [[ordered[0]]]
    for before, frame in pairwise(ordered):
        if (frame.trigger_ms or 0.0) <= (before.trigger_ms or 0.0):
            groups.append([])
        groups[-1].append(frame)
    return groups if len(groups) <= len(frames) / 3 else [frames]


def _cover_the_same(groups: list[list[FrameHeader]]) -> bool:
    """Whether the groups lie over one another in the beat, and not one after the other."""
    triggers = [_triggers(group) for group in groups]
    if not all(len(group) == 1 or times for group, times in zip(groups, triggers, strict=True)):
        return not any(triggers)
    spans = [
        (min(times), max(times)) if times else (group[0].trigger_ms or 0.0,) * 2
        for group, times in zip(groups, triggers, strict=True)
    ]
    low, high = max(spans, key=lambda span: span[1] - span[0])
    return all(min(high, end) - max(low, start) >= 0.5 * (end - start) for start, end in spans)
