"""DICOM segmentations from the segmentation panel: the button, whose study it is of, and what is refused."""

import importlib.metadata
import inspect
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from panel_hearts import MODULES, install_quick_worker, living_processes, logic_of, measured, with_statistics

slicer = pytest.importorskip("slicer")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)
hd = pytest.importorskip("highdicom")

from CardiacLib.errors import Cancelled, InputError  # noqa: E402
from CardiacLib.phantom.dicom import write_dicom  # noqa: E402
from CardiacLib.readers import read_study  # noqa: E402
from CardiacLib.types.labels import LV, MYO, LabelMap  # noqa: E402
from Testing.SlicerHost import SlicerHost  # noqa: E402


@pytest.fixture(scope="module")
def host():
    with SlicerHost(MODULES[0], style_modules=(__name__,)) as running:
        yield running


@pytest.fixture(scope="module")
def phantom(phantom):
    """Four frames of it: every worker that writes a frame reads the whole study."""
    few = [0, 2, 3, 5]
    cines = {view: cine.only(few) for view, cine in phantom.cines.items()}
    return replace(phantom, cines=cines, labels=phantom.labels.only(few))


@pytest.fixture(scope="module")
def dicom(phantom, tmp_path_factory):
    """The phantom as DICOM, one series per slice."""
    folder = tmp_path_factory.mktemp("study")
    write_dicom(phantom, folder)
    return folder


@pytest.fixture(scope="module")
def study(dicom):
    return read_study(dicom)


@pytest.fixture(scope="module")
def true_result(study, phantom):
    """A result of the panel with the true labels on the grid of the study."""
    cine = study.cines["sax"]
    flipped = phantom.labels.ijk_to_lps[:3, 2] @ cine.ijk_to_lps[:3, 2] < 0
    array = np.ascontiguousarray(phantom.labels.labels[:, ::-1] if flipped else phantom.labels.labels)
    return measured(with_statistics(LabelMap(array, cine.ijk_to_lps, cine.times_ms)))


@pytest.fixture
def loaded(host, scene, study, true_result):
    """The study in the scene as the panel loads it, with that result."""
    from CardiacLib.mrml.panel.studies import add_study

    volume = add_study(study)["sax"]
    node = logic_of("CardiacSeg").addResult(volume, true_result, "heart").segmentation
    return SimpleNamespace(
        volume=volume, labels=true_result.segmentation.labels, node=node, edv_ml=true_result.function.lv.edv_ml
    )


def answer(monkeypatch, *folders) -> list[str]:
    """What the user picks in the folder dialogs that come; returns their titles as they do."""
    left, titles = [str(folder) for folder in folders], []

    def choose(parent, title):
        titles.append(title)
        return left.pop(0)

    monkeypatch.setattr(sys.modules["qt"].QFileDialog, "getExistingDirectory", staticmethod(choose))
    return titles


def require_same(path: Path, expected: np.ndarray) -> None:
    """A SEG holds these labels (K, J, I); highdicom may count the slices from the other end."""
    array = hd.seg.segread(path).get_volume(combine_segments=True).array
    assert np.array_equal(array, expected) or np.array_equal(array[::-1], expected)


def export(host, panel) -> None:
    panel.ui.dicomButton.click()
    host.wait_until(lambda: not panel.panel.running)


@pytest.mark.slow
def test_the_button_writes_every_frame(host, loaded, tmp_path, monkeypatch):
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(None)
    assert not panel.ui.dicomButton.enabled and "press Apply" in panel.ui.dicomButton.toolTip
    panel.ui.outputSelector.setCurrentNode(loaded.node)
    assert panel.ui.dicomButton.enabled and "one file per frame" in panel.ui.dicomButton.toolTip
    titles = answer(monkeypatch, tmp_path / "out")
    panel.ui.dicomButton.click()
    assert panel.panel.running and not panel.ui.dicomButton.enabled and "Cancel" in panel.ui.dicomButton.toolTip
    host.wait_until(lambda: not panel.panel.running)
    assert not host.errors and titles == ["Folder for the DICOM segmentations"]
    assert "(5 files)" in panel.ui.statusLabel.text and str(tmp_path / "out") in panel.ui.statusLabel.text
    paths = sorted((tmp_path / "out" / "segmentation_dicom").iterdir())
    assert [path.name for path in paths] == [f"frame_{t:03d}.dcm" for t in range(4)]
    for path, expected in zip(paths, loaded.labels.labels, strict=True):
        require_same(path, expected)
    dataset = hd.seg.segread(paths[0])
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"  # hand edits cannot be told
    first = hd.sr.srread(tmp_path / "out" / "measurements.dcm").content.get_volumetric_roi_measurement_groups()[0]
    assert first.get_measurements()[0].value == pytest.approx(loaded.edv_ml)
    assert first.referenced_segment.referenced_sop_instance_uid == dataset.SOPInstanceUID


@pytest.mark.slow
def test_hand_edits_of_a_frame_are_exported(host, loaded, tmp_path):
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of

    browser, sequence = sequence_of(loaded.node)
    edited = loaded.labels.labels.copy()
    edited[3][edited[3] == LV] = MYO
    other = labels_to_scene(LabelMap(edited[3:4], loaded.labels.ijk_to_lps, np.zeros(1)), "other")
    sequence.GetNthDataNode(3).GetSegmentation().DeepCopy(other.GetSegmentation())
    select_frame(browser, 3)
    (path,) = logic_of("CardiacSeg").exportDicomSeg(loaded.node, tmp_path / "out", frame="shown")
    assert path == tmp_path / "out" / "segmentation.dcm" and hd.seg.segread(path).ContentDescription.startswith(
        "Frame 4"
    )
    require_same(path, edited[3])


@pytest.mark.slow
def test_a_single_frame_of_the_panel_knows_which_it_is(host, loaded, tmp_path, monkeypatch):
    one = LabelMap(loaded.labels.labels[2:3], loaded.labels.ijk_to_lps, loaded.labels.times_ms[2:3])
    single = logic_of("CardiacSeg").addResult(loaded.volume, measured(with_statistics(one)), "one").segmentation
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(single)
    answer(monkeypatch, tmp_path / "out")
    export(host, panel)
    assert not host.errors
    path = tmp_path / "out" / "segmentation.dcm"
    assert hd.seg.segread(path).ContentDescription.startswith("Frame 3 of 4")
    require_same(path, one.labels[0])


@pytest.mark.slow
def test_a_transform_in_the_scene_does_not_move_the_segmentation_in_the_study(host, scene, loaded, tmp_path):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 40.0)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(matrix)
    for node in (loaded.volume, loaded.node):
        node.SetAndObserveTransformNodeID(transform.GetID())
    (path,) = logic_of("CardiacSeg").exportDicomSeg(loaded.node, tmp_path / "out", frame=2)
    require_same(path, loaded.labels.labels[2])


@pytest.mark.slow
def test_a_cine_from_other_files_says_why_there_is_no_export(host, scene, phantom, tmp_path):
    volume = logic_of("CardiacSeg").loadSample("CineHeartPhantomSmall")["sax"]
    node = logic_of("CardiacSeg").addResult(volume, measured(with_statistics(phantom.labels)), "heart").segmentation
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(node)
    assert not panel.ui.dicomButton.enabled and "was not read from DICOM files" in panel.ui.dicomButton.toolTip
    with pytest.raises(InputError, match="not known which DICOM study"):
        logic_of("CardiacSeg").exportDicomSeg(node, tmp_path)


@pytest.mark.slow
def test_the_folder_of_the_images_is_asked_for_where_it_is_not_known(
    host, loaded, dicom, study, phantom, tmp_path, monkeypatch
):
    from CardiacLib.mrml.nodes.cines import cine_to_scene

    _, volume = cine_to_scene(study.cines["sax"], "by another reader")
    node = logic_of("CardiacSeg").addResult(volume, measured(with_statistics(loaded.labels)), "heart").segmentation
    with pytest.raises(InputError, match="not known which DICOM study"):
        logic_of("CardiacSeg").exportDicomSeg(node, tmp_path / "out")
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(node)
    titles = answer(monkeypatch, dicom, tmp_path / "out")
    export(host, panel)
    assert titles[0] == "Folder of the DICOM files of 'by another reader'" and len(titles) == 2
    assert not host.errors and len(list((tmp_path / "out" / "segmentation_dicom").iterdir())) == 4
    for answers in (("",), (dicom, "")):  # the user pressed Cancel in the first or the second dialog
        titles = answer(monkeypatch, *answers)
        panel.ui.dicomButton.click()
        assert not panel.panel.running and not host.errors and len(titles) == len(answers)


@pytest.mark.slow
def test_another_study_is_refused(host, loaded, phantom, tmp_path, monkeypatch):
    shifted = {view: move(cine, 3.0) for view, cine in phantom.cines.items()}
    write_dicom(replace(phantom, cines=shifted), tmp_path / "other")
    out = tmp_path / "out"
    with pytest.raises(InputError, match="does not lie where the images of 'heart' do"):
        logic_of("CardiacSeg").exportDicomSeg(loaded.node, out, study=tmp_path / "other")
    with pytest.raises(InputError, match="frames 0 to 3, not 4"):
        logic_of("CardiacSeg").exportDicomSeg(loaded.node, out, frame=4)
    with pytest.raises(InputError, match="nowhere"):
        logic_of("CardiacSeg").exportDicomSeg(loaded.node, out, study=tmp_path / "nowhere")
    assert not out.exists()


def move(cine, mm: float):
    matrix = cine.ijk_to_lps.copy()
    matrix[0, 3] += mm
    return cine.with_changes(ijk_to_lps=matrix)


@pytest.mark.parametrize("end", ["cancel", "scene close"])
def test_a_stopped_export_leaves_nothing(host, scene, loaded, tmp_path, monkeypatch, end):
    from CardiacLib.mrml.panel import dicom_export
    from CardiacLib.mrml.panel.processes import JobRequest

    install_quick_worker(monkeypatch, tmp_path)
    made = []
    monkeypatch.setattr(
        dicom_export,
        "dicom_seg_request",
        lambda segmentation, work, wanted: made.append(Path(work)) or JobRequest("busy", {}),
    )
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(loaded.node)
    answer(monkeypatch, tmp_path / "out")
    panel.ui.dicomButton.click()
    host.wait_until(lambda: panel.ui.progressBar.value == 50)
    group, began = panel.panel._run.pid, time.monotonic()
    assert made[0].is_dir()
    panel.ui.cancelButton.click() if end == "cancel" else scene.Clear(0)
    assert time.monotonic() - began < 2.0 and not living_processes(group)
    assert not made[0].exists() and not (tmp_path / "out").exists() and not host.errors


def test_an_old_pydicom_or_a_missing_highdicom_is_one_sentence(host, loaded, tmp_path, monkeypatch):
    panel = host.open_panel("CardiacSeg")
    panel.ui.outputSelector.setCurrentNode(loaded.node)
    version = importlib.metadata.version

    def without_highdicom(name):
        if name == "highdicom":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    for found, sentence in (
        (lambda name: "2.4.4" if name == "pydicom" else version(name), "need pydicom 3"),
        (without_highdicom, "missing: highdicom>=0.27"),
    ):
        monkeypatch.setattr(importlib.metadata, "version", found)
        answer(monkeypatch, tmp_path / "out")
        panel.ui.dicomButton.click()
        assert sentence in host.errors.pop() and not host.errors and not panel.panel.running
    assert not (tmp_path / "out").exists()


def test_the_console_function_is_as_documented(host):
    """Names and defaults that scripts and Docs/CardiacSeg.md rely on."""
    parameters = inspect.signature(sys.modules["CardiacSeg"].CardiacSegLogic.exportDicomSeg).parameters
    assert list(parameters) == [
        "self",
        "segmentationNode",
        "folder",
        "study",
        "frame",
        "bundle",
        "progress",
        "measured",
    ]
    defaults = {name: parameters[name].default for name in ("folder", "study", "frame", "bundle")}
    assert defaults == {"folder": inspect.Parameter.empty, "study": "", "frame": "all", "bundle": ""}


def test_a_script_can_stop_it(host, loaded, tmp_path):
    def stop(fraction, message):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        logic_of("CardiacSeg").exportDicomSeg(loaded.node, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out").exists()
