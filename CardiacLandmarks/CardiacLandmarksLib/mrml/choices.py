"""The landmark panel's parameters as options of the step."""

from collections.abc import Container

from CardiacLib.networks.bundles import has_weights
from CardiacLib.types.choices import LONG_AXIS_BUNDLE, LandmarkChoice, NetworkChoice, RunsOn


def bundles_for(views: Container[str], bundle: str) -> list[str]:
    """The networks that a run on these views uses: that of the points and, of a 4CH cine, that of its labels."""
    return [bundle, LONG_AXIS_BUNDLE] if "4ch" in views and has_weights(LONG_AXIS_BUNDLE) else [bundle]


def landmark_choice(parameters) -> LandmarkChoice:
    """What a parameter node of the landmark module asks for."""
    network = NetworkChoice(parameters.bundle, RunsOn(parameters.device, parameters.backend))
    return LandmarkChoice(network, parameters.align)
