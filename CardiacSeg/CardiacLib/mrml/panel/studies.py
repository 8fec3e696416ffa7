"""A study's cines in one sequence browser of the scene, as the panels and ``scene.mrb`` show them."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.cines import cine_to_scene
from CardiacLib.mrml.nodes.hierarchy import add_study as add_study_item
from CardiacLib.mrml.nodes.hierarchy import place
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.nodes.views import show_volume
from CardiacLib.types.study import Study

from .dependencies import ensure_dependencies
from .module_panel import whole_scene_change
from .processes import JobRequest, run_blocking
from .summaries import study_text

SOURCE_ATTRIBUTE = "CineHeart.source"
"""JSON of where a cine was read from: ``path`` of its study, and whether that is ``dicom``."""
_VIEW_NAMES = {"sax": "short axis", "2ch": "2CH", "3ch": "3CH", "4ch": "4CH", "other": "other view"}


def study_name(study: Study) -> str:
    """Short name of a study for nodes and titles: the patient's id, else the name of the file or folder read."""
    return str(study.patient.get("id") or Path(study.source).name or "study")


def study_request(path: str | Path) -> JobRequest:
    """The worker's job of reading a study from a folder or file.

    Raises:
        InputError: there is no such folder or file.
    """
    if not Path(path).exists():
        raise InputError(f"{path}: there is no such folder or file.")
    return JobRequest("CardiacLib", "study", {}, {"path": str(Path(path).resolve())})


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


def load_study(path: str | Path, progress: Callable[[float, str], None]) -> dict[str, object]:
    """Read a study in a worker process, wait, and put its cines into the scene: volume by view.

    Raises:
        InputError: nothing there can be read as a study; the scene is unchanged.
    """
    study = run_blocking(study_request(path), progress)
    with whole_scene_change():
        return add_study(study)


def add_study(study: Study) -> dict[str, object]:
    """Put a study into the scene under its own name and log what was left out of it: volume by view."""
    for sentence in (*study.notes, *study.left_out):
        logging.info("%s: %s", study.source, sentence)
    name = study_name(study)
    _, volumes = study_to_scene(study, name)
    item = add_study_item(str(study.patient.get("name") or name), name)
    for view, volume in volumes.items():
        place(volume, item)
        stated = {"path": study.source, "dicom": bool(study.cines[view].files)}
        _carrier(volume).SetAttribute(SOURCE_ATTRIBUTE, json.dumps(stated))
    return volumes


def source_of(volume) -> dict[str, object]:
    """``path`` of the study that :func:`add_study` loaded a volume from, and whether it is ``dicom``; else empty."""
    stated = _carrier(volume).GetAttribute(SOURCE_ATTRIBUTE)
    return json.loads(stated) if stated else {}


def _carrier(volume):
    """The sequence that a volume is the proxy of (browsing replaces the attributes of a proxy), or the volume."""
    _, sequence = sequence_of(volume)
    return volume if sequence is None else sequence


def ask_and_load(widget, parameter: str, translate: Callable[[str], str]) -> None:
    """Ask for a folder, read the study in the panel's worker, with its progress bar and Cancel, and choose its stack.

    Args:
        widget: the module's widget.
        parameter: name of the parameter that takes the short axis.
        translate: of the module.
    """
    import qt

    title = translate("Folder of a cine study: DICOM, NIfTI or NRRD")
    folder = qt.QFileDialog.getExistingDirectory(widget.parent, title)
    if not folder:  # the user pressed Cancel
        return
    parameters = widget.logic.getParameterNode()  # stays valid when the module is left during the run

    def make_request() -> JobRequest:
        ensure_dependencies(widget.moduleName)
        return study_request(folder)

    def add_result(study: Study) -> str:
        volumes = add_study(study)
        setattr(parameters, parameter, volumes["sax"])
        show_volume(volumes["sax"])
        return study_text(study, translate)

    widget.panel.start(make_request, add_result)
