"""Corrected labels and valve points in place of the networks': every kind of file, and those that do not fit."""

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_factory import oblique_matrix, write_planes

from CardiacLib.errors import InputError
from CardiacLib.phantom import write_phantom
from CardiacLib.readers import read_image
from CardiacLib.readers.labels.point_files import read_points
from CardiacLib.types.choices import ByHand, SegmentChoice, basal_slices
from CardiacLib.types.labels import LV, MYO, LabelMap
from CardiacLib.types.landmarks import LANDMARK_NAMES
from CardiacLib.writers.images import write_labels, write_segmentation_nrrd
from CardiacLib.writers.markups import points_document
from cineheart.corrected import CorrectedFiles, read_corrected_labels, read_corrected_points
from cineheart.pipeline import FurtherFiles, RunOptions, run_study


@pytest.fixture(scope="module")
def study(phantom, tmp_path_factory):
    """The phantom as files."""
    folder = tmp_path_factory.mktemp("study")
    write_phantom(phantom, folder)
    return folder


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    """A short axis read from DICOM, and labels on its grid."""
    folder = tmp_path_factory.mktemp("dicom")
    frames = np.random.default_rng(4).integers(50, 900, (8, 5, 20, 24))
    for path in write_planes(folder, frames, oblique_matrix(), np.arange(8) * 100.0):
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = "1.2.3", "1.2.4"
        dataset.save_as(path)
    sax = read_image(folder)
    labels = np.zeros(sax.frames.shape, np.uint8)
    for t in range(8):
        labels[t, 1:4, 4 : 12 + t, 5:15], labels[t, 1:4, 4 : 12 + t, 15:18] = LV, MYO
    return sax, LabelMap(labels, sax.ijk_to_lps, sax.times_ms)


def turned(labels: LabelMap) -> LabelMap:
    """The same voxels with the slices the other way round and mirrored columns."""
    matrix = labels.ijk_to_lps.copy()
    size = labels.labels.shape
    matrix[:3, 3] += matrix[:3, 2] * (size[1] - 1) + matrix[:3, 0] * (size[3] - 1)
    matrix[:3, [0, 2]] *= -1
    return replace(labels, labels=np.ascontiguousarray(labels.labels[:, ::-1, :, ::-1]), ijk_to_lps=matrix)


def cropped(labels: LabelMap) -> LabelMap:
    """Without the empty margin, as Slicer saves segmentations."""
    k, j, i = (slice(a.min(), a.max() + 1) for a in np.nonzero(labels.labels.any(0)))
    matrix = labels.ijk_to_lps.copy()
    matrix[:3, 3] += matrix[:3, :3] @ [i.start, j.start, k.start]
    return replace(labels, labels=labels.labels[:, k, j, i], ijk_to_lps=matrix)


@pytest.mark.parametrize("change", [lambda labels: labels, turned, cropped, lambda labels: turned(cropped(labels))])
def test_labels_come_onto_the_grid_of_the_images(phantom, tmp_path, change):
    write_labels(tmp_path / "labels.nii.gz", change(phantom.labels))
    found = read_corrected_labels(tmp_path / "labels.nii.gz", phantom.cines["sax"])
    np.testing.assert_array_equal(found.labels, phantom.labels.labels)
    np.testing.assert_array_equal(found.ijk_to_lps, phantom.cines["sax"].ijk_to_lps)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda labels, matrix: (labels, matrix + _columns(matrix, 0.5)), "voxels are not those of"),
        (lambda labels, matrix: (labels, matrix @ np.diag([1.1, 1.1, 1, 1])), "voxels are not those of"),
        (lambda labels, matrix: (np.roll(labels, 30, 3), matrix + _columns(matrix, 30)), "outside the short axis"),
        (lambda labels, matrix: (labels[:5], matrix), "has labels of 5 frames, the short axis has 8 frames"),
        (lambda labels, matrix: (labels[:1], matrix), "has labels of 1 frame, .* 'cineheart measure'"),
        (lambda labels, matrix: (np.where(labels == LV, 0, labels), matrix), "another order|no left ventricle"),
    ],
)
def test_labels_of_other_images_are_refused(phantom, tmp_path, change, sentence):
    array, matrix = change(phantom.labels.labels, phantom.labels.ijk_to_lps.copy())
    labels = LabelMap(np.ascontiguousarray(array, np.uint8), matrix, None)
    write_labels(tmp_path / "labels.nii.gz", labels)
    with pytest.raises(InputError, match=sentence) as error:
        read_corrected_labels(tmp_path / "labels.nii.gz", phantom.cines["sax"])
    assert str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)


def _columns(matrix: np.ndarray, count: int) -> np.ndarray:
    shift = np.zeros((4, 4))
    shift[:3, 3] = matrix[:3, 0] * count
    return shift


def test_a_seg_nrrd_of_a_single_frame_cine(phantom, tmp_path):
    one = phantom.labels.only([3])
    write_segmentation_nrrd(tmp_path / "edited.seg.nrrd", one)
    found = read_corrected_labels(tmp_path / "edited.seg.nrrd", phantom.cines["sax"].only([3]))
    np.testing.assert_array_equal(found.labels, one.labels)


def test_dicom_segmentations_of_all_frames_and_of_some(dicom, tmp_path):
    pytest.importorskip("highdicom")
    from CardiacLib.writers.dicom_seg import write_dicom_seg

    sax, labels = dicom
    chosen = [0, 3]
    paths = write_dicom_seg(tmp_path, labels.only(chosen), sax, chosen)
    some = read_corrected_labels(paths[0].parent, sax)
    np.testing.assert_array_equal(some.labels[chosen], labels.labels[chosen])
    assert not some.labels[[1, 2, 4, 5, 6, 7]].any()
    assert some.notes == ("Labels are drawn in 2 of 8 frames only (1, 4, counted from 1).",)
    paths[1].rename(paths[1].with_name("again.dcm"))
    paths[0].with_name("copy.dcm").write_bytes(paths[0].read_bytes())
    with pytest.raises(InputError, match="several DICOM segmentations of one frame"):
        read_corrected_labels(paths[0].parent, sax)
    elsewhere = sax.with_changes(files=())
    with pytest.raises(InputError, match=r"3 frames, the short axis has 8, and the images .* do not tell"):
        read_corrected_labels(paths[0].parent, elsewhere)


# Valve points


def write_markups(folder, points: np.ndarray, *, space: str = "LPS") -> None:
    folder.mkdir()
    for t, frame in enumerate(points):
        sign = np.array([-1, -1, 1]) if space == "RAS" else 1
        document = points_document(frame * sign, LANDMARK_NAMES)
        document["markups"][0]["coordinateSystem"] = space
        (folder / f"frame_{t:03d}.mrk.json").write_text(json.dumps(document))


@pytest.mark.parametrize("space", ["LPS", "RAS"])
def test_markups_of_every_frame(phantom, tmp_path, space):
    points = phantom.landmarks.points.copy()
    points[2, 7] = np.nan
    write_markups(tmp_path / "markups", points, space=space)
    found = read_corrected_points(tmp_path / "markups", phantom.cines)
    np.testing.assert_allclose(found.points, points, atol=1e-4)
    one = read_points(tmp_path / "markups" / "frame_003.mrk.json")
    np.testing.assert_allclose(one.points[0], points[3], atol=1e-4)


def test_points_that_do_not_fit_are_refused(phantom, tmp_path):
    write_markups(tmp_path / "one", phantom.landmarks.points[:1])
    with pytest.raises(InputError, match="points of one frame, the study has 8 frames"):
        read_corrected_points(tmp_path / "one", phantom.cines)
    write_markups(tmp_path / "far", phantom.landmarks.points + 60.0)
    with pytest.raises(InputError, match="mm off the images of that view"):
        read_corrected_points(tmp_path / "far", phantom.cines)
    with pytest.raises(InputError, match="no long-axis view"):
        read_corrected_points(tmp_path / "far", {"sax": phantom.cines["sax"]})
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"holds no \.mrk\.json"):
        read_points(tmp_path / "none")
    for content, sentence in (
        ("{}", "is no Markups JSON"),
        ("[", "is no Markups JSON"),
        ('{"markups": [{"controlPoints": [{"label": "F-1", "position": [0, 0, 0]}]}]}', "none of its points"),
    ):
        (tmp_path / "odd.mrk.json").write_text(content)
        with pytest.raises(InputError, match=sentence):
            read_points(tmp_path / "odd.mrk.json")


# The whole way


@pytest.fixture
def no_report(monkeypatch):
    """The report has its own tests."""
    monkeypatch.setattr("cineheart.pipeline.draw_without_mesh", lambda result: {})
    monkeypatch.setattr("cineheart.pipeline.write_report", lambda result, path, drawn: path.write_text("-"))


def run(study, tmp_path, **options):
    made = RunOptions(mesh=None, files=FurtherFiles(scene=False), **options)
    result = run_study(study, tmp_path / "R", made)
    return result, json.loads((tmp_path / "R" / "study.json").read_text())


def test_a_run_with_corrected_files_uses_no_network(phantom, study, tmp_path, no_report, monkeypatch):
    monkeypatch.setattr("cineheart.pipeline.find_landmarks", None)
    monkeypatch.setattr("cineheart.steps.segment_within_memory", None)
    write_markups(tmp_path / "markups", phantom.landmarks.points)
    labels = study / "truth" / "labels.nii.gz"
    by_hand = ByHand(left_out=basal_slices("rv=4@es"), es_frame=4)
    result, document = run(
        study,
        tmp_path,
        segment=SegmentChoice(by_hand=by_hand),
        corrected=CorrectedFiles(labels=labels, landmarks=tmp_path / "markups"),
    )
    np.testing.assert_allclose(result.function.lv.volume_ml, phantom.labels.volume_ml(LV), rtol=1e-4)
    np.testing.assert_allclose(result.points.landmarks.points, phantom.landmarks.points, atol=1e-4)
    assert result.function.es == 4 and result.annulus.values()["mapse_mm"] == pytest.approx(12.0, abs=1.0)
    assert document["corrected"] == {"labels": "labels.nii.gz", "landmarks": "markups"} and document["bundle"] == ""
    assert document["measurements"]["by_hand"] == {"es_frame_index": 4, "left_out_slices": ["rv=4@es"]}
    for sentence in (
        "The labels are those of labels.nii.gz, as a person corrected them.",
        "The valve points are those of markups, as a person corrected them.",
        "End-systole was set by hand: frame 5, counted from 1.",
    ):
        assert sentence in document["notes"]
    provenance = document["provenance"]
    assert provenance["networks"] == [] and result.quality.light in ("green", "amber", "red")
    assert [entry["name"] for entry in provenance["inputs"]] == [study.name, "labels.nii.gz", "markups"]
    assert all(len(entry["sha256"]) == 64 for entry in provenance["inputs"])


def test_corrected_files_of_an_anonymised_run_are_not_named(phantom, study, tmp_path, no_report):
    labels = tmp_path / "Miller_Anna.nii.gz"
    labels.write_bytes((study / "truth" / "labels.nii.gz").read_bytes())
    write_markups(tmp_path / "Miller", phantom.landmarks.points)
    given = CorrectedFiles(labels=labels, landmarks=tmp_path / "Miller")
    _, document = run(study, tmp_path, corrected=given, anonymise=True)
    assert "Miller" not in json.dumps(document)
    assert document["corrected"] == {"labels": "...", "landmarks": "..."}
    assert [entry["name"] for entry in document["provenance"]["inputs"]] == ["study", "labels", "landmarks"]


def test_labels_that_do_not_fit_leave_nothing_behind(phantom, study, tmp_path, no_report):
    moved = phantom.labels.ijk_to_lps.copy()
    moved[:3, 3] += 0.8
    write_labels(tmp_path / "labels.nii.gz", replace(phantom.labels, ijk_to_lps=moved))
    with pytest.raises(InputError, match="voxels are not those of the short axis"):
        run(study, tmp_path, corrected=CorrectedFiles(labels=tmp_path / "labels.nii.gz"))
    assert not (tmp_path / "R").exists()
