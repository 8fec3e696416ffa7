"""What a panel knows of the patient: filled in from the study where it says so, editable, 0 where unknown."""

from dataclasses import replace

from CardiacLib.mrml.nodes.cines import body_facts
from CardiacLib.types.choices import Body

_FIELDS = (("heightCm", "height_m", 100.0, 250.0), ("weightKg", "weight_kg", 1.0, 300.0))
_FIELDS += (("heartRate", "heart_rate_bpm", 1.0, 1000.0),)
"""Parameter, field of ``Body``, factor between them, largest value of the parameter."""


def take_patient(parameters) -> None:
    """When another cine is chosen, take what its study says of the patient; what it does not say becomes unknown.

    ``parameters`` has ``inputVolume``, ``patientOf`` (whose patient it is), ``heightCm``, ``weightKg``, ``heartRate``.
    """
    volume = parameters.inputVolume
    if volume is parameters.patientOf:
        return
    body = Body.of(body_facts(volume)) if volume else Body()
    parameters.patientOf = volume
    for parameter, field, factor, most in _FIELDS:
        setattr(parameters, parameter, min(round(factor * float(getattr(body, field) or 0.0), 1), most))


def body_of(parameters) -> Body:
    """The values that are known: those of the panel, and sex and age as the study says them."""
    known = {field: getattr(parameters, name) / factor for name, field, factor, _most in _FIELDS}
    volume = parameters.inputVolume
    stated = Body.of(body_facts(volume)) if volume else Body()
    return replace(stated, **{field: value if value > 0 else None for field, value in known.items()})
