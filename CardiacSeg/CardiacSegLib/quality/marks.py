"""A light, a reason and an uncertainty for each measurement of the ventricles (Docs/QualityControl.md)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from CardiacLib.errors import InputError
from CardiacLib.label_axes import on_short_axis, stack_ends
from CardiacLib.species import at_human_size, species_named
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.measures.marks import AMBER, Mark, worst
from CardiacLib.types.times import beat_ms
from CardiacSegLib.function import Function
from CardiacSegLib.function.curves import LEAST_FRAMES
from CardiacSegLib.function.records import INDEXED

from .flags import Flag
from .slice_rules import flickers, largest_step, slice_volumes
from .summary import LIGHTS, QualityReport
from .uncertainty import uncertainties

RATE_STEP, VOLUME_STEP = 0.25, 0.50
"""Share of the stroke volume that a single slice may bring or take between two frames, for rates and for volumes."""


@dataclass(frozen=True)
class Needs:
    """What a measurement rests on.

    Attributes:
        structures: LV, MYO, RV.
        phases: ``ed``, ``es`` or both; empty where it rests on the whole curve.
        whole: it needs the whole ventricle, from base to apex.
    """

    structures: tuple[str, ...]
    phases: tuple[str, ...] = ("ed", "es")
    whole: bool = True

    @property
    def rate(self) -> bool:
        """It is a slope of the curve."""
        return not self.phases


def _ventricle(side: str) -> dict[str, Needs]:
    pool = (side.upper(),)
    rates = ("peak_ejection_rate_ml_per_s", "peak_filling_rate_ml_per_s", "time_to_peak_ejection_ms")
    names = {name: Needs(pool, ()) for name in (*rates, "time_to_peak_filling_ms")}
    names |= {name: Needs(pool) for name in ("sv_ml", "ef_percent", "cardiac_output_l_per_min")}
    names |= {"edv_ml": Needs(pool, ("ed",)), "esv_ml": Needs(pool, ("es",)), "volume_ml": Needs(pool, ("ed",))}
    return {f"{side}_{name}": needs for name, needs in names.items()}


NEEDS = {
    **_ventricle("lv"),
    **_ventricle("rv"),
    "lv_mass_g": Needs(("MYO",), ("ed",)),
    "lv_mass_es_g": Needs(("MYO",), ("es",)),
    "lv_sphericity_ed": Needs(("LV",), ("ed",)),
    "lv_sphericity_es": Needs(("LV",), ("es",)),
    "lv_wall_thickness_ed_mm": Needs(("LV", "MYO"), ("ed",), whole=False),
    "lv_largest_wall_thickness_ed_mm": Needs(("LV", "MYO"), ("ed",), whole=False),
    "lv_global_circumferential_endo_percent": Needs(("LV",), whole=False),
    "lv_global_circumferential_mid_percent": Needs(("LV", "MYO"), whole=False),
    "lv_global_circumferential_epi_percent": Needs(("LV", "MYO"), whole=False),
    "lv_global_radial_percent": Needs(("LV", "MYO"), whole=False),
}
"""By key of ``Function.to_dict()``; those per body surface area are as good as what they are taken from."""


def mark_measurements(function: Function, labels: LabelMap, report: QualityReport) -> dict[str, Mark]:
    """The mark of every measurement that has a value.

    Args:
        function: the measurements.
        labels: that they were taken from.
        report: findings about these labels and, from a network, how sure it is of them.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> from CardiacSegLib import measure
        >>> from CardiacSegLib.quality import assess
        >>> labels = make_phantom(PhantomOptions.small()).labels
        >>> function = measure(labels)
        >>> mark_measurements(function, labels, assess(labels, function))["lv_edv_ml"].light
        'green'
    """
    values, known = function.to_dict(), uncertainties(function, report)
    case = _Case(function, labels, report)
    marks = {
        key: replace(worst(case.marks(needs)), uncertainty=known.get(key))
        for key, needs in NEEDS.items()
        if values[key] is not None
    }
    for key, index in INDEXED.items():
        if key in marks and values[index] is not None and function.body_surface_m2:
            sure = marks[key].uncertainty
            marks[index] = replace(marks[key], uncertainty=None if sure is None else sure / function.body_surface_m2)
    return marks


def frame_marks(report: QualityReport, n_frames: int) -> tuple[Mark, ...]:
    """Of the labels of each frame: every finding there, those of the whole study included.

    A note is told in its frames where it is a jump of a curve or a structure drawn badly.
    """
    told = [flag for flag in report.flags if flag.severity != "note" or flag.code in ("volume_jump", "low_confidence")]
    return tuple(
        worst(_mark(flag) for flag in told if not flag.frames or frame in flag.frames) for frame in range(n_frames)
    )


def _mark(flag: Flag) -> Mark:
    return Mark(AMBER if flag.severity == "note" else LIGHTS[flag.severity], (flag.sentence,))


class _Case:
    """One heart: what is asked of it more than once."""

    def __init__(self, function: Function, labels: LabelMap, report: QualityReport):
        self.function, self.flags = function, report.flags
        self.species = species_named(function.species)
        self.frames = {"ed": function.ed, "es": function.es}
        self.slices = {name: slice_volumes(labels, name) for name in ("LV", "MYO", "RV")}
        self.steps = {name: largest_step(self.slices[name]) for name in ("LV", "RV")}
        self.apex = _apex(at_human_size(labels, self.species), function.ed)
        beat = beat_ms(labels)
        self.frame_ms = beat / labels.n_frames if beat > 0 else 0.0

    def marks(self, needs: Needs) -> Iterator[Mark]:
        """Everything that speaks against a measurement."""
        frames = {self.frames[phase] for phase in needs.phases}
        for flag in self.flags:
            if self._concerns(flag, needs, frames):
                yield _mark(flag)
        if needs.whole and self.apex and set(needs.structures) & {"LV", "MYO"}:
            yield Mark(AMBER, (self.apex,))
        for name in needs.structures:
            for phase in needs.phases:
                if sentence := flickers(self.slices[name], self.frames[phase], name, largest=phase == "ed"):
                    yield Mark(AMBER, (sentence,))
        yield from self._time(needs)

    def _time(self, needs: Needs) -> Iterator[Mark]:
        """Of slices that come and go, and of the frames."""
        name, frames = needs.structures[0], self.function.n_frames
        step = self.steps.get(name)
        stroke = (self.function.lv if name == "LV" else self.function.rv).sv_ml
        if step and stroke and needs.whole and (needs.rate or "es" in needs.phases):
            share, sentence = step.ml / abs(stroke), step.sentence(name, self.species)
            if needs.rate and share > RATE_STEP:
                yield Mark(AMBER, (f"{sentence}: the curve steps there, and rates are told by that step.",))
            elif not needs.rate and share > VOLUME_STEP:
                yield Mark(AMBER, (f"{sentence}: volumes and EF hang on that one slice.",))
        if needs.rate and self.frame_ms > self.species.longest_frame_ms:
            yield Mark(AMBER, (f"The frames are {self.frame_ms:.0f} ms apart: peak rates are told too low.",))
        if 2 < frames < LEAST_FRAMES and "es" in needs.phases:
            yield Mark(AMBER, (f"{frames} frames only: end-systole may lie between two of them.",))

    def _concerns(self, flag: Flag, needs: Needs, frames: set[int]) -> bool:
        """Whether a finding speaks against a measurement; a note does only where it breaks a curve."""
        if flag.structures and not set(flag.structures) & set(needs.structures):
            return False
        if needs.rate:
            return flag.severity != "note" or flag.code == "volume_jump"
        return flag.severity != "note" and (not flag.frames or bool(frames & set(flag.frames)))


def _apex(labels: LabelMap, ed: int) -> str:
    """The sentence on an apex that the labels do not reach; empty where they do, or have no slices to tell by."""
    try:
        return stack_ends(on_short_axis(labels, ed).labels[ed]).apex
    except InputError:
        return ""
