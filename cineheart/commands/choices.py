"""What the options of the command line say, as the library takes it; nothing heavy is imported before it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from CardiacLib.errors import InputError
from CardiacLib.types.choices import BasalSlices, ByHand, NetworkChoice, SegmentChoice, basal_slices
from CardiacLib.types.patient import Patient

if TYPE_CHECKING:
    from BiVMeshLib import FibreOptions
    from CardiacLib.types.measures.ranges import ReferenceRow

    from .propagation import PropagateFile

HIGHEST_M = 3.0
POSSIBLE = {"height_m": (0.01, HIGHEST_M), "weight_kg": (0.005, 500.0), "heart_rate_bpm": (10.0, 1000.0)}
"""Of people and mice."""
UNITS = {"height_m": "m", "weight_kg": "kg", "heart_rate_bpm": "beats per minute"}


def fibre_options(text: str | None) -> FibreOptions:
    """Options of the fibres of ``ENDO,EPI`` in degrees."""
    from BiVMeshLib import FibreOptions

    if text is None:
        return FibreOptions()
    try:
        endo, epi = (float(angle) for angle in text.split(","))
    except ValueError as error:
        raise InputError(f"--fibre-angles {text}: write ENDO,EPI in degrees, for instance '60,-60'.") from error
    return FibreOptions(alpha_endo=endo, alpha_epi=epi)


def only_given(**given: float | None) -> dict[str, float]:
    """What of the options was given; the others keep their defaults."""
    return {name: value for name, value in given.items() if value is not None}


def stated_patient(
    height: float | None, weight: float | None, heart_rate: float | None, sex: str | None = None, age: int | None = None
) -> Patient:
    """What the user says of the patient; heights up to 3 are metres, others centimetres; sex male or female, age years.

    Raises:
        InputError: a number that no patient has.
    """
    if height is not None and height > HIGHEST_M:
        height /= 100
    given = {"height_m": height, "weight_kg": weight, "heart_rate_bpm": heart_rate}
    for name, (least, most) in POSSIBLE.items():
        if given[name] is not None and not least <= given[name] <= most:
            option = name.rpartition("_")[0].replace("_", "-")
            raise InputError(f"--{option}: {given[name]:g} is not possible; {least:g} to {most:g} {UNITS[name]} is.")
    return Patient(sex=sex and sex[0].upper(), age=None if age is None else f"{age:03d}Y", **given)


def stated_ranges(path: Path | None) -> tuple[ReferenceRow, ...]:
    """The user's table of normal ranges, read before the work; empty for the shipped one."""
    from CardiacSegLib.reference import read_reference_ranges

    return () if path is None else read_reference_ranges(path)


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a user typed of frames and slices: frames counted from 1, slices as ``basal_slices`` reads them."""

    phase: str = ""
    ed_frame: int | None = None
    es_frame: int | None = None
    leave_out: list[str] | None = None
    add: list[str] | None = None

    def segment_choice(
        self, network: NetworkChoice, papillary: str, species: str, ranges: Path | None
    ) -> SegmentChoice:
        """How the short axis is labelled and measured, with the normal ranges of a user's table if there is one."""
        return SegmentChoice(
            network, papillary, species=species, by_hand=self.by_hand(), reference=stated_ranges(ranges)
        )

    def by_hand(self) -> ByHand:
        """The same as the library takes it."""
        return ByHand(
            phase=self.phase,
            ed_frame=None if self.ed_frame is None else self.ed_frame - 1,
            es_frame=None if self.es_frame is None else self.es_frame - 1,
            left_out=_slices(self.leave_out, "--leave-out-slices"),
            added=_slices(self.add, "--add-slices"),
        )


def _slices(texts: list[str] | None, option: str) -> tuple[BasalSlices, ...]:
    try:
        return tuple(edit for text in texts or () for edit in basal_slices(text))
    except InputError as error:
        raise InputError(f"{option} {error}") from error


def chosen_views(pairs: list[str] | None) -> dict[str, str]:
    """View by name of the file or series, of ``NAME=VIEW``."""
    chosen = {}
    for pair in pairs or []:
        name, separator, view = pair.rpartition("=")
        if not separator:
            raise InputError(f"--view {pair}: write NAME=VIEW, for instance 'cine_b=2ch'.")
        chosen[name] = view
    return chosen


def propagation_of(
    image: Path | None, start: int | None, base: int | None, align: bool, landmarks: Path | None
) -> PropagateFile | None:
    """The propagation that ``cineheart mesh`` is told of; None without an image, for which no slice may be given."""
    from BiVMeshLib.propagation import PropagationOptions
    from BiVMeshLib.result import PropagateChoice

    from .propagation import PropagateFile

    if image is None:
        if start is not None or base is not None:
            raise InputError("--start-slice and --base-slice are of --propagate IMAGE, which is missing.")
        return None
    return PropagateFile(image, PropagateChoice(PropagationOptions(start, base, align_slices=align)), landmarks)


def refuse_for_several(**files: Path | None) -> None:
    """Raise InputError where a file that belongs to one label map is given for several."""
    for name, path in files.items():
        if path is not None:
            raise InputError(f"--{name} {path}: belongs to one label map; give that map alone.")
