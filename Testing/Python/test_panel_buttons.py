"""Every button of every panel, on the phantom: what a click does, with nothing left out."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest
import vtk
from panel_hearts import MODULES, add_true_results, heart_cine, heart_labels, tetrahedron

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)


@pytest.fixture(scope="module")
def study(phantom):
    """The phantom's long-axis views, and a short axis with as many frames as filling rates need."""
    return SimpleNamespace(
        cines=phantom.cines | {"sax": heart_cine(14)}, labels=heart_labels(14), landmarks=phantom.landmarks
    )


@pytest.fixture
def results(scene, study, monkeypatch, tmp_path):
    """The phantom's study in the scene, with the results of all three modules made from its truth."""
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path / "cache"))
    return add_true_results(study, tetrahedron())


def buttons(name: str) -> set[str]:
    """Names of all push buttons of a module's panel."""
    path = next(module for module in MODULES if module.stem == name).parent / "Resources" / "UI" / f"{name}.ui"
    return {w.get("name") for w in ElementTree.parse(path).getroot().iter("widget") if w.get("class") == "QPushButton"}


class Clicks:
    """Clicks buttons of a panel one after the other and looks at what came of each."""

    def __init__(self, host, panel):
        self.host, self.panel, self.clicked = host, panel, set()

    def click(self, name: str) -> None:
        button = getattr(self.panel.ui, name)
        assert button.enabled, f"{name}: {button.toolTip}"
        assert len(button.toolTip) > 15
        button.click()
        self.host.process_events()
        assert not self.host.errors, name
        self.clicked.add(name)

    def shows_table(self, name: str, table: str) -> None:
        self.click(name)
        assert active("GetActiveTableID") == table

    def shows_chart(self, name: str, chart: str) -> None:
        self.click(name)
        assert active("GetActivePlotChartID") == chart

    def shows_frame(self, name: str, browser, frame: int) -> None:
        browser.SetSelectedItemNumber(frame + 1)
        self.click(name)
        assert browser.GetSelectedItemNumber() == frame

    def starts_a_run(self, name: str) -> None:
        """And Cancel ends it."""
        self.click(name)
        assert self.panel.panel.running
        self.click("cancelButton")
        assert not self.panel.panel.running and "Cancelled" in self.panel.ui.statusLabel.text


def active(getter: str) -> str:
    node_id = getattr(slicer.modules.applicationLogic.GetSelectionNode(), getter)()
    return slicer.mrmlScene.GetNodeByID(node_id).GetName()


def answer(monkeypatch, dialog: str, path) -> None:
    """What the user picks in a file dialog."""
    monkeypatch.setattr(sys.modules["qt"].QFileDialog, dialog, staticmethod(lambda *asked: str(path)))


def opened(host, name: str, node) -> Clicks:
    panel = host.open_panel(name)
    panel.ui.outputSelector.setCurrentNode(node)
    return Clicks(host, panel)


def use_network_buttons(clicks: Clicks, cache, monkeypatch, tmp_path) -> None:
    """Fetch, Import and Clear of the published network; a stand-in for its weights is enough for Clear."""
    (tmp_path / "weights.pt").write_bytes(b"weights")
    clicks.panel.ui.bundleSelector.currentIndex = 1
    answer(monkeypatch, "getOpenFileName", tmp_path / "weights.pt")
    clicks.starts_a_run("importButton")
    clicks.starts_a_run("fetchButton")
    folder = cache / clicks.panel.panel.parameters.bundle
    folder.mkdir(parents=True)
    (folder / "source.json").write_text('{"state": "imported", "from": "weights.pt", "sha256": "", "published": false}')
    clicks.panel.panel.update()
    clicks.click("clearButton")
    assert not folder.exists()
    clicks.panel.ui.bundleSelector.currentIndex = 0


@pytest.mark.slow
def test_cardiac_segmentation(host, results, monkeypatch, tmp_path):
    from CardiacLib.mrml.nodes.sequences import sequence_of
    from CardiacLib.mrml.panel.results import result_of

    node = results["CardiacSeg"]
    clicks, facts, (browser, _) = opened(host, "CardiacSeg", node), result_of(node).facts, sequence_of(node)
    assert facts["ed"] != facts["es"]
    clicks.shows_frame("endDiastoleButton", browser, facts["ed"])
    clicks.shows_frame("endSystoleButton", browser, facts["es"])
    clicks.shows_chart("volumesButton", "heart volume-time curves")
    clicks.shows_chart("ratesButton", "heart filling rates")
    clicks.shows_table("measurementsButton", "heart measurements")
    clicks.shows_table("volumeTableButton", "heart table of volumes")
    clicks.shows_table("segmentsButton", "heart segments")
    clicks.shows_table("qualityButton", "heart quality")
    show_and_edit(host, clicks, node)
    clicks.starts_a_run("applyButton")
    answer(monkeypatch, "getExistingDirectory", tmp_path)
    clicks.starts_a_run("loadButton")
    say_it_came_from_dicom(clicks.panel.ui.inputSelector.currentNode(), tmp_path)
    clicks.panel.panel.update()
    clicks.starts_a_run("dicomButton")
    clicks.starts_a_run("measureButton")
    use_network_buttons(clicks, tmp_path / "cache", monkeypatch, tmp_path)
    assert clicks.clicked == buttons("CardiacSeg")


def show_and_edit(host, clicks, node) -> None:
    """Every frame gets its surfaces, one after the other; the Segment Editor opens on the images."""
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of
    from CardiacLib.mrml.nodes.surfaces import shown_in_3d

    clicks.click("show3dButton")
    host.wait_until(lambda: clicks.panel.ui.show3dButton.text == "Hide 3D")
    for frame in (0, 7):
        select_frame(sequence_of(node)[0], frame)
        assert shown_in_3d(node)
    clicks.click("show3dButton")
    assert clicks.panel.ui.show3dButton.text == "Show 3D" and not shown_in_3d(node)
    host.open_window()
    clicks.click("editButton")
    host.close_window()
    assert host.selected == ["SegmentEditor"] and host.edited == [node, clicks.panel.ui.inputSelector.currentNode()]


def say_it_came_from_dicom(volume, folder) -> None:
    """As after loading a study of DICOM files; what the export makes of them is in test_panel_dicom.py."""
    from CardiacLib.mrml.nodes.sequences import sequence_of
    from CardiacLib.mrml.panel.studies import SOURCE_ATTRIBUTE

    sequence_of(volume)[1].SetAttribute(SOURCE_ATTRIBUTE, json.dumps({"path": str(folder), "dicom": True}))


@pytest.mark.slow
def test_cardiac_landmarks(host, results, monkeypatch, tmp_path):
    from CardiacLib.mrml.nodes.sequences import sequence_of
    from CardiacLib.mrml.panel.results import result_of

    node = results["CardiacLandmarks"]
    clicks, facts, (browser, _) = opened(host, "CardiacLandmarks", node), result_of(node).facts, sequence_of(node)
    assert facts["ed"] != facts["es"]
    clicks.shows_frame("endDiastoleButton", browser, round(facts["ed"] * 14 / 8))  # equal phases of 14 and 8 frames
    clicks.shows_frame("endSystoleButton", browser, round(facts["es"] * 14 / 8))
    clicks.shows_table("measuresButton", "valves annulus measures")
    clicks.shows_chart("curvesButton", "valves annulus motion")
    clicks.click("measureButton")
    host.wait_until(lambda: not clicks.panel.panel.running)
    assert not host.errors
    assert "as they are now" in clicks.panel.ui.statusLabel.text
    clicks.starts_a_run("applyButton")
    use_network_buttons(clicks, tmp_path / "cache", monkeypatch, tmp_path)
    assert clicks.clicked == buttons("CardiacLandmarks")


@pytest.mark.slow
def test_biventricular_mesh(host, results, tmp_path):
    from CardiacLib.mrml.nodes.sequences import sequence_of
    from CardiacLib.mrml.panel.results import result_of
    from CardiacLib.types.bivmesh import MESH_VIEWS

    node, segmentation = results["BiVMesh"], results["CardiacSeg"]
    clicks, (browser, _) = opened(host, "BiVMesh", node), sequence_of(segmentation)
    clicks.shows_frame("endDiastoleButton", browser, result_of(segmentation).facts["ed"])
    clicks.shows_frame("endSystoleButton", browser, result_of(segmentation).facts["es"])
    clicks.shows_table("qualityButton", "mesh quality")
    clicks.panel.ui.viewSelector.currentIndex = MESH_VIEWS.index("region")
    clicks.click("showButton")
    assert node.GetDisplayVisibility()
    clicks.panel.ui.exportFolderEdit.currentPath = str(tmp_path / "export")
    clicks.click("exportButton")
    host.wait_until(lambda: not clicks.panel.panel.running)
    assert {path.suffix for path in (tmp_path / "export").iterdir()} == {".vtu", ".vtp", ".json"}
    look_at_slice(segmentation, 3)
    clicks.click("shownSliceButton")
    assert clicks.panel.ui.startSliceSpinBox.value == 3
    clicks.starts_a_run("propagateButton")
    clicks.starts_a_run("applyButton")
    assert clicks.clicked == buttons("BiVMesh")


def look_at_slice(segmentation, k: int) -> None:
    """What scrolling the red view to a slice of the cine does to its node."""
    from BiVMeshLib.mrml.propagation import images_of
    from CardiacLib.mrml.nodes.frames import to_array, to_vtk_matrix

    volume = images_of(segmentation)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    columns, rows, _ = volume.GetImageData().GetDimensions()
    view = slicer.vtkMRMLSliceNode()
    view.SetSingletonTag("Red")
    view = slicer.mrmlScene.AddNode(view)
    place = to_array(view.GetSliceToRAS())
    place[:3, 3] = (to_array(matrix) @ [columns / 2, rows / 2, k + 0.2, 1.0])[:3]
    view.GetSliceToRAS().DeepCopy(to_vtk_matrix(place))
    assert view.GetID() == "vtkMRMLSliceNodeRed"
