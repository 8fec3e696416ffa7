"""The landmark panel on the panel host: points and measures in the scene, edits, and what Apply asks of the worker."""

import sys
from pathlib import Path

import numpy as np
import pytest
from panel_hearts import install_worker, logic_of, measured, with_statistics

slicer = pytest.importorskip("slicer")
try:
    import PySide6.QtWidgets  # noqa: F401
except ImportError as error:
    pytest.skip(f"PySide6-Essentials or a system library of it is missing: {error}", allow_module_level=True)

from CardiacLib.errors import InputError  # noqa: E402
from CardiacLib.types.choices import LANDMARK_BUNDLE, LandmarkChoice, NetworkChoice, RunsOn  # noqa: E402
from CardiacLib.types.landmarks import LANDMARK_NAMES, Landmarks  # noqa: E402
from CardiacLib.types.segmentation import Segmentation  # noqa: E402
from CardiacLib.types.study import Study  # noqa: E402
from CardiacSegLib.long_axis import label_long_axis  # noqa: E402
from cineheart import steps  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MODULES = (ROOT / "CardiacSeg" / "CardiacSeg.py", ROOT / "CardiacLandmarks" / "CardiacLandmarks.py")
QUICK_WORKER = """
import sys
import numpy as np
from dataclasses import replace
from CardiacLib.jobs import run_worker
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.measures.volumes import LEFT, VolumeRow
from cineheart.worker import TASKS

def find_points(progress, cines, choice, labels):
    points = np.load(sys.argv[0].replace("__main__.py", "points.npy"))
    found = TASKS["measure_points"](points_of(points), cines, labels, progress=progress)
    cine, labels = cines["4ch"], np.zeros(cines["4ch"].frames.shape, np.uint8)
    labels[:, 0, 10:20, 10:20] = 1
    return replace(
        found,
        landmarks=replace(found.landmarks, notes=("A note of the worker.",)),
        four_chamber=LabelMap.of(labels, cine),
        volume=VolumeRow(source="4CH", ventricle=LEFT, ed_ml=100.0, es_ml=40.0, reason=""),
    )

def points_of(points):
    from CardiacLib.types.landmarks import Landmarks
    return Landmarks(points, np.arange(len(points)) * 115.0)

sys.exit(run_worker(TASKS | {"find_points": find_points}, sys.argv[1:]))
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
    install_worker(monkeypatch, tmp_path, "quick_landmarks", QUICK_WORKER)
    points = phantom.landmarks.points.copy()
    points[:, 7] = np.nan
    points[2, 4] = np.nan
    np.save(tmp_path / "quick_landmarks" / "points.npy", points)
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
    choice = LandmarkChoice(NetworkChoice("valve_landmarks", RunsOn("cpu", "torch")), align=True)
    request = panel.logic.makeRequest({"3ch": volume}, choice)
    assert request.task == "find_points" and request.arguments["choice"] is choice
    assert request.arguments["cines"]["3ch"].view == "3ch" and request.arguments["labels"] is None


@pytest.mark.slow
def test_from_apply_to_points_measures_and_edits(host, volumes, quick_worker, tmp_path):
    from CardiacLib.mrml.nodes.segmentations import images_of, labels_from_node
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
    four, volume = points["4CH labels"], "LV of the 4CH view (area-length): 100 / 40 ml, EF 60 %."
    assert not four.GetDisplayNode().GetVisibility()  # without a window there is no view of its own
    assert volume in panel.ui.resultLabel.text and four.GetName() == "valves 4CH labels"
    assert images_of(four).GetID() == volumes["4ch"].GetID() and sequence_of(four)[0] is sequence_of(volumes["4ch"])[0]
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
    assert not panel.ui.measureButton.enabled and "Cancel" in panel.ui.measureButton.toolTip
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors and panel.ui.resultLabel.text != before and volume in panel.ui.resultLabel.text
    kept = result_of(panel.panel.parameters.points).nodes["4CH labels"]
    assert kept is four and labels_from_node(four).labels.sum() == 100 * len(quick_worker)
    host.photograph(panel, tmp_path / "panel.png")
    assert (tmp_path / "panel.png").stat().st_size > 5000


def test_the_real_worker_says_that_weights_are_missing(host, volumes, monkeypatch, tmp_path):
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path))
    logic = sys.modules["CardiacLandmarks"].CardiacLandmarksLogic()
    with pytest.raises(InputError, match="bundles fetch valve_landmarks"):
        logic.findLandmarks({"4ch": volumes["4ch"]}, "valve_landmarks", "cpu", "torch", acceptLicence=True)
    with pytest.raises(InputError, match=r"cineheart_lax_labels.*acceptLicence=True"):  # of the labels of that view
        logic.findLandmarks({"4ch": volumes["4ch"]}, "valve_landmarks", "cpu", "torch")


@pytest.mark.slow
def test_the_modules_own_test(host, scene):
    module = sys.modules["CardiacLandmarks"]
    module.CardiacLandmarksTest().runTest()


@pytest.mark.slow
def test_a_measured_segmentation_of_the_study_gives_the_apex(host, scene, little_heart):
    """Found and measured again, the motion is that of the command line: the LV axis ends at the apex of the labels."""
    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.mrml.panel.studies import add_study

    volumes = add_study(Study(little_heart.cines, source="the study"))
    views = {view: volume for view, volume in volumes.items() if view != "sax"}
    cines = {view: little_heart.cines[view] for view in views}
    logic, choice = logic_of("CardiacLandmarks"), LandmarkChoice(NetworkChoice(LANDMARK_BUNDLE, RunsOn("cpu")))
    assert logic.makeRequest(views, choice).arguments["labels"] is None
    add_result = logic_of("CardiacSeg").addResult
    node = add_result(volumes["sax"], measured(with_statistics(little_heart.labels)), "heart").segmentation
    add_result(volumes["sax"], measured(Segmentation(little_heart.labels, None)), "only a part")
    found = logic.findLandmarks(views, device="cpu", acceptLicence=True)
    with_labels, without = (steps.find_points(cines, choice, labels=labels) for labels in (little_heart.labels, None))
    assert found.annulus.values() == pytest.approx(with_labels.annulus.values(), abs=1e-6)
    assert found.annulus.values()["mapse_septal_mm"] != pytest.approx(
        without.annulus.values()["mapse_septal_mm"], abs=1e-3
    )
    four = labels_from_node(found.labels, volumes["4ch"]).labels
    np.testing.assert_array_equal(four, label_long_axis(little_heart.cines["4ch"]).labels.labels)
    again = logic.measureAgain(found.points["mitral"], views)
    known = steps.measure_edited_points(with_labels.landmarks, cines, little_heart.labels)
    assert again.annulus.values() == pytest.approx(known.annulus.values(), abs=5e-3)  # as a scene keeps the points
    request = logic.makeMeasureRequest(found.points["aortic"], views)
    np.testing.assert_array_equal(request.arguments["labels"].labels, little_heart.labels.labels)
    scene.RemoveNode(node)
    assert logic.makeMeasureRequest(found.points["aortic"], views).arguments["labels"] is None
    with pytest.raises(InputError, match="Choose the cines"):
        logic.makeMeasureRequest(found.points["aortic"], {})


def test_a_segmentation_of_another_study_gives_no_apex(host, scene, phantom, volumes):
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    _, other = cine_to_scene(phantom.cines["sax"], "other")
    logic_of("CardiacSeg").addResult(other, measured(with_statistics(phantom.labels)), "other")
    request = logic_of("CardiacLandmarks").makeRequest(volumes, LandmarkChoice())
    assert request.arguments["labels"] is None
