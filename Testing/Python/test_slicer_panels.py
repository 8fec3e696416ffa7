"""The two panels on the panel host: real files, real scene, real worker processes, clicked as a user would."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer")
try:
    import PySide6.QtWidgets  # noqa: F401
except ImportError as error:
    pytest.skip(f"PySide6-Essentials or a system library of it is missing: {error}", allow_module_level=True)

from BiVMeshLib import MeshOptions  # noqa: E402
from CardiacLib.cine import Cine  # noqa: E402
from CardiacLib.labels import LV, MYO, RV, LabelMap  # noqa: E402
from CardiacLib.resources import resource_path  # noqa: E402
from Testing.SlicerHost import SlicerHost  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MODULES = (ROOT / "CardiacSeg" / "CardiacSeg.py", ROOT / "BiVMesh" / "BiVMesh.py")
SAX_TO_LPS = np.array([[0.0, 1.2, 0.0, -36.0], [-1.2, 0.0, 0.0, 36.0], [0.0, 0.0, 5.4, -24.0], [0.0, 0.0, 0.0, 1.0]])
QUICK_WORKER = """
import sys
import numpy as np
from CardiacLib.bivmesh import BiVMesh
from CardiacLib.jobs import run_worker

def quick(progress):
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    nodes = np.vstack([np.zeros(3), np.eye(3)])
    return BiVMesh(nodes, np.arange(4)[None], np.array([11], np.int32), faces, np.ones(4, np.int32))

sys.exit(run_worker({"quick": quick}, sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def host():
    with SlicerHost(*MODULES, style_modules=(__name__,)) as running:
        yield running


@pytest.fixture
def scene(host):
    """The host's scene, empty; panels of earlier tests are gone."""
    host.close_panels()
    host.errors.clear()
    slicer.mrmlScene.Clear(0)
    return slicer.mrmlScene


def heart_labels(n_frames: int) -> LabelMap:
    """A small heart, quickly meshed: ellipsoidal LV with wall and a crescent RV; the LV is smallest in the middle."""
    k, j, i = np.meshgrid(np.arange(9), np.arange(60), np.arange(60), indexing="ij")
    x, y, z = (i - 34) * 2.0, (j - 30) * 2.0, (k - 8) * 9.0
    frames = []
    for t in range(n_frames):
        r = 22.0 - 6.0 * np.sin(np.pi * (t / max(n_frames - 1, 1)) ** 1.2)
        lv = (x / r) ** 2 + (y / r) ** 2 + (z / 62) ** 2 < 1
        wall = (x / 32) ** 2 + (y / 32) ** 2 + (z / 72) ** 2 < 1
        rv = ((x + 26) / 30) ** 2 + (y / 34) ** 2 + (z / 60) ** 2 < 1
        frame = np.where(lv, LV, np.where(wall, MYO, np.where(rv, RV, 0)))
        frames.append(frame.astype(np.uint8))
    return LabelMap(np.stack(frames), SAX_TO_LPS, np.arange(n_frames) * 40.0, "synthetic heart")


def heart_cine(n_frames: int = 3) -> Cine:
    """Bright blood, dark wall, grey surroundings, with noise."""
    labels = heart_labels(n_frames)
    frames = np.array([90.0, 300.0, 60.0, 290.0], np.float32)[labels.labels]
    frames += np.random.default_rng(0).normal(0, 6, frames.shape).astype(np.float32)
    return Cine(frames, labels.ijk_to_lps, labels.times_ms, "sax", "synthetic heart")


def node_names(scene) -> list[str]:
    return sorted(scene.GetNthNode(n).GetName() or "" for n in range(scene.GetNumberOfNodes()))


def add_cine(n_frames: int = 3):
    from CardiacLib.mrml.cines import cine_to_scene

    return cine_to_scene(heart_cine(n_frames), "sax")


def add_segmentation(n_frames: int = 3):
    from CardiacLib.mrml.segmentations import labels_to_scene

    return labels_to_scene(heart_labels(n_frames), "labels")


def living_processes(group: int) -> list[int]:
    """Process ids of a process group that still run half a second after it was killed (unreaped ones do not)."""
    for _ in range(25):
        stats = [path.read_text().rpartition(")")[2].split() for path in Path("/proc").glob("[0-9]*/stat")]
        living = [stat for stat in stats if stat[0] != "Z" and int(stat[2]) == group]
        if not living:
            return []
        time.sleep(0.02)
    return [int(stat[1]) for stat in living]


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
    panel.ui.inputSelector.setCurrentNode(volume)
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
    panel.ui.edgeLengthSlider.value = 3.5
    panel.ui.frameSelector.currentIndex = 1
    panel.ui.outputNameEdit.text = "heart"
    path = tmp_path / "scene.mrml"
    scene.SetURL(str(path))
    scene.Commit()
    scene.Clear(0)
    host.process_events()
    assert panel.ui.edgeLengthSlider.value == MeshOptions().edge_length_mm and panel.ui.outputNameEdit.text == ""
    scene.SetURL(str(path))
    scene.Import()
    panel.enter()
    assert panel.ui.edgeLengthSlider.value == 3.5
    assert panel.ui.frameSelector.currentText == "End-systole" and panel.ui.outputNameEdit.text == "heart"


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


def test_mesh_frame_choice_takes_the_right_frame(host, scene):
    from CardiacLib.mrml.sequences import select_frame, sequence_of

    segmentation = add_segmentation(5)
    select_frame(sequence_of(segmentation)[0], 3)
    module = sys.modules["BiVMesh"]
    logic = module.BiVMeshLogic()
    frames = heart_labels(5).labels
    for choice, expected in (("END_DIASTOLE", 0), ("END_SYSTOLE", 2), ("SHOWN", 3)):
        request = logic.makeRequest(segmentation, module.MeshFrame[choice], 4.0, 3.0)
        found = request.inputs["labels"].labels
        assert min(range(5), key=lambda t, found=found: int((frames[t] != found[0]).sum())) == expected


def test_cancel_leaves_the_scene_as_it_was(host, scene):
    add_segmentation()
    panel = host.open_panel("BiVMesh")
    before = node_names(scene)
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
    from CardiacLib.mrml.processes import JobRequest

    package = tmp_path / "QuickWorkerLib"
    package.mkdir()
    (package / "__main__.py").write_text(QUICK_WORKER)
    monkeypatch.setattr("CardiacLib.mrml.processes.library_folders", lambda: [str(tmp_path), *sys.path])
    logic = sys.modules["BiVMesh"].BiVMeshLogic
    monkeypatch.setattr(logic, "makeRequest", lambda *choices: JobRequest("QuickWorkerLib", "quick", {}, {}))


def test_input_removed_during_a_run_is_one_sentence_and_no_result(host, scene, quick_worker):
    segmentation = add_segmentation(1)
    panel = host.open_panel("BiVMesh")
    panel.ui.applyButton.click()
    scene.RemoveNode(segmentation)
    host.wait_until(lambda: not panel.panel.running)
    assert len(host.errors) == 1 and "removed from the scene" in host.errors[0]
    assert not any("mesh" in name for name in node_names(scene))


def test_result_that_cannot_be_shown_takes_its_nodes_back(host, scene, quick_worker, monkeypatch):
    from CardiacLib.mrml import models
    from CardiacLib.mrml.segmentations import labels_to_scene

    browser, volume = add_cine(3)
    add_segmentation(1)

    def half(mesh, name):
        labels_to_scene(heart_labels(3), "half", browser=browser, volume=volume)
        raise MemoryError("no memory for the rest")

    monkeypatch.setattr(models, "mesh_to_scene", half)
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
    """The default network's bundle, four channels wide, with random weights: quick, and there in any tree."""
    import torch

    from CardiacLib.bundles import read_config

    folder = tmp_path_factory.mktemp("bundle") / "cineheart_sax"
    shutil.copytree(resource_path("Bundles") / "cineheart_sax", folder, ignore=shutil.ignore_patterns("*.pt"))
    config = folder / "configs" / "inference.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    content["network_def"]["channels"] = [4] * len(content["network_def"]["channels"])
    config.write_text(json.dumps(content), encoding="utf-8")
    torch.manual_seed(0)
    network = read_config(folder, "inference").get_parsed_content("network_def", instantiate=True)
    (folder / "models").mkdir(exist_ok=True)
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return str(folder)


@pytest.fixture
def segmentation_panel(host, scene, untrained, monkeypatch):
    """The panel with a cine of three frames chosen; its network is the untrained one."""
    logic = sys.modules["CardiacSeg"].CardiacSegLogic
    make_request = logic.makeRequest

    def with_untrained(self, volume, frames, bundle, device, backend):
        assert bundle == "cineheart_sax"
        return make_request(self, volume, frames, untrained, device, backend)

    monkeypatch.setattr(logic, "makeRequest", with_untrained)
    add_cine(3)
    return host.open_panel("CardiacSeg")


def test_segmentation_panel_from_apply_to_results(host, segmentation_panel):
    from CardiacLib.mrml.sequences import sequence_of

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


def test_segmentation_cancel_leaves_the_scene_as_it_was(host, scene, segmentation_panel):
    panel = segmentation_panel
    before = node_names(scene)
    panel.ui.applyButton.click()
    host.wait_until(lambda: panel.ui.progressBar.value > 0 or "loading" in panel.ui.statusLabel.text)
    panel.ui.cancelButton.click()
    assert not panel.panel.running and node_names(scene) == before and not host.errors


def test_console_call_gives_the_librarys_voxels(host, scene, untrained):
    from CardiacLib.mrml.segmentations import labels_from_node
    from CardiacSegLib import segment

    _, volume = add_cine(2)
    module = sys.modules["CardiacSeg"]
    result = module.CardiacSegLogic().segmentSequence(volume, bundle=untrained, device="cpu")
    expected = segment(heart_cine(2), bundle=untrained, device="cpu")
    found = labels_from_node(result.segmentation, volume)
    assert len(np.unique(expected.labels)) > 1
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_single_shown_frame(host, scene):
    from CardiacLib.mrml.sequences import select_frame, sequence_of

    browser, volume = add_cine(3)
    select_frame(browser, 2)
    module = sys.modules["CardiacSeg"]
    logic = module.CardiacSegLogic()
    request = logic.makeRequest(volume, module.FrameChoice.SHOWN, "cineheart_sax", "cpu")
    cine = request.inputs["cine"]
    np.testing.assert_array_equal(cine.frames[0], heart_cine(3).frames[2])
    assert cine.times_ms.tolist() == [80.0]
    result = logic.addResult(volume, heart_labels(1))
    assert result.tables == {} and result.function is None and "need all frames" in logic.describe(result)
    assert sequence_of(result.segmentation) == (None, None)
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 1


def test_panels_open_without_the_packages_of_the_workers():
    """Modules load in a Slicer that has neither torch nor monai nor scikit-image: nothing of it at file scope."""
    code = """
import sys
for name in ("torch", "monai", "skimage", "matplotlib", "typer", "jinja2", "rich"):
    sys.modules[name] = None
from Testing.SlicerHost import SlicerHost
with SlicerHost(*sys.argv[1:]) as host:
    for name in ("CardiacSeg", "BiVMesh"):
        host.open_panel(name)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *map(str, MODULES)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
