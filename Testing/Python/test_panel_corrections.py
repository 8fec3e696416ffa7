"""Corrections in the segmentation panel, and volumes whose slices lie along another axis than the third."""

from dataclasses import replace

import numpy as np
import pytest
from panel_hearts import add_true_results, heart_cine, heart_labels, logic_of, measured, tetrahedron, with_statistics

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from types import SimpleNamespace  # noqa: E402

from CardiacLib.errors import InputError  # noqa: E402
from CardiacLib.readers import read_image  # noqa: E402
from CardiacLib.types.choices import ByHand, SegmentChoice, basal_slices  # noqa: E402
from CardiacLib.types.labels import LV  # noqa: E402
from CardiacLib.writers.images import write_cine  # noqa: E402
from CardiacSegLib.function import measure  # noqa: E402
from cineheart import steps  # noqa: E402


@pytest.fixture
def segmentation(scene, phantom):
    """A measured heart of 14 frames in the scene."""
    heart = SimpleNamespace(
        cines=phantom.cines | {"sax": heart_cine(14)}, labels=heart_labels(14), landmarks=phantom.landmarks
    )
    return add_true_results(heart, tetrahedron())["CardiacSeg"]


def again(segmentation, choice: SegmentChoice):
    """Measure in this process what the worker would."""
    logic = logic_of("CardiacSeg")
    request = logic.makeMeasureRequest(segmentation, None, choice)
    assert request.task == "measure_labels"
    found = steps.measure_given(**{k: request.arguments[k] for k in ("labels", "cine", "choice")})
    return logic.addMeasures(segmentation, found)


@pytest.mark.slow
def test_measuring_again_updates_tables_and_frames_and_leaves_the_segments(host, segmentation):
    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.mrml.panel.results import result_of
    from CardiacSegLib.mrml.result import frame_number

    before, nodes = labels_from_node(segmentation), result_of(segmentation).nodes
    by_hand = ByHand(ed_frame=1, es_frame=5, left_out=basal_slices("lv=1"))
    result = again(segmentation, SegmentChoice(by_hand=by_hand))
    after = labels_from_node(segmentation)
    np.testing.assert_array_equal(after.labels, before.labels)
    kept = result_of(segmentation)
    assert (kept.facts["ed"], kept.facts["es"]) == (1, 5) and kept.nodes == nodes
    assert [frame_number(segmentation, after, phase) for phase in ("ed", "es")] == [1, 5]
    expected = measure(before, SegmentChoice(by_hand=by_hand))
    assert result.function.lv.edv_ml == pytest.approx(expected.lv.edv_ml)
    table = nodes["measurements"].GetTable()
    shown = {table.GetValue(row, 0).ToString(): table.GetValue(row, 1).ToString() for row in range(3)}
    assert shown["LV end-diastolic volume"] == f"{expected.lv.edv_ml:.1f}"
    assert table.GetValue(0, 4).ToString() in ("green", "amber", "red")  # its light
    assert nodes["table of volumes"].GetTable().GetValue(0, 2).ToString() == f"{expected.lv.edv_ml:.1f}"
    assert "End-diastole was set by hand: frame 2" in kept.facts["notes"]
    assert "left out in slice 1" in kept.facts["notes"]
    again(segmentation, SegmentChoice())  # taken back
    assert result_of(segmentation).facts["ed"] == measure(before).ed


def test_the_panel_hands_its_corrections_on(host, segmentation):
    from CardiacSegLib.mrml.choices import measure_choice

    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(segmentation)
    host.process_events()
    parameters = panel.panel.parameters
    assert panel.ui.edFrameSpinBox.maximum == 14 and panel.ui.measureButton.enabled
    assert measure_choice(parameters).by_hand == ByHand()
    panel.ui.edFrameSpinBox.value, panel.ui.esFrameSpinBox.value = 3, 9
    panel.ui.leftOutSlicesEdit.text, panel.ui.addedSlicesEdit.text = "lv=1", "rv=1-2@es"
    host.process_events()
    by_hand = measure_choice(parameters).by_hand
    assert (by_hand.ed_frame, by_hand.es_frame) == (2, 8)
    assert [str(edit) for edit in (*by_hand.left_out, *by_hand.added)] == ["lv=1", "rv=1,2@es"]
    parameters.leftOutSlices = "one"
    with pytest.raises(InputError, match="write VENTRICLE=SLICES"):
        measure_choice(parameters)


def test_one_frame_shows_its_volumes_and_no_phase(scene, host):
    from CardiacLib.mrml.nodes.cines import cine_to_scene
    from CardiacLib.mrml.panel.results import result_of

    _, volume = cine_to_scene(heart_cine(3).only([1]), "one")
    labels = heart_labels(3).only([1])
    node = logic_of("CardiacSeg").addResult(volume, measured(with_statistics(labels))).segmentation
    facts = result_of(node).facts
    said = f"One frame: LV {labels.volume_ml(LV)[0]:.0f} ± 0 ml, RV "  # of a network that is sure of every pixel
    assert facts["summary"].startswith(said) and "ed" not in facts


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_volumes_with_slices_along_any_axis_are_measured_as_the_command_line_does(scene, host, tmp_path, axis):
    """The file has its slices along ``axis``; Slicer shows it so, and so do the labels that come back."""
    from CardiacLib.file_grid import USUAL_GRID, FileGrid
    from CardiacLib.mrml.nodes.cines import cine_from_node, cine_to_scene
    from CardiacLib.mrml.nodes.segmentations import images_of, labels_from_node
    from CardiacSegLib.mrml.result import segmentation_to_scene

    grid = USUAL_GRID if axis == 2 else FileGrid(tuple((axis + 1 + n) % 3 for n in range(3)))
    cine, labels = heart_cine(2), heart_labels(2)
    frames, matrix = grid.in_file(cine.frames, cine.ijk_to_lps)
    as_stored = replace(cine, frames=np.ascontiguousarray(frames), ijk_to_lps=matrix)
    _, volume = cine_to_scene(as_stored, "stored")
    shown = cine_from_node(volume)
    write_cine(tmp_path / "sax.nii.gz", as_stored)
    read = read_image(tmp_path / "sax.nii.gz")
    np.testing.assert_allclose(shown.frames, read.frames, atol=0.01)
    np.testing.assert_allclose(shown.ijk_to_lps, read.ijk_to_lps, atol=1e-4)
    assert shown.grid.axes == read.grid.axes == grid.axes and bool(shown.notes) == (axis != 2)
    found = measured(with_statistics(replace(labels, grid=shown.grid)))
    node = segmentation_to_scene(volume, found).segmentation
    back = labels_from_node(node, images_of(node))
    np.testing.assert_array_equal(back.labels, labels.labels)
    size = node.GetSegmentation().GetNthSegment(0)
    image = size.GetRepresentation(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())
    assert tuple(image.GetDimensions()) == tuple(volume.GetImageData().GetDimensions())
    assert measure(back).lv.edv_ml == pytest.approx(measure(labels).lv.edv_ml)
    assert measure(back).regional.thickness_ed_mm == pytest.approx(measure(labels).regional.thickness_ed_mm)
