"""What CineHeart does once when Slicer has started, before any of its panels is opened."""

import logging

from CardiacLib.mrml.nodes.host import logic
from CardiacLib.mrml.panel.scratch import sweep
from CardiacLib.resources import resource_path

from .sample_data import register_sample_data

TERMINOLOGY_FILE = "CineHeart.term.json"


def start_up() -> None:
    """Offer the samples, load the terminology, and remove what a crash has left of earlier runs."""
    register_sample_data()
    load_terminology()
    for folder in sweep():
        logging.info("Removed %s, which a run that did not end had left.", folder)


def load_terminology() -> str:
    """Load the codes of the segments, or the selector of the myocardium's would open empty; returns their name.

    Raises:
        RuntimeError: Slicer cannot read the file.
    """
    name = logic("terminologies").LoadTerminologyFromFile(str(resource_path(TERMINOLOGY_FILE)))
    if not name:
        raise RuntimeError(f"{TERMINOLOGY_FILE} could not be loaded.")
    return name
