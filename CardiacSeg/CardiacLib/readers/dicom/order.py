"""Order the frames of a plane in time, and say by what: never by the order of files."""

from dataclasses import dataclass

import numpy as np

from .headers import FrameHeader

KEYS = {
    "trigger times": lambda frame: frame.trigger_ms,
    "temporal positions": lambda frame: frame.temporal,
    "times of acquisition": lambda frame: frame.clocks[0],
    "acquisition times": lambda frame: frame.clocks[1],
    "content times": lambda frame: frame.clocks[2],
    "instance numbers": lambda frame: frame.instance,
}
"""What may order frames, the best first."""
TRIGGER = "trigger times"
MEASURED = ("times of acquisition", "acquisition times")
MOST_BEATS = 1.6
"""Times may run past the nominal RR interval (arrhythmia, prospective gating), but not over two beats."""
SHORTEST_SPAN = 0.5
"""Times of acquisition that span less of the beat were not measured frame by frame."""
BEAT_MS = (60.0, 2000.0)
"""RR intervals of hearts, from those of mice to 30 per minute: what times are compared to without an RR interval."""
LEAST_BEAT_FRAMES = 8
"""A beat cut out of a real-time series needs so many frames: with fewer its end-systole is missed."""
UNEVEN = 1 / 3
"""Steps between frames that are alternately shorter than the others by this much come of two acquisitions."""


@dataclass(frozen=True)
class Ordered:
    """Frames in the order of time.

    Attributes:
        frames: one acquisition, or one beat of it.
        by: one of KEYS.
        times_ms: (T,), or None where nothing tells them.
        notes: what was assumed, one sentence each.
        left_out: number of frames of other beats.
        fault: why the frames are no cine of one beat, empty if they are.
    """

    frames: list[FrameHeader]
    by: str
    times_ms: np.ndarray | None
    notes: tuple[str, ...] = ()
    left_out: int = 0
    fault: str = ""


def usable_keys(frames: list[FrameHeader]) -> list[str]:
    """What orders the frames: a value in each of them, all different."""
    found = []
    for name, key in KEYS.items():
        values = {key(frame) for frame in frames}
        if None not in values and len(values) == len(frames):
            found.append(name)
    return found


def in_time(frames: list[FrameHeader], by: str, beat_ms: float | None) -> Ordered:
    """Frames (at least 2) of one acquisition ordered by one of KEYS, with their times."""
    ordered = sorted(frames, key=lambda frame: KEYS[by](frame) or 0.0)
    values = np.array([KEYS[by](frame) for frame in ordered], float)
    if by == TRIGGER:
        return _of_trigger_times(ordered, values, beat_ms)
    note = f"no trigger times that order the frames: they are in the order of their {by}"
    if by in MEASURED:
        times = np.round((values - values[0]) * 1000.0, 3)
        span = times[-1] * len(times) / (len(times) - 1)
        low, high = (SHORTEST_SPAN * beat_ms, MOST_BEATS * beat_ms) if beat_ms else BEAT_MS
        if low <= span <= high:
            return Ordered(ordered, by, times, (f"{note}, which are their times too",))
        if beat_ms and span > high and len(times) * beat_ms / span >= LEAST_BEAT_FRAMES:
            return _one_beat(Ordered(ordered, by, times, (note,)), beat_ms)
    if beat_ms:
        times = np.arange(len(ordered)) * beat_ms / len(ordered)
        return Ordered(ordered, by, times, (f"{note}, spread evenly over the RR interval",))
    return Ordered(ordered, by, None, (f"{note}; without an RR interval there are no rates and no heart rate",))


def _of_trigger_times(ordered: list[FrameHeader], times: np.ndarray, beat_ms: float | None) -> Ordered:
    steps = np.diff(times)
    if len(steps) >= 5:
        medians = sorted((float(np.median(steps[::2])), float(np.median(steps[1::2]))))
        if medians[0] < UNEVEN * medians[1]:
            fault = "images whose trigger times alternate (two acquisitions that nothing in the files tells apart)"
            return Ordered(ordered, TRIGGER, times, fault=f"{len(ordered)} {fault}")
    span = float(times[-1] - times[0]) * len(times) / (len(times) - 1)
    if times[-1] - times[0] <= MOST_BEATS * beat_ms if beat_ms else span <= BEAT_MS[1]:
        return Ordered(ordered, TRIGGER, times)
    if beat_ms and len(times) * beat_ms / span >= LEAST_BEAT_FRAMES:
        return _one_beat(Ordered(ordered, TRIGGER, times), beat_ms)
    beats = f" ({span / beat_ms:.1f} RR intervals, {len(times) * beat_ms / span:.0f} images in each)" if beat_ms else ""
    fault = f"{len(times)} images over more than one heart beat{beats} (real time), not a gated cine"
    note = (
        f"real time: {len(times)} frames over {span:.0f} ms, more than one heart beat{beats}, cannot be split into "
        "beats: end-diastole and end-systole may be missed or of different beats"
    )
    return Ordered(ordered, TRIGGER, times, (note,), fault=fault)


def _one_beat(several: Ordered, beat_ms: float) -> Ordered:
    """The middle one of the whole beats; times count from its start."""
    times = several.times_ms
    number = np.floor((times - times[0]) / beat_ms + 1e-6).astype(int)
    counts = np.bincount(number)
    whole = np.flatnonzero(counts >= 0.75 * counts.max())
    beat = int(whole[len(whole) // 2])
    chosen = np.flatnonzero(number == beat)
    note = f"real time over {len(whole)} heart beats: heart beat {beat + 1} was taken ({len(chosen)} frames)"
    frames = [several.frames[index] for index in chosen]
    kept = times[chosen] - beat * beat_ms
    return Ordered(frames, several.by, kept, (*several.notes, note), len(times) - len(chosen))
