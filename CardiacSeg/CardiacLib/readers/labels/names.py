"""Segments of a file as labels: which structure each one is, by name or code, and what wins where they overlap."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.labels import LV, MYO, RV, RV_WALL, structures

SYNONYMS = {
    1: ("lv", "lv pool", "lv blood", "left ventricle", "left ventricular blood pool", "lv cavity", "lv endocardium"),
    2: ("myo", "myocardium", "lv myo", "lvm", "lv wall", "left ventricular myocardium"),
    3: ("rv", "rv pool", "rv blood", "right ventricle", "right ventricular blood pool", "rv cavity"),
    4: ("rv myocardium", "rv myo", "right ventricular myocardium", "right ventricular wall"),
}
INNERMOST = (LV, RV, MYO, RV_WALL)
"""Of overlapping segments the first of these wins: a myocardium may be drawn filled."""


class Segment(NamedTuple):
    """A segment as its file names it, and the (scheme, value) of its type if it has a code."""

    name: str
    code: tuple[str, str] | None


def labels_of_masks(masks: Sequence[tuple[Segment, np.ndarray]], path, notes: list[str]) -> np.ndarray:
    """Labels of the masks (K, J, I) of segments; where these overlap the first of INNERMOST wins, as a note says.

    Args:
        masks: at least one.
        path: of their file, for messages.
        notes: the sentences are added here.

    Raises:
        InputError: a segment stands for no structure.
    """
    joined: dict[int, np.ndarray] = {}
    for segment, mask in masks:
        label = _label_of(segment, path)
        joined[label] = joined.get(label, False) | mask
    labels = np.zeros(masks[0][1].shape, np.uint8)
    for label in INNERMOST:
        mask = joined.get(label, np.zeros(labels.shape, bool))
        for kept in INNERMOST[: INNERMOST.index(label)]:
            if count := int((mask & (labels == kept)).sum()):
                inner, outer = structures()[kept].name, structures()[label].name
                notes.append(f"Segments overlap: {count} voxels of {outer} that lie in {inner} count as {inner}.")
        labels[mask & (labels == 0)] = label
    return labels


def _label_of(segment: Segment, path) -> int:
    name = segment.name.strip().lower()
    for label, structure in structures().items():
        if label and (name == structure.name.lower() or name in SYNONYMS[label]):
            return label
    right = name.startswith(("rv", "right"))
    matches = [label for label, s in structures().items() if label and segment.code and s.type[:2] == segment.code]
    if len(matches) > 1:
        # Both walls carry the code of myocardium: the name tells the side.
        matches = [label for label in matches if (label == 4) == right]
    if len(matches) != 1:
        raise InputError(
            f"{path}: segment '{segment.name}' is none that CineHeart knows; name it "
            f"{', '.join(s.name for label, s in structures().items() if label)}, or delete it."
        )
    return matches[0]


def type_code(tags: str) -> tuple[str, str] | None:
    """(scheme, value) of the type in Slicer's terminology tag ``context~category~type~modifier~...``."""
    for tag in tags.split("|"):
        key, _, value = tag.partition(":")
        parts = value.split("~")
        if key == "TerminologyEntry" and len(parts) > 2 and parts[2].count("^") >= 2:
            scheme, code, _ = parts[2].split("^")[:3]
            return scheme, code
    return None
