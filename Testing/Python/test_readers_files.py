"""Image and label files as they come: NIfTI with odd headers, NRRD, Slicer sequences, segmentations, ACDC."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_factory import oblique_matrix

from CardiacLib import InputError
from CardiacLib.datasets.acdc import read_acdc_patient
from CardiacLib.geometry import direction_of, matrix_of, orthonormality_error, to_sitk
from CardiacLib.readers import read_image, read_labels, read_study, require_cine_stack
from CardiacLib.readers.nifti import read_nifti
from CardiacLib.readers.raw import NO_TIMES

DATA = Path(os.environ.get("CINEHEART_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def nifti_bytes(array, affine_ras, pixdim=None, codes=(0, 1), units=2 | 8, step=0.04, scaling=(1.0, 0.0), order="<"):
    """A NIfTI-1 file made by hand, so that headers may be as wrong as in the wild."""
    header = bytearray(352)
    dims = (array.ndim, *array.shape[::-1]) + (1,) * (7 - array.ndim)
    spacing = np.linalg.norm(affine_ras[:3, :3], axis=0) if pixdim is None else pixdim
    kind = {"i2": (4, 16), "f4": (16, 32), "u1": (2, 8)}[array.dtype.str[1:]]
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, *dims)
    struct.pack_into(order + "2h", header, 70, *kind)
    struct.pack_into(order + "8f", header, 76, 1.0, *spacing, step, 1, 1, 1)
    struct.pack_into(order + "3f", header, 108, 352.0, *scaling)
    header[123] = units
    struct.pack_into(order + "2h", header, 252, *codes)
    struct.pack_into(order + "12f", header, 280, *np.asarray(affine_ras, float)[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header) + array.astype(array.dtype.newbyteorder(order)).tobytes()


LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(-50, 900, (5, 3, 7, 6)).astype(np.int16)


def test_nifti_agrees_with_simpleitk(tmp_path, frames):
    matrix = oblique_matrix()
    for name, array in (("a.nii.gz", frames[0]), ("b.nii", frames[0].astype(np.float32) * 0.37)):
        sitk.WriteImage(to_sitk(array, matrix), str(tmp_path / name))
        raw = read_nifti(tmp_path / name)
        image = sitk.ReadImage(str(tmp_path / name))
        np.testing.assert_array_equal(raw.array[0], sitk.GetArrayFromImage(image))
        np.testing.assert_allclose(raw.ijk_to_lps, matrix_of(image), atol=2e-5)
        np.testing.assert_allclose(raw.ijk_to_lps, matrix, atol=2e-5)


def test_nifti_byte_order_scaling_and_qform(tmp_path, frames):
    affine = LPS_RAS @ oblique_matrix()
    path = tmp_path / "big.nii"
    path.write_bytes(nifti_bytes(frames, affine, order=">", scaling=(2.0, 5.0)))
    raw = read_nifti(path)
    np.testing.assert_array_equal(raw.array, frames * 2.0 + 5.0)
    np.testing.assert_allclose(raw.ijk_to_lps, oblique_matrix(), atol=1e-5)
    np.testing.assert_allclose(raw.times_ms, 40.0 * np.arange(5), rtol=1e-6)


def test_directions_not_quite_orthonormal(tmp_path, frames):
    affine = LPS_RAS @ oblique_matrix()
    affine[:3, 0] += 0.01 * affine[:3, 1]
    path = tmp_path / "skew.nii"
    path.write_bytes(nifti_bytes(frames[0], affine))
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(path))
    cine = read_image(path)
    assert orthonormality_error(direction_of(cine.ijk_to_lps)) < 1e-12
    np.testing.assert_allclose(cine.ijk_to_lps, oblique_matrix(), atol=0.02)
    assert any("not orthonormal" in note for note in cine.notes)


def test_sform_without_scales_takes_the_voxel_size(tmp_path, frames):
    path = tmp_path / "acdc_like.nii.gz"
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    path.write_bytes(gzip.compress(nifti_bytes(frames[0], affine, pixdim=(1.5, 1.25, 10.0), codes=(0, 2))))
    cine = read_image(path)
    np.testing.assert_allclose(cine.ijk_to_lps, np.diag([1.5, 1.25, 10.0, 1.0]))
    assert any("sform scales" in note for note in cine.notes)


@pytest.mark.parametrize(
    ("units", "step", "expected", "noted"),
    [(2 | 8, 0.04, 40.0, False), (2 | 16, 40.0, 40.0, False), (2 | 16, 0.04, 40.0, True)],
)
def test_time_units(tmp_path, frames, units, step, expected, noted):
    path = tmp_path / "t.nii"
    path.write_bytes(nifti_bytes(frames, np.eye(4), units=units, step=step))
    cine = read_image(path)
    np.testing.assert_allclose(cine.times_ms, expected * np.arange(5), rtol=1e-6)
    assert any("frame" in note for note in cine.notes) == noted
    assert (cine.patient.heart_rate_bpm is not None) == (not noted)


@pytest.mark.parametrize(("units", "step"), [(2, 1.0), (2 | 8, 0.0), (2 | 16, 0.0), (2 | 8, 1e9)])
def test_no_time_is_invented(tmp_path, frames, units, step):
    path = tmp_path / "t.nii"
    path.write_bytes(nifti_bytes(frames, np.eye(4), units=units, step=step))
    cine = read_image(path)
    assert cine.times_ms is None and cine.patient.heart_rate_bpm is None and NO_TIMES in cine.notes


def test_slices_without_times_make_a_stack_without_times(tmp_path, frames):
    for k in range(4):
        affine = np.diag([1.5, 1.5, 8.0, 1.0])
        affine[2, 3] = 8.0 * k
        one = np.ascontiguousarray(frames[:, :1])
        (tmp_path / f"sax_slice{k}.nii").write_bytes(nifti_bytes(one, affine, units=2, step=0.0))
    study = read_study(tmp_path)
    assert study.cines["sax"].times_ms is None and study.cines["sax"].n_slices == 4
    assert study.patient.heart_rate_bpm is None


def test_one_slice_in_four_dimensions(tmp_path):
    path = tmp_path / "lax.nii"
    path.write_bytes(nifti_bytes(np.zeros((32, 1, 8, 9), np.int16), np.eye(4)))
    assert read_image(path, view="4ch").frames.shape == (32, 1, 8, 9)


def test_bad_nifti_files(tmp_path, frames):
    good = nifti_bytes(frames, np.eye(4))
    nan = np.full((2, 3, 4, 5), np.nan, np.float32)
    for name, content, message in [
        ("short.nii", good[:-100], "truncated"),
        ("short.nii.gz", gzip.compress(good)[:-100], "truncated or damaged"),
        ("flat.nii", nifti_bytes(frames[0, 0], np.eye(4)), "2-D image"),
        ("nan.nii", nifti_bytes(nan, np.eye(4)), "NaN"),
        ("text.nii", b"not an image", "not a NIfTI"),
        ("text.nrrd", b"not an image", "not an NRRD"),
        ("picture.png", b"\x89PNG", "2-D picture"),
        ("numbers.npy", b"\x93NUMPY", "no DICOM, NIfTI or NRRD"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.*{message}"):
            read_image(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "nothing.nii")


def test_bad_study_folders(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_study(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        read_study(tmp_path / "empty")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "slice.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match="2-D pictures"):
        read_study(tmp_path / "flat")


def test_a_study_of_one_volume_says_that_it_has_one_frame(tmp_path, frames):
    (tmp_path / "volume.nii").write_bytes(nifti_bytes(frames[0], np.eye(4)))
    study = read_study(tmp_path)
    assert any("only one frame" in note for note in study.notes)
    with pytest.raises(InputError, match="only one frame"):
        require_cine_stack(study.cines["sax"])


def test_numbered_volumes_of_one_folder_are_frames(tmp_path, frames):
    frames = (frames // 8 + frames[0]).astype(np.int16)  # of one heart: alike
    for t in (0, 4, 2, 3, 1):
        (tmp_path / f"sax_{t + 8}.nii").write_bytes(nifti_bytes(frames[t], np.eye(4)))
    study = read_study(tmp_path)
    np.testing.assert_array_equal(study.cines["sax"].frames, frames)
    assert any("5 single-frame files" in note for note in study.notes)


def nrrd(path, header, array):
    path.write_bytes(("NRRD0005\n" + header + "\nencoding: raw\nendian: little\n\n").encode() + array.tobytes())


def test_nrrd_with_frames_on_the_first_axis_and_uneven_times(tmp_path, frames):
    header = (
        "# Slicer\ntype: short\ndimension: 4\nspace: right-anterior-superior\nsizes: 5 6 7 3\n"
        "space directions: none (1.5,0,0) (0,2,0) (0,0,8)\nkinds: list domain domain domain\n"
        'units: "s" "mm" "mm" "mm"\nspace origin: (10,20,30)\naxis 0 index type:=numeric\n'
        "axis 0 index values:=0 0.15 0.35 0.5 0.6"
    )
    nrrd(tmp_path / "a.seq.nrrd", header, np.ascontiguousarray(np.moveaxis(frames, 0, -1)))
    cine = read_image(tmp_path / "a.seq.nrrd")
    np.testing.assert_array_equal(cine.frames, frames)
    np.testing.assert_allclose(cine.times_ms, [0, 150, 350, 500, 600])
    expected = np.diag([-1.5, -2.0, 8.0, 1.0])
    expected[:3, 3] = (-10, -20, 30)
    np.testing.assert_allclose(cine.ijk_to_lps, expected)


def test_nrrd_written_by_itk_in_four_dimensions(tmp_path, frames):
    image = sitk.GetImageFromArray(frames, isVector=False)
    image.SetSpacing((1.5, 1.2, 8.0, 0.04))
    image.SetOrigin((1.0, 2.0, 3.0, 0.0))
    sitk.WriteImage(image, str(tmp_path / "itk.nrrd"))
    sitk.WriteImage(image, str(tmp_path / "itk.mha"))
    for name in ("itk.nrrd", "itk.mha"):
        cine = read_image(tmp_path / name)
        np.testing.assert_array_equal(cine.frames, frames)
        np.testing.assert_allclose(cine.times_ms, 40 * np.arange(5))
        np.testing.assert_allclose(cine.spacing, (1.5, 1.2, 8.0))
        np.testing.assert_allclose(cine.ijk_to_lps[:3, 3], (1, 2, 3))


def test_bad_nrrd_files(tmp_path, frames):
    base = "type: short\ndimension: 3\nsizes: 6 7 3\nspace: {}\nspace directions: (1,0,0) (0,1,0) (0,0,1)"
    nrrd(tmp_path / "short.nrrd", base.format("left-posterior-superior"), frames[0, :2])
    with pytest.raises(InputError, match=r"short\.nrrd.*truncated"):
        read_image(tmp_path / "short.nrrd")
    nrrd(tmp_path / "scanner.nrrd", base.format("scanner-xyz"), frames[0])
    with pytest.raises(InputError, match="scanner-xyz"):
        read_image(tmp_path / "scanner.nrrd")
    nrrd(tmp_path / "flat.nrrd", "type: short\ndimension: 2\nsizes: 6 7", frames[0, 0])
    with pytest.raises(InputError, match="2-D image"):
        read_image(tmp_path / "flat.nrrd")


def labels_file(tmp_path, array):
    path = tmp_path / "labels.nii"
    path.write_bytes(nifti_bytes(array, np.eye(4)))
    return path


def test_label_values(tmp_path):
    values = np.arange(60).reshape(1, 3, 4, 5) % 5
    for dtype in (np.uint8, np.int16, np.float32):
        read = read_labels(labels_file(tmp_path, values.astype(dtype)))
        np.testing.assert_array_equal(read.labels, values)
        assert read.labels.dtype == np.uint8
    for wrong, message in [
        ((values > 2) * 255, "0, 255; known labels"),
        (values - 1, "-1, 0"),
        (values * 0.5, "fractions"),
        (np.where(values == 1, np.nan, values), "NaN"),
    ]:
        with pytest.raises(InputError, match=message):
            read_labels(labels_file(tmp_path, wrong.astype(np.float32)))


def segmentation(path, names_and_tags, layers):
    lines = "type: unsigned char\ndimension: 4\nspace: left-posterior-superior\nsizes: 2 5 4 3\n"
    lines += "space directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: list domain domain domain\nspace origin: (0,0,0)"
    for n, (name, tags) in enumerate(names_and_tags):
        lines += f"\nSegment{n}_Name:={name}\nSegment{n}_LabelValue:={n // 2 + 1}\nSegment{n}_Layer:={n % 2}"
        lines += f"\nSegment{n}_Tags:={tags}"
    nrrd(path, lines, np.ascontiguousarray(np.moveaxis(layers, 0, -1)))


def test_segmentation_layers_by_name_and_by_code(tmp_path):
    layers = np.zeros((2, 3, 4, 5), np.uint8)
    layers[0, :, 0], layers[1, :, 1], layers[0, :, 2], layers[1, :, 3] = 1, 1, 2, 2
    tags = "TerminologyEntry:x~SCT^85756007^Tissue~SCT^{}^y~^^~~^^~^^|"
    named = [("RV", ""), ("Segment_2", tags.format("74281007^")), ("left ventricle", ""), ("RV wall", "")]
    segmentation(tmp_path / "a.seg.nrrd", named, layers)
    labels = read_labels(tmp_path / "a.seg.nrrd").labels
    assert labels.shape == (1, 3, 4, 5)
    np.testing.assert_array_equal(labels[0, 0, :, 0], [3, 2, 1, 4])
    segmentation(tmp_path / "b.seg.nrrd", [("Left atrium", ""), *named[1:]], layers)
    with pytest.raises(InputError, match="'Left atrium' is none"):
        read_labels(tmp_path / "b.seg.nrrd")


@pytest.mark.skipif(not (DATA / "acdc_train").is_dir(), reason="development data not there")
def test_acdc_patient():
    patient = read_acdc_patient(DATA / "acdc_train" / "patient021")
    (ed, ed_labels), (_, es_labels) = patient.ed, patient.es
    assert (patient.name, patient.group, patient.height_m, patient.weight_kg) == ("patient021", "HCM", 1.92, 110.0)
    assert ed.frames.shape == ed_labels.labels.shape
    assert ed.spacing[2] >= 5
    # The heart empties from end-diastole to end-systole; myocardium surrounds the LV pool, not the RV pool.
    assert ed_labels.volume_ml(1)[0] > 1.3 * es_labels.volume_ml(1)[0]
    assert 60 < ed_labels.volume_ml(1)[0] < 300
    near = np.argwhere(ed_labels.labels[0] == 1).mean(0) - np.argwhere(ed_labels.labels[0] == 2).mean(0)
    far = np.argwhere(ed_labels.labels[0] == 3).mean(0) - np.argwhere(ed_labels.labels[0] == 2).mean(0)
    assert np.linalg.norm(near[1:]) < 0.5 * np.linalg.norm(far[1:])
    assert ed.patient.height_m == 1.92
    with pytest.raises(InputError, match=r"Info\.cfg is missing"):
        read_acdc_patient(DATA / "study")
