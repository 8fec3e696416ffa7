"""Runs of all three panels that do not come to their end: Cancel, scene close, reload, leaving; and the time left."""

import gc
import sys
import time
import weakref

import pytest
from panel_hearts import (
    MODULES,
    heart_cine,
    heart_labels,
    install_quick_worker,
    living_processes,
    node_names,
    running_processes,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)


NAMES = [path.stem for path in MODULES]


@pytest.fixture(params=NAMES)
def panel(request, host, scene, monkeypatch, tmp_path):
    """Each module's panel with an input chosen and a worker that stays at half of the work, with a child process."""
    from CardiacLib.mrml.nodes.cines import cine_to_scene
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene
    from CardiacLib.mrml.panel.processes import JobRequest

    install_quick_worker(monkeypatch, tmp_path)
    logic = getattr(sys.modules[request.param], f"{request.param}Logic")
    monkeypatch.setattr(logic, "makeRequest", lambda *choices: JobRequest("busy", {}))
    browser, volume = cine_to_scene(heart_cine(3).with_changes(view="4ch"), "cine")
    labels_to_scene(heart_labels(3), "labels", browser, volume)
    return host.open_panel(request.param)


def start(host, panel) -> int:
    """Press Apply and wait for half of the work; returns the worker's process group."""
    panel.ui.applyButton.click()
    assert not host.errors and panel.ui.cancelButton.enabled and not panel.ui.applyButton.enabled
    host.wait_until(lambda: panel.ui.progressBar.value == 50)
    assert panel.ui.progressBar.visible
    group = panel.panel._run.pid
    assert len(running_processes(group)) > 1  # the launcher, the worker and its child
    return group


def test_cancel_at_half_of_the_work(host, scene, panel):
    before = node_names(scene)
    group = start(host, panel)
    began = time.monotonic()
    panel.ui.cancelButton.click()
    assert time.monotonic() - began < 2.0 and not living_processes(group)
    assert "as it was" in panel.ui.statusLabel.text and not panel.ui.progressBar.visible
    assert panel.ui.applyButton.enabled and not panel.ui.cancelButton.enabled and not host.errors
    assert node_names(scene) == before


def test_scene_close(host, scene, panel):
    group = start(host, panel)
    scene.Clear(0)
    assert not living_processes(group) and not panel.panel.running and not host.errors
    assert not panel.ui.applyButton.enabled and panel.ui.applyButton.toolTip
    host.process_events()


def test_reload(host, scene, panel):
    group = start(host, panel)
    panel.exit()
    panel.cleanup()
    assert not living_processes(group)
    scene.AddNewNodeByClass("vtkMRMLTableNode", "after")  # no observer of the old panel is left to fail on it
    panel.setup()
    panel.enter()
    assert panel.ui.applyButton.enabled and not host.errors
    panel.panel.cancel()  # of no run: nothing happens


def test_leaving_and_coming_back(host, scene, panel):
    group = start(host, panel)
    panel.exit()
    host.process_events()
    assert panel.panel.running and running_processes(group)
    panel.enter()
    assert panel.ui.cancelButton.enabled and not panel.ui.applyButton.enabled
    panel.ui.cancelButton.click()
    assert not living_processes(group) and panel.ui.applyButton.enabled


def test_the_time_left_is_told(host, panel, monkeypatch):
    monkeypatch.setattr("CardiacLib.mrml.panel.module_panel.TIME_LEFT_AFTER_S", 0.0)
    start(host, panel)
    assert "s left)" in panel.ui.statusLabel.text and "half" in panel.ui.statusLabel.text
    panel.ui.cancelButton.click()


def test_cancel_keeps_a_complete_result_beside_the_part(host, scene, monkeypatch, tmp_path):
    """The finished frames of a stopped run become a segmentation of their own; the chosen one stays complete."""
    from CardiacLib.mrml.nodes.cines import cine_from_node, cine_to_scene
    from CardiacLib.mrml.nodes.segmentations import labels_from_node, labels_to_scene
    from CardiacLib.mrml.panel.processes import JobRequest

    install_quick_worker(monkeypatch, tmp_path)
    browser, volume = cine_to_scene(heart_cine(3), "cine")
    complete = labels_to_scene(heart_labels(3), "complete", browser, volume)
    before = labels_from_node(complete).labels
    logic = sys.modules["CardiacSeg"].CardiacSegLogic
    request = JobRequest("part", {"cine": cine_from_node(volume)})
    monkeypatch.setattr(logic, "makeRequest", lambda *choices: request)
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(complete)
    start(host, panel)
    panel.ui.cancelButton.click()
    assert "kept in cine segmentation" in panel.ui.statusLabel.text and not host.errors
    assert panel.ui.outputSelector.currentNode() is complete
    assert (labels_from_node(complete).labels == before).all()
    part = labels_from_node(scene.GetFirstNodeByName("cine segmentation")).labels
    assert part[0].all() and not part[2].any() and browser.GetNumberOfSynchronizedSequenceNodes(True) == 3


@pytest.mark.slow
def test_a_run_leaves_nothing_in_memory(host, scene, monkeypatch, tmp_path):
    """Slicer's timers hold their slots: a run that does not take its slot back stays, with all images of its job."""
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene
    from CardiacLib.mrml.panel.processes import JobRequest

    class Images(dict):
        """What a job carries, able to be watched."""

    install_quick_worker(monkeypatch, tmp_path)
    sent = []

    def make_request(*choices):
        images = Images()
        sent.append(weakref.ref(images))
        return JobRequest("quick", images)

    monkeypatch.setattr(sys.modules["BiVMesh"].BiVMeshLogic, "makeRequest", make_request)
    labels_to_scene(heart_labels(1), "labels")
    panel = host.open_panel("BiVMesh")
    for end in ("done", "cancelled"):
        panel.ui.applyButton.click()
        run = weakref.ref(panel.panel._run)
        if end == "cancelled":
            panel.ui.cancelButton.click()
        host.wait_until(lambda: not panel.panel.running)
        host.process_events()
        gc.collect()
        assert run() is None and sent[-1]() is None, end
    assert not host.errors
