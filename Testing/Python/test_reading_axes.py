"""Axes and frames of reference: slices along any axis, labels on other axes, sform against qform, lost voxel size."""

import itertools

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from BiVMeshLib import MeshOptions
from BiVMeshLib.result import MeshChoice
from CardiacLib.errors import InputError
from CardiacLib.file_grid import with_slices_along
from CardiacLib.geometry import apply, index_of, matrix_of, slice_normal, spacing_of, to_sitk
from CardiacLib.label_axes import on_short_axis, opening, tilt_deg
from CardiacLib.readers import read_image, read_labels
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.values import read_value, write_value
from CardiacLib.writers.images import write_cine, write_labels, write_segmentation_nrrd
from CardiacSegLib import measure
from cineheart import steps

PLAIN = {"optimise": False, "fibres": False, "coordinates": False}
ROUGH = MeshChoice(options=MeshOptions(edge_length_mm=5.0, rv_wall_mm=8.0, grid_mm=2.0, **PLAIN))
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def turned(path, cine, order):
    """A NIfTI file of a cine with its axes in another order: ``order`` is the axis of the cine that each one is."""
    array = cine.frames.transpose(0, 3, 2, 1).transpose(0, *(1 + axis for axis in order))
    affine = RAS @ cine.ijk_to_lps[:, [*order, 3]]
    nib.save(nib.Nifti1Image(np.moveaxis(array, 0, -1).astype(np.int16), affine), path)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_slices_along_any_axis(tmp_path, phantom, order):
    cine = phantom.cines["sax"].only([0, 3])
    turned(tmp_path / "turned.nii.gz", cine, order)
    read = read_image(tmp_path / "turned.nii.gz")
    assert read.frames.shape[:2] == (2, 13)
    assert any("permuted" in note for note in read.notes) == (order[2] != 2)
    corners = np.array(list(itertools.product((0, 95), (0, 95), (0, 12))), float)
    for corner in corners:
        i, j, k = np.rint(index_of(read.ijk_to_lps, apply(cine.ijk_to_lps, corner))).astype(int)
        a, b, c = corner.astype(int)
        np.testing.assert_array_equal(read.frames[:, k, j, i], np.rint(cine.frames[:, c, b, a]))
    write_cine(tmp_path / "back.nii.gz", read)
    back, file = nib.load(tmp_path / "back.nii.gz"), nib.load(tmp_path / "turned.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(back.dataobj), np.asanyarray(file.dataobj))
    np.testing.assert_allclose(back.affine, file.affine, atol=1e-4)


@pytest.mark.parametrize("axis", (0, 1))
def test_results_come_on_the_grid_of_the_file(tmp_path, phantom, axis):
    """Labels made on a permuted image are written, and read again, as the image lies in its file."""
    whole = phantom.labels.only([0])
    order = (2, 0, 1) if axis == 0 else (0, 2, 1)
    turned(tmp_path / "labels.nii.gz", Cine(whole.labels, whole.ijk_to_lps, None), order)
    labels = read_labels(tmp_path / "labels.nii.gz")
    assert labels.volume_ml(1) == pytest.approx(whole.volume_ml(1))
    write_labels(tmp_path / "again.nii.gz", labels)
    file = nib.load(tmp_path / "labels.nii.gz")
    assert nib.load(tmp_path / "again.nii.gz").shape == file.shape[:3]
    write_segmentation_nrrd(tmp_path / "again.seg.nrrd", labels)
    header = nrrd.read_header(str(tmp_path / "again.seg.nrrd"))
    np.testing.assert_allclose(RAS[:3, :3] @ header["space directions"].T, file.affine[:3, :3], atol=1e-4)
    write_value(tmp_path / "labels.npz", labels)
    assert read_value(tmp_path / "labels.npz").grid == labels.grid


def test_one_slice_and_few_slices_of_unlike_spacing(tmp_path, phantom):
    """One image row of an array is one slice; slices nearer than pixels are wide are told by their number."""
    frame = phantom.cines["4ch"].frames[:, 0]
    nib.save(nib.Nifti1Image(np.moveaxis(frame, 0, -1)[None], np.diag([1.0, 1.5, 1.5, 1.0])), tmp_path / "one.nii")
    assert read_image(tmp_path / "one.nii", "4ch").frames.shape[:2] == (8, 1)
    nib.save(nib.Nifti1Image(np.zeros((96, 12, 90), np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "few.nii")
    assert read_image(tmp_path / "few.nii").n_slices == 12
    nib.save(nib.Nifti1Image(np.zeros((96, 80, 90), np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "cube.nii")
    assert read_image(tmp_path / "cube.nii").frames.shape == (1, 90, 80, 96)


def test_permuted_nrrd(tmp_path, phantom):
    cine = phantom.cines["sax"].only([0])
    array, matrix, _ = with_slices_along(cine.frames, cine.ijk_to_lps, 1)
    write_cine(tmp_path / "a.nrrd", Cine(array, matrix, None))
    read = read_image(tmp_path / "a.nrrd")
    assert read.n_slices == 13
    assert abs(slice_normal(read.ijk_to_lps) @ slice_normal(cine.ijk_to_lps)) > 1 - 1e-9


def on_axes(labels: LabelMap, directions: np.ndarray, spacing) -> LabelMap:
    """Labels of one frame on another grid round the heart."""
    held = apply(labels.ijk_to_lps, np.argwhere(labels.labels[0])[:, ::-1]) @ directions
    low, high = held.min(0) - 15, held.max(0) + 15
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = directions * spacing, directions @ low
    shape = np.ceil((high - low) / spacing).astype(int)[::-1]
    k, j, i = np.indices(shape)
    at = np.moveaxis(index_of(labels.ijk_to_lps, apply(matrix, np.stack([i, j, k], -1)))[..., ::-1], -1, 0)
    cut = [ndimage.map_coordinates(volume, at, order=0, mode="nearest") for volume in labels.labels]
    return LabelMap(np.stack(cut), matrix, labels.times_ms, "made")


@pytest.fixture(scope="module")
def whole(little_heart):
    """ED and ES of the phantom, slices filled up to 2 mm between."""
    return little_heart.labels


@pytest.mark.slow
@pytest.mark.parametrize("spacing", ((2.0, 2.0, 2.0), (1.6, 1.6, 3.0)))
def test_labels_along_the_patient_are_cut_anew(tmp_path, whole, spacing):
    patient = on_axes(whole, np.eye(3), np.array(spacing))
    normal = slice_normal(whole.ijk_to_lps)
    assert tilt_deg(patient.labels[0], patient.ijk_to_lps) > 35
    write_labels(tmp_path / "iso.nii.gz", patient)
    labels = read_labels(tmp_path / "iso.nii.gz")
    made = steps.mesh(labels, ROUGH)
    assert any("cut anew across the axis of the LV" in note for note in made.mesh.notes)
    a, b, c = (made.mesh.nodes[made.mesh.patch("BASE")[:, n]] for n in range(3))
    base = np.cross(b - a, c - a).sum(0)
    assert np.degrees(np.arccos(abs(base @ normal) / np.linalg.norm(base))) < 20
    function, expected = measure(labels), measure(whole)
    assert function.lv.ef_percent == pytest.approx(expected.lv.ef_percent, abs=1.5)
    assert any("cut anew" in note for note in function.notes)
    assert function.regional.thickness_ed_mm == pytest.approx(expected.regional.thickness_ed_mm, abs=1.5)


def test_thick_slices_along_the_heart_are_refused(whole):
    axial = on_axes(whole, np.eye(3), np.array([1.5, 1.5, 8.0]))
    with pytest.raises(InputError, match="not drawn on short-axis slices"):
        steps.mesh(axial, ROUGH)
    function = measure(axial)
    assert function.regional is None
    assert any("not drawn on short-axis slices" in note for note in function.notes)
    assert function.lv.edv_ml == pytest.approx(measure(whole).lv.edv_ml, rel=0.03)


def test_short_axis_labels_stay_as_they_are(phantom, ring_labels):
    for labels in (phantom.labels, phantom.labels.only([3])):
        assert on_short_axis(labels) is labels
    axis, clear = opening(phantom.labels.labels[0], phantom.labels.ijk_to_lps)
    assert clear > 0.8
    assert abs(axis @ slice_normal(phantom.labels.ijk_to_lps)) > np.cos(np.radians(20))


@pytest.mark.parametrize(("qcode", "scode"), list(itertools.product((0, 1, 2, 4), (0, 1, 2, 4)))[1:])
@pytest.mark.parametrize("change", ("shift", "turn", "mirror", "none"))
def test_sform_and_qform_as_itk_takes_them(tmp_path, qcode, scode, change):
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    qform = np.eye(4)
    qform[:3, :3], qform[:3, 3] = rotation * [1.5, 1.5, 8.0], (-40, 60, 20)
    other = {
        "shift": np.array([[1, 0, 0, 5.0], [0, 1, 0, -21], [0, 0, 1, -28], [0, 0, 0, 1]]),
        "turn": np.array([[0, -1.0, 0, 3], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        "mirror": np.diag([-1.0, 1, 1, 1]),
        "none": np.eye(4),
    }[change]
    image = nib.Nifti1Image(np.arange(9 * 8 * 7, dtype=np.int16).reshape(9, 8, 7), None)
    image.set_qform(qform, qcode)
    image.set_sform(other @ qform, scode)
    nib.save(image, tmp_path / "both.nii")
    read = read_image(tmp_path / "both.nii")
    np.testing.assert_allclose(read.ijk_to_lps, matrix_of(sitk.ReadImage(str(tmp_path / "both.nii"))), atol=1e-3)
    differ = qcode > 0 and scode > 0 and change != "none"
    assert any("sform and qform" in note for note in read.notes) == differ


def lost_nifti(path, array):
    nib.save(nib.Nifti1Image(array.T, np.eye(4)), path)


def lost_nrrd(path, array):
    nrrd.write(str(path), array, index_order="C")


def lost_meta(path, array):
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


def lost_pixdim(path, array):
    image = nib.Nifti1Image(array.T, None)
    image.header["pixdim"][1:4] = 0
    image.header["qform_code"], image.header["sform_code"] = 0, 0
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    content[80:92] = bytes(12)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("name", "write"),
    (("a.nii", lost_nifti), ("a.nrrd", lost_nrrd), ("a.mha", lost_meta), ("zero.nii", lost_pixdim)),
)
def test_a_lost_voxel_size_is_said_and_nothing_is_measured(tmp_path, phantom, name, write):
    write(tmp_path / name, phantom.labels.labels[0])
    labels = read_labels(tmp_path / name)
    assert not labels.grid.sized
    assert sum("voxel size" in note for note in labels.notes) == 1
    function = measure(labels)
    document = function.to_dict()
    measured = [key for key, value in document.items() if key.endswith(("_ml", "_g", "_mm")) and np.any(value)]
    assert [key for key in measured if set(np.ravel(document[key])) != {None}] == []
    assert function.lv.ef_percent is None and function.regional is None
    assert any("voxel size is not known" in note for note in function.notes)
    function.rows()
    with pytest.raises(InputError, match="lost its voxel size"):
        steps.mesh(labels, ROUGH)
    with pytest.raises(InputError, match="lost its voxel size"):
        steps.propagate(read_image(tmp_path / name))


def test_a_true_size_of_one_millimetre_is_believed(tmp_path):
    for affine, shape in ((np.eye(4), (70, 80, 90)), (np.diag([1.0, 1.0, 8.0, 1.0]), (64, 64, 10))):
        nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), affine), tmp_path / "a.nii")
        assert read_image(tmp_path / "a.nii").grid.sized
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    sitk.WriteImage(to_sitk(np.zeros((10, 64, 64), np.int16), matrix), str(tmp_path / "oblique.nii"))
    assert read_image(tmp_path / "oblique.nii").grid.sized
    assert spacing_of(matrix) == pytest.approx([1, 1, 1])


def test_points_of_images_without_size_have_no_motion_in_mm(phantom):
    from dataclasses import replace

    cines = {v: replace(c, grid=replace(c.grid, sized=False)) for v, c in phantom.cines.items() if v != "sax"}
    result = steps.measure_edited_points(phantom.landmarks, cines)
    assert result.annulus is None
    assert any("voxel size is not known" in note for note in result.found.notes)
