"""The two panels on the panel host: real files, real scene, real worker processes, clicked as a user would."""

import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from panel_hearts import heart_cine, heart_labels, install_quick_worker, living_processes, measured, meshed, node_names

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from BiVMeshLib.result import MeshChoice  # noqa: E402
from CardiacLib.resources import resource_path  # noqa: E402
from CardiacLib.types.choices import Body, NetworkChoice, RunsOn, SegmentChoice  # noqa: E402
from CardiacLib.types.labels import LV, MYO, RV  # noqa: E402
from CardiacLib.types.mesh_options import EDGE_MM, MeshOptions  # noqa: E402
from CardiacLib.types.patient import Patient  # noqa: E402
from CardiacLib.types.segmentation import Segmentation, SliceStatistics  # noqa: E402


def add_cine(n_frames: int = 3):
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    return cine_to_scene(heart_cine(n_frames), "sax")


def add_segmentation(n_frames: int = 3):
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene

    return labels_to_scene(heart_labels(n_frames), "labels")


def test_modules_state_their_metadata(host):
    for name in ("CardiacSeg", "BiVMesh"):
        parent = getattr(slicer.modules, name.lower())
        assert parent.title and parent.categories == ["Cardiac"] and "research use" in parent.helpText
        assert parent.icon is not None and parent.contributors
    assert "CardiacSeg" in slicer.modules.bivmesh.dependencies


def test_panel_says_why_apply_is_off_and_takes_the_first_volume(host, scene):
    panel = host.open_panel("CardiacSeg")
    assert not panel.ui.applyButton.enabled and "Choose" in panel.ui.applyButton.toolTip
    _, volume = add_cine(1)
    panel.ui.inputSelector.choose(volume)
    assert panel.ui.applyButton.enabled
    scene.RemoveNode(volume)
    assert not panel.ui.applyButton.enabled
    panel.exit()
    add_cine(1)
    panel.enter()
    assert panel.ui.inputSelector.currentNode().GetName() == "sax" and panel.ui.applyButton.enabled


def test_choices_are_kept_in_the_parameter_node(host, scene, tmp_path):
    add_segmentation()
    panel = host.open_panel("BiVMesh")
    panel.ui.automaticEdgeLengthCheckBox.checked = False
    panel.ui.edgeLengthSlider.value = 3.5
    panel.ui.frameSelector.currentIndex = 1
    panel.ui.outputNameEdit.text = "heart"
    path = tmp_path / "scene.mrml"
    scene.SetURL(str(path))
    scene.Commit()
    scene.Clear(0)
    host.process_events()
    assert panel.ui.automaticEdgeLengthCheckBox.checked
    assert panel.ui.edgeLengthSlider.value == EDGE_MM and panel.ui.outputNameEdit.text == ""
    scene.SetURL(str(path))
    scene.Import()
    panel.enter()
    assert panel.ui.edgeLengthSlider.value == 3.5 and not panel.ui.automaticEdgeLengthCheckBox.checked
    assert panel.ui.frameSelector.currentText == "End-systole" and panel.ui.outputNameEdit.text == "heart"


@pytest.mark.slow
def test_mesh_panel_from_apply_to_models(host, scene, tmp_path):
    add_segmentation()
    panel = host.open_panel("BiVMesh")
    panel.ui.outputNameEdit.text = "heart"
    panel.ui.applyButton.click()
    assert panel.ui.cancelButton.enabled and not panel.ui.applyButton.enabled
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors
    assert {f"heart {patch}" for patch in ("EPI", "ENDO_LV", "ENDO_RV", "BASE")} <= set(node_names(scene))
    assert "tetrahedra" in panel.ui.resultLabel.text and "Done" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.enabled and not panel.ui.cancelButton.enabled
    host.photograph(panel, tmp_path / "panel.png")
    assert (tmp_path / "panel.png").stat().st_size > 5000
    show_every_view(host, panel)
    panel.ui.qualityButton.click()
    assert active_node("GetActiveTableID").GetName() == "heart quality"
    export_mesh(host, panel, tmp_path / "export")


def show_every_view(host, panel) -> None:
    """The Show button, with each choice of the list above it."""
    models = {name: slicer.mrmlScene.GetFirstNodeByName(f"heart {name}") for name in ("EPI", "tetrahedra", "fibres")}
    visible = []
    for number in range(panel.ui.viewSelector.count):
        panel.ui.viewSelector.currentIndex = number
        panel.ui.showButton.click()
        visible.append([name for name, model in models.items() if model.GetDisplayVisibility()])
    assert visible == [["EPI"], ["fibres"], ["EPI"], *[["tetrahedra"]] * 6]
    assert [error for error in host.errors if "no strain" in error] == host.errors != []  # it does not move
    host.errors.clear()
    assert models["tetrahedra"].GetDisplayNode().GetActiveScalarName() == "rotational"


def export_mesh(host, panel, folder: Path) -> None:
    """The Export button: off without formats, else it writes the files of those that are ticked."""
    import qt

    formats = [panel.ui.formatsList.item(row) for row in range(panel.ui.formatsList.count)]
    for item in formats:
        item.setCheckState(qt.Qt.Unchecked)
    assert not panel.ui.exportButton.enabled and "Tick" in panel.ui.exportButton.toolTip
    for item in formats:
        item.setCheckState(qt.Qt.Checked if item.text() in ("vtu", "stl") else qt.Qt.Unchecked)
    panel.ui.exportFolderEdit.currentPath = str(folder)
    panel.ui.exportButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert str(folder) in panel.ui.statusLabel.text
    written = {path.suffix for path in folder.rglob("*.*")}
    assert written == {".vtu", ".stl", ".json"}


def active_node(getter: str):
    """The node that the scene's selection node holds."""
    selection = slicer.modules.applicationLogic.GetSelectionNode()
    return slicer.mrmlScene.GetNodeByID(getattr(selection, getter)())


def test_motion_needs_a_sequence_and_plays_in_its_browser(host, scene):
    """The worker's answer is a mesh that moves up by one millimetre per frame; the motion itself has its own tests."""
    from BiVMeshLib.mrml.choices import mesh_choice
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of
    from CardiacLib.types.bivmesh import BiVMesh, MovingMesh

    single = add_segmentation(1)
    panel = host.open_panel("BiVMesh")
    panel.ui.motionCheckBox.checked = True
    panel.ui.inputSelector.choose(single)
    assert not panel.ui.applyButton.enabled and "all frames" in panel.ui.applyButton.toolTip
    cycle = add_segmentation(3)
    panel.ui.inputSelector.choose(cycle)
    assert panel.ui.applyButton.enabled
    panel.ui.frameSelector.currentIndex = 1
    panel.ui.automaticEdgeLengthCheckBox.checked = False
    panel.ui.edgeLengthSlider.value = 3.0
    panel.ui.alignCheckBox.checked, panel.ui.fibresCheckBox.checked = True, False
    request = panel.logic.makeRequest(cycle, mesh_choice(panel.panel.parameters))
    expected = MeshOptions(edge_length_mm=3.0, rv_wall_mm=3.0, align_slices=True, fibres=False)
    assert request.arguments["choice"] == MeshChoice(1, expected, motion=True)
    panel.ui.valveRingsCheckBox.checked = True
    assert not panel.ui.applyButton.enabled and "need valve points" in panel.ui.applyButton.toolTip
    assert mesh_choice(panel.panel.parameters).valve_rings
    panel.ui.valveRingsCheckBox.checked = False
    assert panel.ui.applyButton.enabled
    assert request.task == "mesh" and len(request.arguments["labels"].labels) == 3
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    nodes = np.vstack([np.zeros(3), np.eye(3)])
    mesh = BiVMesh(nodes, np.arange(4)[None], np.array([11], np.int32), faces, np.ones(4, np.int32))
    up = np.zeros((3, 4, 3), np.float32)
    up[:, :, 2] = np.arange(3)[:, None]
    models = panel.logic.addResult(cycle, meshed(MovingMesh(mesh, 0, up, heart_labels(3).times_ms)))
    browser, sequence = sequence_of(models["EPI"])
    assert browser is sequence_of(cycle)[0] and sequence.GetNumberOfDataNodes() == 3
    select_frame(browser, 2)
    assert models["EPI"].GetPolyData().GetBounds()[4:] == (2.0, 3.0)


def test_the_edge_length_is_automatic_unless_it_is_chosen(host, scene):
    """As on the command line."""
    from BiVMeshLib.mrml.choices import mesh_choice

    add_segmentation(1)
    panel = host.open_panel("BiVMesh")
    assert panel.ui.automaticEdgeLengthCheckBox.checked and not panel.ui.edgeLengthSlider.enabled
    assert "1.8 mm, less where the wall is thin" in panel.ui.edgeLengthSlider.toolTip
    assert mesh_choice(panel.panel.parameters) == MeshChoice()
    panel.ui.automaticEdgeLengthCheckBox.checked = False
    assert panel.ui.edgeLengthSlider.enabled and "Half the length" in panel.ui.edgeLengthSlider.toolTip
    assert mesh_choice(panel.panel.parameters).options == MeshOptions(edge_length_mm=EDGE_MM)


def test_mesh_frame_choice_takes_the_right_frame(host, scene):
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of

    segmentation = add_segmentation(5)
    select_frame(sequence_of(segmentation)[0], 3)
    module = sys.modules["BiVMesh"]
    logic = module.BiVMeshLogic()
    frames = heart_labels(5).labels
    for choice, expected in (("END_DIASTOLE", 0), ("END_SYSTOLE", 2), ("SHOWN", 3)):
        request = logic.makeRequest(segmentation, MeshChoice(module.MeshFrame[choice].value))
        found = request.arguments["labels"].labels
        assert min(range(5), key=lambda t, found=found: int((frames[t] != found[0]).sum())) == expected


def test_cancel_leaves_the_scene_as_it_was(host, scene):
    add_segmentation()
    panel = host.open_panel("BiVMesh")
    before = node_names(scene)
    panel.ui.automaticEdgeLengthCheckBox.checked = False
    panel.ui.edgeLengthSlider.value = 1.0
    panel.ui.applyButton.click()
    pid = panel.panel._run.pid
    panel.ui.cancelButton.click()
    assert not panel.panel.running and "Cancelled" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.enabled and not host.errors
    assert node_names(scene) == before
    assert not living_processes(pid)


def test_scene_close_during_a_run_stops_it(host, scene):
    add_segmentation()
    panel = host.open_panel("BiVMesh")
    panel.ui.automaticEdgeLengthCheckBox.checked = False
    panel.ui.edgeLengthSlider.value = 1.0
    panel.ui.applyButton.click()
    pid = panel.panel._run.pid
    scene.Clear(0)
    assert not panel.panel.running and not host.errors
    assert not living_processes(pid)
    assert not panel.ui.applyButton.enabled


@pytest.fixture
def quick_worker(monkeypatch, tmp_path):
    """Lets the mesh panel run a worker that gives one tetrahedron at once."""
    from CardiacLib.mrml.panel.processes import JobRequest

    install_quick_worker(monkeypatch, tmp_path)
    logic = sys.modules["BiVMesh"].BiVMeshLogic
    monkeypatch.setattr(logic, "makeRequest", lambda *choices: JobRequest("quick", {}))


def test_input_removed_during_a_run_is_one_sentence_and_no_result(host, scene, quick_worker):
    segmentation = add_segmentation(1)
    panel = host.open_panel("BiVMesh")
    panel.ui.applyButton.click()
    scene.RemoveNode(segmentation)
    host.wait_until(lambda: not panel.panel.running)
    assert len(host.errors) == 1 and "removed from the scene" in host.errors[0]
    assert not any("mesh" in name for name in node_names(scene))


def test_result_that_cannot_be_shown_takes_its_nodes_back(host, scene, quick_worker, monkeypatch):
    from BiVMeshLib.mrml import motion
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene

    browser, volume = add_cine(3)
    add_segmentation(1)

    def half(mesh, name):
        labels_to_scene(heart_labels(3), "half", browser=browser, volume=volume)
        raise MemoryError("no memory for the rest")

    monkeypatch.setattr(motion, "mesh_to_scene", half)
    panel = host.open_panel("BiVMesh")
    before = node_names(scene)
    panel.ui.applyButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert host.errors == ["no memory for the rest"]
    assert node_names(scene) == before
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 1


def test_unusable_input_is_refused_before_a_worker_starts(host, scene):
    scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
    panel = host.open_panel("BiVMesh")
    panel.ui.applyButton.click()
    assert not panel.panel.running and len(host.errors) == 1 and "no segments" in host.errors[0]
    assert panel.ui.statusLabel.text == host.errors[0]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> str:
    """The default network's bundle, four channels wide with random weights: quick; without PyTorch as it is."""
    if importlib.util.find_spec("torch") is None:
        return str(resource_path("Bundles") / "cineheart_sax")
    import torch

    from CardiacLib.networks.bundles import read_config
    from CardiacLib.networks.onnx_export import export_bundle

    folder = tmp_path_factory.mktemp("bundle") / "cineheart_sax"
    shutil.copytree(resource_path("Bundles") / "cineheart_sax", folder, ignore=shutil.ignore_patterns("*.pt"))
    config = folder / "configs" / "inference.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    content = {key: value for key, value in content.items() if "$" not in json.dumps(value)}  # else it needs trust
    content["network_def"]["channels"] = [4] * len(content["network_def"]["channels"])
    config.write_text(json.dumps(content), encoding="utf-8")
    torch.manual_seed(0)
    network = read_config(folder, "inference").get_parsed_content("network_def", instantiate=True)
    (folder / "models").mkdir(exist_ok=True)
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    export_bundle(folder)
    return str(folder)


@pytest.fixture
def segmentation_panel(host, scene, untrained, monkeypatch):
    """The panel with a cine of three frames chosen; its network is the untrained one."""
    logic = sys.modules["CardiacSeg"].CardiacSegLogic
    make_request = logic.makeRequest

    def with_untrained(self, volume, frames, choice):
        assert choice.network.bundle == "cineheart_sax"
        return make_request(self, volume, frames, replace(choice, network=replace(choice.network, bundle=untrained)))

    monkeypatch.setattr(logic, "makeRequest", with_untrained)
    add_cine(3)
    return host.open_panel("CardiacSeg")


@pytest.mark.slow
def test_segmentation_panel_from_apply_to_results(host, segmentation_panel):
    from CardiacLib.mrml.nodes.sequences import sequence_of
    from CardiacLib.mrml.panel.results import result_of

    panel = segmentation_panel
    browser, _ = sequence_of(panel.ui.inputSelector.currentNode())
    panel.ui.deviceSelector.currentIndex = 1
    panel.ui.backendSelector.currentIndex = 1
    panel.ui.outputNameEdit.text = "ventricles"
    panel.ui.applyButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors
    segmentation = slicer.mrmlScene.GetFirstNodeByName("ventricles")
    assert sequence_of(segmentation)[0] is browser
    assert sequence_of(segmentation)[1].GetNumberOfDataNodes() == 3
    assert "ventricles measurements" in node_names(slicer.mrmlScene)
    assert "EDV" in panel.ui.resultLabel.text and "ventricles" in panel.ui.statusLabel.text
    assert "&#9679;" in panel.ui.lightLabel.text and "Notes:" in panel.ui.notesLabel.text
    assert not panel.ui.ratesButton.enabled and "notes" in panel.ui.ratesButton.toolTip  # three frames are too few
    for button, table in (("measurements", "measurements"), ("quality", "quality")):
        getattr(panel.ui, f"{button}Button").click()
        assert active_node("GetActiveTableID").GetName() == f"ventricles {table}"
    panel.ui.volumesButton.click()
    assert active_node("GetActivePlotChartID").GetName() == "ventricles volume-time curves"
    for button, fact in (("endSystole", "es"), ("endDiastole", "ed")):
        getattr(panel.ui, f"{button}Button").click()
        assert browser.GetSelectedItemNumber() == result_of(segmentation).facts[fact]


@pytest.mark.slow
def test_results_stay_with_the_scene(host, scene, tmp_path):
    """A saved scene shows its results again, and the buttons find them."""
    from CardiacLib.mrml.nodes.scenes import load_scene, save_scene

    _, volume = add_cine(3)
    panel = host.open_panel("CardiacSeg")
    labels = heart_labels(3)
    hard = np.stack([(labels.labels == label).sum((2, 3)) for label in (LV, MYO, RV)], -1).astype(np.float32)
    found = Segmentation(labels, SliceStatistics(hard, hard, hard, hard.sum(-1)), ("A note.",))
    panel.panel.parameters.segmentation = panel.logic.addResult(volume, measured(found)).segmentation
    said = panel.ui.resultLabel.text
    assert "EDV" in said and panel.ui.segmentsButton.enabled and "A note." in panel.ui.notesLabel.text
    save_scene(tmp_path / "scene.mrb")
    scene.Clear(0)
    host.process_events()
    assert panel.ui.resultLabel.text == "" and not panel.ui.segmentsButton.enabled
    load_scene(tmp_path / "scene.mrb")
    panel.enter()
    assert panel.ui.resultLabel.text == said
    panel.ui.segmentsButton.click()
    assert active_node("GetActiveTableID").GetName().endswith("segments")
    panel.ui.endSystoleButton.click()
    assert not host.errors


def test_patient_values_come_from_the_study_and_can_be_changed(host, scene):
    from CardiacLib.mrml.nodes.cines import cine_to_scene
    from CardiacSegLib.mrml.patients import body_of

    known = heart_cine(2).with_changes(
        patient=Patient(height_m=1.8, weight_kg=80.5, sex="F", age="047Y", name="not kept")
    )
    _, volume = cine_to_scene(known, "known")
    _, other = cine_to_scene(heart_cine(2), "other")
    panel = host.open_panel("CardiacSeg")
    assert (panel.ui.heightSpinBox.value, panel.ui.weightSpinBox.value) == (180.0, 80.5)
    assert panel.ui.heartRateSpinBox.text == "unknown"
    panel.ui.heartRateSpinBox.value = 66.0
    given = Body(height_m=1.8, weight_kg=80.5, heart_rate_bpm=66.0, sex="F", age_years=47)
    assert body_of(panel.panel.parameters) == given
    panel.ui.inputSelector.choose(other)
    assert body_of(panel.panel.parameters) == Body()
    panel.ui.inputSelector.choose(volume)
    assert panel.ui.weightSpinBox.value == 80.5
    assert "not kept" not in str([volume.GetAttribute(name) for name in volume.GetAttributeNames()])


@pytest.fixture
def partial_worker(quick_worker, monkeypatch):
    """Lets the segmentation panel run a worker that labels two frames and then works for ever."""
    from CardiacLib.mrml.nodes.cines import cine_from_node
    from CardiacLib.mrml.panel.processes import JobRequest

    logic = sys.modules["CardiacSeg"].CardiacSegLogic
    monkeypatch.setattr(
        logic,
        "makeRequest",
        lambda self, volume, *choices: JobRequest("part", {"cine": cine_from_node(volume)}),
    )


def start_partial_run(host):
    """The segmentation panel with a run that has labelled two of three frames, and the run's process group."""
    add_cine(3)
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputNameEdit.text = "part"
    panel.ui.applyButton.click()
    assert not panel.ui.applyButton.enabled and "Cancel" in panel.ui.applyButton.toolTip
    host.wait_until(lambda: panel.ui.progressBar.value == 50)
    return panel, panel.panel._run.pid


def test_cancel_keeps_the_frames_that_are_finished(host, scene, partial_worker):
    from CardiacLib.mrml.nodes.segmentations import labels_from_node

    panel, group = start_partial_run(host)
    panel.ui.cancelButton.click()
    assert not panel.panel.running and not host.errors and not living_processes(group)
    labels = labels_from_node(scene.GetFirstNodeByName("part")).labels
    assert [np.unique(frame).tolist() for frame in labels] == [[1], [2], [0]]
    assert "2 of 3 frames" in panel.ui.notesLabel.text and "kept" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.enabled and not panel.ui.measurementsButton.enabled


def test_reload_and_scene_close_during_a_run_leave_no_process_and_no_result(host, scene, partial_worker):
    panel, group = start_partial_run(host)
    panel.exit()
    panel.cleanup()
    assert not living_processes(group) and scene.GetFirstNodeByName("part") is None
    panel.setup()  # as a reload does
    panel.enter()
    panel.ui.applyButton.click()
    group = panel.panel._run.pid
    scene.Clear(0)
    assert not panel.panel.running and not living_processes(group) and not host.errors


@pytest.mark.slow
def test_console_call_gives_the_librarys_voxels(host, scene, untrained):
    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.types.choices import NetworkChoice, RunsOn
    from CardiacSegLib import segment_cine

    _, volume = add_cine(2)
    module = sys.modules["CardiacSeg"]
    result = module.CardiacSegLogic().segmentSequence(volume, bundle=untrained, device="cpu", acceptLicence=True)
    expected = segment_cine(heart_cine(2), NetworkChoice(untrained, RunsOn("cpu")))
    found = labels_from_node(result.segmentation, volume)
    assert len(np.unique(expected.labels)) > 1
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_single_shown_frame(host, scene):
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of

    browser, volume = add_cine(3)
    select_frame(browser, 2)
    module = sys.modules["CardiacSeg"]
    logic = module.CardiacSegLogic()
    choice = SegmentChoice(NetworkChoice(runs_on=RunsOn("cpu")))
    request = logic.makeRequest(volume, module.FrameChoice.SHOWN, choice)
    assert request.arguments["choice"] is choice
    cine = request.arguments["cine"]
    np.testing.assert_array_equal(cine.frames[0], heart_cine(3).frames[2])
    assert cine.times_ms.tolist() == [80.0]
    result = logic.addResult(volume, measured(Segmentation(heart_labels(1), None)))
    assert result.tables == {} and result.function is None
    assert sequence_of(result.segmentation) == (None, None)
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 1
