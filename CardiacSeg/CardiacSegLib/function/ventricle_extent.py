"""Which slices of each frame carry ventricle."""

from dataclasses import dataclass

import numpy as np

from CardiacLib.types.labels import LV, MYO, RV, LabelMap


@dataclass(frozen=True)
class VentricleExtent:
    """Slices that hold a structure.

    Attributes:
        lv, myocardium, rv: bool (T, K), whether any pixel of a slice is labelled so.
    """

    lv: np.ndarray
    myocardium: np.ndarray
    rv: np.ndarray

    def to_dict(self) -> dict[str, list[list[int]]]:
        """Slice numbers (from 0) by structure and frame, ready for JSON."""
        return {
            name: [np.flatnonzero(frame).tolist() for frame in held]
            for name, held in (("lv", self.lv), ("myocardium", self.myocardium), ("rv", self.rv))
        }


def ventricle_extent(labels: LabelMap) -> VentricleExtent:
    """The slices that carry each structure in every frame."""
    return VentricleExtent(*((labels.labels == label).any((2, 3)) for label in (LV, MYO, RV)))
