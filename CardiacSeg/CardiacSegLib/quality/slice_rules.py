"""Slices that come and go between frames: a volume then steps by a whole slab, which the heart did not do."""

from dataclasses import dataclass

import numpy as np

from CardiacLib.species import SPECIES, Species
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import STRUCTURES

from .flags import ranges


@dataclass(frozen=True)
class SliceStep:
    """The largest volume that one slice brings or takes between two neighbouring frames of the beat.

    Attributes:
        ml: of the structure in that slice.
        frame, slice: of the structure in the slice that leaves (or has come), counted from 0.
        leaves: it is there in ``frame`` and not in the next one; else not in the one before.
    """

    ml: float
    frame: int
    slice: int
    leaves: bool

    def sentence(self, structure: str, species: Species = SPECIES["human"]) -> str:
        """What happened, frames and slices counted from 1."""
        how = "leaves after" if self.leaves else "comes with"
        volume = species.volume(self.ml)
        return f"Slice {self.slice + 1} of the {structure}, {volume}, {how} frame {self.frame + 1} as a whole"


def slice_volumes(labels: LabelMap, structure: str) -> np.ndarray:
    """(T, K) ml of LV, MYO or RV in every slice."""
    return (labels.labels == STRUCTURES[structure]).sum((2, 3)) * labels.voxel_ml


def largest_step(volumes_ml: np.ndarray) -> SliceStep | None:
    """The largest step of (T, K) volumes; None where no slice comes or goes. The last frame precedes the first."""
    held, found = volumes_ml > 0, []
    for leaves, other in ((True, np.roll(held, -1, 0)), (False, np.roll(held, 1, 0))):
        lost = np.where(held & ~other & other.any(1, keepdims=True), volumes_ml, 0.0)
        frame, place = np.unravel_index(int(lost.argmax()), lost.shape)
        found.append(SliceStep(float(lost[frame, place]), int(frame), int(place), leaves))
    step = max(found, key=lambda step: step.ml)
    return step if step.ml > 0 else None


def flickers(volumes_ml: np.ndarray, frame: int, structure: str, *, largest: bool) -> str:
    """A sentence where slices come or go in one frame only, against the beat; else empty.

    The base rises to end-diastole and descends to end-systole: there a slice may be held, or left, in one frame only.

    Args:
        volumes_ml: (T, K).
        frame: end-diastole or end-systole.
        structure: its name.
        largest: the frame is end-diastole, in which no slice should be missing; else none should be added.
    """
    if len(volumes_ml) < 4:
        return ""
    held = volumes_ml > 0
    before, after = held[frame - 1], held[(frame + 1) % len(held)]
    odd = np.flatnonzero((before == after) & (held[frame] != before) & (held[frame] != largest))
    if not odd.size:
        return ""
    many = odd.size > 1
    return (
        f"Slice{'s' if many else ''} {ranges(odd)} of the {structure} {'are' if many else 'is'} "
        f"{'missing' if largest else 'there'} in frame {frame + 1} only."
    )
