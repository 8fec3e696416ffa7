"""What orders DICOM frames in time (never the order of files), how acquisitions and beats are told apart."""

import random
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_factory import oblique_matrix, write_enhanced, write_planes

from CardiacLib.errors import InputError
from CardiacLib.readers import read_image, read_study

TIMES = np.arange(8) * 110.0
MATRIX = oblique_matrix()


def beating(n_frames=8, n_slices=4, shape=(12, 10), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 900, (n_frames, n_slices, *shape)).astype(np.float32)


def write_changed(folder, frames, change, times=TIMES, **options) -> None:
    """Write a study of files changed by ``change(dataset, slice, frame)``, under random names."""
    paths = write_planes(folder, frames, MATRIX, times, change=change, **options)
    for n, number in enumerate(random.Random(3).sample(range(10**6), len(paths))):
        paths[n].rename(Path(folder) / f"{number:06d}_{n:03d}")


def without(dataset, *names) -> None:
    for name in names:
        if name in dataset:
            delattr(dataset, name)


@pytest.mark.parametrize(
    ("element", "named"),
    [
        ("AcquisitionTime", "acquisition times"),
        ("AcquisitionDateTime", "times of acquisition"),
        ("ContentTime", "content times"),
        ("TemporalPositionIdentifier", "temporal positions"),
        ("InstanceNumber", "instance numbers"),
    ],
)
@pytest.mark.parametrize("layout", ["series", "series_per_slice"])
def test_the_next_best_element_orders_all_slices_with_a_note(tmp_path, element, named, layout):
    frames = beating()

    def change(dataset, k, t):
        number = dataset.InstanceNumber
        without(dataset, "TriggerTime", "InstanceNumber", "AcquisitionTime")
        clock = f"1200{k:02d}.{int(TIMES[t]):03d}000"
        value = {
            "AcquisitionTime": clock,
            "ContentTime": clock,
            "AcquisitionDateTime": f"20240102{clock}",
            "TemporalPositionIdentifier": t + 1,
            "InstanceNumber": number,
        }[element]
        setattr(dataset, element, value)

    write_changed(tmp_path, frames, change, series_per_slice=layout == "series_per_slice")
    study = read_study(tmp_path)
    cine = study.cines["sax"]
    np.testing.assert_array_equal(cine.frames, frames)
    assert any(named in note for note in study.notes), study.notes
    expected = TIMES if "cquisition" in element else np.arange(8) * 900.0 / 8
    np.testing.assert_allclose(cine.times_ms, expected, atol=1e-3)


def test_trigger_times_are_the_usual_and_need_no_note(tmp_path):
    frames = beating()
    write_changed(tmp_path, frames, lambda dataset, k, t: without(dataset, "InstanceNumber"))
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert not any("order" in note for note in study.notes)


def test_midnight_is_no_end_where_dates_are_known(tmp_path):
    frames = beating()

    def change(dataset, k, t):
        without(dataset, "TriggerTime", "InstanceNumber")
        day, clock = ("20240101", f"235959.{600 + t * 50}") if t < 4 else ("20240102", f"000000.{(t - 4) * 50:03d}")
        dataset.AcquisitionDate, dataset.AcquisitionTime = day, clock

    write_changed(tmp_path, frames, change)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


def forget_all(dataset, k, t):
    without(dataset, "TriggerTime", "InstanceNumber", "AcquisitionTime")


def constant_everything(dataset, k, t):
    dataset.TriggerTime, dataset.InstanceNumber, dataset.AcquisitionTime = 0, 1, "120000"


def one_slice_has_equal_numbers(dataset, k, t):
    without(dataset, "TriggerTime")
    if k == 2:
        dataset.InstanceNumber = 5


def half_of_a_slice_has_times(dataset, k, t):
    without(dataset, "InstanceNumber")
    if t % 2:
        without(dataset, "TriggerTime")


@pytest.mark.parametrize(
    "change", [forget_all, constant_everything, one_slice_has_equal_numbers, half_of_a_slice_has_times]
)
@pytest.mark.parametrize("route", ["study", "image"])
@pytest.mark.parametrize("description", ["", "cine_sax"])
def test_what_nothing_orders_is_refused_in_one_sentence(tmp_path, change, route, description):
    write_changed(tmp_path, beating(), change, description=description)
    with pytest.raises(InputError, match="no trigger time, acquisition time, content time or instance number") as error:
        read_study(tmp_path) if route == "study" else read_image(tmp_path)
    assert "\n" not in str(error.value)


def test_forced_views_do_not_make_an_order(tmp_path):
    write_changed(tmp_path, beating(), forget_all)
    with pytest.raises(InputError, match="instance number"):
        read_study(tmp_path, views={"1": "sax"})


def test_one_slice_without_trigger_times_is_ordered_like_all_others(tmp_path):
    frames = beating()
    write_changed(tmp_path, frames, lambda dataset, k, t: without(dataset, *(["TriggerTime"] if k == 1 else [])))
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert any("all 4 slices" in note and "instance numbers" in note for note in study.notes)


def test_slices_of_other_counts_without_times_are_refused(tmp_path):
    paths = write_planes(tmp_path, beating(), MATRIX, TIMES, trigger=False)
    paths[11].unlink()
    with pytest.raises(InputError, match="7 or 8 frames"):
        read_study(tmp_path)


def test_the_place_of_a_frame_in_an_enhanced_file_is_no_time(tmp_path):
    path = write_enhanced(tmp_path, beating(), MATRIX, TIMES, trigger=False)
    dataset = pydicom.dcmread(path)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.FrameContentSequence
    dataset.save_as(path)
    with pytest.raises(InputError, match="instance number"):
        read_study(tmp_path)


@pytest.mark.parametrize("element", ["FrameAcquisitionDateTime", "DimensionIndexValues"])
def test_enhanced_frames_are_ordered_by_their_own_times(tmp_path, element):
    frames = beating()
    path = write_enhanced(tmp_path, frames, MATRIX, TIMES, trigger=False)
    dataset = pydicom.dcmread(path)
    dimensions = []
    for name in ("InStackPositionNumber", "TemporalPositionIndex"):
        dimension = pydicom.Dataset()
        dimension.DimensionIndexPointer = pydicom.tag.Tag(name)
        dimensions.append(dimension)
    dataset.DimensionIndexSequence = dimensions
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    for n, group in enumerate(groups):
        content = group.FrameContentSequence[0]
        del content.TemporalPositionIndex
        if element == "DimensionIndexValues":
            content.DimensionIndexValues = [n % 4 + 1, n // 4 + 1]
        else:
            content.FrameAcquisitionDateTime = f"20240102120000.{int(TIMES[n // 4]):03d}"
    # The frames of the file are in no order.
    mixed = np.random.default_rng(2).permutation(len(groups))
    dataset.PerFrameFunctionalGroupsSequence = [groups[n] for n in mixed]
    dataset.PixelData = dataset.pixel_array[mixed].tobytes()
    dataset.save_as(path)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


def test_without_any_interval_there_are_no_times_and_no_heart_rate(tmp_path):
    write_changed(tmp_path, beating(), lambda dataset, k, t: without(dataset, "TriggerTime"), beat_ms=None)
    study = read_study(tmp_path)
    assert study.cines["sax"].times_ms is None
    assert study.patient.heart_rate_bpm is None
    assert any("no rates and no heart rate" in note for note in study.notes)


# Real time: one beat is cut out where it can be, and said where it cannot.


def test_one_beat_of_a_real_time_series_is_kept(tmp_path):
    frames = beating(36, 3)
    write_planes(tmp_path, frames, MATRIX, np.arange(36) * 75.0)
    study = read_study(tmp_path)
    cine = study.cines["sax"]
    np.testing.assert_array_equal(cine.frames, frames[12:24])
    np.testing.assert_allclose(cine.times_ms, np.arange(12) * 75.0)
    assert any("heart beat 2 was taken" in note for note in study.notes)
    assert any("24 images of other heart beats" in line for line in study.left_out)


def test_beats_by_acquisition_times_are_cut_too(tmp_path):
    frames = beating(36, 3)

    def change(dataset, k, t):
        without(dataset, "TriggerTime", "InstanceNumber")
        dataset.AcquisitionTime = f"12{k:02d}{t * 75 / 1000:09.6f}"

    write_changed(tmp_path, frames, change, np.arange(36) * 75.0)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames[12:24])


@pytest.mark.parametrize("beat_ms", [900.0, None])
def test_too_few_frames_for_beats_are_refused_or_said(tmp_path, beat_ms):
    times = np.arange(10) * 300.0
    write_planes(tmp_path / "a", beating(10), MATRIX, times, beat_ms)
    with pytest.raises(InputError, match="more than one heart beat"):
        read_study(tmp_path)
    write_planes(tmp_path / "b", beating(10), MATRIX, times, beat_ms, description="cine_sax", number=2)
    study = read_study(tmp_path / "b")
    assert any("real time" in note and "cannot be split" in note for note in study.notes)


def test_beats_whose_trigger_times_start_anew_are_acquisitions(tmp_path):
    frames = beating(24, 3)
    write_planes(tmp_path, frames, MATRIX, np.tile(TIMES, 3) + np.repeat([0.0, 3.0, 5.0], 8))
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames[16:])
    assert any("acquisition 1 of 3" in line for line in study.left_out)


def test_one_slice_without_an_interval_leaves_the_stack_without_times(tmp_path):
    frames = beating()
    write_changed(
        tmp_path,
        frames,
        lambda dataset, k, t: without(dataset, "TriggerTime", *(["NominalInterval"] if k == 1 else [])),
    )
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert study.cines["sax"].times_ms is None
    assert not any("RR interval differs" in note for note in study.notes)
