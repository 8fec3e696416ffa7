"""Which of the frames that an expert drew are end-diastole and end-systole."""

import numpy as np
from scipy import ndimage

from CardiacLib.types.labels import LV, MYO

LEAST_PIXELS = 50
"""Pieces of blood pool with fewer pixels in a slice do not count."""


def drawn_phases(labels: np.ndarray, drawn: tuple[int, ...]) -> tuple[int, int, str]:
    """ED, ES and a note of labelled frames, by the rule of the published data.

    ED is the first frame that is named. ES is, of the others, the one with the least blood within the outline that the
    LV has at ED, small pieces left out; further ones show the inflow. Without another frame ES is ED.

    Args:
        labels: uint8 (T, K, J, I).
        drawn: frames as the file names them.

    Returns:
        Frames, and what is odd, else an empty note.
    """
    ed, others = drawn[0], drawn[1:]
    if not others:
        return ed, ed, "One frame is drawn: there is no end-systole."
    outline = np.isin(labels[ed], (LV, MYO))
    pools = {t: _without_small(labels[t] == LV) for t in drawn}
    es = min(others, key=lambda t: int((pools[t] & outline).sum()))
    largest = max(drawn, key=lambda t: int(pools[t].sum()))
    note = "" if largest == ed else "The first drawn frame has not the largest LV: is it end-diastole?"
    return ed, es, note


def _without_small(pool: np.ndarray) -> np.ndarray:
    kept = np.zeros_like(pool)
    for k, section in enumerate(pool):
        pieces, _ = ndimage.label(section)
        sizes = np.bincount(pieces.ravel())
        large = sizes >= LEAST_PIXELS
        large[0] = False
        kept[k] = large[pieces]
    return kept
