"""Scenes that are loaded while a panel is open: its choices are those of the scene, no other output is taken."""

import numpy as np
import pytest
from panel_hearts import (
    add_true_results,
    heart_cine,
    heart_labels,
    logic_of,
    measured,
    meshed,
    tetrahedron,
    with_statistics,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)


@pytest.fixture
def two_results(scene):
    """A cine with two segmentations of it and two meshes of the first: (first and second segmentation, mesh)."""
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    _, volume = cine_to_scene(heart_cine(3), "cine")
    found = measured(with_statistics(heart_labels(3)))
    logic, mesher = logic_of("CardiacSeg"), logic_of("BiVMesh")
    segmentations = [logic.addResult(volume, found, name).segmentation for name in ("first", "second")]
    meshes = [mesher.addResult(segmentations[0], meshed(tetrahedron()), name)["VOLUME"] for name in ("one", "two")]
    return segmentations, meshes


def reload_scene(scene, path, *, clear: bool) -> None:
    """Save and load, as the user does without leaving the module."""
    from CardiacLib.mrml.nodes.scenes import load_scene, save_scene

    save_scene(path)
    if clear:
        scene.Clear(0)
    load_scene(path)


@pytest.mark.slow
@pytest.mark.parametrize("clear", [True, False], ids=["after closing", "over it"])
def test_the_saved_output_stays_the_output(host, scene, two_results, tmp_path, clear):
    panel, mesh_panel = host.open_panel("CardiacSeg"), host.open_panel("BiVMesh")
    (first, _), (one, _) = two_results
    panel.ui.outputSelector.setCurrentNode(first)
    panel.ui.weightSpinBox.value = 77.0
    mesh_panel.ui.outputSelector.setCurrentNode(one)
    reload_scene(scene, tmp_path / "scene.mrb", clear=clear)
    host.process_events()
    assert panel.panel.parameters.segmentation.GetName() == "first" == panel.ui.outputSelector.currentNode().GetName()
    assert panel.panel.parameters.inputVolume.GetName() == "cine" and panel.ui.weightSpinBox.value == 77.0
    assert mesh_panel.panel.parameters.mesh.GetName() == "one tetrahedra"
    assert mesh_panel.panel.parameters.inputSegmentation is not None and not host.errors


@pytest.mark.slow
def test_what_was_made_anew_is_made_anew_after_loading(host, scene, two_results, tmp_path):
    """No output was chosen in the saved scene, so Apply still touches none of its segmentations."""
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(None)
    reload_scene(scene, tmp_path / "scene.mrb", clear=True)
    assert panel.panel.parameters.segmentation is None and panel.panel.parameters.inputVolume is not None


def test_the_result_of_propagation_stays_chosen(host, scene, phantom, tmp_path):
    from BiVMeshLib.mrml.propagation import propagation_to_scene
    from BiVMeshLib.propagation import Propagation
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene

    source = labels_to_scene(phantom.labels, "labels")
    found = Propagation(phantom.labels.only([0]), np.ones(1), 0, 0, 0, 0, ())
    made = [propagation_to_scene(found, source, phase=0.0) for _ in range(2)]
    made[0].SetName("chosen")
    panel = host.open_panel("BiVMesh")
    panel.ui.inputSelector.choose(source)
    panel.ui.propagatedSelector.setCurrentNode(made[0])
    reload_scene(scene, tmp_path / "scene.mrb", clear=True)
    assert panel.panel.parameters.propagated.GetName() == "chosen"
    assert panel.panel.parameters.inputSegmentation.GetName() == "labels"


def test_only_the_users_choice_changes_the_output(host, scene, two_results):
    """A choice of the list that changes nothing, and the removal of the input, leave it."""
    panel = host.open_panel("CardiacSeg")
    (first, second), _ = two_results
    volume = panel.ui.inputSelector.currentNode()
    panel.ui.outputSelector.setCurrentNode(first)
    panel.ui.inputSelector.choose(volume)
    assert panel.panel.parameters.segmentation is first
    panel.ui.inputSelector.choose(None)
    assert panel.panel.parameters.segmentation is None
    panel.ui.inputSelector.choose(volume)
    assert panel.panel.parameters.segmentation is second  # the latest result of this cine
    panel.ui.outputSelector.setCurrentNode(first)
    scene.RemoveNode(volume)
    assert panel.panel.parameters.segmentation is first and not panel.ui.applyButton.enabled


def test_the_first_input_is_the_short_axis(host, scene, phantom):
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    for view in ("4ch", "2ch", "sax"):
        cine_to_scene(phantom.cines[view], view)
    assert host.open_panel("CardiacSeg").ui.inputSelector.currentNode().GetName() == "sax"


@pytest.mark.slow
def test_views_that_were_left_out_stay_left_out(host, scene, phantom, tmp_path):
    results = add_true_results(phantom, tetrahedron())
    panel = host.open_panel("CardiacLandmarks")
    panel.ui.outputSelector.setCurrentNode(results["CardiacLandmarks"])
    panel.ui.selector2ch.setCurrentNode(None)
    reload_scene(scene, tmp_path / "scene.mrb", clear=True)
    assert panel.ui.selector2ch.currentNode() is None and panel.ui.selector4ch.currentNode() is not None
    assert panel.panel.parameters.points.GetName() == results["CardiacLandmarks"].GetName()
