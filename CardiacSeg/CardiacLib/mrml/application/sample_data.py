"""The synthetic heart in Slicer's Sample Data module: made on demand in the worker, without a network.

Sample Data only knows files that are fetched and loaded. So a sample is a small file of the extension that names a
heart, and a reader of its kind (``CardiacSegFileReader``) makes it: by the button as well as by
``SampleData.downloadSample``.
"""

import json
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.host import in_slicer
from CardiacLib.mrml.nodes.study_views import show_study
from CardiacLib.mrml.panel.module_panel import run_and_add
from CardiacLib.mrml.panel.processes import JobRequest, Worker
from CardiacLib.mrml.panel.studies import add_study
from CardiacLib.mrml.translation import _
from CardiacLib.progress import Progress, silent
from CardiacLib.resources import resource_path

CATEGORY = "CineHeart"
SAMPLES = ("CineHeartPhantom", "CineHeartPhantomSmall")
SUFFIX, FILE_TYPE = ".cineheart", "CineHeartSample"


def register_sample_data() -> None:
    """Offer the samples in the Sample Data module; called when Slicer has started."""
    import SampleData

    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):  # since Slicer 5.12; before, the category is made by itself
        logic.registerCustomSampleDataCategory(CATEGORY, title=_("CineHeart"))
    for name in SAMPLES:
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris=resource_path(name + SUFFIX).as_uri(),
            fileNames=name + SUFFIX,
            nodeNames=name,
            loadFileTypes=FILE_TYPE,
            thumbnailFileName=str(resource_path(f"{name}.png")),  # made by Docs/examples/thumbnails.py
        )


def sample_of(path: str | Path) -> str:
    """Name of the sample that a file stands for.

    Raises:
        InputError: it is no such file.
    """
    try:
        name = json.loads(Path(path).read_text(encoding="utf-8"))["sample"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no sample of CineHeart.") from error
    if name not in SAMPLES:
        raise InputError(f"{path}: names no sample of CineHeart; one of {', '.join(SAMPLES)}.")
    return name


def add_sample(name: str = SAMPLES[0], progress: Progress = silent, *, worker: Worker) -> Nodes:
    """Make a sample in the worker and put it into the scene: short axis, 2CH, 3CH and 4CH in one sequence browser.

    Slicer's window goes on meanwhile.

    Args:
        name: one of SAMPLES.
        progress: called with (fraction, message); may raise Cancelled.
        worker: makes it.

    Returns:
        volume node by view (sax, 2ch, 3ch, 4ch).
    """
    request = JobRequest("phantom", {"name": name, "small": name.endswith("Small")})
    volumes = run_and_add(request, add_study, worker=worker, progress=progress, idle=_let_the_window_go_on)
    show_study(volumes)
    return volumes


def _let_the_window_go_on() -> None:
    if in_slicer():
        import slicer

        slicer.app.processEvents()
