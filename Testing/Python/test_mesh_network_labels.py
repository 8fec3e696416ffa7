"""Labels as a network draws them: each test has one defect that a mesh, or its orientation, once failed on."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from test_mesh_build import COARSE, THICK, heart, thick

from BiVMeshLib import MeshError, build_mesh
from BiVMeshLib.check.quality import Failed
from BiVMeshLib.prepare.frame import heart_frame
from BiVMeshLib.prepare.labels_check import check_labels
from BiVMeshLib.shape import heart_shape as shape
from CardiacLib.types.labels import LV, MYO, RV


def changed(change):
    labels, matrix = heart()
    labels = labels.copy()
    change(labels, _places(labels.shape, matrix))
    return labels, matrix


def _places(shape_kji, matrix):
    k, j, i = np.indices(shape_kji)
    return np.stack([i, j, k], -1) * np.diag(matrix)[:3] + matrix[:3, 3]


def holes_in_rv(labels, places):
    section, (x, y) = labels[-1], (places[-1, ..., 0], places[-1, ..., 1])
    for cx, cy, radius in ((42, 0, 4.5), (46, 12, 3.5), (40, -14, 3.0), (50, -4, 1.5)):
        section[(np.hypot(x - cx, y - cy) < radius) & (section == RV)] = 0


@pytest.mark.slow
def test_holes_in_the_rv_at_the_base_are_pool():
    """Each was a column of muscle on the base, whose topology was repaired with flat elements."""
    labels, matrix = changed(holes_in_rv)
    assert (labels == RV).sum() < (heart()[0] == RV).sum()
    stack = check_labels(labels, matrix)
    assert np.array_equal(stack.rv, heart()[0] == RV)
    assert any("voxels of holes were filled" in note and note.startswith("RV pool") for note in stack.notes)
    m = build_mesh(labels, matrix, replace(THICK, refinements=3, fibres=False, coordinates=False))
    assert not any("was refined" in note for note in m.notes)
    assert m.quality.volumes.rv_pool_ml == pytest.approx(thick().quality.volumes.rv_pool_ml, rel=0.01)


def with_rings_over_the_base(labels, matrix):
    """Two more slices over the base with a ring of myocardium beside the heart, as drawn round an atrium."""
    ring = np.zeros((2, *labels.shape[1:]), np.uint8)
    y, x = (axis * 2.0 - 42 for axis in np.indices(labels.shape[1:]))
    radius = np.hypot(x - 36, y)
    ring[:, (radius > 29) & (radius < 35)] = MYO
    return np.concatenate([labels, ring]), matrix


@pytest.mark.parametrize("order", ["apex first", "base first"])
def test_rings_of_myocardium_over_the_base_do_not_turn_the_heart_over(order):
    labels, matrix = with_rings_over_the_base(heart()[0][4:], heart()[1])
    if order == "base first":
        labels = labels[::-1]
        matrix = matrix @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, len(labels) - 1], [0, 0, 0, 1.0]])
    stack = check_labels(labels, matrix)
    assert f"Slice order: {order} (decided from the taper of the sections)." in stack.notes
    assert stack.base == len(labels) - 3 and not stack.lv_epi[stack.base + 1 :].any()
    assert np.array_equal(stack.lv[: stack.base + 1], heart()[0][4:] == LV)


def test_half_a_slice_of_lv_at_the_base_does_not_turn_the_heart_over():
    """Six slices, of which the most basal shows a rest of the LV pool only: over all of them the pools narrow."""
    labels, matrix = heart((2.0, 2.0, 12.0))
    labels = labels[1:]
    rest = np.where(labels[1:2] == RV, 0, labels[1:2])
    stack = check_labels(np.concatenate([labels, rest]), matrix)
    assert "Slice order: apex first (decided from the taper of the sections)." in stack.notes
    assert stack.base == len(labels) - 1


def test_a_section_that_does_not_lie_over_the_heart_is_removed():
    labels, matrix = heart()
    stray = np.zeros((2, *labels.shape[1:]), np.uint8)
    stray[0, 2:6, 2:6] = MYO
    stack = check_labels(np.concatenate([stray[:1], labels]), matrix)
    assert not stack.lv_epi[0].any() and stack.lv_epi[1:].any()
    assert any("do not continue the ventricles" in note for note in stack.notes)


def notched_rv(labels, places):
    """At the base the RV is drawn in by 10 mm over its middle, the slice below is not."""
    x, y = places[-1, ..., 0], places[-1, ..., 1]
    labels[-1][(labels[-1] == RV) & (x > 48) & (np.abs(y) < 14)] = 0


def test_the_wall_over_a_ledge_of_the_rv_is_upright_at_the_base():
    """It crossed the base at a shallow angle, and no lattice was fine enough for the rim."""
    stack = check_labels(*changed(notched_rv))
    made = shape.make_shape(stack, heart_frame(stack), COARSE)
    points = np.random.default_rng(0).uniform((-40, -60, -1.5), (80, 60, 0), (4000, 3))
    for field in (made.lv, made.outer):
        value, gradient = field.with_gradient(points)
        assert np.abs(gradient[np.abs(value) < 2, 2]).max() < 1e-5


def two_horns(labels, places):
    y = places[-1, ..., 1]
    labels[-1][(labels[-1] == RV) & (y > 4) & (y < 14)] = 0


def test_a_second_horn_of_the_rv_ends_below_the_base():
    """The RV's section at the base in two pieces, joined in the slice below: the smaller is dropped."""
    labels, matrix = changed(two_horns)
    stack = check_labels(labels, matrix)
    stack.rv[-1] = labels[-1] == RV
    made = shape.make_shape(stack, heart_frame(stack), COARSE)
    base = round(-made.rv.origin[2] / made.rv.spacing)
    assert ndimage.label(made.rv.values[base] < 0)[1] == 1
    assert ndimage.label(made.rv.values < 0)[1] == 1


def test_refinement_ends_where_it_does_not_help(monkeypatch):
    """The same failure twice at the same place ends the attempts; the message says where to look."""
    from BiVMeshLib import pipeline

    calls, mesh = [], thick()

    def failing(made, options):
        calls.append(made)
        return Failed(("min_dihedral_deg is 5, below 18",), 0.1, np.array([1.0, 2.0, 3.0 + len(calls)]))

    monkeypatch.setattr(pipeline, "mesh_once", lambda *given, **named: mesh)
    monkeypatch.setattr(pipeline.quality, "gate", failing)
    with pytest.raises(MeshError, match=r"in 2 attempts .* LPS \(1, 2, 5\) mm.*finer lattice did not mend"):
        build_mesh(*heart(), COARSE)
    assert len(calls) == 2


def test_what_counts_as_no_better():
    last = Failed(("min_dihedral_deg is 5, below 18",), 0.10, np.zeros(3))
    near, far = np.array([2.0, 0, 0]), np.array([20.0, 0, 0])
    assert Failed(("min_dihedral_deg is 6, below 18",), 0.11, near).no_better_than(last, 5.0)
    assert not Failed(("min_dihedral_deg is 9, below 18",), 0.16, near).no_better_than(last, 5.0)
    assert not Failed(("min_dihedral_deg is 5, below 18",), 0.10, far).no_better_than(last, 5.0)
    assert not Failed(("euler is 1 instead of 2",), 0.10, near).no_better_than(last, 5.0)
