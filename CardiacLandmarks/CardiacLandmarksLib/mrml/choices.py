"""The landmark panel's parameters as options of the step."""

from CardiacLib.types.choices import LandmarkChoice, NetworkChoice, RunsOn


def landmark_choice(parameters) -> LandmarkChoice:
    """What a parameter node of the landmark module asks for."""
    network = NetworkChoice(parameters.bundle, RunsOn(parameters.device, parameters.backend))
    return LandmarkChoice(network, parameters.align)
