"""What is a frame: patients, repetitions and channels are none; few frames, and labels in some frames only."""

import nibabel as nib
import numpy as np
import pytest

from CardiacLandmarksLib.detect.trajectories import fit_trajectories
from CardiacLib.errors import InputError
from CardiacLib.readers import read_image, read_labels, read_study
from CardiacLib.types.labels import LabelMap
from CardiacLib.writers.images import write_labels
from CardiacSegLib import measure
from cineheart import steps

AFFINE = np.diag([-1.5, -1.5, 8.0, 1.0])


def save(path, frames):
    """(K, J, I) or (T, K, J, I) as NIfTI."""
    nib.save(nib.Nifti1Image(np.moveaxis(frames.T, 0, 0), AFFINE), path)


def others(phantom):
    x = phantom.cines["sax"].frames
    return [x[0], np.roll(x[0], 9, 2), x[3], np.roll(x[1], -7, 1)]


@pytest.mark.parametrize(
    ("names", "reason"),
    (
        ("patient{:03d}_frame01_0000", "'patient'"),
        ("sub-{:02d}_sax", "'sub'"),
        ("A{:02d}S9_0000", "unlike each other"),
        ("heart_{:03d}", "unlike each other"),
        ("cine_rep{}", "'rep'"),
    ),
)
def test_images_of_several_patients_are_no_cine(tmp_path, phantom, names, reason):
    for number, image in zip((14, 17, 24, 42), others(phantom), strict=True):
        save(tmp_path / f"{names.format(number)}.nii.gz", image)
    with pytest.raises(InputError, match=f"{reason}.*no frames of one cine"):
        read_study(tmp_path)


def test_two_numbers_that_change_are_no_frames(tmp_path, phantom):
    for number, frame in ((1, 1), (1, 2), (2, 1)):
        save(tmp_path / f"heart{number}_frame{frame}.nii.gz", phantom.cines["sax"].frames[frame])
    with pytest.raises(InputError, match="2 numbers change"):
        read_study(tmp_path)


def test_repetitions_are_no_frames_though_they_look_alike(tmp_path, phantom):
    for number in (1, 2, 3):
        save(tmp_path / f"sax_run-{number}.nii.gz", phantom.cines["sax"].frames[0])
    with pytest.raises(InputError, match="'run'"):
        read_study(tmp_path)


@pytest.mark.parametrize("names", ("sax_{:02d}", "frame{}", "patient001_frame{:02d}", "t={}"))
def test_frames_of_one_heart_are_a_cine(tmp_path, phantom, names):
    for t, frame in enumerate(phantom.cines["sax"].frames):
        save(tmp_path / f"{names.format(t)}.nii.gz", frame)
    cine = read_study(tmp_path).cines["sax"]
    assert cine.n_frames == 8
    assert any("8 single-frame files" in note for note in cine.notes)


def one_hot(labels, values):
    return np.stack([labels == value for value in values])


@pytest.mark.parametrize("kind", ("one-hot", "without background", "255", "softmax", "sigmoid"))
def test_channels_are_no_frames(tmp_path, phantom, kind):
    labels = phantom.labels.labels[0]
    random = np.random.default_rng(0)
    channels = {
        "one-hot": one_hot(labels, range(4)).astype(np.uint8),
        "without background": one_hot(labels, (1, 2, 3)).astype(np.float32),
        "255": one_hot(labels, (1, 2, 3)).astype(np.uint8) * 255,
        "softmax": one_hot(labels, range(4)) * 0.9 + 0.025,
        "sigmoid": np.clip(one_hot(labels, (1, 2, 3)) * 0.97 + random.uniform(0, 0.02, (3, *labels.shape)), 0, 1),
    }[kind]
    save(tmp_path / "a.nii.gz", channels.astype(np.float32) if channels.dtype == np.float64 else channels)
    for read in (read_image, read_labels):
        with pytest.raises(InputError, match="exclude each other, not frames"):
            read(tmp_path / "a.nii.gz")


def test_cines_and_labels_of_few_values_are_frames(tmp_path, phantom):
    images = phantom.cines["sax"].frames
    for frames in (images[:2] / images.max(), (phantom.labels.labels == 1).astype(np.uint8), phantom.labels.labels):
        save(tmp_path / "a.nii.gz", frames.astype(np.float32))
        assert read_image(tmp_path / "a.nii.gz").n_frames == len(frames)
    assert read_labels(tmp_path / "a.nii.gz").n_frames == 8


@pytest.mark.parametrize("view", ("2ch", "3ch", "4ch"))
def test_time_on_the_third_axis_of_a_long_axis_file(tmp_path, phantom, view):
    frames = phantom.cines[view].frames[:, 0]
    save(tmp_path / f"lax_{view}.nii.gz", frames)
    with pytest.raises(InputError, match=r"8 slices of one frame.*fourth axis"):
        read_image(tmp_path / f"lax_{view}.nii.gz", view)
    save(tmp_path / "sax.nii.gz", phantom.cines["sax"].frames)
    study = read_study(tmp_path)
    assert view not in study.cines
    assert any("fourth axis" in reason for reason in study.left_out)
    with pytest.raises(InputError, match="fourth axis"):
        read_study(tmp_path, {f"lax_{view}": view})


@pytest.mark.parametrize("n_frames", (1, 2))
def test_few_frames_keep_the_points_as_found(n_frames):
    points = np.random.default_rng(1).uniform(0, 90, (n_frames, 4, 2))
    points[0, 2] = np.nan
    points[:, 3] = np.nan
    paths = fit_trajectories(points, np.ones(points.shape[:2]), np.arange(n_frames) / n_frames)
    found = paths.at(np.arange(n_frames) / n_frames)
    np.testing.assert_allclose(found[:, :2], points[:, :2], atol=1e-9)
    assert np.isnan(found[:, 3]).all()
    assert np.isfinite(found[:, 2]).all() == (n_frames > 1)


@pytest.mark.parametrize("frames", ((0,), (0, 3), (3, 0), (0, 2, 3)))
def test_motion_of_few_frames(phantom, frames):
    cines = {view: cine.only(frames) for view, cine in phantom.cines.items() if view != "sax"}
    result = steps.measure_edited_points(phantom.landmarks.only(list(frames)), cines)
    values = result.annulus.values()
    whole = steps.measure_edited_points(phantom.landmarks, phantom.cines).annulus.values()
    if len(frames) == 1:
        assert {name: value for name, value in values.items() if "apse" in name and value is not None} == {}
        assert all(v is None for row in result.annulus.rows() for k, v in row.items() if "apse" in k)
    elif len(frames) == 2:
        assert values["mapse_mm"] == pytest.approx(whole["mapse_mm"], abs=1.0)
        assert values["tapse_mm"] == pytest.approx(whole["tapse_mm"], abs=1.5)
    if len(frames) < 3:
        assert all(value is None for name, value in values.items() if name.endswith("cm_s"))
        points = phantom.landmarks.points[list(frames)]
        np.testing.assert_allclose(result.landmarks.points, points, atol=1e-6)


@pytest.mark.parametrize("drawn", ((0, 3), (3, 0, 1), (0, 3, 7), (3,)))
def test_labels_drawn_in_some_frames(tmp_path, phantom, drawn):
    sparse = np.zeros_like(phantom.labels.labels)
    for t in drawn:
        sparse[t] = phantom.labels.labels[t]
    write_labels(tmp_path / "sparse.nii.gz", LabelMap(sparse, phantom.labels.ijk_to_lps, phantom.labels.times_ms))
    labels = read_labels(tmp_path / "sparse.nii.gz")
    assert any(f"{len(drawn)} of 8 frames only" in note for note in labels.notes)
    function, whole = measure(labels), measure(phantom.labels)
    assert {function.ed, function.es} <= set(drawn)
    assert (steps.frame_number("ed", labels), steps.frame_number("es", labels)) == (function.ed, function.es)
    assert any("frames only" in note for note in function.notes)
    assert [t for t, v in enumerate(function.to_dict()["lv_ml"]) if v is not None] == sorted(drawn)
    if len(drawn) > 1:
        assert function.lv.ef_percent == pytest.approx(whole.lv.ef_percent)
        assert function.lv.edv_ml == pytest.approx(whole.lv.edv_ml)
    else:
        assert function.lv.ef_percent is None


def test_many_frames_of_which_two_are_drawn_give_no_rates(phantom):
    sparse = np.zeros((25, *phantom.labels.labels.shape[1:]), np.uint8)
    sparse[0], sparse[9] = phantom.labels.labels[0], phantom.labels.labels[3]
    function = measure(LabelMap(sparse, phantom.labels.ijk_to_lps, np.arange(25) * 36.0))
    assert (function.ed, function.es, function.lv.filling) == (0, 9, None)
    assert function.lv.ef_percent == pytest.approx(measure(phantom.labels).lv.ef_percent)
    assert len(function.rows()) == 25
