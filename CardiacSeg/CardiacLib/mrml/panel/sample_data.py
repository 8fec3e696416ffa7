"""The synthetic heart in Slicer's Sample Data module: made on demand, without a network."""

from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.views import show_volume
from CardiacLib.mrml.translation import _
from CardiacLib.phantom import PhantomOptions, make_phantom
from CardiacLib.progress import Progress, silent
from CardiacLib.resources import resource_path
from CardiacLib.types.patient import Patient
from CardiacLib.types.study import Study

from .module_panel import whole_scene_change
from .studies import add_study

CATEGORY = "CineHeart"
SAMPLES = {"CineHeartPhantom": PhantomOptions, "CineHeartPhantomSmall": PhantomOptions.small}
"""Name of a sample, and the options it is made with."""


def register_sample_data() -> None:
    """Offer the samples in the Sample Data module; called when Slicer has started."""
    import SampleData

    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):  # since Slicer 5.12; before, the category is made by itself
        logic.registerCustomSampleDataCategory(CATEGORY, title=_("CineHeart"))
    for name in SAMPLES:
        # A source must name an address and a file, also one that is made on this machine and needs neither.
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris="",
            fileNames="",
            nodeNames=name,
            thumbnailFileName=str(resource_path(f"{name}.png")),  # made by Docs/examples/thumbnails.py
            customDownloader=_add_with_wait_cursor,
        )


def _add_with_wait_cursor(source) -> None:
    """What the button of a sample does."""
    import slicer

    failure = _("{name} could not be made.").format(name=source.sampleName)
    with slicer.util.tryWithErrorDisplay(failure, waitCursor=True):
        add_sample(source.sampleName)


def add_sample(name: str = "CineHeartPhantom", progress: Progress = silent) -> Nodes:
    """Make a sample and put it into the scene: short axis, 2CH, 3CH and 4CH in one sequence browser.

    Args:
        name: one of SAMPLES.
        progress: called with (fraction, message); may raise Cancelled.

    Returns:
        volume node by view (sax, 2ch, 3ch, 4ch).
    """
    cines = make_phantom(SAMPLES[name](), progress).cines
    with whole_scene_change():
        volumes = add_study(Study(cines, patient=Patient(id=name), source=name))
    show_volume(volumes["sax"])
    return volumes
