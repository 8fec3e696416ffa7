"""The DICOM module with CineHeart's plugin: one study becomes one browser, and its segmentation goes back to it."""

import numpy as np
import pytest
from dicom_factory import write_planes
from panel_hearts import DICOM_PLUGIN, MODULES, install_quick_worker, logic_of, measured, with_statistics

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from CardiacLib.types.labels import LabelMap  # noqa: E402
from Testing.SlicerHost import SlicerHost  # noqa: E402


@pytest.fixture(scope="module")
def host():
    with SlicerHost(MODULES[0], DICOM_PLUGIN, style_modules=(__name__,)) as running:
        yield running


@pytest.fixture(scope="module")
def folder(phantom, tmp_path_factory):
    """A scanner's study: every slice and view a series of its own, all of one study, and a scout besides."""
    folder, study = tmp_path_factory.mktemp("study"), {"study_uid": "1.2.3"}
    for number, view in enumerate(("sax", "2ch", "4ch")):
        cine = phantom.cines[view]
        matrix = cine.ijk_to_lps @ np.diag([1, 1, 3 if view == "sax" else 1, 1])  # every third slice
        options = {"description": view, "number": 100 * (number + 1), "series_per_slice": True} | study
        write_planes(folder / view, np.rint(cine.frames[:, ::3]), matrix, cine.times_ms, **options)
    cine = phantom.cines["4ch"]
    write_planes(folder / "scout", np.rint(cine.frames[:1]), cine.ijk_to_lps, cine.times_ms[:1], number=900, **study)
    return folder


@pytest.fixture
def database(host, folder, scene):
    from DICOMLib import Database

    return Database(folder)


def test_the_database_shows_which_series_are_a_cine_study(database, folder):
    from CardiacLib.mrml.dicom.examine import find_cine_studies

    (study,) = find_cine_studies(database.series(), database.fileValue)
    assert (study.n_slices, study.n_planes, study.n_frames) == (5, 2, 8)
    assert len(study.series) == 7 and not any("scout" in file for files in study.series for file in files)
    assert study.confidence > 0.9  # more than the plugins that Slicer brings
    sax = [files for files in database.series() if "sax" in files[0]]
    assert find_cine_studies(sax[:2], database.fileValue) == []  # two slices are no stack
    (stack,) = find_cine_studies(sax, database.fileValue)
    assert 0.5 < stack.confidence < study.confidence


def segmentation_goes_back(host, volume, monkeypatch, folder) -> None:
    """The instance UIDs of the images lead to their files, of which the worker is told: no folder is asked for."""
    from CardiacLib.mrml.nodes.cines import cine_from_node
    from CardiacLib.mrml.nodes.dicom_files import files_of
    from CardiacLib.mrml.panel import dicom_export

    cine = cine_from_node(volume)
    assert len(files_of(volume)) == cine.n_frames * cine.n_slices
    labels = LabelMap(np.full(cine.frames.shape, 1, np.uint8), cine.ijk_to_lps, cine.times_ms)
    node = logic_of("CardiacSeg").addResult(volume, measured(with_statistics(labels)), "heart").segmentation
    plugin = slicer.modules.dicomPlugins["CineHeartDICOMPlugin"]()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    (exportable,) = plugin.examineForExport(tree.GetItemByDataNode(node))
    assert exportable.name == "Cine segmentation: all frames" and exportable.pluginClass == "CineHeartDICOMPlugin"
    assert plugin.examineForExport(tree.GetItemByDataNode(volume)) == []
    asked = []
    monkeypatch.setattr(dicom_export, "run_blocking", lambda request, *_: asked.append(request))
    install_quick_worker(monkeypatch, folder)
    exportable.directory = str(folder)
    assert plugin.export([exportable]) == ""
    (request,) = asked
    choice = request.arguments["choice"]
    assert request.task == "dicom_seg" and set(choice.files) == set(files_of(volume)) and choice.frames is None


@pytest.mark.slow
def test_the_dicom_module_loads_a_study_into_one_browser(host, scene, database, phantom, monkeypatch, tmp_path):
    """Slicer compares plugins series by series: each has a line of the study, and the first that is loaded loads it."""
    from DICOMLib import load_selected

    from CardiacLib.mrml.nodes.cines import cine_from_node
    from CardiacLib.mrml.panel import dependencies

    monkeypatch.setattr(dependencies, "missing_requirements", lambda *_: pytest.fail("Loading asks for packages."))
    listed = load_selected(database)
    assert len(listed) == 7 and listed[0] == "Cine cardiac study: 5 slices x 8 frames, 2 other planes"
    assert scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 1 and not host.errors
    volumes = [scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(3)]
    assert [cine_from_node(volume).view for volume in volumes] == ["sax", "2ch", "4ch"]
    np.testing.assert_array_equal(cine_from_node(volumes[0]).frames, np.rint(phantom.cines["sax"].frames[:, ::3]))
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    studies = {tree.GetItemParent(tree.GetItemByDataNode(volume)) for volume in volumes}
    assert len(studies) == 1 and tree.GetItemLevel(studies.pop()) == "Study"
    load_selected(database)
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 3  # it is there already
    segmentation_goes_back(host, volumes[0], monkeypatch, tmp_path)


def test_the_worker_reads_the_files_it_is_told_of(folder, phantom):
    from cineheart.worker import study

    files = [str(path) for path in sorted((folder / "sax").iterdir())]
    found = study(str(folder), tuple(files), progress=lambda *_: None)
    assert set(found.cines) == {"sax"} and found.cines["sax"].n_slices == 5
