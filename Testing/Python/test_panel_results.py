"""Apply pressed again: results are updated in place, in all three modules, and never by half."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from panel_hearts import (
    heart_cine,
    heart_labels,
    install_quick_worker,
    logic_of,
    measured,
    measured_points,
    meshed,
    node_names,
    tetrahedron,
    with_statistics,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from BiVMeshLib.result import MeshChoice  # noqa: E402
from CardiacLib.errors import InputError  # noqa: E402
from CardiacLib.types.bivmesh import PATCHES, MovingMesh  # noqa: E402
from CardiacLib.types.labels import RV, LabelMap  # noqa: E402
from CardiacLib.types.landmarks import Landmarks  # noqa: E402
from CardiacLib.types.segmentation import Segmentation  # noqa: E402
from CardiacSegLib.result import SegmentResult  # noqa: E402


@pytest.fixture
def cine(scene):
    """Browser and volume of a cine of twelve frames, enough for every table and chart."""
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    return cine_to_scene(heart_cine(12), "sax")


def segmented(shift: int = 0, n_frames: int = 12) -> SegmentResult:
    """The heart's labels, moved by some pixels, as a network might have given them."""
    labels = heart_labels(n_frames)
    moved = LabelMap(np.roll(labels.labels, shift, axis=3), labels.ijk_to_lps, labels.times_ms, labels.source)
    return measured(with_statistics(moved, f"Moved by {shift}."))


def identity(nodes: dict) -> dict:
    return {key: (node.GetID(), node.GetName()) for key, node in nodes.items()}


def series_of(chart) -> list:
    return [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]


@pytest.mark.slow
def test_a_segmentation_and_its_tables_are_updated_in_place(cine, scene):
    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of
    from CardiacLib.mrml.panel.results import result_of

    browser, volume = cine
    logic = logic_of("CardiacSeg")
    first = logic.addResult(volume, segmented(), "heart")
    node, (_, sequence) = first.segmentation, sequence_of(first.segmentation)
    node.SetName("my heart")
    node.GetDisplayNode().SetOpacity(0.25)
    select_frame(browser, 4)
    before, names, tables = scene.GetNumberOfNodes(), node_names(scene), identity(first.tables)
    assert {"chart", "rates", "strain", "strain chart", "segments", "quality", "volumes"} <= set(tables)
    result = logic.addResult(volume, segmented(shift=2), "another name", output=node)
    assert result.segmentation is node and sequence_of(node) == (browser, sequence)
    assert identity(result.tables) == tables and node.GetName() == "my heart"
    assert scene.GetNumberOfNodes() == before and node_names(scene) == names
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 2 and browser.GetSelectedItemNumber() == 4
    np.testing.assert_array_equal(labels_from_node(node, volume).labels, segmented(shift=2).segmentation.labels.labels)
    assert node.GetDisplayNode().GetOpacity() == 0.25 and browser.GetSaveChanges(sequence)
    assert "Moved by 2." in result_of(node).facts["notes"]
    for series in series_of(result.tables["chart"]):
        assert series.GetTableNodeID() == result.tables["volumes"].GetID()


@pytest.mark.slow
def test_hand_edits_stay_until_the_next_result(cine):
    """What is painted on a frame is in the sequence, is read again, and goes when Apply is pressed again."""
    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.mrml.nodes.sequences import select_frame

    browser, volume = cine
    logic = logic_of("CardiacSeg")
    node = logic.addResult(volume, segmented(), "heart").segmentation
    select_frame(browser, 3)
    node.GetSegmentation().RemoveSegment("RV_blood_pool")
    select_frame(browser, 5)
    assert (labels_from_node(node, volume).labels[3] != RV).all()
    logic.addResult(volume, segmented(), output=node)
    np.testing.assert_array_equal(labels_from_node(node, volume).labels, segmented().segmentation.labels.labels)
    select_frame(browser, 3)
    assert node.GetSegmentation().GetNumberOfSegments() == 3


@pytest.mark.slow
def test_a_result_that_fails_in_the_middle_changes_nothing(cine, scene, monkeypatch):
    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.mrml.panel.module_panel import whole_scene_change
    from CardiacLib.mrml.panel.results import result_of

    browser, volume = cine
    logic = logic_of("CardiacSeg")
    node = logic.addResult(volume, segmented(), "heart").segmentation
    said, names = result_of(node).facts, node_names(scene)

    def fail(*_):
        raise MemoryError("no memory for the table")

    monkeypatch.setattr("CardiacSegLib.mrml.result.quality_to_scene", fail)
    with pytest.raises(MemoryError), whole_scene_change():
        logic.addResult(volume, segmented(shift=3), output=node)
    assert node_names(scene) == names and result_of(node).facts == said
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 2
    np.testing.assert_array_equal(labels_from_node(node, volume).labels, segmented().segmentation.labels.labels)


@pytest.mark.slow
def test_tables_come_and_go_with_the_result(cine, scene):
    """A removed table is made again; what a new result does not have is not left beside it."""
    _, volume = cine
    logic = logic_of("CardiacSeg")
    first = logic.addResult(volume, segmented(), "heart")
    scene.RemoveNode(first.tables["volumes"])
    second = logic.addResult(volume, segmented(), output=first.segmentation)
    table = second.tables["volumes"]
    assert scene.IsNodePresent(table) and set(second.tables) == set(first.tables)
    assert {s.GetTableNodeID() for s in series_of(second.tables["chart"])} == {table.GetID()}
    part = SegmentResult(Segmentation(segmented().segmentation.labels, None), None, None)
    third = logic.addResult(volume, part, output=first.segmentation)
    assert third.segmentation is first.segmentation and third.tables == {}
    assert not any(scene.IsNodePresent(node) for node in second.tables.values())
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 0


def test_one_frame_becomes_a_cycle_but_not_the_other_way_round(cine):
    from CardiacLib.mrml.nodes.sequences import sequence_of

    browser, volume = cine
    logic = logic_of("CardiacSeg")
    one = logic.addResult(volume, segmented(n_frames=1), "heart").segmentation
    assert sequence_of(one) == (None, None)
    assert logic.addResult(volume, segmented(), output=one).segmentation is one
    assert sequence_of(one)[0] is browser and sequence_of(one)[1].GetNumberOfDataNodes() == 12
    assert sequence_of(one)[1].GetName() == "heart sequence"
    with pytest.raises(InputError, match="holds all frames"):
        logic.addResult(volume, segmented(n_frames=1), output=one)


@pytest.mark.slow
def test_the_output_follows_the_input_and_apply_says_what_does_not_fit(host, cine, scene):
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    _, volume = cine
    panel = host.open_panel("CardiacSeg")
    first = panel.logic.addResult(volume, segmented(), "heart").segmentation
    panel.ui.outputSelector.setCurrentNode(first)
    assert "EDV" in panel.ui.resultLabel.text and panel.ui.applyButton.enabled
    assert not panel.ui.outputNameEdit.enabled and "keeps its name" in panel.ui.outputNameEdit.toolTip
    _, other = cine_to_scene(heart_cine(12), "other")
    panel.ui.inputSelector.choose(other)
    assert panel.ui.outputSelector.currentNode() is None and panel.ui.resultLabel.text == ""
    assert panel.ui.outputNameEdit.enabled
    panel.ui.outputSelector.setCurrentNode(first)
    assert not panel.ui.applyButton.enabled and "another cine" in panel.ui.applyButton.toolTip
    panel.ui.inputSelector.choose(volume)
    assert panel.ui.outputSelector.currentNode() is first and panel.ui.applyButton.enabled
    panel.ui.framesSelector.currentIndex = 1
    assert not panel.ui.applyButton.enabled and "single one" in panel.ui.applyButton.toolTip
    with pytest.raises(InputError, match="another cine"):
        panel.logic.addResult(other, segmented(), output=first)


@pytest.mark.slow
def test_point_lists_and_their_measures_are_updated_in_place(scene, phantom):
    from CardiacLib.mrml.nodes.cines import cine_to_scene
    from CardiacLib.mrml.nodes.markups import landmarks_from_nodes
    from CardiacLib.mrml.panel.results import result_of

    browser, volumes = None, {}
    for view in ("2ch", "3ch", "4ch"):
        browser, volumes[view] = cine_to_scene(phantom.cines[view], view, browser)
    logic, times = logic_of("CardiacLandmarks"), phantom.landmarks.times_ms
    first = logic.addResult(volumes, measured_points(phantom.landmarks, phantom.cines), "valves")
    first.points["mitral"].SetName("mine")
    lists, tables = identity(first.points), identity(first.tables)
    nodes = scene.GetNumberOfNodes()
    moved = Landmarks(phantom.landmarks.points + (0.0, 0.0, 3.0), times)
    second = logic.addResult(
        volumes, measured_points(moved, phantom.cines), pointsNode=first.points["aortic"]
    )  # any list leads to the result
    assert identity(second.points) == lists and identity(second.tables) == tables
    assert scene.GetNumberOfNodes() == nodes and browser.GetNumberOfSynchronizedSequenceNodes(True) == 6
    assert np.allclose(landmarks_from_nodes(second.points.values()).points, moved.points)
    again = logic.measureAgain(second.points["mitral"], volumes)
    assert identity(again.tables) == tables and identity(again.points) == lists
    assert scene.GetNumberOfNodes() == nodes
    without = moved.points.copy()
    without[:, 6:8] = np.nan  # no aortic valve
    third = logic.addResult(
        volumes, measured_points(Landmarks(without, times), phantom.cines), pointsNode=first.points["tricuspid"]
    )
    assert set(third.points) == {"mitral", "tricuspid"} and not scene.IsNodePresent(first.points["aortic"])
    assert browser.GetNumberOfSynchronizedSequenceNodes(True) == 5
    assert set(result_of(third.points["mitral"]).nodes) == set(third.points) | set(third.tables)
    logic.addResult(volumes, measured_points(moved, phantom.cines), pointsNode=third.points["mitral"])
    assert scene.GetNumberOfNodes() == nodes


def moving(mesh) -> MovingMesh:
    up = np.zeros((12, len(mesh.nodes), 3), np.float32)
    up[:, :, 2] = np.arange(12)[:, None]
    return MovingMesh(mesh, 0, up, heart_labels(12).times_ms)


def test_a_mesh_is_updated_in_place_with_and_without_motion(cine, scene):
    from BiVMeshLib.mrml.models import FIBRES, SURFACES, mesh_from_node, show_mesh
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of

    browser, volume = cine
    labels = logic_of("CardiacSeg").addResult(volume, segmented(), "labels").segmentation
    logic = logic_of("BiVMesh")
    first = logic.addResult(labels, meshed(tetrahedron()), "heart")
    first["EPI"].GetDisplayNode().SetColor(0.0, 1.0, 0.0)
    before, nodes = identity(first), scene.GetNumberOfNodes()
    for found, sequences in ((tetrahedron(2.0), 2), (moving(tetrahedron(3.0)), 3), (tetrahedron(4.0), 2)):
        models = logic.addResult(labels, meshed(found), meshNode=first["VOLUME"])
        assert identity(models) == before and browser.GetNumberOfSynchronizedSequenceNodes(True) == sequences
        size = getattr(found, "mesh", found).nodes.max()
        assert np.isclose(mesh_from_node(models["VOLUME"]).nodes.max(), size)
        assert models["VOLUME"].GetNodeReference(SURFACES) is models["EPI"]
        assert models["VOLUME"].GetNodeReference(FIBRES) is None
        select_frame(browser, 2)
        lowest = 2.0 if sequences == 3 else 0.0
        assert np.isclose(models["EPI"].GetPolyData().GetBounds()[4], lowest)
        assert models["EPI"].GetDisplayNode().GetColor() == (0.0, 1.0, 0.0)
        assert scene.GetNumberOfNodes() == nodes + (sequences == 3)
    show_mesh(models["VOLUME"], "region")
    assert not models["EPI"].GetDisplayVisibility()
    assert sequence_of(models["EPI"]) == (None, None)


def test_colours_move_with_the_surfaces_of_a_mesh(cine, scene):
    """Strain of every frame, AHA segment and helix angle of the tetrahedron below; translucent again afterwards."""
    from BiVMeshLib.mrml.models import EPI_OPACITY, mesh_from_node, mesh_views, show_mesh
    from CardiacLib.mrml.nodes.sequences import select_frame

    mesh = replace(
        tetrahedron(2.0),
        patches=np.array([PATCHES["BASE"], 1, 1, 1], np.int32),
        cell_fields={"fibre": np.array([[0.0, 0.6, 0.8]]), "aha": np.array([7], np.int32)},
        point_fields={"transmural": np.array([0.0, 0.2, 0.5, 1.0])},
    )
    growing = replace(moving(mesh), displacements=np.float32(0.01) * np.arange(12)[:, None, None] * mesh.nodes)
    labels = logic_of("CardiacSeg").addResult(cine[1], segmented(), "labels").segmentation
    models = logic_of("BiVMesh").addResult(labels, meshed(growing), "heart")
    volume, epi = models["VOLUME"], models["EPI"]
    before = mesh_from_node(volume)
    assert {"helix", "aha", "strain"} <= set(mesh_views(volume))
    opacity = epi.GetDisplayNode().GetOpacity()
    for view, name, values in (
        ("strain", "circumferential_strain_percent", (0.0, 11.0)),
        ("aha", "aha", (7.0, 7.0)),
        ("helix", "helix_angle_deg", None),
    ):
        show_mesh(volume, view)
        for frame, wanted in zip((0, 11), values or (None, None), strict=True):
            select_frame(cine[0], frame)
            surface = epi.GetPolyData()
            data = surface.GetPointData() if view == "strain" else surface.GetCellData()
            found = data.GetArray(name).GetRange()
            assert np.allclose(found, wanted, atol=1e-3) if values else abs(found[0]) > 20, view
        display = epi.GetDisplayNode()
        assert display.GetScalarVisibility() and display.GetActiveScalarName() == name and display.GetOpacity() == 1.0
        assert epi.GetDisplayVisibility() and not volume.GetDisplayVisibility()
    show_mesh(volume, "surfaces")
    assert not display.GetScalarVisibility() and display.GetOpacity() == opacity == EPI_OPACITY
    assert set(mesh_from_node(volume).cell_fields) == set(before.cell_fields)  # files of the mesh stay as they were


@pytest.mark.slow
def test_apply_twice_makes_one_mesh_and_create_new_makes_two(host, cine, scene, monkeypatch, tmp_path):
    from CardiacLib.mrml.panel.processes import JobRequest

    install_quick_worker(monkeypatch, tmp_path)
    logic = sys.modules["BiVMesh"].BiVMeshLogic
    monkeypatch.setattr(logic, "makeRequest", lambda *choices: JobRequest("quick", {}))
    logic_of("CardiacSeg").addResult(cine[1], segmented(), "labels")
    panel = host.open_panel("BiVMesh")
    models = []
    for _ in range(2):
        panel.ui.applyButton.click()
        host.wait_until(lambda: not panel.panel.running)
        models.append(scene.GetNumberOfNodesByClass("vtkMRMLModelNode"))
        assert "tetrahedra" in panel.ui.resultLabel.text
    assert not host.errors and models[0] == models[1]
    chosen = panel.ui.outputSelector.currentNode()
    assert (
        chosen.GetName() == "labels mesh tetrahedra" and panel.ui.outputSelector.count == 2
    )  # other models: not listed
    panel.ui.outputSelector.setCurrentNode(None)
    assert not panel.ui.showButton.enabled and panel.ui.resultLabel.text == ""
    panel.ui.applyButton.click()
    host.wait_until(lambda: not panel.panel.running)
    assert scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == models[0] + 2
    assert panel.ui.outputSelector.currentNode() is not chosen


@pytest.mark.slow
def test_valve_points_go_to_the_mesh_worker(host, scene, phantom):
    """All lists of the chosen result, at the labels' frames; of another number of frames those of equal phase."""
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    browser, volume = cine_to_scene(heart_cine(16), "sax")
    _, view = cine_to_scene(phantom.cines["4ch"], "four chambers", browser)
    labels = logic_of("CardiacSeg").addResult(volume, segmented(n_frames=16), "heart").segmentation
    points = (
        logic_of("CardiacLandmarks")
        .addResult({"4ch": view}, measured_points(phantom.landmarks, {"4ch": phantom.cines["4ch"]}), "valves")
        .points
    )
    panel = host.open_panel("BiVMesh")
    panel.ui.valvesSelector.setCurrentNode(points["aortic"])
    logic = panel.logic
    browser.SetSelectedItemNumber(6)
    request = logic.makeRequest(labels, MeshChoice("shown"), panel.panel.parameters.valvePoints)
    truth = phantom.landmarks.points
    assert len(truth) == 8 and request.task == "mesh"
    assert np.allclose(request.arguments["valves"].points, truth[3:4])
    request = logic.makeRequest(labels, MeshChoice("shown", motion=True), points["mitral"])
    found = request.arguments["valves"].points
    assert request.arguments["choice"].frame == 6 and found.shape == (16, 10, 3)
    assert np.allclose(found[::2], truth) and np.allclose(found[15], (truth[7] + truth[0]) / 2)
    assert logic.makeRequest(labels, MeshChoice("shown")).arguments["valves"] is None
