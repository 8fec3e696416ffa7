"""Several studies of one patient in one folder are never mixed, and UIDs that name no image are told."""

import numpy as np
import pydicom
import pytest
from dicom_factory import oblique_matrix, write_planes

from CardiacLib.errors import InputError
from CardiacLib.readers import read_image, read_study
from cineheart.cli import main

MATRIX, TIMES = oblique_matrix(), np.arange(8) * 100.0


def frames(seed: int, n_frames: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(50, 900, (n_frames, 4, 20, 24))


def write_examination(folder, seed: int, uid: str, date: str = "", n_frames: int = 8, **options) -> np.ndarray:
    """One short axis of a study; all have the same patient, places and trigger times."""
    pixels = frames(seed, n_frames)
    for path in write_planes(folder, pixels, MATRIX, TIMES[:n_frames], **options):
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID, dataset.StudyDate, dataset.FrameOfReferenceUID = uid, date, f"{uid}.1"
        dataset.save_as(path)
        path.rename(path.with_name(f"{uid}_{path.name}"))
    return pixels


@pytest.mark.parametrize(
    ("folders", "dates"),
    [(("", ""), ("20240102", "20240709")), (("a", "b"), ("20240102", "20240102")), (("a", "a/b"), ("", ""))],
)
def test_two_studies_are_refused_and_either_can_be_chosen(tmp_path, folders, dates):
    made = [
        write_examination(tmp_path / folder, n, f"1.2.{n}", date)
        for n, (folder, date) in enumerate(zip(folders, dates, strict=True))
    ]
    for read in (read_study, read_image):
        with pytest.raises(InputError, match=r"cines of 2 studies of one patient, which are never mixed") as error:
            read(tmp_path)
        for part in ("1.2.0", "1.2.1", "32 images", "--study-uid", *(f" of {d[:4]}-{d[4:6]}" for d in dates if d)):
            assert part in str(error.value)
    for n, pixels in enumerate(made):
        study = read_study(tmp_path, study_uid=f"1.2.{n}")
        np.testing.assert_array_equal(study.cines["sax"].frames, pixels)
        assert any(f"study 1.2.{1 - n}" in line and "another study" in line for line in study.left_out)
    with pytest.raises(InputError, match=r"--study-uid 9: is none of the folder's: study 1\.2\.0"):
        read_study(tmp_path, study_uid="9")


def test_a_study_without_a_cine_leaves_no_choice(tmp_path):
    pixels = write_examination(tmp_path, 0, "1.2.0")
    write_examination(tmp_path, 1, "1.2.1", n_frames=1)
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, pixels)
    assert [line for line in study.left_out if "another study, without a cine" in line]


def test_slices_of_one_stack_in_two_studies_are_not_joined(tmp_path):
    paths = write_planes(tmp_path, frames(0), MATRIX, TIMES)
    for n, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID = f"1.2.{n // 16}"
        dataset.save_as(path)
    with pytest.raises(InputError, match="cines of 2 studies"):
        read_study(tmp_path)


def test_the_command_takes_one_study(tmp_path, capsys):
    for n in range(2):
        write_examination(tmp_path / "in", n, f"1.2.{n}")
    assert main(["run", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--no-scene"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--study-uid" in said and not (tmp_path / "out").exists()


@pytest.mark.parametrize("shared", [32, 2])
def test_dicom_seg_of_images_with_one_uid_is_refused_before_the_work(tmp_path, capsys, shared):
    pytest.importorskip("highdicom")
    write_examination(tmp_path / "in", 0, "1.2.0")
    for path in sorted((tmp_path / "in").iterdir())[:shared]:
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
        dataset.save_as(path)
    given = [str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--dicom-seg", "--no-scene"]
    for command in ("run", "segment"):
        assert main([command, *given]) == 2
        said = capsys.readouterr().err
        assert f"its 32 files have only {33 - shared} different SOPInstanceUID" in said and "--dicom-seg" in said
        assert not (tmp_path / "out").exists()
    assert read_study(tmp_path / "in").cines["sax"].n_frames == 8  # without it all images are used


@pytest.mark.parametrize("extra", ["nothing", "text", "other modality"])
def test_multi_frame_files_without_groups_are_named_as_such(tmp_path, extra):
    path = write_planes(tmp_path, frames(0, 1)[:, :1], MATRIX, TIMES[:1])[0]
    dataset = pydicom.dcmread(path)
    dataset.NumberOfFrames = 8
    dataset.PixelData = np.zeros((8, 20, 24), np.uint16).tobytes()
    if extra == "other modality":
        dataset.Modality = "US"
    dataset.save_as(path)
    if extra == "text":
        (tmp_path / "notes.txt").write_text("a note")
    for read, given in ((read_study, tmp_path), (read_image, tmp_path), (read_image, path)):
        with pytest.raises(InputError, match=r"a multi-frame DICOM file of 8 frames .* without functional groups"):
            read(given)
