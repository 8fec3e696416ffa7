"""What a person corrects of labels before they are measured: the frames of ED and ES, and slices at the base."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.label_axes import trend
from CardiacLib.types.choices import PHASES, BasalSlices, ByHand
from CardiacLib.types.labels import BACKGROUND, LV, MYO, RV, RV_WALL, LabelMap

from .curves import end_frames

STRUCTURES = {"lv": (LV, MYO), "rv": (RV, RV_WALL)}
"""What of the labels belongs to a ventricle, its pool first."""
NAMES = {"ed": "End-diastole", "es": "End-systole"}


@dataclass(frozen=True)
class Corrected:
    """Labels as a person wants them measured.

    Attributes:
        labels: slices left out and added.
        phases: frames of ED and ES, counted from 0.
        notes: what was set, one sentence each, counted from 1.
    """

    labels: LabelMap
    phases: tuple[int, int]
    notes: tuple[str, ...] = ()


def guiding_volume_ml(labels: LabelMap) -> np.ndarray:
    """(T,) volumes that tell ED and ES: of the LV, or where there is none of the RV."""
    lv = labels.volume_ml(LV)
    return lv if lv.any() else labels.volume_ml(RV)


def correct(
    labels: LabelMap, by_hand: ByHand, volume_ml: Callable[[LabelMap], np.ndarray] = guiding_volume_ml
) -> Corrected:
    """Leave out and add slices, and tell the frames of end-diastole and end-systole.

    Corrections of all frames come first; the volumes then tell ED and ES where nobody did, and the corrections of these
    frames alone do not move them any more.

    Args:
        labels: of all frames, or of one.
        by_hand: what a person set.
        volume_ml: gives the volumes (T,) that tell ED and ES.

    Raises:
        InputError: a frame or slice that is not there or that nothing would change.
    """
    edits = [(edit, False) for edit in by_hand.left_out] + [(edit, True) for edit in by_hand.added]
    array = labels.labels.copy() if edits else labels.labels
    order = _from_base(labels, by_hand) if edits else np.arange(0)
    for edit, adds in edits:
        if not edit.phase:
            _apply(array, edit, adds, order, range(len(array)))
    edited = replace(labels, labels=array)
    phases = _phases(volume_ml(edited), by_hand)
    for edit, adds in edits:
        if edit.phase:
            _apply(array, edit, adds, order, [phases[PHASES.index(edit.phase)]])
    return Corrected(edited, phases, set_by_hand(by_hand))


def set_by_hand(by_hand: ByHand) -> tuple[str, ...]:
    """What a person set, one sentence each, frames and slices counted from 1."""
    edits = [(edit, False) for edit in by_hand.left_out] + [(edit, True) for edit in by_hand.added]
    phase = [f"The frame is {NAMES[by_hand.phase].lower()}, as a person said."] if by_hand.phase else []
    return (*phase, *_frame_notes(by_hand), *(_slice_note(edit, adds) for edit, adds in edits))


def _phases(volume_ml: np.ndarray, by_hand: ByHand) -> tuple[int, int]:
    """Frames of ED and ES: those that a person set, else those of the largest and the smallest volume (T,)."""
    count = len(volume_ml)
    given = {"ed": by_hand.ed_frame, "es": by_hand.es_frame}
    for phase, frame in given.items():
        if frame is None:
            continue
        if count == 1:
            raise InputError(f"{NAMES[phase]} cannot be set: there is one frame, whose phase --phase {phase} says.")
        if not 0 <= frame < count:
            raise InputError(f"{NAMES[phase]} cannot be frame {frame + 1}: there are frames 1 to {count}.")
    if by_hand.phase and count > 1:
        raise InputError(f"--phase {by_hand.phase}: is for labels of one frame; these have {count} frames.")
    told = end_frames(volume_ml)
    ed, es = (told[n] if given[phase] is None else int(given[phase]) for n, phase in enumerate(PHASES))
    if ed == es and count > 1 and any(frame is not None for frame in given.values()):
        raise InputError(f"End-diastole and end-systole are both frame {ed + 1}; set the other frame too.")
    return ed, es


def _from_base(labels: LabelMap, by_hand: ByHand) -> np.ndarray:
    """(K,) slices of the stack from the base on: both ventricles grow towards it."""
    held = np.isin(labels.labels, (LV, MYO, RV)).sum((2, 3)).max(0)
    drawn = np.flatnonzero(held)
    if len(drawn) < 2:
        edit = str((*by_hand.left_out, *by_hand.added)[0])
        raise InputError(f"{edit}: one slice is labelled at most; which end of the stack is the base cannot be told.")
    order = np.arange(len(held))
    return order[::-1] if trend(drawn, held[drawn].astype(float)) >= 0 else order


def _apply(array: np.ndarray, edit: BasalSlices, adds: bool, order: np.ndarray, frames) -> None:
    """Change the labels (T, K, J, I) in place in some frames."""
    own, changed = STRUCTURES[edit.ventricle], False
    for number in sorted(edit.slices, reverse=True):  # from the apex on: an added slice can take an added one
        if number >= len(order):
            raise InputError(f"{edit}: the stack has slices 1 to {len(order)}, counted from the base.")
        for t in frames:
            here = np.isin(array[t, order[number]], own)
            if adds:
                changed |= _add(array[t], own, order, number)
            elif here.any():
                array[t, order[number]][here] = BACKGROUND
                changed = True
    if not changed:
        raise InputError(f"{edit}: {_why_unchanged(array, edit, adds, order, frames)}")


def _add(frame: np.ndarray, own: tuple[int, ...], order: np.ndarray, number: int) -> bool:
    """Draw a ventricle in a slice where it is not, as in the next slice towards the apex; whether that was possible."""
    slice_, below = frame[order[number]], frame[order[min(number + 1, len(order) - 1)]]
    section = np.isin(below, own)
    if np.isin(slice_, own).any() or not (below == own[0]).any():
        return False
    free = section & (slice_ == BACKGROUND)
    slice_[free] = below[free]
    return bool(free.any())


def _why_unchanged(array: np.ndarray, edit: BasalSlices, adds: bool, order: np.ndarray, frames) -> str:
    held = np.isin(array[list(frames)], STRUCTURES[edit.ventricle]).any((0, 2, 3))[order]
    drawn = np.flatnonzero(held) + 1
    where = f"in slices {drawn[0]} to {drawn[-1]}" if len(drawn) else "nowhere"
    name = edit.ventricle.upper()
    if adds:
        return (
            f"the {name} is drawn {where}, counted from 1 at the base of the stack; only the next slice towards the "
            "base, or one that some frames lack, can be added."
        )
    return f"the {name} is drawn {where}, counted from 1 at the base of the stack."


def _frame_notes(by_hand: ByHand) -> list[str]:
    given = {"ed": by_hand.ed_frame, "es": by_hand.es_frame}
    return [
        f"{NAMES[phase]} was set by hand: frame {frame + 1}, counted from 1."
        for phase, frame in given.items()
        if frame is not None
    ]


def _slice_note(edit: BasalSlices, adds: bool) -> str:
    numbers = ", ".join(str(number + 1) for number in edit.slices)
    which = f"slice{'s' if len(edit.slices) > 1 else ''} {numbers} (counted from 1 at the base of the stack)"
    where = f"at {NAMES[edit.phase].lower()}" if edit.phase else "in all frames"
    name = edit.ventricle.upper()
    if adds:
        return (
            f"Set by hand: the {name} was added in {which} {where}, where it was not drawn, with the section of the "
            "next slice towards the apex."
        )
    return f"Set by hand: the {name} was left out in {which} {where}."
