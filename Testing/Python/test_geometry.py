"""Affine geometry: composition, inversion, handedness, nearest orthonormal frame."""

import numpy as np
import pytest
from dicom_factory import oblique_matrix

from CardiacLib import geometry


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, 1), (1, 1, -1), (-1, -1, -1)])
def test_matrix_is_rebuilt_from_its_parts(flip):
    matrix = oblique_matrix((1.3, 0.9, 8.0))
    matrix[:3, :3] *= flip
    np.testing.assert_allclose(geometry.spacing_of(matrix), (1.3, 0.9, 8.0))
    parts = geometry.origin_of(matrix), geometry.direction_of(matrix), geometry.spacing_of(matrix)
    np.testing.assert_allclose(geometry.matrix_from(*parts), matrix, atol=1e-12)
    assert np.sign(np.linalg.det(geometry.direction_of(matrix))) == np.prod(flip)


def test_apply_and_index_of_are_inverse():
    matrix = oblique_matrix()
    points = np.random.default_rng(0).uniform(-50, 50, (4, 5, 3))
    np.testing.assert_allclose(geometry.index_of(matrix, geometry.apply(matrix, points)), points, atol=1e-9)
    np.testing.assert_allclose(geometry.apply(matrix, [1, 2, 3]), (matrix @ [1, 2, 3, 1])[:3])


def test_slice_normal_does_not_follow_the_sense_of_k():
    matrix = oblique_matrix()
    reverse = matrix.copy()
    reverse[:3, 2] *= -1
    np.testing.assert_allclose(geometry.slice_normal(matrix), geometry.slice_normal(reverse))
    assert geometry.slice_normal(matrix) @ matrix[:3, 2] == pytest.approx(10.0)


@pytest.mark.parametrize("hand", [1.0, -1.0])
def test_nearest_orthonormal_keeps_the_hand_and_is_nearest(hand):
    true = geometry.direction_of(oblique_matrix()) * [1, 1, hand]
    skew = true + np.random.default_rng(1).normal(0, 0.01, (3, 3))
    found = geometry.nearest_orthonormal(skew)
    assert geometry.orthonormality_error(found) < 1e-12
    assert np.linalg.det(found) == pytest.approx(hand)
    distance = np.linalg.norm(found - skew)
    assert distance < np.linalg.norm(true - skew)
    # Any small rotation of the found frame is farther away.
    for axis in range(3):
        for angle in (-0.003, 0.003):
            turn = np.eye(3)
            a, b = [n for n in range(3) if n != axis]
            turn[[a, b, a, b], [a, b, b, a]] = np.cos(angle), np.cos(angle), -np.sin(angle), np.sin(angle)
            assert np.linalg.norm(found @ turn - skew) > distance


def test_simpleitk_has_the_same_points():
    matrix = oblique_matrix()
    matrix[:3, 2] *= -1
    image = geometry.to_sitk(np.zeros((3, 4, 5), np.float32), matrix)
    np.testing.assert_allclose(geometry.matrix_of(image), matrix, atol=1e-12)
    for index in [(0, 0, 0), (4, 3, 2), (1, 2, 0)]:
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), geometry.apply(matrix, index), atol=1e-9)


def test_anterior_is_the_first_image_row_where_a_file_has_no_orientation():
    assert geometry.towards_anterior(np.diag([1.5, 1.5, 10.0, 1.0])) == pytest.approx([0, -1, 0])
    assert geometry.towards_anterior(np.diag([-1.5, -1.5, 10.0, 1.0])) == pytest.approx([0, 1, 0])
    turned = np.eye(4)
    turned[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    assert not geometry.has_patient_axes(turned)
    assert geometry.towards_anterior(turned) == pytest.approx(geometry.FORWARD_AND_UP)
