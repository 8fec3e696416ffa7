"""What the DICOM module's plugin does: studies to offer, one study into one sequence browser, segmentations back."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.dicom_files import files_of
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.segmentations import images_of
from CardiacLib.mrml.nodes.sequences import sequence_of
from CardiacLib.mrml.nodes.study_views import show_study
from CardiacLib.mrml.panel.dicom_export import DicomExport, export_dicom_seg
from CardiacLib.mrml.panel.module_panel import run_and_add
from CardiacLib.mrml.panel.processes import JobRequest, Worker
from CardiacLib.mrml.panel.studies import study_name, take_study
from CardiacLib.mrml.translation import _
from CardiacLib.types.study import Study

from .examine import CineStudy, find_cine_studies


def loadables(plugin, file_lists: Sequence[Sequence[str]], make: type) -> list:
    """What the DICOM module lists: the study once for each of its series, or others' would be loaded beside it.

    Slicer compares the confidence of plugins by the series of a loadable's first file. Whichever is loaded first brings
    the whole study, the others then have nothing to do.

    Args:
        plugin: the DICOM plugin; its ``loadType`` is the name.
        file_lists: files of each series.
        make: ``DICOMLib.DICOMLoadable``.
    """
    import slicer

    found = []
    for study in find_cine_studies(file_lists, slicer.dicomDatabase.fileValue):
        for number, files in enumerate(study.series):
            rest = [file for other in study.series if other is not files for file in other]
            loadable = make()
            loadable.files = [*files, *rest]
            loadable.name = _text(plugin.loadType, study, number)
            loadable.tooltip = _("All cines of the study in one sequence browser, for the modules of CineHeart.")
            loadable.selected, loadable.confidence = True, study.confidence
            found.append(loadable)
    return found


def load(plugin, loadable, worker: Worker) -> bool:
    """Load a study, unless it is in the scene already; its patient and study are those of the DICOM plugin.

    Returns:
        whether it is there now.

    Raises:
        InputError: it cannot be read; the scene is unchanged.
    """
    import slicer

    if _is_loaded(loadable.files):
        return True

    def add(study: Study) -> Nodes:
        volumes = take_study(study, study_name(study))
        for view, volume in volumes.items():
            names = [file for row in study.cines[view].files for file in row if file is not None]
            own = list(dict.fromkeys(path for path, _number in names))
            plugin.addSeriesInSubjectHierarchy(SimpleNamespace(files=own, referencedInstanceUIDs=[]), volume)
        return volumes

    request = JobRequest("study", {"path": _common_folder(loadable.files), "files": tuple(loadable.files)})
    volumes = run_and_add(request, add, worker=worker, idle=slicer.app.processEvents)
    show_study(volumes)
    return True


def exportables(plugin, item: int, make: type) -> list:
    """What can be exported of an item of the Data tree: a segmentation of a study whose files the database knows.

    Args:
        plugin: the DICOM plugin.
        item: of the tree.
        make: ``slicer.qSlicerDICOMExportable``.
    """
    import slicer

    node = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene).GetItemDataNode(item)
    if node is None or not node.IsA("vtkMRMLSegmentationNode") or not files_of(images_of(node)):
        return []
    exportable = make()
    one, every = _("Segmentation of a cine's frame"), _("Cine segmentation: all frames")
    exportable.name = one if sequence_of(node)[1] is None else every
    exportable.tooltip = _("DICOM segmentations that refer to the images they were made on, one file per frame.")
    exportable.subjectHierarchyItemID = item
    exportable.pluginClass = type(plugin).__module__
    exportable.confidence = 1.0
    return [exportable]


def export(exportable, worker: Worker) -> str:
    """Write what was chosen into the folder that the DICOM module gives; returns why not, empty if it was written."""
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    node = tree.GetItemDataNode(exportable.subjectHierarchyItemID)
    try:
        export_dicom_seg(node, Path(exportable.directory) / node.GetName(), DicomExport(), worker=worker)
    except InputError as error:
        return str(error)
    return ""


def _text(kind: str, study: CineStudy, number: int) -> str:
    if number:
        return _("{kind} (the same, for its series {number})").format(kind=kind, number=number + 1)
    if not study.n_slices:
        return _("{kind}: {frames} frames").format(kind=kind, frames=study.n_frames)
    text = _("{kind}: {slices} slices x {frames} frames, {planes} other planes")
    return text.format(kind=kind, slices=study.n_slices, frames=study.n_frames, planes=study.n_planes)


def _is_loaded(files: Sequence[str]) -> bool:
    """Whether a volume of the scene came from these files."""
    import slicer

    wanted, scene = set(files), slicer.mrmlScene
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        volume = scene.GetNthNodeByClass(number, "vtkMRMLScalarVolumeNode")
        if sequence_of(volume)[1] is not None and wanted & set(files_of(volume)):
            return True
    return False


def _common_folder(files: Sequence[str]) -> str:
    return os.path.commonpath([str(Path(file).parent) for file in files])
