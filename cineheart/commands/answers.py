"""What ``cineheart run`` shows of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cineheart.console import Answer, rounded

if TYPE_CHECKING:
    from cineheart.results import StudyResult


def study_answer(result: StudyResult) -> Answer:
    """Views, volumes, annulus motion, light and seconds of a study, and its notes."""
    function = result.function
    facts: dict[str, object] = {"views": list(result.study.cines), "ed": function.ed, "es": function.es}
    names = ("lv_edv_ml", "lv_esv_ml", "lv_ef_percent", "lv_mass_g", "rv_edv_ml", "rv_esv_ml", "rv_ef_percent")
    measured = function.to_dict()
    facts |= {name: rounded(measured[name]) for name in names}
    if result.annulus is not None:
        values = result.annulus.values()
        facts |= {name: rounded(values[name]) for name in ("mapse_mm", "tapse_mm") if name in values}
    if result.quality is not None:
        facts["quality"] = result.quality.light
    if result.mesh is not None:
        facts["tetrahedra"] = len(result.mesh.tets)
    facts["seconds"] = {name: round(value, 1) for name, value in result.seconds.items()}
    reasons = result.quality.reasons if result.quality else ()
    return Answer(facts, (*result.study.notes, *result.notes, *reasons))
