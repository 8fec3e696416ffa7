"""What commands show of a study, and of its ventricles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cineheart.console import Answer, Counted, rounded

if TYPE_CHECKING:
    from CardiacSegLib.function import Function
    from cineheart.results import StudyResult


SHOWN = ("edv_ml", "esv_ml", "ef_percent")
"""Of each ventricle."""


def function_facts(function: Function) -> dict[str, object]:
    """The numbers of ED and ES, or, of one frame of unknown phase, its volumes."""
    measured = function.to_dict()
    names = [f"{side}_{name}" for side in ("lv", "rv") for name in SHOWN]
    if function.n_frames == 1:
        phase = function.by_hand.phase
        names = [f"{side}_{phase}v_ml" if phase else f"{side}_volume_ml" for side in ("lv", "rv")]
    mass = "lv_mass_es_g" if function.n_frames == 1 and function.by_hand.phase == "es" else "lv_mass_g"
    return {name: rounded(measured[name]) for name in (*names, mass)}


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
    return Answer(facts, (*result.study.notes, *result.notes, *reasons), result.marks)
