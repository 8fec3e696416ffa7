"""Synthetic hearts among the training data: their truth is exact where experts differ, at base and apex."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.phantom import PhantomOptions, make_phantom
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap

RANGES = {
    "lv_edv_ml": (80.0, 280.0),
    "lv_ef_percent": (20.0, 72.0),
    "rv_edv_ml": (90.0, 260.0),
    "rv_ef_percent": (20.0, 68.0),
    "wall_mm": (7.0, 14.0),
    "mapse_mm": (5.0, 16.0),
    "tapse_mm": (10.0, 26.0),
    "sax_pixel_mm": (1.2, 1.9),
    "slice_spacing_mm": (6.0, 12.0),
    "first_slice_mm": (-8.0, 6.0),
    "noise": (0.005, 0.06),
    "bias": (0.0, 0.5),
    "breath_hold_shift_mm": (0.0, 2.0),
    "roll_deg": (-40.0, 40.0),
}
"""Of the options that are drawn; all others are the phantom's defaults."""


def random_phantoms(count: int, seed: int) -> Iterator[tuple[tuple[Cine, LabelMap], tuple[Cine, LabelMap]]]:
    """(cine, labels) of ED and of ES of ``count`` synthetic hearts, each T = 1; the same for the same seed."""
    draw = np.random.default_rng(seed)
    made = 0
    while made < count:
        chosen = {name: float(draw.uniform(*limits)) for name, limits in RANGES.items()}
        try:
            options = PhantomOptions(n_frames=8, sax_size=160, lax_size=32, seed=int(draw.integers(2**31)), **chosen)
            phantom = make_phantom(options)
        except InputError:  # no heart of this form has the drawn volumes: draw again
            continue
        made += 1
        cine, labels = phantom.cines["sax"], phantom.labels
        yield tuple(
            (
                cine.with_changes(frames=cine.frames[t : t + 1], times_ms=np.zeros(1)),
                replace(labels, labels=labels.labels[t : t + 1], times_ms=np.zeros(1)),
            )
            for t in (phantom.ed, phantom.es)
        )
