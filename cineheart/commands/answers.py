"""What commands show of a study, and of its ventricles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from CardiacLib.species import species_named
from CardiacLib.types.measures.marks import Marks
from cineheart.console import Answer, Counted, rounded

if TYPE_CHECKING:
    from CardiacSegLib.function import Function
    from cineheart.results import StudyResult


SHOWN = ("edv_ml", "esv_ml", "ef_percent")
"""Of each ventricle."""
SMALL = {
    "lv_edv_ul": "lv_edv_ml",
    "lv_esv_ul": "lv_esv_ml",
    "lv_volume_ul": "lv_volume_ml",
    "lv_cardiac_output_ml_per_min": "lv_cardiac_output_l_per_min",
    "lv_mass_mg": "lv_mass_g",
    "lv_mass_es_mg": "lv_mass_es_g",
}
"""Name in the units of animals, thousandths, and the name of the measurement."""
OF_ANIMALS = ("species", "lv_edv_ul", "lv_esv_ul", "lv_ef_percent", "lv_cardiac_output_ml_per_min", "lv_mass_mg")


def function_facts(function: Function) -> dict[str, object]:
    """The numbers of ED and ES, or, of one frame of unknown phase, its volumes; of an animal in its units, of the LV.

    Of one frame of an animal there is one volume, ``lv_volume_ul``, whatever its phase.
    """
    measured = function.to_dict()
    if not species_named(function.species).is_human:
        names = OF_ANIMALS if function.n_frames > 1 else ("species", "lv_volume_ul", _mass_of(function, "mg"))
        return {name: value if isinstance(value := measured[name], str) else rounded(value) for name in names}
    names = tuple(f"{side}_{name}" for side in ("lv", "rv") for name in SHOWN)
    if function.n_frames == 1:
        phase = function.by_hand.phase
        names = tuple(f"{side}_{phase}v_ml" if phase else f"{side}_volume_ml" for side in ("lv", "rv"))
    return {name: rounded(measured[name]) for name in (*names, _mass_of(function, "g"))}


def function_marks(function: Function, marks: Marks) -> Marks:
    """Marks by the names of :func:`function_facts` too: those of animals have units of their own."""
    if species_named(function.species).is_human:
        return marks
    return {**marks, **{small: marks[key].times(1000.0) for small, key in SMALL.items() if key in marks}}


def _mass_of(function: Function, unit: str) -> str:
    late = function.n_frames == 1 and function.by_hand.phase == "es"
    return f"lv_mass_es_{unit}" if late else f"lv_mass_{unit}"


def study_answer(result: StudyResult) -> Answer:
    """Views, volumes, annulus motion, light and seconds of a study, and its notes."""
    function = result.function
    ends = {} if function.n_frames == 1 else {"ed": function.ed, "es": function.es}
    counted = {name: Counted(frame, function.n_frames) for name, frame in ends.items()}
    facts: dict[str, object] = {"views": list(result.study.cines), **counted}
    facts |= function_facts(function)
    if result.annulus is not None:
        values = result.annulus.values()
        facts |= {name: rounded(values[name]) for name in ("mapse_mm", "tapse_mm") if name in values}
    if result.quality is not None:
        facts["quality"] = result.quality.light
    if result.mesh is not None:
        facts["tetrahedra"] = len(result.mesh.tets)
    facts["run_by"] = result.segmented.segmentation.run_by
    facts["seconds"] = {name: round(value, 1) for name, value in result.seconds.items()}
    reasons = result.quality.reasons if result.quality else ()
    return Answer(facts, (*result.study.notes, *result.notes, *reasons), function_marks(function, result.marks))
