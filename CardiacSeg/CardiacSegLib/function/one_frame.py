"""What one frame alone says of the ventricles: nothing of the cycle, and its phase only if somebody tells it."""

from dataclasses import replace

from .records import Function
from .regional import Regional

UNKNOWN_PHASE = (
    "One frame of unknown phase: its volumes are called neither end-diastolic nor end-systolic, its mass is given as "
    "if at end-diastole; --phase ed or --phase es tells the phase."
)


def of_one_frame(function: Function) -> Function:
    """The measures of labels of one frame under the names of its phase.

    Args:
        function: as measured, with the frame taken for end-diastole; ``by_hand.phase`` says what it is.
    """
    phase = function.by_hand.phase
    if phase == "ed":
        return function
    late, muscle = phase == "es", function.myocardium
    sides = {}
    for side in ("lv", "rv"):
        ventricle = getattr(function, side)
        sides[side] = replace(ventricle, edv_ml=None, esv_ml=ventricle.edv_ml if late else None)
    return replace(
        function,
        **sides,
        myocardium=replace(muscle, mass_g=None, mass_es_g=muscle.mass_g) if late else muscle,
        lv_sphericity_ed=None,
        lv_sphericity_es=function.lv_sphericity_ed if late else None,
        regional=None if function.regional is None else _regional(function.regional, late),
        notes=function.notes if late else (UNKNOWN_PHASE, *function.notes),
    )


def _regional(regional: Regional, late: bool) -> Regional:
    field = "thickness_es_mm" if late else "thickness_mm"
    segments = tuple(replace(s, thickness_ed_mm=None, **{field: s.thickness_ed_mm}) for s in regional.segments)
    return replace(regional, segments=segments, thickness_ed_mm=None, thickness_mm=regional.thickness_ed_mm)
