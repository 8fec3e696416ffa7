"""Round trips of every writer and reader over oblique, left-handed and apex-first geometries."""

import numpy as np
import pytest
from dicom_factory import oblique_matrix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from CardiacLib import Cine, InputError, LabelMap
from CardiacLib.geometry import apply, matrix_of
from CardiacLib.readers import read_image, read_labels
from CardiacLib.writers.images import write_cine, write_labels, write_segmentation_nrrd

NIFTI_MM = 1e-3
"""NIfTI keeps its matrix in float32: at 500 mm that is 3e-5 mm, and the far corner adds up directions."""
SUFFIXES = {".nii.gz": NIFTI_MM, ".nii": NIFTI_MM, ".seq.nrrd": 1e-9, ".nrrd": 1e-9}
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def geometries(draw) -> np.ndarray:
    """Oblique 4x4 matrices; flips of axes make left-handed and apex-first ones."""
    spacing = [draw(st.floats(0.4, 3.0)), draw(st.floats(0.4, 3.0)), draw(st.floats(1.0, 20.0))]
    origin = [draw(st.floats(-500, 500)) for _ in range(3)]
    matrix = oblique_matrix(spacing, origin, draw(st.integers(0, 999)))
    for axis in range(3):
        if draw(st.booleans()):
            matrix[:3, axis] *= -1
    return matrix


def corners(shape) -> np.ndarray:
    k, j, i = (n - 1 for n in shape)
    return np.array([[a, b, c] for a in (0, i) for b in (0, j) for c in (0, k)], float)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
@given(matrix=geometries(), n_frames=st.integers(1, 4), n_slices=st.integers(1, 3), whole=st.booleans())
@quick
def test_cine_round_trip(tmp_path, suffix, matrix, n_frames, n_slices, whole):
    n_frames = 1 if suffix == ".nrrd" else n_frames
    frames = np.random.default_rng(1).normal(300, 99, (n_frames, n_slices, 60, 50)).astype(np.float32)
    frames = np.rint(frames) if whole else frames
    cine = Cine(frames, matrix, 7.0 + 133.3 * np.arange(n_frames), "sax")
    path = tmp_path / f"cine{suffix}"
    write_cine(path, cine)
    back = read_image(path)
    np.testing.assert_array_equal(back.frames, frames)
    points = corners(frames.shape[1:])
    np.testing.assert_allclose(apply(back.ijk_to_lps, points), apply(matrix, points), atol=SUFFIXES[suffix])
    if n_frames > 1:
        np.testing.assert_allclose(back.times_ms, cine.times_ms, atol=1e-3)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
@given(matrix=geometries())
@quick
def test_label_round_trip(tmp_path, suffix, matrix):
    n_frames = 1 if suffix == ".nrrd" else 3
    labels = np.random.default_rng(2).integers(0, 5, (n_frames, 3, 12, 9)).astype(np.uint8)
    path = tmp_path / f"labels{suffix}"
    write_labels(path, LabelMap(labels, matrix, 300.0 * np.arange(n_frames)))
    back = read_labels(path)
    np.testing.assert_array_equal(back.labels, labels)
    points = corners(labels.shape[1:])
    np.testing.assert_allclose(apply(back.ijk_to_lps, points), apply(matrix, points), atol=SUFFIXES[suffix])
    np.testing.assert_allclose(back.times_ms, 300.0 * np.arange(n_frames), atol=1e-3)


def test_uneven_times_stay_exact_in_a_sequence(tmp_path):
    times = np.array([0.0, 31.25, 90.1, 250.7, 700.3])
    cine = Cine(np.zeros((5, 2, 4, 4)), oblique_matrix(), times)
    write_cine(tmp_path / "a.seq.nrrd", cine)
    np.testing.assert_array_equal(read_image(tmp_path / "a.seq.nrrd").times_ms, times)


def test_other_readers_see_the_same_geometry(tmp_path):
    import SimpleITK as sitk

    matrix = oblique_matrix()
    matrix[:3, 2] *= -1
    labels = np.random.default_rng(2).integers(0, 5, (1, 3, 12, 9)).astype(np.uint8)
    for name in ("a.nrrd", "a.nii.gz"):
        write_labels(tmp_path / name, LabelMap(labels, matrix, np.zeros(1)))
        image = sitk.ReadImage(str(tmp_path / name))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels[0])
        np.testing.assert_allclose(matrix_of(image), matrix, atol=NIFTI_MM)


def test_segmentation_round_trip_and_content(tmp_path):
    matrix = oblique_matrix()
    matrix[:3, 2] *= -1
    labels = np.random.default_rng(4).integers(0, 4, (1, 3, 12, 9)).astype(np.uint8)
    path = tmp_path / "a.seg.nrrd"
    write_segmentation_nrrd(path, LabelMap(labels, matrix, np.zeros(1)))
    back = read_labels(path)
    np.testing.assert_array_equal(back.labels, labels)
    np.testing.assert_allclose(back.ijk_to_lps, matrix, atol=1e-9)
    header = path.read_bytes().split(b"\n\n")[0].decode()
    assert "space: left-posterior-superior" in header
    for n, name in enumerate(("LV blood pool", "LV myocardium", "RV blood pool")):
        assert f"Segment{n}_Name:={name}\n" in header
    assert "SCT^87878005^Left ventricle" in header
    assert "RV wall" not in header


def test_what_cannot_be_written_is_refused(tmp_path):
    cine = Cine(np.zeros((2, 2, 4, 4)), oblique_matrix(), np.arange(2) * 100.0)
    for name, message in [("a.nrrd", r"written as \.seq\.nrrd"), ("a.png", "unknown kind of file")]:
        with pytest.raises(InputError, match=message):
            write_cine(tmp_path / name, cine)
    skew = oblique_matrix()
    skew[:3, 0] += 0.1 * skew[:3, 1]
    with pytest.raises(InputError, match="not perpendicular"):
        write_cine(tmp_path / "a.nii.gz", cine.with_changes(ijk_to_lps=skew))
    with pytest.raises(InputError, match="one frame"):
        write_segmentation_nrrd(tmp_path / "a.seg.nrrd", LabelMap(np.zeros((2, 1, 3, 3), np.uint8), skew, np.zeros(2)))
    assert not list(tmp_path.iterdir())
