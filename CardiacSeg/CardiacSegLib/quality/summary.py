"""All that is known about the quality of a segmentation, and a traffic light."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from CardiacLib.species import at_human_size, species_named
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import STRUCTURES, SliceStatistics
from CardiacLib.types.values import job_value
from CardiacSegLib.function import Function

from .appearance import UNLIKE, appearance_features, load_appearance
from .confidence import Calibration, expected_dice, expected_slice_dice, load_calibration
from .curve_rules import curve_flags
from .flags import SEVERITIES, Cycle, Flag, flag_at
from .shape_rules import Heart, shape_flags

LIGHTS = {"serious": "red", "warning": "amber", "note": "green"}
"""By the worst severity of a flag."""


@job_value
@dataclass(frozen=True)
class QualityReport:
    """Quality of the segmentation of one cine.

    Attributes:
        flags: findings, the worst first.
        dice: (T, 3) probable Dice of LV, myocardium and RV in each frame, NaN where there is none; None if the labels
            came without a network's probabilities.
        slice_dice: (T, K) probable Dice of the heart in each slice, NaN where there is no heart; None like ``dice``.
        calibrated: whether these were fitted to true Dice, or are the network's own opinion.
        note: why there is no calibrated confidence, or what is to be known of it; else empty.
        ed, es: frames of end-diastole and end-systole; equal of one frame, whose phase is not said here.
        volume_share: of LV, myocardium and RV, as of :class:`~CardiacSegLib.quality.confidence.Calibration`.
    """

    flags: tuple[Flag, ...]
    dice: np.ndarray | None
    slice_dice: np.ndarray | None
    calibrated: bool
    note: str
    ed: int
    es: int
    volume_share: tuple[float, ...] | None = None

    @property
    def light(self) -> str:
        """``red`` if any flag is serious, ``amber`` if any is a warning, else ``green``."""
        return LIGHTS[self.flags[0].severity] if self.flags else "green"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences of the flags that the light comes from; all serious ones and warnings."""
        return tuple(flag.sentence for flag in self.flags if flag.severity != "note")

    def short(self) -> dict[str, object]:
        """Light, flags, and probable Dice at ED and ES, ready for JSON."""
        whole = self.to_dict()
        at = {"ED": self.ed, "ES": self.es} if self.ed != self.es else {"frame": self.ed}
        dice = whole["dice"] and {name: {p: column[t] for p, t in at.items()} for name, column in whole["dice"].items()}
        return {name: whole[name] for name in ("light", "flags", "calibrated", "note")} | {"dice": dice}

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON; frames and slices count from 0, None where there is nothing to judge."""
        result: dict[str, object] = {
            "light": self.light,
            "flags": [flag.to_dict() for flag in self.flags],
            "calibrated": self.calibrated,
            "note": self.note,
            "ed_frame_index": self.ed if self.ed != self.es else None,
            "es_frame_index": self.es if self.ed != self.es else None,
            "dice": None,
            "slice_dice": None,
        }
        if self.dice is not None and self.slice_dice is not None:
            result["dice"] = {name: _plain(column) for name, column in zip(STRUCTURES, self.dice.T, strict=True)}
            result["slice_dice"] = [_plain(row) for row in self.slice_dice]
        return result


def assess(
    labels: LabelMap,
    function: Function,
    statistics: SliceStatistics | None = None,
    bundle: str = "",
    *,
    cine: Cine | None = None,
) -> QualityReport:
    """Judge the segmentation of a cine by rules and, where there are any, by the network's probabilities.

    Args:
        labels: of every frame.
        function: measured from them.
        statistics: of the network that drew them; None if they came from elsewhere.
        bundle: name or folder of that network's bundle, whose calibration is used.
        cine: its images; they are compared with those that the network learned from, where the bundle describes these.

    Raises:
        InputError: there is no such bundle, or its calibration cannot be read.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> from CardiacSegLib import measure
        >>> labels = make_phantom(PhantomOptions.small()).labels
        >>> assess(labels, measure(labels)).light
        'green'
    """
    if statistics is None:
        note = "The labels came without a network's probabilities: they are judged by rules alone."
        return judge(labels, function, None, Calibration(), note)
    appearance = None if cine is None else load_appearance(bundle)
    unlike = () if appearance is None else appearance.flags(appearance_features(cine, labels, statistics))
    return judge(labels, function, statistics, *load_calibration(bundle), unlike)


def judge(
    labels: LabelMap,
    function: Function,
    statistics: SliceStatistics | None,
    calibration: Calibration,
    note: str = "",
    further: Iterable[Flag] = (),
) -> QualityReport:
    """The same with a given calibration; ``note`` is as of the report, ``further`` flags are added."""
    species = species_named(function.species)
    heart = Heart(at_human_size(labels, species), function.ed, function.es, species.structures)
    further = tuple(further)
    unlike = any(flag.code == UNLIKE for flag in further)
    flags = [*shape_flags(heart), *curve_flags(function), *further]
    if not labels.grid.sized:
        flags.append(
            Flag("voxel_size", "serious", "The file has lost its voxel size: nothing is measured in mm or ml.")
        )
    dice = slice_dice = None
    if statistics is not None:
        dice = calibration.dice(expected_dice(statistics))
        slice_dice = calibration.slice_dice(expected_slice_dice(statistics))
        drawn = [STRUCTURES[name] in species.structures for name in STRUCTURES]
        dice[:, np.logical_not(drawn)] = np.nan
        flags += confidence_flags(dice, calibration, Cycle({function.ed, function.es}, len(dice)), unlike)
        flags += spoilt_flags(statistics)
    flags.sort(key=lambda flag: SEVERITIES.index(flag.severity))
    ends, share = (function.ed, function.es), calibration.volume_share
    return QualityReport(tuple(flags), dice, slice_dice, calibration.calibrated, note, *ends, share)


def confidence_flags(dice: np.ndarray, calibration: Calibration, cycle: Cycle, unlike: bool) -> list[Flag]:
    """Structures that are probably drawn badly, from their (T, 3) probable Dice; ``unlike`` the training images?"""
    flags = []
    limit = calibration.serious_below_unlike if unlike else calibration.serious_below
    for name, column in zip(STRUCTURES, dice.T, strict=True):
        serious = column < limit
        for severity, low in (("serious", serious), ("warning", (column < calibration.warn_below) & ~serious)):
            frames = np.flatnonzero(low)
            if frames.size:
                finding = f"{name}: low confidence, probable Dice {column[frames].min():.2f}"
                flags.append(flag_at("low_confidence", severity, finding, cycle, frames=frames).about(name))
    return flags


def spoilt_flags(statistics: SliceStatistics) -> list[Flag]:
    """Slices whose image was replaced, since it shows nothing that goes on from its neighbours."""
    if not statistics.spoilt:
        return []
    frames = range(len(statistics.soft))
    finding = "The image shows nothing that goes on from the slices beside it, and was interpolated from them"
    everywhere = Cycle(set(frames), len(frames))
    return [flag_at("spoilt_slice", "warning", finding, everywhere, frames=frames, slices=statistics.spoilt)]


def _plain(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]
