"""A study's cines in one sequence browser of the scene, as the panels and ``scene.mrb`` show them."""

import json
import logging
from pathlib import Path
from typing import NamedTuple

from CardiacLib.errors import InputError
from CardiacLib.files import safe_name
from CardiacLib.mrml.nodes.cines import cine_to_scene
from CardiacLib.mrml.nodes.hierarchy import Nodes, place
from CardiacLib.mrml.nodes.hierarchy import add_study as add_study_item
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.nodes.study_views import show_study
from CardiacLib.mrml.translation import _
from CardiacLib.progress import Progress, silent
from CardiacLib.types.study import Study

from .module_panel import ModulePanel, run_and_add
from .processes import JobRequest, Worker
from .summaries import study_text

SOURCE_ATTRIBUTE = "CineHeart.source"
"""JSON of the :class:`Source` of a cine."""
_VIEW_NAMES = {"sax": "short axis", "2ch": "2CH", "3ch": "3CH", "4ch": "4CH", "other": "other view"}


class Source(NamedTuple):
    """Where a cine was read from: path of its study, and whether that is DICOM."""

    path: str
    dicom: bool


def study_name(study: Study) -> str:
    """Short name of a study for nodes and titles: the patient's id, else the name of the file or folder read.

    Characters that files, or the XML of a scene, cannot hold are replaced.
    """
    return safe_name(study.patient.id or Path(study.source).name)


def study_request(path: str | Path) -> JobRequest:
    """The worker's job of reading a study from a folder or file.

    Raises:
        InputError: there is no such folder or file.
    """
    if not Path(path).exists():
        raise InputError(f"{path}: there is no such folder or file.")
    return JobRequest("study", {"path": str(Path(path).resolve())})


def study_to_scene(study: Study, name: str):
    """Put the cines of a study into the scene, the short axis first, synchronised in one browser.

    Returns:
        (browser, {view: volume}); no browser where no view has more than one frame.
    """
    browser, volumes = None, {}
    for view in sorted(study.cines, key=list(_VIEW_NAMES).index):
        browser, volumes[view] = cine_to_scene(study.cines[view], f"{name} {_VIEW_NAMES[view]}", browser)
    if browser is not None:
        browser.SetName(f"{name} browser")
    return browser, volumes


def load_study(path: str | Path, *, worker: Worker, progress: Progress = silent) -> Nodes:
    """Read a study in a worker process, wait, and put its cines into the scene: volume by view.

    Raises:
        InputError: nothing there can be read as a study; the scene is unchanged.
    """
    return run_and_add(study_request(path), add_study, worker=worker, progress=progress)


def add_study(study: Study) -> Nodes:
    """Put a study into the scene, under a patient and study of its own in the Data tree: volume by view."""
    name = study_name(study)
    volumes = take_study(study, name)
    item = add_study_item(study.patient.name or name, name)
    for volume in volumes.values():
        place(volume, item)
    return volumes


def take_study(study: Study, name: str) -> Nodes:
    """Put a study into the scene under a name, nowhere in particular in the Data tree, and log what was left out."""
    for sentence in (*study.notes, *study.left_out):
        logging.info("%s: %s", study.source, sentence)
    volumes = study_to_scene(study, name)[1]
    for view, volume in volumes.items():
        source = Source(study.source, bool(study.cines[view].files))
        _carrier(volume).SetAttribute(SOURCE_ATTRIBUTE, json.dumps(source._asdict()))
    return volumes


def source_of(volume) -> Source | None:
    """Where :func:`add_study` has a volume from; None of another volume."""
    stated = _carrier(volume).GetAttribute(SOURCE_ATTRIBUTE)
    return Source(**json.loads(stated)) if stated else None


def same_study(node, volume) -> bool:
    """Whether two nodes play in one sequence browser, or were loaded from one study."""
    browser, source = sequence_of(node)[0], source_of(node)
    if browser is not None and browser is sequence_of(volume)[0]:
        return True
    return source is not None and source == source_of(volume)


def _carrier(volume):
    """The sequence that a volume is the proxy of (browsing replaces the attributes of a proxy), or the volume."""
    sequence = sequence_of(volume)[1]
    return volume if sequence is None else sequence


def ask_and_load(panel: ModulePanel, parameter: str) -> None:
    """Ask for a folder, read the study in the panel's worker, with its progress bar and Cancel, and choose its stack.

    Args:
        panel: of the module.
        parameter: name of the parameter that takes the short axis.
    """
    import qt

    title = _("Folder of a cine study: DICOM, NIfTI or NRRD")
    folder = qt.QFileDialog.getExistingDirectory(panel.widget.parent, title)
    if not folder:  # the user pressed Cancel
        return
    parameters = panel.logic.getParameterNode()  # stays valid when the module is left during the run

    def make_request() -> JobRequest:
        return study_request(folder)

    def add_result(study: Study) -> str:
        volumes = add_study(study)
        panel.choose(parameter, volumes["sax"], parameters)
        show_study(volumes)
        panel.log(*study.notes, *study.left_out)
        return study_text(study)

    panel.start(make_request, add_result)
