"""Pixels within contours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from CardiacLib.datasets.records import UNKNOWN
from CardiacLib.types.labels import LV, MYO, RV

ENDO, EPI, RIGHT = "endocardium", "epicardium", "RV endocardium"


@dataclass(frozen=True)
class Contour:
    """One closed contour.

    Attributes:
        kind: ENDO, EPI or RIGHT.
        frame, slice_: place in the cine, from 0.
        points: float64 (N, 2) column and row; a pixel's centre has whole numbers.
    """

    kind: str
    frame: int
    slice_: int
    points: np.ndarray


def labels_of(contours: Sequence[Contour], shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels of pixels whose centres contours enclose, and the structures that they draw.

    The myocardium is what the epicardium encloses and the endocardium does not. A slice is unknown (255) if it has no
    contour, or lacks the epicardium that other slices of its frame have.

    Args:
        contours: of one cine.
        shape: of the cine, (T, K, J, I).

    Returns:
        uint8 of that shape, and the names lv, myo, rv of those that are drawn.
    """
    from skimage.draw import polygon

    labels = np.full(shape, UNKNOWN, np.uint8)
    places = sorted({(c.frame, c.slice_) for c in contours})
    walled = {c.frame for c in contours if c.kind == EPI}
    for place in places:
        own = [c for c in contours if (c.frame, c.slice_) == place]
        kinds = {c.kind for c in own}
        if place[0] in walled and ENDO in kinds and EPI not in kinds:
            continue
        section = np.zeros(shape[2:], np.uint8)
        for kind, value in ((RIGHT, RV), (EPI, MYO), (ENDO, LV)):
            for contour in (c for c in own if c.kind == kind):
                section[polygon(contour.points[:, 1], contour.points[:, 0], section.shape)] = value
        labels[place] = section
    kinds = {c.kind for c in contours}
    drawn = {"lv": ENDO in kinds, "myo": {ENDO, EPI} <= kinds, "rv": RIGHT in kinds}
    return labels, tuple(name for name, is_drawn in drawn.items() if is_drawn)
