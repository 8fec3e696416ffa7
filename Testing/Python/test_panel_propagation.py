"""Slice propagation in the mesh panel: from the button to a segmentation that is ready for the mesher."""

import numpy as np
import pytest
from panel_hearts import MODULES, logic_of

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from BiVMeshLib.propagation import PropagationOptions, SlicePropagation  # noqa: E402
from CardiacLib.errors import InputError  # noqa: E402
from Testing.SlicerHost import SlicerHost  # noqa: E402


@pytest.fixture(scope="module")
def host():
    with SlicerHost(*MODULES, style_modules=(__name__,)) as running:
        yield running


@pytest.fixture
def nodes(phantom, scene):
    """The phantom's short axis and its labels in one browser: (volume, segmentation)."""
    from CardiacLib.mrml.cines import cine_to_scene
    from CardiacLib.mrml.segmentations import labels_to_scene

    browser, volume = cine_to_scene(phantom.cines["sax"], "sax")
    return volume, labels_to_scene(phantom.labels, "labels", browser=browser, volume=volume)


def test_from_propagate_to_a_segmentation_to_mesh(host, scene, nodes, phantom, tmp_path):
    from CardiacLib.mrml.segmentations import labels_from_node

    panel = host.open_panel("BiVMesh")
    panel.ui.propagationCollapsibleButton.collapsed = False
    panel.ui.startSliceSpinBox.value = 4
    panel.ui.propagateButton.click()
    assert not panel.ui.propagateButton.enabled and not panel.ui.applyButton.enabled
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors
    made = panel.panel.parameters.inputSegmentation
    assert made.GetName() == "labels propagated" and made is not nodes[1]
    assert "Propagated from slice 4" in panel.ui.propagationLabel.text
    assert "ready to be meshed" in panel.ui.statusLabel.text and panel.ui.applyButton.enabled
    host.photograph(panel, tmp_path / "panel.png")
    labels = labels_from_node(made)
    assert np.allclose(np.linalg.norm(labels.ijk_to_lps[:3, :3], axis=0), 1.25, atol=1e-4)
    options = PropagationOptions(start_slice=4)
    own = SlicePropagation()(phantom.cines["sax"], phantom.ed, phantom.labels, options)
    for value in (1, 2, 3, 4):
        assert labels.volume_ml(value)[0] == pytest.approx(own.labels.volume_ml(value)[0], rel=1e-6)


def test_the_console_call_is_the_panels(host, scene, nodes):
    logic = logic_of("BiVMesh")
    made = logic.propagate(nodes[1], base=5)
    assert made.IsA("vtkMRMLSegmentationNode") and made.GetSegmentation().GetNumberOfSegments() == 4
    with pytest.raises(InputError, match="base slice 99 does not exist"):
        logic.propagate(nodes[1], base=99)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2


def test_images_must_be_known(host, scene, phantom):
    from CardiacLib.mrml.segmentations import labels_to_scene

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
