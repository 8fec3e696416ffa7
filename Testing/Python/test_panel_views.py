"""What the main window shows: a study's views side by side, each point list in its views, the toolbar that plays."""

import sys

import numpy as np
import pytest
from panel_hearts import add_true_results, logic_of, tetrahedron
from PIL import Image

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from CardiacLib.types.cine import Cine  # noqa: E402

NAMES = ["Red", "CineHeart2CH", "CineHeart3CH", "CineHeart4CH"]


@pytest.fixture
def window(host, scene):
    """The main window's layout manager."""
    yield host.open_window()
    host.close_window()


def shown_in(window) -> list[str]:
    """Names of the volumes in the slice views, in their order."""
    logics = [window.sliceWidget(name).sliceLogic() for name in window.sliceViewNames()]
    volumes = [slicer.mrmlScene.GetNodeByID(logic.GetSliceCompositeNode().GetBackgroundVolumeID()) for logic in logics]
    return [volume.GetName() for volume in volumes if volume is not None]


@pytest.mark.slow
def test_a_study_is_shown_view_by_view_and_plays(host, window, phantom, tmp_path):
    import vtk

    from CardiacLib.mrml.nodes.frames import to_array
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of
    from CardiacLib.mrml.nodes.study_views import show_only_in, show_points, show_study, study_volumes

    add_true_results(phantom, tetrahedron())
    volumes = study_volumes(slicer.mrmlScene.GetFirstNodeByName("phantom short axis"))
    assert set(volumes) == {"sax", "2ch", "3ch", "4ch"}
    show_study(volumes)
    assert window.sliceViewNames() == NAMES and host.playing is sequence_of(volumes["sax"])[0]
    assert [name.split()[-1] for name in shown_in(window)] == ["axis", "2CH", "3CH", "4CH"]
    for view, name in zip(("sax", "2ch", "3ch", "4ch"), NAMES, strict=True):  # in the plane of its images
        node, matrix = window.sliceWidget(name).mrmlSliceNode(), vtk.vtkMatrix4x4()
        volumes[view].GetIJKToRASDirectionMatrix(matrix)
        columns, rows, _ = to_array(matrix)[:3, :3].T
        right, up, _ = to_array(node.GetSliceToRAS())[:3, :3].T
        assert np.dot(columns, right) > 0.999 and np.dot(rows, up) < -0.999, view
    valves = ("mitral", "aortic", "tricuspid")
    lists = {valve: slicer.mrmlScene.GetFirstNodeByName(f"valves {valve} valve") for valve in valves}
    show_points(lists)
    seen = {
        valve: [n[-3:] for n in NAMES if points.GetDisplayNode().IsDisplayableInView(f"vtkMRMLSliceNode{n}")]
        for valve, points in lists.items()
    }
    assert seen == {"mitral": ["2CH", "3CH", "4CH"], "aortic": ["3CH"], "tricuspid": ["4CH"]}
    show_only_in(lists["mitral"], "4ch")
    display = lists["mitral"].GetDisplayNode()
    assert [n[-3:] for n in NAMES if display.IsDisplayableInView(f"vtkMRMLSliceNode{n}")] == ["4CH"]
    show_points(lists)
    pictures = []
    for frame in (0, 3):
        select_frame(host.playing, frame)
        window.photograph(tmp_path / f"{frame}.png")
        pictures.append(np.asarray(Image.open(tmp_path / f"{frame}.png"), float))
    for number in range(4):  # all four views follow the one browser
        rows, columns = slice(360 * (number // 2), None), slice(360 * (number % 2), 360 * (number % 2) + 360)
        assert np.abs(pictures[0] - pictures[1])[rows, columns].mean() > 0.5


@pytest.mark.slow
def test_what_the_user_has_arranged_stays(window, phantom):
    from CardiacLib.mrml.nodes.study_views import show_study

    volumes = logic_of("CardiacSeg").loadSample("CineHeartPhantomSmall")
    node = window.sliceWidget("Red").mrmlSliceNode()
    node.SetFieldOfView(50.0, 50.0, 1.0)
    show_study(volumes)
    assert node.GetFieldOfView()[0] == 50.0


def test_a_short_axis_alone_keeps_the_layout(host, window):
    from CardiacLib.mrml.nodes.cines import cine_to_scene
    from CardiacLib.mrml.nodes.study_views import LAYOUT, show_study

    frames = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    browser, volume = cine_to_scene(Cine(frames, np.eye(4), None, "sax"), "alone")
    show_study({"sax": volume})
    assert window.layout != LAYOUT and set(shown_in(window)) == {"alone"} and host.playing is browser


@pytest.mark.parametrize("name", ["CardiacSeg", "CardiacLandmarks", "BiVMesh"])
def test_apply_is_in_sight_and_choices_are_words(host, scene, name):
    """Without scrolling on a small screen: the panel's part of it is some 600 pixels high."""
    panel = host.open_panel(name)
    host.process_events()
    place = panel.ui.applyButton.mapTo(panel.parent, panel.ui.applyButton.rect.bottomLeft())
    assert panel.ui.applyButton.visible and place.y() < 600
    combos = [widget for widget in vars(panel.ui).values() if widget.className() == "QComboBox"]
    texts = [combo.itemText(number) for combo in combos for number in range(combo.count)]
    assert texts and all(text[:1].isupper() and "_" not in text for text in texts), texts
    help_text = getattr(slicer.modules, name.lower()).helpText
    assert f"/Docs/{name}.md" in help_text and getattr(slicer.modules, name.lower()).contributors[0].endswith(")")


def test_the_log_says_what_was_left_out(host, scene, monkeypatch, tmp_path):
    from panel_hearts import install_worker

    code = """
import sys
import numpy as np
from CardiacLib.jobs import run_worker
from CardiacLib.types.cine import Cine
from CardiacLib.types.study import Study

def study(path, progress):
    sax = Cine(np.zeros((2, 3, 8, 8), np.float32), np.eye(4), None, "sax")
    return Study({"sax": sax}, ("scout: one frame only",), ("a note of the reader",), source=path)

sys.exit(run_worker({"study": study}, sys.argv[1:]))
"""
    install_worker(monkeypatch, tmp_path, "study_worker", code)
    dialog = staticmethod(lambda *asked: str(tmp_path))
    monkeypatch.setattr(sys.modules["qt"].QFileDialog, "getExistingDirectory", dialog)
    panel = host.open_panel("CardiacSeg")
    panel.ui.loadButton.click()
    host.wait_until(lambda: not panel.panel.running)
    said = panel.ui.logText.plainText
    assert "scout: one frame only" in said and "a note of the reader" in said and not host.errors
    assert "1 items were left out" in panel.ui.statusLabel.text
