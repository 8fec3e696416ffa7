"""Which DICOM images enter a cine, and what their stored pixels mean."""

import subprocess
import sys

import numpy as np
import pydicom
import pytest
from dicom_factory import oblique_matrix, write_enhanced, write_planes
from pydicom.sequence import Sequence

from CardiacLib.errors import InputError
from CardiacLib.readers import read_image, read_study

TIMES = np.arange(4) * 220.0
MATRIX = oblique_matrix()


def beating(n_frames=4, n_slices=3, shape=(12, 10), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(100, 900, (n_frames, n_slices, *shape)).astype(np.float32)


def change_files(paths, change) -> None:
    for path in paths:
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)


def write_changed(folder, frames, change, **options) -> None:
    write_planes(folder, frames, MATRIX, TIMES, change=lambda dataset, k, t: change(dataset), **options)


NOT_MAGNITUDE = [
    ["ORIGINAL", "PRIMARY", "P", "ND"],
    ["ORIGINAL", "PRIMARY", "R"],
    ["ORIGINAL", "PRIMARY", "I", "NONE"],
    ["ORIGINAL", "PRIMARY", "REAL"],
    ["ORIGINAL", "PRIMARY", "IMAGINARY"],
    ["ORIGINAL", "PRIMARY", "PHASE"],
    ["DERIVED", "PRIMARY", "PHASE MAP", "NONE"],
    ["ORIGINAL", "PRIMARY", "PHASE_MAP"],
    ["ORIGINAL", "PRIMARY", "P_FFE", "P", "FFE"],
    ["ORIGINAL", "PRIMARY", "R_FFE", "R", "FFE"],
    ["ORIGINAL", "PRIMARY", "I_FFE", "I", "FFE"],
    ["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"],
    ["ORIGINAL", "PRIMARY", "VELOCITY MAP", "P", "PCA"],
    ["ORIGINAL", "PRIMARY", "PHASE CONTRAST M", "P", "PCA"],
    ["ORIGINAL", "PRIMARY", "VELOCITY"],
    ["ORIGINAL", "PRIMARY", "OTHER", "PHASE"],
    ["ORIGINAL", "PRIMARY", "M", "VELOCITY_MAP"],
    ["DERIVED", "PRIMARY", "T1 MAP"],
    ["DERIVED", "PRIMARY", "T2_STAR MAP"],
    ["DERIVED", "SECONDARY", "M", "T1MAP"],
    ["DERIVED", "PRIMARY", "ADC"],
    ["DERIVED", "PRIMARY", "M", "QUANTITY"],
    ["DERIVED", "SECONDARY", "SUBTRACTION"],
    ["DERIVED", "SECONDARY", "PROJECTION IMAGE", "MIP"],
    ["DERIVED", "SECONDARY", "SCREEN SAVE"],
    ["DERIVED", "SECONDARY", "SCREENSHOT"],
    ["DERIVED", "SECONDARY", "OTHER", "CSA RESULT"],
    ["ORIGINAL", "PRIMARY", "LOCALIZER"],
    ["ORIGINAL", "PRIMARY", "M", "SCOUT"],
]
MAGNITUDE = [
    ["ORIGINAL", "PRIMARY", "M", "RETRO", "NORM", "DIS2D", "FM1_3", "FIL", "MFSPLIT"],
    ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"],
    ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
    ["ORIGINAL", "PRIMARY", "OTHER"],
    ["ORIGINAL", "PRIMARY", "CINE", "NONE"],
    ["ORIGINAL", "PRIMARY", "REALTIME", "NONE"],
    ["DERIVED", "SECONDARY"],
    ["ORIGINAL", "PRIMARY", "MAGNITUDE"],
    [],
]


@pytest.fixture(scope="module")
def magnitude(tmp_path_factory):
    """Files of ``beating()``, series 1.2.3."""
    folder = tmp_path_factory.mktemp("magnitude")
    write_planes(folder, beating(), MATRIX, TIMES, series_uid="1.2.3")
    return folder


@pytest.mark.parametrize("kinds", NOT_MAGNITUDE, ids="-".join)
def test_only_magnitude_enters(magnitude, tmp_path, kinds):
    """Beside the magnitude images of the same places and times, in the same series."""
    frames = beating()
    (tmp_path / "m").symlink_to(magnitude, target_is_directory=True)
    write_planes(tmp_path / "other", beating(seed=4), MATRIX, TIMES, series_uid="1.2.3", image_type=kinds)
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert any("12 " in line and "not magnitude" in line for line in study.left_out)


@pytest.mark.parametrize("kinds", NOT_MAGNITUDE[::5], ids="-".join)
def test_without_magnitude_the_refusal_names_the_kind(tmp_path, kinds):
    write_planes(tmp_path, beating(), MATRIX, TIMES, image_type=kinds, description="cine_sax")
    for read in (read_study, read_image):
        with pytest.raises(InputError, match="images, not magnitude"):
            read(tmp_path)


@pytest.mark.parametrize("kinds", MAGNITUDE, ids="-".join)
def test_every_spelling_of_magnitude_is_read(tmp_path, kinds):
    frames = beating()
    write_planes(tmp_path, frames, MATRIX, TIMES, image_type=kinds)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


@pytest.mark.parametrize("element", ["ComplexImageComponent", "FrameType"])
@pytest.mark.parametrize("value", ["PHASE", "REAL", "IMAGINARY"])
def test_frames_of_an_enhanced_file_say_their_own_kind(tmp_path, element, value):
    """Magnitude frames first, then others at the same places and times."""
    frames = beating()
    both = np.concatenate([frames, beating(seed=9)])
    path = write_enhanced(tmp_path, both, MATRIX, np.tile(TIMES, 2), image_type=["ORIGINAL", "PRIMARY", "P", "MIXED"])
    dataset = pydicom.dcmread(path)
    for n, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        kind = pydicom.Dataset()
        other = n >= frames.shape[0] * frames.shape[1]
        kind.FrameType = ["ORIGINAL", "PRIMARY", value if other and element == "FrameType" else "CINE", "NONE"]
        kind.ComplexImageComponent = value if other and element != "FrameType" else "MAGNITUDE"
        group.MRImageFrameTypeSequence = Sequence([kind])
    dataset.save_as(path)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


def test_private_kind_of_ge_and_colours(tmp_path):
    frames = beating()

    def phase(dataset):
        dataset.Manufacturer = "GE MEDICAL SYSTEMS"
        dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", 1)

    def colour(dataset):
        dataset.PhotometricInterpretation = "PALETTE COLOR"

    write_planes(tmp_path / "m", frames, MATRIX, TIMES)
    write_changed(tmp_path / "p", beating(seed=1), phase, number=2, image_type=["ORIGINAL", "PRIMARY", "OTHER"])
    write_changed(tmp_path / "c", beating(seed=2), colour, number=3)
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert any("phase images" in line for line in study.left_out)
    assert any("colour images" in line for line in study.left_out)


def volume(dataset):
    dataset.MRAcquisitionType = "3D"


@pytest.mark.parametrize("n_frames", [1, 2])
def test_a_volume_or_localiser_never_is_the_short_axis(tmp_path, n_frames):
    """Also under a name that says so, and taken twice."""
    for name, change in (("3-D localizer sax", lambda dataset: None), ("volume sax", volume)):
        folder = tmp_path / name
        write_changed(folder, beating(n_frames, 12), change, trigger=False, description=name)
        with pytest.raises(InputError, match="no short-axis"):
            read_study(folder)


def test_another_kind_of_object_is_another_modality(tmp_path):
    frames = beating()

    def tomography(dataset):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"

    write_planes(tmp_path / "a", frames, MATRIX, TIMES)
    write_changed(tmp_path / "b", beating(seed=1), tomography, number=2)
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert any("12 CT images" in line for line in study.left_out)
    with pytest.raises(InputError, match="CT images"):
        read_study(tmp_path / "b")


def test_a_blank_modality_of_an_mr_object_is_mr(tmp_path):
    frames = beating()
    write_planes(tmp_path, frames, MATRIX, TIMES, modality="")
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


# Stored values


def negative(white):
    def change(dataset):
        dataset.PixelData = (white - dataset.pixel_array.astype(int)).astype(np.uint16).tobytes()
        dataset.PhotometricInterpretation = "MONOCHROME1"

    return change


@pytest.mark.parametrize(("white", "bits"), [(4095, 12), (4095, 16), (1023, 10), (65535, 16)])
@pytest.mark.parametrize("scaling", [(1.0, 0.0), (2.0, -5.0)])
def test_monochrome1_is_turned_over(tmp_path, white, bits, scaling):
    frames = beating()

    def change(dataset):
        negative(white)(dataset)
        dataset.BitsStored, dataset.HighBit = bits, bits - 1

    write_changed(tmp_path, frames, change, slope=scaling[0], intercept=scaling[1])
    found = read_study(tmp_path).cines["sax"].frames
    difference = found - frames * scaling[0] - scaling[1]
    np.testing.assert_array_equal(difference, difference.flat[0])
    assert found.min() >= scaling[1]


def test_one_slice_stored_as_monochrome1(tmp_path):
    frames = beating()
    frames[:, :, 0, 0] = 0
    change_files(write_planes(tmp_path, frames, MATRIX, TIMES)[4:8], negative(4095))
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


@pytest.mark.parametrize("layout", ["classic", "enhanced"])
@pytest.mark.parametrize(
    ("padding", "limit", "signed"),
    [(65535, None, False), (5000, 6000, False), (6000, 5000, False), (-2000, None, True)],
)
@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_no_signal(tmp_path, layout, padding, limit, signed, inverted):
    frames = beating()
    edge = np.zeros(frames.shape, bool)
    edge[..., :2] = True

    def change(dataset):
        values = dataset.pixel_array.astype(int)
        if inverted:
            values = 1023 - values
            dataset.PhotometricInterpretation = "MONOCHROME1"
        values[..., :2] = padding if limit is None else (padding + limit) // 2
        dataset.PixelRepresentation = int(signed)
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.PixelData = values.astype(np.int16 if signed else np.uint16).tobytes()
        dataset.add_new("PixelPaddingValue", "SS" if signed else "US", padding)
        if limit is not None:
            dataset.add_new("PixelPaddingRangeLimit", "SS" if signed else "US", limit)

    if layout == "classic":
        paths = write_planes(tmp_path, frames, MATRIX, TIMES)
    else:
        paths = [write_enhanced(tmp_path, frames, MATRIX, TIMES)]
    change_files(paths, change)
    found = read_study(tmp_path).cines["sax"].frames
    np.testing.assert_array_equal(found[~edge], frames[~edge])
    assert found[edge].max() <= frames[~edge].min() + 50
    assert found[edge].min() >= frames[~edge].min()


def test_a_padding_value_that_no_pixel_has_changes_nothing(tmp_path):
    frames = beating()
    write_changed(tmp_path, frames, lambda dataset: dataset.add_new("PixelPaddingValue", "US", 0))
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


@pytest.mark.parametrize("layout", ["classic", "enhanced"])
def test_a_slope_of_zero_is_named(tmp_path, layout):
    if layout == "classic":
        write_planes(tmp_path, beating(), MATRIX, TIMES, slope=0.0)
    else:
        write_enhanced(tmp_path, beating(), MATRIX, TIMES, slope=0.0)
    for read in (read_study, read_image):
        with pytest.raises(InputError, match="rescale slope of 0"):
            read(tmp_path)


@pytest.mark.parametrize(("bits", "signed"), [(8, False), (9, False), (9, True)])
def test_bits_that_the_pixels_contradict_are_named(tmp_path, bits, signed):
    def change(dataset):
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, int(signed)

    write_changed(tmp_path, beating(), change)
    with pytest.raises(InputError, match=f"BitsStored says {bits} bits, but its pixels go"):
        read_study(tmp_path)


def test_an_overlay_in_the_upper_bits_is_cut_off(tmp_path):
    frames = beating()

    def change(dataset):
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.add_new((0x6000, 0x0100), "US", 16)
        dataset.add_new((0x6000, 0x0102), "US", 12)
        values = dataset.pixel_array.copy()
        values[:3] |= 1 << 12
        dataset.PixelData = values.tobytes()

    write_changed(tmp_path, frames, change)
    np.testing.assert_array_equal(read_study(tmp_path).cines["sax"].frames, frames)


# Refusals name the reason


@pytest.mark.parametrize("number", [2, 25])
def test_number_of_frames_in_a_classic_file_is_named(tmp_path, number):
    paths = write_planes(tmp_path, beating(), MATRIX, TIMES)
    change_files(paths, lambda dataset: setattr(dataset, "NumberOfFrames", number))
    for read in (read_study, read_image):
        with pytest.raises(
            InputError, match=rf"multi-frame DICOM file of {number} frames \(NumberOfFrames\) without functional groups"
        ):
            read(tmp_path)


def test_one_such_file_among_good_ones_is_listed(tmp_path):
    frames = beating(9)
    paths = write_planes(tmp_path, frames, MATRIX, np.arange(9) * 100.0)
    change_files(paths[8::9], lambda dataset: setattr(dataset, "NumberOfFrames", 3))
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames[:8])
    assert sum("(NumberOfFrames) without functional groups" in line for line in study.left_out) == 3


def test_a_damaged_file_is_named_with_the_reason(tmp_path):
    paths = write_planes(tmp_path, beating(), MATRIX, TIMES)
    paths[7].write_bytes(paths[7].read_bytes()[:-100])
    with pytest.raises(InputError, match=rf"{paths[7].name}: .*truncated or damaged \(.*bytes"):
        read_study(tmp_path)


@pytest.mark.slow
def test_warnings_of_pydicom_reach_the_log_and_not_the_terminal(tmp_path):
    paths = write_planes(tmp_path, beating(), MATRIX, TIMES)
    for path in paths[:3]:
        content, uid = path.read_bytes(), pydicom.dcmread(path).SOPInstanceUID.encode()
        path.write_bytes(content.replace(uid, b"x" + uid[1:]))
    read = f"from CardiacLib.readers import read_study; read_study({str(tmp_path)!r})"
    for log, found in (
        ("", False),
        (f"import logging; logging.basicConfig(filename={str(tmp_path / '.log')!r})", True),
    ):
        said = subprocess.run([sys.executable, "-c", f"{log}\n{read}"], capture_output=True, text=True, check=True)
        assert said.stdout + said.stderr == ""
        assert ("Invalid value for VR UI" in (tmp_path / ".log").read_text() if log else False) == found
