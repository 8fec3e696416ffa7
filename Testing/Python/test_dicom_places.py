"""Slices and frames are grouped by tolerance; of two acquisitions one stays whole; copies go, images stay."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_factory import oblique_matrix, write_planes
from pydicom.uid import generate_uid

from CardiacLib.errors import InputError
from CardiacLib.geometry import apply
from CardiacLib.readers import read_study

TIMES = np.arange(8) * 110.0
MATRIX = oblique_matrix()


def beating(n_frames=8, n_slices=4, shape=(12, 10), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 900, (n_frames, n_slices, *shape)).astype(np.float32)


def write_changed(folder, frames, change, **options) -> list[Path]:
    """Write files changed by ``change(dataset, number)``."""
    n_t = len(frames)
    return write_planes(folder, frames, MATRIX, TIMES, change=lambda d, k, t: change(d, k * n_t + t), **options)


def change_files(paths, change) -> None:
    for n, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        change(dataset, n)
        dataset.save_as(path)


@pytest.mark.parametrize("jitter_mm", [1e-6, 1e-3, 0.005, 0.02])
@pytest.mark.parametrize("per_slice", [False, True])
def test_jitter_of_positions_splits_no_slice(tmp_path, jitter_mm, per_slice):
    frames, rng = beating(), np.random.default_rng(1)

    def shake(dataset, n):
        dataset.ImagePositionPatient = [
            f"{float(value) + rng.uniform(-1, 1) * jitter_mm:.7f}"[:16] for value in dataset.ImagePositionPatient
        ]

    write_changed(tmp_path, frames, shake, series_per_slice=per_slice)
    study = read_study(tmp_path)
    cine = study.cines["sax"]
    assert cine.frames.shape == frames.shape
    np.testing.assert_array_equal(cine.frames, frames)
    np.testing.assert_allclose(apply(cine.ijk_to_lps, [9, 11, 3]), apply(MATRIX, [9, 11, 3]), atol=0.06)
    assert not study.left_out


@pytest.mark.parametrize("at", [0.004999, 0.005, 0.005001])
def test_positions_at_the_edge_of_rounding_stay_together(tmp_path, at):
    frames = beating()

    def shake(dataset, n):
        x, y, z = map(float, dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [round(x, 2) + at + 2e-6 * (-1) ** n, y, z]

    write_changed(tmp_path, frames, shake)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


def test_jitter_of_directions_and_pixel_sizes_splits_no_slice(tmp_path):
    frames, rng = beating(), np.random.default_rng(1)

    def shake(dataset, n):
        shaken = [float(v) + rng.uniform(-1, 1) * 1e-4 for v in dataset.ImageOrientationPatient]
        dataset.ImageOrientationPatient = [round(v, 8) for v in shaken]
        dataset.PixelSpacing = [round(float(v) * (1 + 1e-5 * (-1) ** n), 8) for v in dataset.PixelSpacing]

    write_changed(tmp_path, frames, shake)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


def test_thin_slices_stay_apart(tmp_path):
    frames, thin = beating(), oblique_matrix((0.1, 0.1, 0.8))
    write_planes(tmp_path, frames, thin, TIMES)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


# Two acquisitions


def twice(folder, change, second_slices=4, per_slice=False, names=True):
    """A stack, and (of the last slices) a second acquisition in the same series: a little later in the beat."""
    frames, again = beating(), beating(seed=1)
    seconds = []

    def add_second(dataset, k, t):
        other = copy.deepcopy(dataset)
        if names:
            dataset.AcquisitionNumber, other.AcquisitionNumber = 1, 2
            other.AcquisitionTime = "120130"
        other.SOPInstanceUID = generate_uid()
        other.InstanceNumber = int(dataset.InstanceNumber) + 100
        other.TriggerTime = round(TIMES[t] * 1.03 + 4, 1)
        other.PixelData = again[t, k].astype(np.uint16).tobytes()
        change(dataset, other)
        seconds.append(other if k >= 4 - second_slices else None)

    paths = write_planes(folder, frames, MATRIX, TIMES, series_per_slice=per_slice, change=add_second)
    for path, other in zip(paths, seconds, strict=True):
        if other is not None:
            other.save_as(path.with_suffix(".second"))
    return frames, again


def by_number(dataset, other):
    other.AcquisitionTime = dataset.AcquisitionTime


def by_time(dataset, other):
    del dataset.AcquisitionNumber, other.AcquisitionNumber


def by_instance_numbers(dataset, other):
    by_time(dataset, other)
    del dataset.AcquisitionTime, other.AcquisitionTime


def by_interval(dataset, other):
    by_instance_numbers(dataset, other)
    del dataset.InstanceNumber, other.InstanceNumber
    other.NominalInterval = 940


def equal_triggers(dataset, other):
    by_number(dataset, other)
    other.TriggerTime = dataset.TriggerTime


def equal_triggers_by_instance_numbers(dataset, other):
    by_instance_numbers(dataset, other)
    other.TriggerTime = dataset.TriggerTime


def without_triggers(dataset, other):
    del dataset.TriggerTime, other.TriggerTime


def at_another_breath(dataset, other):
    shift = 2.5 * MATRIX[:3, 2] / 10.0
    other.ImagePositionPatient = [round(float(v), 6) for v in np.array(other.ImagePositionPatient, float) + shift]


WAYS = [
    by_number,
    by_time,
    by_instance_numbers,
    by_interval,
    equal_triggers,
    equal_triggers_by_instance_numbers,
    without_triggers,
    at_another_breath,
]


@pytest.mark.parametrize("change", WAYS)
@pytest.mark.parametrize("per_slice", [False, True])
def test_the_last_complete_acquisition_is_taken_and_the_other_listed(tmp_path, change, per_slice):
    frames, again = twice(tmp_path, change, per_slice=per_slice)
    study = read_study(tmp_path)
    cine = study.cines["sax"]
    assert cine.frames.shape == frames.shape
    # The RR interval tells two acquisitions apart, but not which was the last.
    assert np.array_equal(cine.frames, again) or (change is by_interval and np.array_equal(cine.frames, frames))
    assert any("acquisition" in line for line in study.left_out), study.left_out


@pytest.mark.parametrize("change", [by_number, by_time, at_another_breath, without_triggers])
def test_an_acquisition_that_was_broken_off_goes_as_a_whole(tmp_path, change):
    frames, _ = twice(tmp_path, change, second_slices=3)
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert any("more complete" in line for line in study.left_out), study.left_out


def test_another_breath_without_numbers_or_times_is_told_by_position(tmp_path):
    def nothing_else(dataset, other):
        by_instance_numbers(dataset, other)
        at_another_breath(dataset, other)

    _, again = twice(tmp_path, nothing_else)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, again)


@pytest.mark.parametrize("shift_mm", [0.0, 2.5, 5.0])
def test_a_stack_taken_again_in_another_series_stays_whole(tmp_path, shift_mm):
    """Three slices of it replace the first where they lie on them, else they are left out."""
    frames, again = beating(n_slices=6), beating(n_slices=6, seed=1)
    moved = MATRIX.copy()
    moved[:3, 3] += shift_mm / 10 * MATRIX[:3, 2]
    write_planes(tmp_path / "all" / "a", frames, MATRIX, TIMES)
    write_planes(tmp_path / "all" / "b", again, moved, TIMES, number=2, acquired="121000")
    study = read_study(tmp_path / "all")
    np.testing.assert_array_equal(study.cines["sax"].frames, again)
    assert any("series 1" in line and "last complete" in line for line in study.left_out)
    write_planes(tmp_path / "some" / "a", frames, MATRIX, TIMES)
    write_planes(tmp_path / "some" / "b", again[:, :3], moved, TIMES, number=2, acquired="121000")
    expected = frames.copy()
    if shift_mm == 0.0:
        expected[:, :3] = again[:, :3]
    np.testing.assert_array_equal(read_study(tmp_path / "some").cines["sax"].frames, expected)


def test_patients_without_numbers_are_told_by_name(tmp_path):
    for n, name in enumerate(("A^B", "C^D")):
        write_changed(tmp_path / name, beating(), lambda d, n, name=name: setattr(d, "PatientName", name), number=n)
    with pytest.raises(InputError, match="2 patients"):
        read_study(tmp_path)


def test_a_cine_that_alternates_is_never_taken(tmp_path):
    def nothing_tells(dataset, other):
        by_instance_numbers(dataset, other)
        del dataset.InstanceNumber, other.InstanceNumber

    twice(tmp_path, nothing_tells)
    with pytest.raises(InputError, match="alternate"):
        read_study(tmp_path)


def test_equal_times_that_nothing_tells_apart_are_refused(tmp_path):
    def nothing_tells(dataset, other):
        equal_triggers_by_instance_numbers(dataset, other)
        other.InstanceNumber = dataset.InstanceNumber

    twice(tmp_path, nothing_tells)
    with pytest.raises(InputError, match="instance number orders"):
        read_study(tmp_path)


def test_acquisition_numbers_that_count_frames_split_nothing(tmp_path):
    frames = beating()
    write_changed(tmp_path, frames, lambda dataset, n: setattr(dataset, "AcquisitionNumber", n % 8))
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert not study.left_out


def test_two_parts_of_one_beat_are_one_acquisition(tmp_path):
    frames = beating()

    def halves(dataset, n):
        dataset.AcquisitionNumber = 1 + n % 8 // 4

    write_changed(tmp_path, frames, halves)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


# Copies and identifiers


@pytest.mark.parametrize("elements", [["SOPInstanceUID"], ["SOPInstanceUID", "SeriesInstanceUID"]])
@pytest.mark.parametrize("per_slice", [False, True])
def test_one_identifier_for_all_files_loses_nothing_and_is_noted(tmp_path, elements, per_slice):
    frames = beating()

    def anonymise(dataset, n):
        for element in elements:
            setattr(dataset, element, "1.2.3")

    write_changed(tmp_path, frames, anonymise, series_per_slice=per_slice)
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert any("SOPInstanceUID" in note for note in study.notes)


def test_one_identifier_for_the_frames_of_a_slice(tmp_path):
    frames = beating()
    write_changed(tmp_path, frames, lambda dataset, n: setattr(dataset, "SOPInstanceUID", f"1.2.{n // 8 + 1}"))
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


@pytest.mark.parametrize("new_identifiers", [False, True])
def test_copies_are_one_image_and_listed(tmp_path, new_identifiers):
    frames = beating()
    paths = write_planes(tmp_path / "a", frames, MATRIX, TIMES)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    if new_identifiers:
        change_files(
            sorted((tmp_path / "b").iterdir()), lambda dataset, n: setattr(dataset, "SOPInstanceUID", generate_uid())
        )
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert f"{len(paths)} copies of images that agree in place, time and pixels" in study.left_out


# Links


def test_links_to_files_and_folders_are_followed(tmp_path):
    frames = beating()
    write_planes(tmp_path / "store" / "a", frames[:, :2], MATRIX, TIMES)
    further = MATRIX.copy()
    further[:3, 3] += 2 * MATRIX[:3, 2]
    paths = write_planes(tmp_path / "store" / "b", frames[:, 2:], further, TIMES, number=2)
    study = tmp_path / "study"
    study.mkdir()
    (study / "linked").symlink_to(tmp_path / "store" / "a", target_is_directory=True)
    for path in paths:
        (study / path.name).symlink_to(path)
    (study / "circle").symlink_to(study, target_is_directory=True)
    np.testing.assert_array_equal(read_study(study).cines["sax"].frames, frames)
    through = tmp_path / "through"
    through.symlink_to(study, target_is_directory=True)
    np.testing.assert_array_equal(read_study(through).cines["sax"].frames, frames)
    (study / "broken.dcm").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"broken\.dcm: is a link to a file that does not exist"):
        read_study(study)
