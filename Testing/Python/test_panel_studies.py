"""A cine study in the scene: by the button, by the console, one series per slice; and volumes that are no cine yet."""

import sys

import numpy as np
import pytest
from dicom_factory import write_planes
from panel_hearts import heart_cine, node_names

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from CardiacLib.errors import Cancelled, InputError  # noqa: E402
from CardiacLib.types.choices import SegmentChoice  # noqa: E402


@pytest.fixture(scope="module")
def dicom(phantom, tmp_path_factory):
    """The phantom's study as a scanner gives it: each short-axis slice and each long-axis view a series of its own."""
    folder = tmp_path_factory.mktemp("study") / "heart 7"
    for number, view in enumerate(("sax", "2ch", "3ch", "4ch")):
        cine = phantom.cines[view]
        options = {"description": f"cine {view}", "number": 100 * (number + 1), "series_per_slice": True}
        write_planes(folder / view, np.rint(cine.frames), cine.ijk_to_lps, cine.times_ms, **options)
    return folder


def choose_folder(monkeypatch, path) -> None:
    """What the user picks in the next folder dialog."""
    monkeypatch.setattr(sys.modules["qt"].QFileDialog, "getExistingDirectory", staticmethod(lambda *asked: str(path)))


@pytest.mark.slow
def test_the_button_loads_all_views_into_one_browser(host, scene, dicom, phantom, monkeypatch):
    from CardiacLib.mrml.nodes.cines import cine_from_node
    from CardiacLib.mrml.nodes.sequences import sequence_of

    panel = host.open_panel("CardiacSeg")
    assert "load a study" in panel.ui.applyButton.toolTip
    choose_folder(monkeypatch, "")
    panel.ui.loadButton.click()
    assert not panel.panel.running  # the user pressed Cancel in the dialog
    choose_folder(monkeypatch, dicom)
    panel.ui.loadButton.click()
    assert panel.panel.running
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors and "SAX" in panel.ui.statusLabel.text and "4CH" in panel.ui.statusLabel.text
    volume = panel.ui.inputSelector.currentNode()
    browser, sequence = sequence_of(volume)
    found = cine_from_node(volume)
    assert found.view == "sax" and found.frames.shape == phantom.cines["sax"].frames.shape
    assert scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 1
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 4
    assert sequence.GetNumberOfDataNodes() == phantom.cines["sax"].n_frames
    assert panel.ui.applyButton.enabled
    landmarks = host.open_panel("CardiacLandmarks")
    chosen = [getattr(landmarks.ui, f"selector{view}").currentNode() for view in ("2ch", "3ch", "4ch")]
    assert None not in chosen and {sequence_of(node)[0] for node in chosen} == {browser}


@pytest.mark.slow
def test_the_console_function_loads_a_study(host, scene, dicom):
    logic = sys.modules["CardiacSeg"].CardiacSegLogic()
    told = []
    volumes = logic.loadStudy(dicom, lambda fraction, message: told.append(fraction))
    assert set(volumes) == {"sax", "2ch", "3ch", "4ch"} and told
    assert volumes["sax"].GetName().endswith("short axis")
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    studies = {tree.GetItemParent(tree.GetItemByDataNode(volume)) for volume in volumes.values()}
    assert len(studies) == 1 and tree.GetItemLevel(studies.pop()) == "Study"


def test_a_folder_without_a_study_is_one_sentence(host, scene, tmp_path, monkeypatch):
    names = node_names(scene)
    logic = sys.modules["CardiacSeg"].CardiacSegLogic()
    with pytest.raises(InputError, match="no such folder"):
        logic.loadStudy(tmp_path / "nowhere")
    panel = host.open_panel("CardiacSeg")
    choose_folder(monkeypatch, tmp_path)
    panel.ui.loadButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert len(host.errors) == 1 and str(tmp_path) in host.errors[0] and host.errors[0].count("\n") == 0
    assert set(node_names(scene)) - set(names) <= {"CardiacSeg"}  # the parameter node of the panel


def test_loading_can_be_cancelled(host, scene, dicom):
    def stop(fraction, message):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        sys.modules["CardiacSeg"].CardiacSegLogic().loadStudy(dicom, stop)
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def four_dimensional(frames: np.ndarray, kind: str = "vtkMRMLVectorVolumeNode"):
    """A volume whose voxels hold all frames, as multi-volume nodes and 4-D files loaded as one volume do."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(frames.shape[1:]))
    components = np.ascontiguousarray(np.moveaxis(frames, 0, -1)).reshape(-1, len(frames))
    image.GetPointData().SetScalars(numpy_to_vtk(components, deep=True))
    node = slicer.mrmlScene.AddNewNodeByClass(kind, "four")
    node.SetAndObserveImageData(image)
    return node


@pytest.mark.parametrize("frames", [2, 12])
def test_a_cine_in_one_volume_gets_the_sentence_how_to_load_it(host, scene, frames):
    node = four_dimensional(heart_cine(frames).frames)
    if frames == 2:
        node.SetAttribute("MultiVolume.FrameLabels", "0,40")
    panel = host.open_panel("CardiacSeg")
    panel.ui.inputSelector.setCurrentNode(node)
    panel.ui.applyButton.click()
    assert len(host.errors) == 1 and f"{frames} frames in one volume" in host.errors[0]
    assert "Load cine study" in host.errors[0] and not panel.panel.running


def test_a_colour_image_is_no_cine(scene):
    from CardiacLib.mrml.nodes.cines import cine_from_node

    with pytest.raises(InputError, match="3 components, as a colour image"):
        cine_from_node(four_dimensional(heart_cine(3).frames))


@pytest.mark.slow
def test_one_frame_of_a_file_of_several_gets_the_sentence(host, scene, tmp_path):
    """Slicer reads the first frame of a 4-D NIfTI file and says nothing."""
    from CardiacLib.mrml.nodes.cines import cine_to_scene
    from CardiacLib.writers.images import write_cine

    write_cine(tmp_path / "cine.nii.gz", heart_cine(12))
    _, volume = cine_to_scene(heart_cine(1), "first frame")
    volume.AddDefaultStorageNode()
    volume.GetStorageNode().SetFileName(str(tmp_path / "cine.nii.gz"))
    module = sys.modules["CardiacSeg"]
    logic = module.CardiacSegLogic()
    with pytest.raises(InputError, match="first of the 12 frames of its file"):
        logic.makeRequest(volume, module.FrameChoice.ALL, SegmentChoice())
    assert logic.makeRequest(volume, module.FrameChoice.SHOWN, SegmentChoice()).task == "segment"
    volumes = logic.loadStudy(tmp_path / "cine.nii.gz")
    request = logic.makeRequest(volumes["sax"], module.FrameChoice.ALL, SegmentChoice())
    assert request.arguments["cine"].n_frames == 12
