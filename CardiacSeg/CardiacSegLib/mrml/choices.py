"""The segmentation panel's parameters as options of the step."""

from CardiacLib.types.choices import NetworkChoice, RunsOn, SegmentChoice

from .patients import body_of


def segment_choice(parameters) -> SegmentChoice:
    """What a parameter node of the segmentation module asks for."""
    network = NetworkChoice(parameters.bundle, RunsOn(parameters.device, parameters.backend), parameters.quality)
    return SegmentChoice(network, parameters.papillary, body_of(parameters))
