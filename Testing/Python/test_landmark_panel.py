"""The landmark panel on the panel host: points and measures in the scene, edits, and what Apply asks of the worker."""

import sys
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer")
try:
    import PySide6.QtWidgets  # noqa: F401
except ImportError as error:
    pytest.skip(f"PySide6-Essentials or a system library of it is missing: {error}", allow_module_level=True)

from CardiacLib.errors import InputError  # noqa: E402
from CardiacLib.types.landmarks import LANDMARK_NAMES, Landmarks  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MODULES = (ROOT / "CardiacSeg" / "CardiacSeg.py", ROOT / "CardiacLandmarks" / "CardiacLandmarks.py")
QUICK_WORKER = """
import sys
import numpy as np
from CardiacLib.jobs import run_worker
from CardiacLib.types.landmarks import Landmarks

def quick(progress):
    points = np.load(sys.argv[0].replace("__main__.py", "points.npy"))
    return Landmarks(points, np.arange(len(points)) * 115.0, notes=("A note of the worker.",))

sys.exit(run_worker({"quick": quick}, sys.argv[1:]))
"""


@pytest.fixture
def volumes(scene, phantom):
    """The phantom's long-axis cines in one browser, by view."""
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    browser, found = None, {}
    for view in ("2ch", "3ch", "4ch"):
        browser, found[view] = cine_to_scene(phantom.cines[view], f"cine {view}", browser)
    return found


@pytest.fixture
def quick_worker(monkeypatch, tmp_path, phantom):
    """Lets the panel run a worker that gives the phantom's points, but for one that is missing."""
    from CardiacLib.mrml.panel.processes import JobRequest

    package = tmp_path / "QuickLandmarksLib"
    package.mkdir()
    (package / "__main__.py").write_text(QUICK_WORKER)
    points = phantom.landmarks.points.copy()
    points[:, 7] = np.nan
    points[2, 4] = np.nan
    np.save(package / "points.npy", points)
    monkeypatch.setattr("CardiacLib.mrml.panel.processes.library_folders", lambda: [str(tmp_path), *sys.path])
    logic = sys.modules["CardiacLandmarks"].CardiacLandmarksLogic
    monkeypatch.setattr(logic, "makeRequest", lambda *choices: JobRequest("QuickLandmarksLib", "quick", {}, {}))
    return points


def status_of(node) -> list[int]:
    return [node.GetNthControlPointPositionStatus(n) for n in range(node.GetNumberOfControlPoints())]


def test_points_come_back_from_the_scene_frame_by_frame(scene, volumes, phantom):
    from CardiacLib.mrml.nodes.markups import landmarks_from_nodes, landmarks_to_scene
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of

    points = phantom.landmarks.points.copy()
    points[3, 4], points[:, 6:8] = np.nan, np.nan
    browser, _ = sequence_of(volumes["4ch"])
    nodes = landmarks_to_scene(Landmarks(points, phantom.landmarks.times_ms), "valves", browser)
    assert set(nodes) == {"mitral", "tricuspid"}
    found = landmarks_from_nodes(nodes.values())
    assert np.allclose(found.points, points, equal_nan=True)
    assert np.allclose(found.times_ms, phantom.landmarks.times_ms, atol=1e-3)
    mitral = nodes["mitral"]
    assert [mitral.GetNthControlPointLabel(n) for n in range(6)] == list(LANDMARK_NAMES[:6])
    colours = {node.GetDisplayNode().GetSelectedColor() for node in nodes.values()}
    assert len(colours) == 2
    select_frame(browser, 3)
    assert status_of(mitral) == [mitral.PositionMissing if n == 4 else mitral.PositionDefined for n in range(6)]
    assert np.allclose(mitral.GetNthControlPointPosition(0), points[3, 0] * (-1.0, -1.0, 1.0))
    mitral.SetNthControlPointPosition(0, 1.0, 2.0, 3.0)
    select_frame(browser, 4)
    edited = landmarks_from_nodes(nodes.values()).points
    assert np.allclose(edited[3, 0], (-1.0, -2.0, 3.0)) and np.allclose(edited[4, 0], points[4, 0])


def test_lists_without_valve_points_are_refused(scene):
    from CardiacLib.mrml.nodes.markups import landmarks_from_nodes

    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "others")
    with pytest.raises(InputError, match="No valve points"):
        landmarks_from_nodes([node])


def test_the_panel_takes_the_views_and_says_why_apply_is_off(host, scene, phantom):
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    panel = host.open_panel("CardiacLandmarks")
    assert not panel.ui.applyButton.enabled and "Choose" in panel.ui.applyButton.toolTip
    panel.exit()
    _, volume = cine_to_scene(phantom.cines["3ch"], "three")
    panel.enter()
    assert panel.ui.selector3ch.currentNode().GetName() == "three" and panel.ui.selector2ch.currentNode() is None
    assert panel.ui.applyButton.enabled and not panel.ui.measuresButton.enabled and not panel.ui.measureButton.enabled
    request = panel.logic.makeRequest({"3ch": volume}, "valve_landmarks", "cpu", "torch", True)
    assert (request.library, request.task) == ("CardiacLandmarksLib", "detect")
    assert request.inputs["cine_3ch"].view == "3ch" and request.options["align"] is True


def test_from_apply_to_points_measures_and_edits(host, volumes, quick_worker, tmp_path):
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of
    from CardiacLib.mrml.panel.results import result_of

    panel = host.open_panel("CardiacLandmarks")
    panel.ui.outputNameEdit.text = "valves"
    panel.ui.applyButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors and "3 valves" in panel.ui.statusLabel.text
    assert "MAPSE septal" in panel.ui.resultLabel.text and "A note of the worker" in panel.ui.notesLabel.text
    points = result_of(panel.panel.parameters.points).nodes
    assert points["mitral"].GetName() == "valves mitral valve" and "annulus measures" in points
    browser, sequence = sequence_of(points["mitral"])
    assert browser is sequence_of(volumes["2ch"])[0] and sequence.GetNumberOfDataNodes() == len(quick_worker)
    aortic = points["aortic"]
    assert status_of(aortic) == [aortic.PositionDefined, aortic.PositionMissing]
    before = panel.ui.resultLabel.text
    select_frame(browser, 3)
    place = np.array(points["tricuspid"].GetNthControlPointPosition(1))
    points["tricuspid"].SetNthControlPointPosition(1, *(place + (-6.0, 6.0, -6.0)))
    select_frame(browser, 0)
    panel.ui.measureButton.click()
    assert not host.errors and panel.ui.resultLabel.text != before
    host.photograph(panel, tmp_path / "panel.png")
    assert (tmp_path / "panel.png").stat().st_size > 5000


def test_the_real_worker_says_that_weights_are_missing(host, volumes, monkeypatch, tmp_path):
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path))
    logic = sys.modules["CardiacLandmarks"].CardiacLandmarksLogic()
    with pytest.raises(InputError, match="bundles fetch valve_landmarks"):
        logic.findLandmarks({"4ch": volumes["4ch"]}, "valve_landmarks", "cpu", "torch")


def test_the_modules_own_test(host, scene):
    module = sys.modules["CardiacLandmarks"]
    module.CardiacLandmarksTest().runTest()
