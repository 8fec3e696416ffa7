"""A flag: one thing about a segmentation that somebody should look at."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from CardiacLib.types.values import job_value

SEVERITIES = ("serious", "warning", "note")
"""Worst first. A note is told but does not change the traffic light."""
OFTEN = 0.25
"""From this share of the frames on, a defect counts although it spares end-diastole and end-systole."""


@job_value
@dataclass(frozen=True)
class Flag:
    """One finding.

    Attributes:
        code: name of the rule, as in Docs/QualityControl.md.
        severity: one of SEVERITIES.
        sentence: for people; counts frames and slices from 1, as the report's pictures do.
        frames, slices: where, counted from 0, ascending; empty if it is about the study as a whole.
        structures: LV, MYO, RV, those that it is about; empty if it is about all.
    """

    code: str
    severity: str
    sentence: str
    frames: tuple[int, ...] = ()
    slices: tuple[int, ...] = ()
    structures: tuple[str, ...] = ()

    def about(self, *structures: str) -> "Flag":
        """The same of some structures only."""
        return replace(self, structures=structures)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON; frames and slices counted from 0."""
        told = {"code": self.code, "severity": self.severity, "sentence": self.sentence}
        indices = {"frame_indices": list(self.frames), "slice_indices": list(self.slices)}
        return told | indices | {"structures": list(self.structures)}


@dataclass(frozen=True)
class Cycle:
    """The frames that a finding is judged against.

    Attributes:
        key: frames of end-diastole and end-systole.
        n_frames: of the cine.
    """

    key: set[int]
    n_frames: int


def flag_at(
    code: str, severity: str, finding: str, cycle: Cycle, *, frames: Iterable[int], slices: Iterable[int] = ()
) -> Flag:
    """A flag of a finding in some frames.

    Every measurement but the curves rests on end-diastole and end-systole. A finding that spares both and is in fewer
    than a quarter of the frames is therefore one step less severe.

    Args:
        finding: what was found, without place and full stop.
        cycle: its frames.
        frames, slices: where, counted from 0, in any order; no slices if it is not about slices.
    """
    frames, slices = (tuple(sorted({int(n) for n in numbers})) for numbers in (frames, slices))
    if not cycle.key & set(frames) and len(frames) < OFTEN * cycle.n_frames:
        severity = SEVERITIES[min(SEVERITIES.index(severity) + 1, len(SEVERITIES) - 1)]
    places = [_named("slice", slices)] if slices else []
    if cycle.n_frames > 1:
        places.append("all frames" if len(frames) == cycle.n_frames else _named("frame", frames))
    place = f" ({'; '.join(places)})" if places else ""
    return Flag(code, severity, f"{finding}{place}.", frames, slices)


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers counted from 0 as text counted from 1: (0, 1, 2, 5) is '1-3, 6'."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a + 1) if a == b else f"{a + 1}-{b + 1}" for a, b in runs)


def _named(name: str, numbers: tuple[int, ...]) -> str:
    return f"{name}{'' if len(numbers) == 1 else 's'} {ranges(numbers)}"
