"""The segmentation panel's parameters as options of the step."""

from CardiacLib.networks.bundles import bundle_of_species
from CardiacLib.species import species_named
from CardiacLib.types.choices import ByHand, NetworkChoice, RunsOn, SegmentChoice, basal_slices

from .patients import body_of


def segment_choice(parameters) -> SegmentChoice:
    """What a parameter node of the segmentation module asks for."""
    runs_on = RunsOn(parameters.device, parameters.backend)
    network = NetworkChoice(bundle_for(parameters), runs_on, parameters.quality)
    return SegmentChoice(network, parameters.papillary, body_of(parameters), parameters.species)


def bundle_for(parameters) -> str:
    """The chosen network; for an animal its own one that has weights, as those that are offered are for people."""
    human = species_named(parameters.species).is_human
    return parameters.bundle if human else bundle_of_species(parameters.species)


def measure_choice(parameters) -> SegmentChoice:
    """How a segmentation is measured again: frames count from 1 there, 0 leaves them to the volumes.

    Raises:
        InputError: slices that are written in another way.
    """
    by_hand = ByHand(
        ed_frame=parameters.edFrame - 1 if parameters.edFrame else None,
        es_frame=parameters.esFrame - 1 if parameters.esFrame else None,
        left_out=basal_slices(parameters.leftOutSlices),
        added=basal_slices(parameters.addedSlices),
    )
    return SegmentChoice(
        papillary=parameters.papillary, body=body_of(parameters), species=parameters.species, by_hand=by_hand
    )
