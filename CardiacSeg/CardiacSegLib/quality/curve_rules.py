"""Rules on the volumes over the cycle. Every threshold has its reason in Docs/QualityControl.md."""

from collections.abc import Iterator

import numpy as np

from CardiacLib.species import species_named
from CardiacSegLib.function import Function

from .flags import Cycle, Flag, flag_at

JUMP_SHARE = 0.04
"""Of the curve's largest volume: a smaller step is no jump. True curves of the phantom: at most 0.018 (25 frames)."""
JUMP_Z = 5.0
"""In robust standard deviations (1.4826 times the median absolute deviation) of the curve's other steps."""
FEWEST_FRAMES = 8
"""With fewer, a heart beat is too coarse to tell a jump from the beat."""
STROKE_NOTE, STROKE_WARNING = 0.20, 0.50
"""Difference of the LV and RV stroke volumes over their mean."""
STROKE_ML = 10.0
"""And at least this, because both stroke volumes of a failing heart are small."""
MYOCARDIUM_RATIO = (0.85, 1.45)
"""Myocardial volume at ES over ED; muscle keeps its volume. Experts on 80 ACDC patients: 0.89 to 1.41."""


def curve_flags(function: Function) -> Iterator[Flag]:
    """All findings of the rules of this file."""
    for rule in (volume_jump, stroke_volumes, myocardial_volume, heart_rate):
        yield from rule(function)


def volume_jump(function: Function) -> Iterator[Flag]:
    """A frame's volume fits neither the frames before, nor those after, nor those on both sides."""
    cycle = Cycle({function.ed, function.es}, function.n_frames)
    for code, name, volumes in _curves(function):
        if len(volumes) < FEWEST_FRAMES or not volumes.any():
            continue
        steps = misfit(volumes)
        noise = 1.4826 * np.median(steps)
        frames = np.flatnonzero(steps > max(JUMP_SHARE * volumes.max(), JUMP_Z * noise))
        if frames.size:
            finding = f"The {name} volume jumps against the neighbouring frames"
            yield flag_at("volume_jump", "warning", finding, cycle, frames=frames).about(code)


def _curves(function: Function) -> tuple[tuple[str, str, np.ndarray], ...]:
    """Structure, its name in sentences, and its volumes (T,)."""
    parts = (("LV", "LV", function.lv), ("MYO", "LV myocardial", function.myocardium), ("RV", "RV", function.rv))
    return tuple((code, name, part.volume_ml) for code, name, part in parts)


def misfit(volumes: np.ndarray) -> np.ndarray:
    """(T,) distance of each volume from the nearest of three forecasts by its neighbours, in the unit of the volumes.

    The cubic through two frames on either side, and the straight lines through the two frames before and after. The
    curve is periodic; at its ends a cine that does not cover the whole beat is saved by one of the lines. An outlier
    leaves its neighbours unsuspected, because each has a side without it.
    """
    b2, b1, a1, a2 = (np.roll(volumes, n) for n in (2, 1, -1, -2))
    forecasts = np.stack([(4.0 * (b1 + a1) - b2 - a2) / 6.0, 2.0 * b1 - b2, 2.0 * a1 - a2])
    return np.abs(forecasts - volumes).min(0)


def stroke_volumes(function: Function) -> Iterator[Flag]:
    """LV and RV eject different volumes: a base drawn in the wrong slice, or regurgitation or a shunt.

    Without these the two are nearly equal (Schulz-Menger et al., JCMR 2013, doi 10.1186/1532-429X-15-35).
    """
    left, right = function.lv.sv_ml, function.rv.sv_ml
    if left is None or right is None:
        return
    difference, mean = abs(left - right), (abs(left) + abs(right)) / 2.0
    if difference > max(STROKE_NOTE * mean, STROKE_ML):
        severity = "warning" if difference > STROKE_WARNING * mean else "note"
        sentence = (
            f"LV and RV stroke volumes disagree ({left:.0f} and {right:.0f} ml): check the basal slices; "
            "valve regurgitation and shunts do this too."
        )
        yield Flag("stroke_volumes", severity, sentence, (function.ed, function.es)).about("LV", "RV")


def myocardial_volume(function: Function) -> Iterator[Flag]:
    """The myocardium gains or loses volume from ED to ES, which muscle does not."""
    muscle_ml = function.myocardium.volume_ml
    at_ed, at_es = muscle_ml[function.ed], muscle_ml[function.es]
    low, high = MYOCARDIUM_RATIO
    if at_ed > 0 and not low <= at_es / at_ed <= high:
        volume = species_named(function.species).volume
        sentence = f"The myocardial volume changes from {volume(at_ed)} at ED to {volume(at_es)} at ES."
        yield Flag("myocardial_volume", "warning", sentence, (function.ed, function.es)).about("MYO")


def heart_rate(function: Function) -> Iterator[Flag]:
    """An animal's heart beats at a rate that its species does not have: another species, or wrong frame times."""
    species, rate = species_named(function.species), function.heart_rate_bpm
    low, high = species.heart_rate_bpm
    if not species.is_human and rate is not None and not low <= rate <= high:
        sentence = f"A heart rate of {rate:.0f} per minute is not that of a {species.name} ({low:.0f} to {high:.0f})."
        yield Flag("heart_rate", "warning", sentence)
