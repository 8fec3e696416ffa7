"""Function of animals: measured at human size, where all limits are, and given in their own size and units."""

from dataclasses import replace

from CardiacLib.species import Species

from .records import Function, Ventricle
from .regional import Regional


def at_own_size(function: Function, species: Species) -> Function:
    """What was measured of a heart enlarged by ``body_scale``, in its own size."""
    length = 1.0 / species.body_scale
    volume = length**3
    muscle = function.myocardium
    return replace(
        function,
        lv=_ventricle(function.lv, volume),
        rv=_ventricle(function.rv, volume),
        myocardium=replace(
            muscle,
            volume_ml=muscle.volume_ml * volume,
            mass_g=_times(muscle.mass_g, volume),
            mass_es_g=_times(muscle.mass_es_g, volume),
        ),
        regional=None if function.regional is None else _regional(function.regional, length),
        species=species.name,
    )


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _ventricle(ventricle: Ventricle, factor: float) -> Ventricle:
    filling = ventricle.filling
    names = ("edv_ml", "esv_ml", "sv_ml", "cardiac_output_l_per_min")
    return replace(
        ventricle,
        volume_ml=ventricle.volume_ml * factor,
        filling=None
        if filling is None
        else replace(
            filling,
            rate_ml_per_s=filling.rate_ml_per_s * factor,
            peak_ejection_ml_per_s=filling.peak_ejection_ml_per_s * factor,
            peak_filling_ml_per_s=filling.peak_filling_ml_per_s * factor,
        ),
        **{name: _times(getattr(ventricle, name), factor) for name in names},
    )


def _regional(regional: Regional, factor: float) -> Regional:
    names = ("thickness_ed_mm", "thickness_es_mm")
    segments = tuple(
        replace(segment, **{name: _times(getattr(segment, name), factor) for name in names})
        for segment in regional.segments
    )
    return replace(regional, segments=segments, thickness_ed_mm=_times(regional.thickness_ed_mm, factor))
