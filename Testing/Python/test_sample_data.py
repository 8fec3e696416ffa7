"""Sample data and DICOM export in the panel host: the phantom by its button, its segmentation as DICOM."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

slicer = pytest.importorskip("slicer")
try:
    import PySide6.QtWidgets  # noqa: F401
except ImportError as error:
    pytest.skip(f"PySide6-Essentials or a system library of it is missing: {error}", allow_module_level=True)

from CardiacLib.errors import InputError  # noqa: E402
from CardiacLib.phantom import PhantomOptions, make_phantom  # noqa: E402
from CardiacLib.phantom.dicom import write_dicom  # noqa: E402
from CardiacLib.readers import read_study  # noqa: E402
from CardiacLib.types.labels import LabelMap  # noqa: E402
from Testing.SlicerHost import SlicerHost  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def host():
    with SlicerHost(ROOT / "CardiacSeg" / "CardiacSeg.py", style_modules=(__name__,)) as running:
        yield running


def samples() -> list:
    from CardiacLib.mrml.application.sample_data import CATEGORY

    return slicer.modules.sampleDataSources[CATEGORY]


def test_samples_are_registered_once_when_slicer_has_started(host):
    import CardiacSeg

    assert [source.sampleName for source in samples()] == ["CineHeartPhantom", "CineHeartPhantomSmall"]
    CardiacSeg.onStartupCompleted()  # as after a reload of the module
    assert len(samples()) == 2
    for source in samples():
        path = Path(source.thumbnailFileName)
        assert path.stem == source.sampleName and path.stat().st_size < 60_000
        image = Image.open(path)
        assert image.size == (260, 280) and image.format == "PNG"  # what Slicer's module template asks for


@pytest.mark.slow
def test_the_thumbnails_are_those_of_the_samples(host):
    """The script makes the small one again, up to rounding."""
    spec = importlib.util.spec_from_file_location("thumbnails", ROOT / "Docs" / "examples" / "thumbnails.py")
    thumbnails = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(thumbnails)
    made = thumbnails.picture(make_phantom(PhantomOptions.small()))
    shipped = Image.open(ROOT / "Resources" / "CineHeartPhantomSmall.png")
    assert np.abs(np.asarray(made, int) - np.asarray(shipped, int)).max() <= 2


def test_slicer_5_10_knows_no_categories(host, monkeypatch):
    import SampleData

    import CardiacSeg

    monkeypatch.delattr(SampleData.SampleDataLogic, "registerCustomSampleDataCategory")
    slicer.modules.sampleDataSources.clear()
    CardiacSeg.onStartupCompleted()
    assert len(samples()) == 2


@pytest.mark.slow
def test_the_button_makes_the_study(host, scene, phantom):
    import SampleData

    from CardiacLib.mrml.nodes.cines import cine_from_node
    from CardiacLib.mrml.nodes.sequences import sequence_of

    SampleData.click("CineHeart", "CineHeartPhantomSmall")
    nodes = [scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(4)]
    found = {cine.view: cine for cine in map(cine_from_node, nodes)}
    assert set(found) == {"sax", "2ch", "3ch", "4ch"}
    np.testing.assert_array_equal(found["sax"].frames, phantom.cines["sax"].frames)
    assert len({sequence_of(node)[0].GetID() for node in nodes}) == 1
    assert scene.GetFirstNodeByName("CineHeartPhantomSmall short axis") is not None


@pytest.fixture(scope="module")
def few(phantom):
    """Four frames of the phantom: every worker that writes a frame reads the whole study."""
    cines = {view: cine.only(range(4)) for view, cine in phantom.cines.items()}
    return replace(phantom, cines=cines, labels=phantom.labels.only(range(4)))


@pytest.fixture(scope="module")
def dicom(few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_dicom(few, folder)
    return folder


@pytest.fixture
def segmentation(scene, dicom, few):
    """The phantom's true labels on the grid that Slicer's own reader might give: the slices the other way round."""
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene

    truth = few.labels
    flip = np.eye(4)
    flip[2, 2], flip[2, 3] = -1, truth.labels.shape[1] - 1
    labels = np.ascontiguousarray(truth.labels[:, ::-1])
    return labels_to_scene(LabelMap(labels, truth.ijk_to_lps @ flip, truth.times_ms), "edited")


def export(segmentation, folder, study, frame="all") -> list[Path]:
    """By the function that panel and console use."""
    import CardiacSeg
    from CardiacLib.mrml.panel.dicom_export import DicomExport, export_dicom_seg

    return export_dicom_seg(segmentation, folder, DicomExport(study, frame), worker=CardiacSeg.worker())


@pytest.mark.slow
def test_a_segmentation_becomes_dicom_on_the_grid_of_its_images(host, segmentation, dicom, phantom, tmp_path):
    hd = pytest.importorskip("highdicom")
    from CardiacLib.mrml.nodes.sequences import select_frame, sequence_of

    cine = read_study(dicom).cines["sax"]
    paths = export(segmentation, tmp_path / "all", dicom)
    assert len(paths) == cine.n_frames and all(path.is_file() for path in paths)
    select_frame(sequence_of(segmentation)[0], 3)
    (path,) = export(segmentation, tmp_path / "one", dicom, frame="shown")
    dataset = hd.seg.segread(path)
    assert dataset.ContentDescription.startswith("Frame 4 of")
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    for found in (path, paths[3]):
        volume = hd.seg.segread(found).get_volume(combine_segments=True)
        sums = [(volume.array == label).sum() for label in (1, 2, 3)]
        assert sums == [(phantom.labels.labels[3] == label).sum() for label in (1, 2, 3)]
        voxel = np.argwhere(volume.array == 1)[0]
        place = volume.affine @ [*voxel, 1]
        index = np.rint(np.linalg.inv(phantom.labels.ijk_to_lps) @ place).astype(int)
        assert phantom.labels.labels[3][tuple(index[2::-1])] == 1


@pytest.mark.slow
def test_export_says_what_it_needs(host, scene, segmentation, dicom, few, tmp_path):
    pytest.importorskip("highdicom")
    from CardiacLib.mrml.nodes.segmentations import labels_to_scene

    truth = few.labels
    single = labels_to_scene(LabelMap(truth.labels[:1], truth.ijk_to_lps, truth.times_ms[:1]), "single")
    with pytest.raises(InputError, match="say which of the 4"):
        export(single, tmp_path / "out", dicom)
    far = truth.ijk_to_lps.copy()
    far[0, 3] += 900
    away = labels_to_scene(LabelMap(truth.labels[:1], far, truth.times_ms[:1]), "away")
    with pytest.raises(InputError, match="no segment of 'away'"):
        export(away, tmp_path / "out", dicom, frame=0)
    assert not (tmp_path / "out").exists()
    assert [path.name for path in export(single, tmp_path / "out", dicom, frame=0)] == ["segmentation.dcm"]
