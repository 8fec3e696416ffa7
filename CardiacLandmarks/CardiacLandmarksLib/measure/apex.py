"""The apex of the LV from short-axis labels: the far end of the LV axis, which the valve points do not hold."""

import numpy as np

from CardiacLib.geometry import apply
from CardiacLib.types.labels import LV, LabelMap


def left_ventricle_apex(labels: LabelMap, mitral_lps: np.ndarray) -> np.ndarray | None:
    """LPS (3,) of the endocardial apex, the mean over the frames; None where no LV is labelled.

    In each frame the middle of the LV pool in its slice farthest from the mitral valve, half a slice farther: the pool
    ends somewhere between that slice and the next. A slice distance of 10 mm leaves it uncertain by 3 mm.

    Args:
        labels: of a short-axis stack.
        mitral_lps: (3,) about the middle of the mitral annulus.
    """
    step = labels.ijk_to_lps[:3, 2]
    found = []
    for frame in labels.labels == LV:
        middles = {}
        for k in np.flatnonzero(frame.any((1, 2))):
            rows, columns = np.nonzero(frame[k])
            middles[k] = apply(labels.ijk_to_lps, [columns.mean(), rows.mean(), k])
        if middles:
            last = max(middles.values(), key=lambda middle: abs((middle - mitral_lps) @ step))
            found.append(last + 0.5 * step * np.sign((last - mitral_lps) @ step))
    return np.mean(found, 0) if found else None
