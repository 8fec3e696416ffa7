"""Slice propagation in the mesh panel: from the button to a segmentation that is ready for the mesher."""

import importlib.metadata

import numpy as np
import pytest
from panel_hearts import install_worker, logic_of, measured_points

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from BiVMeshLib.propagation import Propagation, PropagationOptions, SlicePropagation  # noqa: E402
from BiVMeshLib.result import MeshChoice, PropagateChoice  # noqa: E402
from CardiacLib.errors import InputError  # noqa: E402

QUICK = """
import sys
import numpy as np
import BiVMeshLib.result
from BiVMeshLib.propagation import Propagation
from BiVMeshLib.propagation.base_slice import named
from CardiacLib.errors import InputError
from CardiacLib.jobs import run_worker

def propagate(cine, frame, choice, labels, valves, progress):
    start, base = choice.options.start_slice or 0, choice.options.base_slice or 0
    if base >= cine.n_slices:
        raise InputError(f"There is no base {named(base)}.")
    found = labels.only([frame])
    found.labels[0, start][found.labels[0, start] > 0] = 4
    notes = (f"Propagated from {named(start)}.",)
    return Propagation(found, np.ones(cine.n_slices), start, base, start, base, notes)

sys.exit(run_worker({"propagate": propagate}, sys.argv[1:]))
"""
"""A worker whose answer depends on the start slice: labels with an RV wall in that slice."""


@pytest.fixture(scope="module")
def phantom(little_heart):
    return little_heart


@pytest.fixture
def quick(host, monkeypatch, tmp_path):
    """That worker instead of the networks, which other tests run."""
    return install_worker(monkeypatch, tmp_path, "quick_worker", QUICK)


@pytest.fixture
def nodes(phantom, scene):
    """The phantom's short axis and its labels in one browser: (volume, segmentation)."""
    from CardiacLib.mrml.nodes.cines import cine_to_scene
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene

    browser, volume = cine_to_scene(phantom.cines["sax"], "sax")
    return volume, labels_to_scene(phantom.labels, "labels", browser=browser, volume=volume)


@pytest.mark.slow
def test_from_propagate_to_a_segmentation_to_mesh(host, scene, nodes, phantom, tmp_path):
    from CardiacLib.mrml.nodes.segmentations import labels_from_node

    panel = host.open_panel("BiVMesh")
    assert panel.ui.propagationCollapsibleButton.collapsed and not panel.ui.propagateButton.visible
    panel.ui.propagationCollapsibleButton.collapsed = False
    assert panel.ui.propagateButton.visible and "BY-NC-SA" in panel.ui.licenceLabel.text
    panel.ui.startSliceSpinBox.value = 4
    panel.ui.propagateButton.click()
    assert not panel.ui.propagateButton.enabled and not panel.ui.applyButton.enabled
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors
    made = panel.panel.parameters.inputSegmentation
    assert made.GetName() == "labels propagated" and made is not nodes[1]
    assert "Propagated from slice 5 (index 4)" in panel.ui.propagationLabel.text
    assert "ready to be meshed" in panel.ui.statusLabel.text and panel.ui.applyButton.enabled
    host.photograph(panel, tmp_path / "panel.png")
    labels = labels_from_node(made)
    assert np.allclose(np.linalg.norm(labels.ijk_to_lps[:3, :3], axis=0), 1.25, atol=1e-4)
    options = PropagationOptions(start_slice=4)
    own = SlicePropagation()(phantom.cines["sax"], phantom.ed, phantom.labels, options)
    for value in (1, 2, 3, 4):
        assert labels.volume_ml(value)[0] == pytest.approx(own.labels.volume_ml(value)[0], rel=1e-6)


def propagated(phantom, *notes: str) -> Propagation:
    """A result of the networks: the labels of the phantom's first frame."""
    return Propagation(phantom.labels.only([0]), np.ones(1), 0, 0, 0, 0, notes)


def propagate(host, panel, start: int):
    """Propagate from a slice; returns the segmentation that is chosen to be meshed then."""
    panel.ui.startSliceSpinBox.value = start
    panel.ui.propagateButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors
    return panel.panel.parameters.inputSegmentation


@pytest.mark.slow
def test_propagating_again_updates_the_result_in_place(host, scene, nodes, quick):
    from CardiacLib.mrml.nodes.segmentations import labels_from_node

    panel = host.open_panel("BiVMesh")
    assert panel.ui.propagatedSelector.currentNode() is None
    made = propagate(host, panel, 4)
    assert panel.ui.propagatedSelector.currentNode() is made is panel.ui.inputSelector.currentNode()
    made.SetName("mine")
    made.GetDisplayNode().SetOpacity(0.25)
    before, count = labels_from_node(made).labels, scene.GetNumberOfNodes()
    assert propagate(host, panel, 6) is made and scene.GetNumberOfNodes() == count
    assert "Propagated from slice 7 (index 6)" in panel.ui.propagationLabel.text
    assert made.GetName() == "mine" and made.GetDisplayNode().GetOpacity() == 0.25
    after = labels_from_node(made)
    assert (after.labels[0, 6] == 4).any() and not (after.labels[0, 4] == 4).any()
    assert {made.GetSegmentation().GetNthSegment(n).GetName() for n in range(4)} >= {"LV myocardium", "RV wall"}
    panel.ui.inputSelector.choose(nodes[1])  # back to what it was made of: its result is still the one
    assert panel.ui.propagatedSelector.currentNode() is made
    panel.ui.propagatedSelector.setCurrentNode(None)
    assert panel.ui.propagationLabel.text == ""
    other = propagate(host, panel, 4)
    assert other not in (made, nodes[1]) and other.GetName() == "labels propagated"
    np.testing.assert_array_equal(labels_from_node(other).labels, before)


def test_results_are_told_apart_by_their_segmentation(host, scene, nodes, phantom):
    from BiVMeshLib.mrml.propagation import last_propagation, propagation_to_scene
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene

    found = propagated(phantom, "A note.")
    second = labels_to_scene(phantom.labels, "second")
    made = propagation_to_scene(found, nodes[1], phase=0.0)
    assert last_propagation(nodes[1]) is made is last_propagation(made)
    assert last_propagation(second) is None is last_propagation(None)
    panel = host.open_panel("BiVMesh")
    panel.ui.inputSelector.choose(made)
    panel.ui.inputSelector.choose(nodes[1])
    assert panel.ui.propagatedSelector.currentNode() is made and "A note." in panel.ui.propagationLabel.text
    panel.ui.inputSelector.choose(second)
    assert panel.ui.propagatedSelector.currentNode() is None and panel.ui.propagationLabel.text == ""
    listed = [panel.ui.propagatedSelector.itemText(n) for n in range(panel.ui.propagatedSelector.count)]
    assert listed == ["Create new segmentation", "labels propagated"]  # no segmentation of a cine to be overwritten
    scene.RemoveNode(made)
    with pytest.raises(InputError, match="result to update was removed"):
        propagation_to_scene(found, nodes[1], phase=0.0, output=made)


@pytest.mark.slow
def test_the_console_call_is_the_panels(host, scene, nodes, quick):
    logic = logic_of("BiVMesh")
    made = logic.propagate(nodes[1], start=4, base=5, acceptLicence=True)
    assert made.IsA("vtkMRMLSegmentationNode") and made.GetSegmentation().GetNumberOfSegments() == 4
    again = logic.propagate(nodes[1], start=3, output=made, acceptLicence=True)
    assert again is made
    with pytest.raises(InputError, match="acceptLicence=True"):
        logic.propagate(nodes[1], start=4, base=5)
    with pytest.raises(InputError, match=r"no base slice 100 \(index 99\)"):
        logic.propagate(nodes[1], base=99, acceptLicence=True)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2


def test_images_must_be_known(host, scene, phantom):
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene

    labels_to_scene(phantom.labels, "labels")
    panel = host.open_panel("BiVMesh")
    assert not panel.ui.propagateButton.enabled
    assert "Choose the images" in panel.ui.propagateButton.toolTip
    assert not panel.ui.shownSliceButton.enabled


def test_a_slice_beside_the_stack_is_refused(host, scene, nodes):
    panel = host.open_panel("BiVMesh")
    panel.ui.shownSliceButton.click()
    assert "no red slice view" in host.errors.pop()
    view = slicer.vtkMRMLSliceNode()
    view.SetSingletonTag("Red")
    view = scene.AddNode(view)
    view.GetSliceToRAS().SetElement(2, 3, 5000.0)
    panel.ui.shownSliceButton.click()
    assert "shows no slice of" in host.errors.pop()
    assert panel.ui.startSliceSpinBox.value == -1


def test_missing_packages_are_told_before_a_worker_starts(host, scene, nodes, monkeypatch):
    version = importlib.metadata.version

    def without_readers(name):
        if name == "nibabel":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_readers)
    panel = host.open_panel("BiVMesh")
    panel.ui.propagateButton.click()
    assert "packages are missing: nibabel" in host.errors.pop() and not panel.panel.running


def test_a_result_is_still_one_after_saving_and_loading(host, scene, nodes, phantom, tmp_path):
    from BiVMeshLib.mrml.propagation import last_propagation, propagation_to_scene
    from CardiacLib.mrml.nodes.scenes import load_scene, save_scene

    found = propagated(phantom, "A <note>.")
    propagation_to_scene(found, nodes[1], phase=0.0)
    panel = host.open_panel("BiVMesh")
    panel.panel.parameters.propagated = panel.panel.parameters.inputSegmentation = scene.GetFirstNodeByName(
        "labels propagated"
    )
    save_scene(tmp_path / "scene.mrb")
    scene.Clear(0)
    host.process_events()
    assert panel.ui.propagationLabel.text == ""
    load_scene(tmp_path / "scene.mrb")
    panel.enter()
    made, source = (scene.GetFirstNodeByName(name) for name in ("labels propagated", "labels"))
    assert last_propagation(source) is made is panel.ui.propagatedSelector.currentNode()
    assert "A <note>." in panel.ui.propagationLabel.text and panel.ui.propagateButton.enabled
    assert panel.panel.propagation._source(panel.panel.parameters) is source


@pytest.mark.slow
def test_valve_points_tell_the_base_and_stay_at_the_frames_phase(host, scene, nodes, phantom, monkeypatch):
    """The worker gets the points of the frame; the mesh of the result gets them too, not those of the first frame."""
    from BiVMeshLib.mrml.propagation import known_phase, propagation_to_scene
    from CardiacLib.mrml.nodes.cines import cine_to_scene
    from CardiacLib.mrml.nodes.sequences import sequence_of

    _, view = cine_to_scene(phantom.cines["4ch"], "four chambers", sequence_of(nodes[0])[0])
    found = measured_points(phantom.landmarks, {"4ch": phantom.cines["4ch"]})
    points = logic_of("CardiacLandmarks").addResult({"4ch": view}, found, "valves").points["mitral"]
    panel = host.open_panel("BiVMesh")
    logic, choice = panel.logic, type(panel.panel.parameters.frame)
    truth, es = phantom.landmarks.points, phantom.es
    request = logic.makePropagationRequest(nodes[1], None, choice.END_SYSTOLE, PropagateChoice(), points)
    assert request.arguments["frame"] == es and np.allclose(request.arguments["valves"], truth[es])
    without = logic.makePropagationRequest(nodes[1], None, choice.END_SYSTOLE, PropagateChoice())
    assert without.arguments["valves"] is None
    seen = []
    monkeypatch.setattr(logic, "makePropagationRequest", lambda *given: seen.append(given) or request)
    panel.ui.valvesSelector.setCurrentNode(points)
    panel.ui.propagateButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors and seen[0][-1] is points
    assert "plane of 8 valve points" in panel.ui.propagationLabel.text
    made = panel.panel.parameters.inputSegmentation
    assert known_phase(made) == es / len(truth) and known_phase(nodes[1]) is None
    request = logic.makeRequest(made, MeshChoice("shown"), points)
    assert np.allclose(request.arguments["valves"].points, truth[es : es + 1])
    propagation_to_scene(propagated(phantom), nodes[1], phase=0.25, output=made)
    assert known_phase(made) == 0.25
