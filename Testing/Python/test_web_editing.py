"""Editing in the browser app, without a browser: what reaches the frames of the sequences, and is undone there."""

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("trame_slicer")

from trame_slicer.core import SlicerApp
from trame_slicer.segmentation import BrushShape, BrushSource
from vtkmodules.vtkCommonCore import vtkPoints

from CardiacLib.mrml.nodes import markups, segmentations, sequences
from CardiacLib.mrml.nodes.host import private_scene, use_scene
from CardiacLib.types.labels import LV, MYO
from CardiacLib.types.landmarks import LANDMARK_NAMES, Landmarks
from CardiacLib.types.study import Study
from cineheart.web.editing import LABELS, POINTS, Editing
from cineheart.web.study_scene import StudyScene


@pytest.fixture
def session(little_heart):
    """Scene, editing and what was told, of a study with labels and valve points in both frames."""
    with private_scene():
        slicer = SlicerApp()
        use_scene(slicer.scene, slicer.app_logic)
        scene, told = StudyScene(), []
        scene.open_study(Study({"sax": little_heart.cines["sax"]}), "anna")
        labels = little_heart.labels
        segmentations.labels_to_scene(labels, "labels", scene.browser, scene.volumes["sax"])
        points = np.arange(2 * len(LANDMARK_NAMES) * 3, dtype=float).reshape(2, -1, 3)
        points[1, 0] = np.nan
        markups.landmarks_to_scene(Landmarks(points, labels.times_ms), "valves", scene.browser)
        editing = Editing(slicer, scene, lambda kind: told.append((kind, editing.can_undo, editing.can_redo)))
        editing.begin()
        scene.show_frame(1)
        yield slicer, scene, editing, told
        slicer.scene.Clear(True)


def stroke(slicer, scene, index: tuple[int, int, int], diameter_mm: float) -> np.ndarray:
    """Touch a voxel (slice, row, column) with a ball, as a brush does when the mouse is let go; the mask painted."""
    ball = BrushSource(BrushShape.Sphere)
    ball.set_diameter(diameter_mm)
    drawn = ball.get_untransformed_output_port().GetProducer()
    drawn.Update()
    cine = scene.cine("sax")
    place = (cine.ijk_to_lps @ [*index[::-1], 1])[:3]
    points = vtkPoints()
    points.InsertNextPoint(place * [-1, -1, 1])
    slicer.segmentation_editor.active_effect.paint_glyph_at_world_coordinates(drawn.GetOutput(), points)
    grid = np.stack(np.indices(cine.frames.shape[1:])[::-1], -1) @ cine.ijk_to_lps[:3, :3].T + cine.ijk_to_lps[:3, 3]
    return np.linalg.norm(grid - place, axis=-1) <= diameter_mm / 2


def test_a_stroke_is_saved_to_its_frame_and_undone_there(session, little_heart):
    slicer, scene, editing, told = session
    before = little_heart.labels.labels
    index = (2, 6, 6)
    editing.choose("paint", "LV", 8)
    painted = stroke(slicer, scene, index, 8)
    assert told == [(LABELS, True, False)] and not (before[1][painted] == LV).any()
    scene.show_frame(0)
    after = scene.labels().labels
    assert (after[0] == before[0]).all() and (after[1][~painted] == before[1][~painted]).mean() > 0.999
    assert (after[1][painted] == LV).mean() > 0.9 and (after[1] != before[1]).sum() < 1.5 * painted.sum()

    editing.undo()
    assert scene.frame == 1 and (scene.labels().labels == before).all()
    scene.show_frame(0)
    editing.redo()
    assert (
        scene.frame == 1
        and (scene.labels().labels == after).all()
        and told[1:] == [(LABELS, False, True), (LABELS, True, False)]
    )

    editing.choose("erase", "Myocardium", 8)
    stroke(slicer, scene, index, 8)
    assert (scene.labels().labels == after).all()  # it takes from its own structure only
    wall = tuple(np.argwhere(after[1] == MYO)[0])
    erased = stroke(slicer, scene, wall, 6)
    scene.show_frame(0)
    scene.show_frame(1)
    found = scene.labels().labels
    assert found[1][wall] == 0 and (found[1] != after[1]).sum() <= 1.5 * erased.sum() and (found[0] == before[0]).all()


def test_edits_before_new_labels_are_forgotten(session):
    slicer, scene, editing, _ = session
    editing.choose("paint", "RV", 8)
    stroke(slicer, scene, (2, 6, 6), 8)
    assert editing.can_undo
    editing.begin()
    assert not editing.can_undo


def test_a_drag_is_saved_to_its_frame_and_undone_there(session):
    _, scene, editing, told = session
    node = scene.points[0]
    sequence = sequences.sequence_of(node)[1]
    before = markups.landmarks_from_nodes(scene.points).points
    number = 1
    name = node.GetNthControlPointLabel(number)
    node.InvokeEvent(node.PointStartInteractionEvent)
    node.InvokeEvent(node.PointEndInteractionEvent)
    assert not told  # a click alone is no edit
    node.InvokeEvent(node.PointStartInteractionEvent)
    node.SetNthControlPointPosition(number, 100.0, 50.0, 25.0)
    node.InvokeEvent(node.PointEndInteractionEvent)
    assert told == [(POINTS, True, False)]
    scene.show_frame(0)
    expected = before.copy()
    expected[1, LANDMARK_NAMES.index(name)] = -100.0, -50.0, 25.0
    np.testing.assert_allclose(markups.landmarks_from_nodes(scene.points).points, expected, atol=1e-9)
    editing.undo()
    assert scene.frame == 1
    np.testing.assert_allclose(markups.landmarks_from_nodes(scene.points).points, before, atol=1e-9)
    editing.redo()
    np.testing.assert_allclose(sequence.GetNthDataNode(1).GetNthControlPointPosition(number), (100.0, 50.0, 25.0))
