"""DICOM in all its shapes: one series per slice, per stack, enhanced; time, gaps, repeats, damage."""

import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_factory import oblique_matrix, write_enhanced, write_planes

from CardiacLib import Cancelled, InputError
from CardiacLib.geometry import apply
from CardiacLib.readers import read_image, read_study, require_cine_stack

TIMES = np.arange(10) * 90.0


def beating(n_frames=10, n_slices=4, shape=(24, 20), seed=0) -> np.ndarray:
    """(T, K, J, I) noise that differs in every frame and slice."""
    return np.random.default_rng(seed).integers(0, 900, (n_frames, n_slices, *shape)).astype(np.float32)


@pytest.fixture(scope="module")
def matrix():
    return oblique_matrix()


@pytest.mark.parametrize("layout", ["series_per_slice", "one_series", "enhanced"])
def test_layouts_give_the_same_exact_cine(tmp_path, matrix, layout):
    frames = beating()
    if layout == "enhanced":
        write_enhanced(tmp_path / "a", frames, matrix, TIMES, slope=2.0, intercept=-5.0)
    else:
        per_slice = layout == "series_per_slice"
        write_planes(tmp_path / "a" / "b", frames, matrix, TIMES, series_per_slice=per_slice, slope=2.0, intercept=-5.0)
    cine = read_study(tmp_path).cines["sax"]
    assert cine.view == "sax"
    np.testing.assert_array_equal(cine.frames, frames * 2 - 5)
    np.testing.assert_allclose(cine.times_ms, TIMES)
    corners = [[0, 0, 0], [19, 23, 0], [0, 23, 3], [19, 0, 3]]
    np.testing.assert_allclose(apply(cine.ijk_to_lps, corners), apply(matrix, corners), atol=1e-3)
    assert cine.patient.heart_rate_bpm == pytest.approx(60000 / 900)
    assert cine.patient.height_m == 1.75
    assert cine.patient.weight_kg == 70


def test_slices_against_the_normal_are_sorted_along_it(tmp_path, matrix):
    reverse = matrix.copy()
    reverse[:3, 2] *= -1
    frames = beating()
    write_planes(tmp_path, frames, reverse, TIMES)
    cine = read_study(tmp_path).cines["sax"]
    np.testing.assert_array_equal(cine.frames, frames[:, ::-1])
    assert np.linalg.det(cine.ijk_to_lps) > 0
    np.testing.assert_allclose(apply(cine.ijk_to_lps, [0, 0, 3]), reverse[:3, 3], atol=1e-3)


def test_without_trigger_times_the_instance_number_orders_with_a_note(tmp_path, matrix):
    frames = beating()
    write_planes(tmp_path, frames, matrix, TIMES, trigger=False)
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert any("instance number" in note for note in study.notes)


def test_enhanced_without_trigger_times_uses_the_temporal_index(tmp_path, matrix):
    frames = beating()
    write_enhanced(tmp_path, frames, matrix, TIMES, trigger=False)
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert any("no trigger times" in note for note in study.notes)


def test_equal_frame_counts_match_frame_by_frame_over_different_rr(tmp_path, matrix):
    frames = beating()
    for k, beat in enumerate((800.0, 900.0, 1000.0, 900.0)):
        place = matrix.copy()
        place[:3, 3] += k * matrix[:3, 2]
        write_planes(tmp_path, frames[:, k : k + 1], place, np.arange(10) * beat / 10, beat, number=k)
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    np.testing.assert_allclose(study.cines["sax"].times_ms, np.arange(10) * 90.0)
    assert any("RR interval differs" in note for note in study.notes)


def test_other_frame_counts_are_resampled_over_the_beat(tmp_path, matrix):
    def wave(n):
        return 500 + 400 * np.cos(2 * np.pi * np.arange(n) / n)

    for k, n in enumerate((20, 20, 30, 20)):
        place = matrix.copy()
        place[:3, 3] += k * matrix[:3, 2]
        frames = np.broadcast_to(wave(n)[:, None, None, None], (n, 1, 8, 8))
        beat = 700.0 + 100 * k
        write_planes(tmp_path, frames, place, np.arange(n) * beat / n, beat, number=k)
    study = read_study(tmp_path)
    curve = study.cines["sax"].frames[:, 2, 0, 0]
    assert study.cines["sax"].n_frames == 20
    np.testing.assert_allclose(curve, wave(20), atol=6)
    assert any("resampled in time" in note for note in study.notes)


def test_a_missing_slice_is_interpolated_and_reported(tmp_path, matrix):
    frames = beating(n_slices=6)
    for k in (0, 1, 2, 4, 5):
        place = matrix.copy()
        place[:3, 3] += k * matrix[:3, 2]
        write_planes(tmp_path, frames[:, k : k + 1], place, TIMES, number=k)
    study = read_study(tmp_path)
    cine = study.cines["sax"]
    expected = frames.copy()
    expected[:, 3] = (frames[:, 2] + frames[:, 4]) / 2
    np.testing.assert_allclose(cine.frames, expected, atol=0.01)
    np.testing.assert_allclose(cine.ijk_to_lps, matrix, atol=1e-3)
    assert any("missing slices" in note and "index 3 of 6" in note for note in study.notes)


def test_uneven_gaps_are_resampled_and_reported(tmp_path, matrix):
    offsets = np.array([0.0, 10.0, 20.0, 34.0, 44.0])
    for k, offset in enumerate(offsets):
        place = matrix.copy()
        place[:3, 3] += offset / 10.0 * matrix[:3, 2]
        # Brightness is the position, so that linear resampling keeps it.
        write_planes(tmp_path, np.full((10, 1, 8, 8), 100 + 10 * offset), place, TIMES, number=k)
    study = read_study(tmp_path)
    cine = study.cines["sax"]
    assert cine.n_slices == 5
    assert cine.spacing[2] == pytest.approx(11.0, abs=1e-3)
    np.testing.assert_allclose(cine.frames[0, :, 0, 0], 100 + 110 * np.arange(5), atol=0.05)
    assert any("uneven slice gaps" in note for note in study.notes)


def test_a_slice_shifted_in_plane_is_put_on_the_common_grid(tmp_path, matrix):
    ramp = 50.0 + 10 * np.arange(20)[None] + 0 * np.arange(24)[:, None]
    for k in range(4):
        place = matrix.copy()
        place[:3, 3] += k * matrix[:3, 2]
        shift = 2.5 if k == 2 else 0.0
        place[:3, 3] += shift * matrix[:3, 0]
        write_planes(tmp_path, np.broadcast_to(ramp + 10 * shift, (10, 1, 24, 20)), place, TIMES, number=k)
    study = read_study(tmp_path)
    cine = study.cines["sax"]
    np.testing.assert_allclose(cine.frames[0, 2, :, 4:], ramp[:, 4:], atol=0.6)
    np.testing.assert_allclose(cine.ijk_to_lps, matrix, atol=1e-3)
    assert any("resampled in plane" in note for note in study.notes)


def test_of_a_plane_taken_twice_the_last_complete_one_stays(tmp_path, matrix):
    frames, again, broken = beating(), beating(seed=1), beating(seed=2)
    write_planes(tmp_path / "first", frames, matrix, TIMES, series_per_slice=True, number=1)
    place = matrix.copy()
    place[:3, 3] += matrix[:3, 2]
    write_planes(tmp_path / "again", again[:, 1:2], place, TIMES, number=20, acquired="120500")
    write_planes(tmp_path / "stopped", broken[:4, 1:2], place, TIMES[:4], number=21, acquired="120700")
    study = read_study(tmp_path)
    expected = frames.copy()
    expected[:, 1] = again[:, 1]
    np.testing.assert_array_equal(study.cines["sax"].frames, expected)
    assert any("series 2 (first)" in reason and "last complete" in reason for reason in study.left_out)
    assert any("series 21 (stopped)" in reason and "more complete" in reason for reason in study.left_out)


def test_scouts_maps_and_other_techniques_are_left_out_and_listed(tmp_path, matrix):
    frames = beating()
    write_planes(tmp_path / "sax", frames, matrix, TIMES)
    write_planes(tmp_path / "scout", frames[:1], oblique_matrix(seed=8), TIMES, description="localizer", number=40)
    write_planes(tmp_path / "perf", frames, matrix, np.full(10, 120.0), description="perfusion", number=41)
    write_planes(tmp_path / "tag", beating(seed=5), matrix, TIMES, number=42, sequence="*fl2d", description="tagging")
    kinds = ["ORIGINAL", "PRIMARY", "P"]
    write_planes(tmp_path / "flow", frames, matrix, TIMES, number=43, image_type=kinds, description="flow")
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    text = "\n".join(study.left_out)
    for name, reason in [
        ("localizer", "a single image"),
        ("perfusion", "images of the same phase"),
        ("tagging", "another technique"),
        ("flow", "p images, not magnitude"),
    ]:
        assert any(name in line and reason in line for line in study.left_out), text


def test_files_that_are_not_images_do_no_harm(tmp_path, matrix):
    write_planes(tmp_path, beating(), matrix, TIMES)
    (tmp_path / "README").write_text("study of a phantom")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / ".hidden.dcm").write_bytes(b"\0" * 128 + b"DICMrubbish")
    assert read_study(tmp_path).cines["sax"].n_slices == 4


def test_no_preamble_is_read(tmp_path, matrix):
    frames = beating()
    for path in write_planes(tmp_path, frames, matrix, TIMES):
        path.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


def test_truncated_pixels_name_the_file(tmp_path, matrix):
    paths = write_planes(tmp_path, beating(), matrix, TIMES)
    paths[7].write_bytes(paths[7].read_bytes()[:-200])
    with pytest.raises(InputError, match=f"{paths[7].name}.*truncated"):
        read_study(tmp_path)


def test_truncated_header_names_the_file(tmp_path, matrix):
    paths = write_planes(tmp_path, beating(), matrix, TIMES)
    paths[3].write_bytes(paths[3].read_bytes()[:700])
    with pytest.raises(InputError, match=f"{paths[3].name}.*truncated"):
        read_study(tmp_path)


def test_ct_is_refused(tmp_path, matrix):
    write_planes(tmp_path, beating(), matrix, TIMES, modality="CT")
    with pytest.raises(InputError, match="CT images"):
        read_study(tmp_path)


def test_a_single_plane_is_no_study_but_an_image(tmp_path, matrix):
    frames = beating(n_slices=1)
    write_planes(tmp_path / "a", frames, matrix, TIMES)
    write_planes(tmp_path / "b", frames, oblique_matrix(seed=9), TIMES, number=2)
    with pytest.raises(InputError, match="no short-axis"):
        read_study(tmp_path)
    cine = read_image(tmp_path / "a", view="4ch")
    np.testing.assert_array_equal(cine.frames, frames)
    assert cine.view == "4ch"
    np.testing.assert_allclose(cine.ijk_to_lps, matrix, atol=1e-3)


@pytest.mark.parametrize(("n_frames", "n_slices", "what"), [(1, 4, "frame"), (10, 1, "slice")])
def test_one_frame_or_one_slice_is_said_clearly(tmp_path, matrix, n_frames, n_slices, what):
    write_planes(tmp_path, beating(n_frames, n_slices), matrix, TIMES, description="cine sax")
    study = read_study(tmp_path)
    assert any(f"only one {what}" in note for note in study.notes)
    with pytest.raises(InputError, match=f"only one {what}"):
        require_cine_stack(study.cines["sax"])


def test_unknown_compression_says_what_to_install(tmp_path, matrix):
    for path in write_planes(tmp_path, beating(), matrix, TIMES):
        dataset = pydicom.dcmread(path)
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        dataset.save_as(path)
    with pytest.raises(InputError, match=r"compressed.*pip install"):
        read_study(tmp_path)


@pytest.mark.parametrize(("compressor", "pydicom_2"), [("JPEG", False), ("JPEG2000", False), ("JPEG", True)])
def test_compressed_studies_are_decoded(tmp_path, matrix, compressor, pydicom_2, monkeypatch):
    """Also with pydicom 2, which Slicer 5.10 brings: it has no ``pydicom.pixels``, and SimpleITK decodes."""
    frames = beating(4, 3)
    for path in write_planes(tmp_path / "study", frames, matrix, TIMES[:4], slope=2.0, intercept=-5.0):
        dataset = pydicom.dcmread(path)
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(tmp_path / "packed.dcm"))
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.Execute(sitk.GetImageFromArray(dataset.pixel_array[None]))
        packed = pydicom.dcmread(tmp_path / "packed.dcm")
        assert packed.file_meta.TransferSyntaxUID.is_compressed
        dataset.PixelData = packed.PixelData
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
        dataset.save_as(path)
    if pydicom_2:
        monkeypatch.setitem(sys.modules, "pydicom.pixels", None)
    np.testing.assert_array_equal(read_study(tmp_path / "study").cines["sax"].frames, frames * 2 - 5)


def test_two_patients_are_not_mixed(tmp_path, matrix):
    for n, name in enumerate(("a", "b")):
        for path in write_planes(tmp_path / name, beating(), matrix, TIMES, number=n):
            dataset = pydicom.dcmread(path)
            dataset.PatientID = name
            dataset.save_as(path)
    with pytest.raises(InputError, match="2 patients"):
        read_study(tmp_path)


def test_real_time_over_several_beats_is_no_gated_cine(tmp_path, matrix):
    write_planes(tmp_path, beating(), matrix, np.arange(10) * 300.0)
    with pytest.raises(InputError, match="more than one heart beat"):
        read_study(tmp_path)


def test_one_series_per_frame(tmp_path, matrix):
    frames = beating(6, 3)
    for t in range(6):
        write_planes(tmp_path / f"s{t}", frames[t : t + 1], matrix, TIMES[t : t + 1], number=t)
    cine = read_study(tmp_path).cines["sax"]
    np.testing.assert_array_equal(cine.frames, frames)
    np.testing.assert_allclose(cine.times_ms, TIMES[:6])


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("layout", ["classic", "enhanced"])
def test_damaged_files_are_read_or_refused_in_one_sentence(tmp_path, matrix, layout):
    frames = beating(3, 3, (8, 8))
    if layout == "classic":
        path = write_planes(tmp_path, frames, matrix, TIMES[:3])[4]
    else:
        path = write_enhanced(tmp_path, frames, matrix, TIMES[:3])
    whole, rng, refused = path.read_bytes(), np.random.default_rng(5), 0
    for n in range(40):
        content = bytearray(whole)
        if n % 2:
            content = content[: rng.integers(132, len(content))]
        else:
            content[rng.integers(132, min(len(content), 1400))] = rng.integers(0, 256)
        path.write_bytes(content)
        try:
            # A changed digit may move a frame elsewhere, but nothing breaks.
            assert read_study(tmp_path).cines["sax"].n_frames in (2, 3)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused >= 15


def test_cancel_passes_through(tmp_path, matrix):
    write_planes(tmp_path, beating(), matrix, TIMES)

    def stop(fraction, message):
        if fraction > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        read_study(tmp_path, progress=stop)
