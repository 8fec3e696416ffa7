"""All three panels in one saved scene: every output, sequence, terminology, table and parameter comes back."""

import enum
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_study import make_mesh
from panel_hearts import add_true_results

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from CardiacLib.types.bivmesh import MovingMesh  # noqa: E402

TEXTS = {
    "CardiacSeg": ("resultLabel", "lightLabel", "notesLabel"),
    "CardiacLandmarks": ("resultLabel", "notesLabel"),
    "BiVMesh": ("resultLabel",),
}
OTHER_VALUES = {"exportFormats": "stl", "exportFolder": Path("other folder"), "outputName": 'a "new" name; <b>'}
OTHER_VALUES |= {"leftOutSlices": "lv=1, rv=1,2@es", "addedSlices": "rv=1@ed"}
"""Values of parameters that cannot be made from their type; the text has what XML must escape."""


@pytest.fixture(scope="module")
def moving_mesh(phantom) -> MovingMesh:
    """A mesh with all patches, fibres and a coordinate, that rises by one millimetre per frame."""
    plain = make_mesh()
    fields = {"fibre": np.array([[0.0, 0.6, 0.8]]), "sheet": np.array([[1.0, 0.0, 0.0]])}
    mesh = replace(plain, cell_fields=fields, point_fields={"transmural": np.array([0.0, 0.25, 0.5, 1.0])})
    up = np.zeros((len(phantom.labels.labels), len(mesh.nodes), 3), np.float32)
    up[:, :, 2] = np.arange(len(up))[:, None]
    return MovingMesh(mesh, 0, up, phantom.labels.times_ms)


def change_every_choice(parameters) -> None:
    """Give every parameter that is no node another value than its default."""
    for name, parameter in parameters.allParameters.items():
        value = getattr(parameters, name)
        if parameter.is_node:
            continue
        if name in OTHER_VALUES:
            other = OTHER_VALUES[name]
        elif isinstance(value, enum.Enum):
            other = list(type(value))[-1]
        elif isinstance(value, bool):
            other = not value
        elif isinstance(value, int):
            other = value + 2
        elif isinstance(value, float):
            other = value + 2.5
        else:
            other = parameter.annotations[0].choices[-1]
        assert other != value, name
        setattr(parameters, name, other)


def choices(parameters) -> dict[str, object]:
    """Every parameter by name; of nodes their names."""
    found = {name: getattr(parameters, name) for name in parameters.allParameters}
    return {name: value.GetName() if hasattr(value, "GetName") else value for name, value in found.items()}


def rounded(values) -> list[float]:
    """Numbers as a scene file keeps them."""
    return np.round(values, 3).tolist()


def content(node) -> list:
    """What a node holds, as plain values."""
    if node.IsA("vtkMRMLTableNode"):
        return [
            [node.GetColumnName(c), *(node.GetCellText(r, c) for r in range(node.GetNumberOfRows()))]
            for c in range(node.GetNumberOfColumns())
        ]
    if node.IsA("vtkMRMLPlotChartNode"):
        series = [node.GetNthPlotSeriesNode(n) for n in range(node.GetNumberOfPlotSeriesNodes())]
        return [(s.GetName(), s.GetTableNode().GetName(), s.GetYColumnName(), rounded(s.GetColor())) for s in series]
    if node.IsA("vtkMRMLModelNode"):
        mesh, display = node.GetMesh(), node.GetDisplayNode()
        arrays = [mesh.GetCellData().GetArrayName(n) for n in range(mesh.GetCellData().GetNumberOfArrays())]
        bounds = rounded(mesh.GetBounds())
        return [mesh.GetNumberOfCells(), mesh.GetNumberOfPoints(), bounds, sorted(arrays), rounded(display.GetColor())]
    if node.IsA("vtkMRMLMarkupsNode"):
        return [
            (
                node.GetNthControlPointLabel(n),
                node.GetNthControlPointPositionStatus(n),
                rounded(node.GetNthControlPointPosition(n)),
            )
            for n in range(node.GetNumberOfControlPoints())
        ]
    return segments(node)


def segments(node) -> list:
    """Name, colour and terminology of every segment."""
    import vtk

    found = []
    for n in range(node.GetSegmentation().GetNumberOfSegments()):
        segment, tag = node.GetSegmentation().GetNthSegment(n), vtk.reference("")
        segment.GetTag(segment.GetTerminologyEntryTagName(), tag)
        found.append((segment.GetName(), rounded(segment.GetColor()), str(tag)))
    return found


def snapshot(panels) -> dict[str, object]:
    """All that the three modules have put into the scene, and all that their panels show."""
    from CardiacLib.mrml.nodes.cines import cine_from_node
    from CardiacLib.mrml.nodes.markups import landmarks_from_nodes
    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of
    from CardiacLib.mrml.panel.results import result_of

    found = {}
    for name, panel in panels.items():
        found[name, "choices"] = choices(panel.panel.parameters)
        found[name, "texts"] = [getattr(panel.ui, label).text for label in TEXTS[name]]
        result = result_of(panel.ui.outputSelector.currentNode())
        found[name, "facts"] = result.facts
        browser = sequence_of(panels["CardiacSeg"].ui.inputSelector.currentNode())[0]
        for frame in (0, 5):
            select_frame(browser, frame)
            for key, node in result.nodes.items():
                found[name, key, frame] = (node.GetClassName(), node.GetName(), content(node))
    segmentation = panels["CardiacSeg"].ui.outputSelector.currentNode()
    lists = result_of(panels["CardiacLandmarks"].ui.outputSelector.currentNode()).nodes
    points = [node for node in lists.values() if node.IsA("vtkMRMLMarkupsNode")]
    found["labels"] = labels_from_node(segmentation).labels.tobytes()
    found["points"] = np.round(landmarks_from_nodes(points).points, 3).tolist()
    found["cine"] = cine_from_node(panels["CardiacSeg"].ui.inputSelector.currentNode()).frames.tobytes()
    for number in range(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceNode")):
        sequence = slicer.mrmlScene.GetNthNodeByClass(number, "vtkMRMLSequenceNode")
        values = [sequence.GetNthIndexValue(n) for n in range(sequence.GetNumberOfDataNodes())]
        proxy = browser.GetProxyNode(sequence)
        found["sequence", sequence.GetName()] = (proxy.GetName(), values, browser.GetSaveChanges(sequence))
    return found


@pytest.mark.slow
def test_everything_is_back_after_saving_and_loading(host, scene, phantom, moving_mesh, tmp_path):
    from CardiacLib.mrml.nodes.scenes import load_scene, save_scene

    results = add_true_results(phantom, moving_mesh)
    panels = {name: host.open_panel(name) for name in TEXTS}
    panels["BiVMesh"].ui.valvesSelector.setCurrentNode(results["CardiacLandmarks"])
    for name, panel in panels.items():
        change_every_choice(panel.panel.parameters)
        panel.ui.outputSelector.setCurrentNode(results[name])
    before = snapshot(panels)
    assert sum("sequence" in key for key in before) == 12  # four cines, labels, three point lists, four surfaces
    assert all(text for name in TEXTS for text in before[name, "texts"])
    save_scene(tmp_path / "all.mrb")
    scene.Clear(0)
    host.process_events()
    assert all(panel.ui.outputSelector.currentNode() is None for panel in panels.values())
    load_scene(tmp_path / "all.mrb")
    for panel in panels.values():
        panel.enter()
    after = snapshot(panels)
    assert set(after) == set(before)
    for key, value in before.items():
        assert after[key] == value, key
    assert not host.errors


@pytest.mark.slow
def test_a_loaded_result_is_updated_in_place(host, scene, phantom, moving_mesh, tmp_path):
    from panel_hearts import logic_of, measured, with_statistics

    from CardiacLib.mrml.nodes.scenes import load_scene, save_scene

    results = add_true_results(phantom, moving_mesh)
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(results["CardiacSeg"])
    save_scene(tmp_path / "all.mrb")
    scene.Clear(0)
    load_scene(tmp_path / "all.mrb")
    panel.enter()
    volume, node = panel.ui.inputSelector.currentNode(), panel.ui.outputSelector.currentNode()
    nodes = scene.GetNumberOfNodes()
    again = logic_of("CardiacSeg").addResult(volume, measured(with_statistics(phantom.labels)), output=node)
    assert again.segmentation is node and scene.GetNumberOfNodes() == nodes
