"""DICOM segmentations: read back they are the labels, with their codes, and name the images they were made from."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_factory import oblique_matrix, write_enhanced, write_planes

from CardiacLib.errors import InputError
from CardiacLib.geometry import apply
from CardiacLib.phantom.dicom import write_dicom
from CardiacLib.readers import read_image, read_study
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap, structures
from CardiacLib.types.values import read_value, write_value
from CardiacLib.writers.dicom_seg import require_dicom_seg, write_dicom_seg
from cineheart.cli import main

hd = pytest.importorskip("highdicom")


@pytest.fixture(scope="module")
def phantom(little_heart):
    return little_heart


@pytest.fixture(scope="module")
def study(phantom, tmp_path_factory):
    """The phantom as DICOM, one series per slice."""
    folder = tmp_path_factory.mktemp("dicom")
    write_dicom(phantom, folder)
    return folder


@pytest.fixture(scope="module")
def sax(study) -> Cine:
    return read_study(study).cines["sax"]


@pytest.fixture(scope="module")
def labels(phantom, sax) -> LabelMap:
    """The phantom's true labels on the grid of the DICOM stack."""
    flipped = phantom.labels.ijk_to_lps[:3, 2] @ sax.ijk_to_lps[:3, 2] < 0
    array = phantom.labels.labels[:, ::-1] if flipped else phantom.labels.labels
    return LabelMap(np.ascontiguousarray(array), sax.ijk_to_lps, sax.times_ms)


def read_back(path, n_slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (K, J, I) by highdicom, and the index-to-LPS matrix, with the slices in the order of the cine's."""
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    assert volume.array.shape[0] == n_slices
    matrix = volume.affine[:, [2, 1, 0, 3]].copy()
    return volume.array, matrix


def same_order(array, matrix, expected) -> tuple[np.ndarray, np.ndarray]:
    """highdicom sorts slices along its own normal: turned round if that is against the expected one."""
    if matrix[:3, 2] @ expected[:3, 2] > 0:
        return array, matrix
    matrix = matrix.copy()
    matrix[:3, 3] += matrix[:3, 2] * (len(array) - 1)
    matrix[:3, 2] *= -1
    return array[::-1], matrix


@pytest.mark.slow
def test_voxels_and_geometry_come_back(labels, sax, tmp_path):
    paths = write_dicom_seg(tmp_path, labels, sax)
    assert paths == [tmp_path / "segmentation_dicom" / f"frame_{t:03d}.dcm" for t in range(sax.n_frames)]
    for t, path in enumerate(paths):
        array, matrix = same_order(*read_back(path, sax.n_slices), sax.ijk_to_lps)
        np.testing.assert_array_equal(array, labels.labels[t])
        np.testing.assert_allclose(matrix, sax.ijk_to_lps, atol=1e-5)


def test_segments_are_those_of_the_colour_table(labels, sax, tmp_path):
    dataset = pydicom.dcmread(write_dicom_seg(tmp_path, labels, sax, bundle="cineheart_sax")[0])
    assert dataset.SegmentationType == "BINARY" and dataset.SegmentsOverlap == "NO"
    assert [segment.SegmentNumber for segment in dataset.SegmentSequence] == [1, 2, 3]
    for segment in dataset.SegmentSequence:
        structure = structures()[segment.SegmentNumber]
        assert segment.SegmentLabel == structure.name
        for kind, expected in (("Category", structure.category), ("Type", structure.type)):
            code = getattr(segment, f"SegmentedProperty{kind}CodeSequence")[0]
            assert (code.CodingSchemeDesignator, code.CodeValue, code.CodeMeaning) == expected
        assert segment.SegmentAlgorithmType == "AUTOMATIC" and segment.SegmentAlgorithmName == "cineheart_sax"
        colour = hd.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue)
        assert np.abs(np.array(colour.to_rgb()) - structure.rgb).max() <= 2


def test_every_slice_names_the_image_it_was_made_from(phantom, study, labels, sax, tmp_path):
    paths = write_dicom_seg(tmp_path, labels, sax)
    images = {}
    for path in study.rglob("*.dcm"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        images[header.SOPInstanceUID] = header
    for t in (0, phantom.es):
        dataset = pydicom.dcmread(paths[t])
        assert len(dataset.ReferencedSeriesSequence) == sax.n_slices == len(dataset.SourceImageSequence)
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            source = frame.DerivationImageSequence[0].SourceImageSequence[0]
            image = images[source.ReferencedSOPInstanceUID]
            np.testing.assert_allclose(
                image.ImagePositionPatient, frame.PlanePositionSequence[0].ImagePositionPatient, atol=1e-5
            )
            assert image.TriggerTime == pytest.approx(sax.times_ms[t], abs=0.01)
            assert source.SpatialLocationsPreserved == "YES"


def test_identity_is_that_of_the_study(study, labels, sax, tmp_path):
    first, second = (pydicom.dcmread(path) for path in write_dicom_seg(tmp_path, labels, sax)[:2])
    image = pydicom.dcmread(next(study.rglob("*.dcm")), stop_before_pixels=True)
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyDate"):
        assert first[name].value == image[name].value
    assert first.SeriesInstanceUID == second.SeriesInstanceUID != image.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert first.ContentDescription == f"Frame 1 of {sax.n_frames}, 0 ms"
    assert first.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"


def test_one_frame_is_one_file_and_the_rv_wall_a_fourth_segment(labels, sax, tmp_path):
    one = labels.labels[1:2].copy()
    one[0, 2, 5:9, 5:9] = 4
    (path,) = write_dicom_seg(tmp_path, LabelMap(one, labels.ijk_to_lps, labels.times_ms[1:2]), sax, [1])
    assert path == tmp_path / "segmentation.dcm" and len(list(tmp_path.iterdir())) == 1
    array, _ = same_order(*read_back(path, sax.n_slices), sax.ijk_to_lps)
    np.testing.assert_array_equal(array, one[0])
    dataset = pydicom.dcmread(path)
    assert dataset.SegmentSequence[3].SegmentLabel == "RV wall"
    assert dataset.ContentDescription.startswith("Frame 2 of")


def identified(paths, **others) -> None:
    """Give the files of the factory the identity that a SEG refers to."""
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = "1.2.3", "1.2.4"
        dataset.update(others)
        dataset.save_as(path)


def some_frames(n_t=3, n_k=4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (n_t, n_k, 24, 20)).astype(np.uint16)


def some_labels(cine: Cine) -> LabelMap:
    array = np.random.default_rng(1).integers(0, 4, cine.frames.shape).astype(np.uint8)
    return LabelMap(array, cine.ijk_to_lps, cine.times_ms)


def test_enhanced_multi_frame_files_are_named_by_frame(tmp_path):
    path = write_enhanced(tmp_path / "in", some_frames(), oblique_matrix(), [0, 300, 600])
    identified([path])
    cine = read_image(path)
    labels = some_labels(cine)
    written = write_dicom_seg(tmp_path, labels, cine)
    array, matrix = same_order(*read_back(written[1], 4), cine.ijk_to_lps)
    np.testing.assert_array_equal(array, labels.labels[1])
    np.testing.assert_allclose(matrix, cine.ijk_to_lps, atol=1e-5)
    dataset = pydicom.dcmread(written[1])
    (image,) = dataset.SourceImageSequence
    assert image.ReferencedSOPClassUID.name == "Enhanced MR Image Storage"
    assert list(image.ReferencedFrameNumber) == [5, 6, 7, 8]
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        position = apply(cine.ijk_to_lps, [0, 0, source.ReferencedFrameNumber - 5])
        np.testing.assert_allclose(frame.PlanePositionSequence[0].ImagePositionPatient, position, atol=1e-4)


def test_an_interpolated_slice_names_no_image(tmp_path):
    frames, matrix = some_frames(3, 6), oblique_matrix()
    write_planes(tmp_path / "in", frames, matrix, [0, 300, 600], series_per_slice=True, number=1)
    removed = [path for path in (tmp_path / "in").iterdir() if path.name.split("_")[2] == "02"]
    for path in removed:
        path.unlink()
    identified((tmp_path / "in").iterdir())
    cine = read_image(tmp_path / "in")
    assert [file is None for file in cine.files[0]] == [False, False, True, False, False, False]
    dataset = pydicom.dcmread(write_dicom_seg(tmp_path, some_labels(cine), cine)[0])
    sources = [len(frame.DerivationImageSequence) for frame in dataset.PerFrameFunctionalGroupsSequence]
    assert sources.count(0) == 3 and len(sources) == 18


def test_a_slice_resampled_in_plane_does_not_keep_its_pixels(tmp_path):
    frames, matrix = some_frames(3, 3), oblique_matrix()
    write_planes(tmp_path / "in", frames, matrix, [0, 300, 600])
    moved = matrix.copy()
    moved[:3, 3] += 3 * matrix[:3, 2] + 1.5 * matrix[:3, 0]
    write_planes(tmp_path / "in", frames[:, :1], moved, [0, 300, 600], number=2)
    identified((tmp_path / "in").iterdir())
    cine = read_image(tmp_path / "in")
    dataset = pydicom.dcmread(write_dicom_seg(tmp_path, some_labels(cine), cine)[0])
    kept = [
        frame.DerivationImageSequence[0].SourceImageSequence[0].SpatialLocationsPreserved
        for frame in dataset.PerFrameFunctionalGroupsSequence
    ]
    assert sorted(kept) == ["NO"] * 3 + ["YES"] * 9


def test_slices_with_another_number_of_frames_are_named_by_phase(tmp_path):
    matrix = oblique_matrix()
    write_planes(tmp_path / "in", some_frames(8, 3), matrix, np.arange(8) * 100.0, beat_ms=800)
    last = matrix.copy()
    last[:3, 3] += 3 * matrix[:3, 2]
    write_planes(tmp_path / "in", some_frames(4, 1), last, np.arange(4) * 200.0, beat_ms=800, number=2)
    cine = read_image(tmp_path / "in")
    assert cine.n_frames == 8
    times = [pydicom.dcmread(row[3][0], stop_before_pixels=True).TriggerTime for row in cine.files]
    assert all(min(abs(t - n * 100), 800 - abs(t - n * 100)) <= 100 for n, t in enumerate(times))
    assert len({row[3][0] for row in cine.files}) == 4


def test_new_frames_come_from_no_file(sax, tmp_path):
    assert sax.files and sax.with_changes(view="sax").files == sax.files
    assert sax.with_changes(frames=sax.frames[:2], times_ms=sax.times_ms[:2]).files == ()
    write_value(tmp_path / "cine.npz", sax)  # as a worker hands it to a panel
    assert read_value(tmp_path / "cine.npz").files == sax.files
    with pytest.raises(InputError, match="one file"):
        sax.with_changes(files=sax.files[:1])


def test_what_cannot_be_referred_to_is_one_sentence(phantom, labels, sax, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="needs the DICOM files"):
        write_dicom_seg(tmp_path, phantom.labels, phantom.cines["sax"])
    shifted = labels.ijk_to_lps.copy()
    shifted[0, 3] += 2.0
    with pytest.raises(InputError, match="elsewhere"):
        write_dicom_seg(tmp_path, LabelMap(labels.labels, shifted, labels.times_ms), sax)
    with pytest.raises(InputError, match="labels of shape"):
        write_dicom_seg(tmp_path, labels, sax, [0])
    paths = write_planes(tmp_path / "bare", some_frames(), oblique_matrix(), [0, 300, 600])
    with pytest.raises(InputError, match="lacks StudyInstanceUID, FrameOfReferenceUID"):
        require_dicom_seg(read_image(tmp_path / "bare"))
    identified(paths)
    identified(paths[:1], FrameOfReferenceUID="1.2.5")
    with pytest.raises(InputError, match="differ in FrameOfReferenceUID"):
        require_dicom_seg(read_image(tmp_path / "bare"))
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(InputError, match=r"pip install cineheart\[dicom\]"):
        require_dicom_seg(sax)
    assert not list(tmp_path.glob("segmentation*"))


@pytest.mark.slow
def test_command_line_writes_them_and_takes_old_ones_away(study, sax, random_bundle, tmp_path, read_json, capsys):
    stack = tmp_path / "stack"
    stack.mkdir()
    for row in sax.files:
        for path, _ in row:
            shutil.copy(path, stack / "_".join(Path(path).parts[-2:]))
    output, bundle = tmp_path / "out", str(random_bundle)
    arguments = ["segment", str(stack), "-o", str(output), "--bundle", bundle, "--no-scene", "--json"]
    assert main([*arguments, "--dicom-seg", "--dicom-sr", "--frames", "1"]) == 0
    assert hd.sr.srread(output / "measurements.dcm").content.get_volumetric_roi_measurement_groups()
    array, _ = same_order(*read_back(output / "segmentation.dcm", sax.n_slices), sax.ijk_to_lps)
    import nibabel

    saved = np.asarray(nibabel.load(output / "labels.nii.gz").dataobj).T
    np.testing.assert_array_equal(array, saved)
    assert main([*arguments, "--dicom-seg", "--frames", "all"]) == 0
    assert not (output / "segmentation.dcm").exists() and not (output / "measurements.dcm").exists()
    assert len(list((output / "segmentation_dicom").iterdir())) == sax.n_frames
    capsys.readouterr()


def test_command_line_refuses_other_formats_before_it_computes(phantom, tmp_path, capsys):
    from CardiacLib.writers.images import write_cine

    write_cine(tmp_path / "sax.nii.gz", phantom.cines["sax"])
    assert main(["segment", str(tmp_path / "sax.nii.gz"), "-o", str(tmp_path / "out"), "--dicom-seg"]) == 2
    assert "needs the DICOM files" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_run_writes_one_for_every_frame(study, sax, tmp_path, monkeypatch, read_json, capsys):
    import nibabel

    def no_mesh(*_, **__):
        raise InputError("cannot be meshed")

    monkeypatch.setattr("cineheart.steps.build_mesh", no_mesh)
    arguments = ["run", str(study), "-o", str(tmp_path), "--no-scene", "--device", "cpu", "--dicom-seg", "--dicom-sr"]
    assert main([*arguments, "--json"]) == 1  # without a mesh
    saved = np.asarray(nibabel.load(tmp_path / "segmentation" / "labels.nii.gz").dataobj)
    paths = sorted((tmp_path / "segmentation" / "segmentation_dicom").iterdir())
    assert len(paths) == sax.n_frames and saved.any()
    for t, path in enumerate(paths):
        array, _ = same_order(*read_back(path, sax.n_slices), sax.ijk_to_lps)
        np.testing.assert_array_equal(array, saved[..., t].T)
    report = hd.sr.srread(tmp_path / "segmentation" / "measurements.dcm").content
    function = read_json(tmp_path / "segmentation" / "measurements.json")
    first, second = report.get_volumetric_roi_measurement_groups()[:2]
    for group, key, frame in ((first, "lv_edv_ml", "ed"), (second, "lv_esv_ml", "es")):
        assert group.get_measurements()[0].value == pytest.approx(function[key])
        segmentation = pydicom.dcmread(paths[function[f"{frame}_frame_index"]], stop_before_pixels=True)
        named = group.referenced_segment
        assert named.referenced_sop_instance_uid == segmentation.SOPInstanceUID
    capsys.readouterr()
