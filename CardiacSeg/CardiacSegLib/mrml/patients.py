"""What a panel knows of the patient: filled in from the study where it says so, editable, 0 where unknown."""

from CardiacLib.mrml.nodes.cines import body_facts

_FIELDS = (("heightCm", "height_m", 100.0, 250.0), ("weightKg", "weight_kg", 1.0, 300.0))
_FIELDS += (("heartRate", "heart_rate_bpm", 1.0, 250.0),)
"""Parameter, name in ``Cine.patient``, factor between them, largest value of the parameter."""


def take_patient(parameters) -> None:
    """When another cine is chosen, take what its study says of the patient; what it does not say becomes unknown.

    ``parameters`` has ``inputVolume``, ``patientOf`` (whose patient it is), ``heightCm``, ``weightKg``, ``heartRate``.
    """
    volume = parameters.inputVolume
    if volume is parameters.patientOf:
        return
    body = body_facts(volume) if volume else {}
    parameters.patientOf = volume
    for parameter, fact, factor, most in _FIELDS:
        setattr(parameters, parameter, min(round(factor * float(body.get(fact, 0.0)), 1), most))


def body_of(parameters) -> dict[str, float]:
    """The values that are known, under the names of ``Cine.patient``."""
    known = {fact: getattr(parameters, name) / factor for name, fact, factor, _most in _FIELDS}
    return {fact: value for fact, value in known.items() if value > 0}
