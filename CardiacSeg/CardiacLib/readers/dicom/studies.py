"""Several examinations of one patient in one folder: they are never mixed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from CardiacLib.errors import InputError
from CardiacLib.readers.planes import Plane

from .headers import FrameHeader


@dataclass(eq=False)
class Examination:
    """The images of one StudyInstanceUID, and what they gave."""

    frames: list[FrameHeader]
    planes: list[Plane] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def uid(self) -> str:
        return self.frames[0].study.uid

    @property
    def holds_cine(self) -> bool:
        """Whether any plane can be read as a cine, a real-time one included."""
        return any(not plane.fault or (plane.last_resort and plane.n_frames > 1) for plane in self.planes)

    def __str__(self) -> str:
        """UID, date, number of images and folder, for messages."""
        day = self.frames[0].study.date
        when = f" of {day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 and day.isdigit() else ""
        folders = {str(frame.path.parent) for frame in self.frames}
        return f"study {self.uid or 'without UID'}{when} ({len(self.frames)} images in {os.path.commonpath(folders)})"


def by_study(frames: Sequence[FrameHeader]) -> list[Examination]:
    """The images of each study, the earliest study first."""
    groups: dict[str, list[FrameHeader]] = {}
    for frame in frames:
        groups.setdefault(frame.study.uid, []).append(frame)
    found = [Examination(group) for group in groups.values()]
    return sorted(found, key=lambda one: (one.frames[0].study.date, one.frames[0].study.time, one.uid))


def one_study(found: list[Examination], uid: str) -> tuple[list[Plane], list[str]]:
    """The planes of one study, and what was left out, other studies included.

    Args:
        found: at least one if the folder holds images.
        uid: StudyInstanceUID of the one that a user wants; empty takes the only one that holds a cine.

    Raises:
        InputError: several studies hold cines, or there is none of this UID.
    """
    if not found:
        return [], []
    wanted = [one for one in found if one.uid == uid] if uid else [one for one in found if one.holds_cine]
    listed = "; ".join(map(str, found))
    if uid and not wanted:
        raise InputError(f"--study-uid {uid}: is none of the folder's: {listed}.")
    if len(wanted) > 1:
        raise InputError(
            f"{os.path.commonpath([frame.path.parent for one in wanted for frame in one.frames])}: holds cines of "
            f"{len(wanted)} studies of one patient, which are never mixed: {listed}; give the folder of one, or choose "
            "it by 'cineheart run --study-uid'."
        )
    taken = wanted[0] if wanted else max(found, key=lambda one: len(one.planes))
    others = [
        f"{one}: another study" + ("" if one.holds_cine else ", without a cine") for one in found if one is not taken
    ]
    return taken.planes, [*taken.left_out, *others]
