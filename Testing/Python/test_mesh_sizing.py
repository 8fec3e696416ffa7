"""How fine a mesh is where no size is asked for, where its lattice points snap, and what it advises when it misses."""

from dataclasses import replace

import numpy as np
import pytest
from test_mesh_build import COARSE, ROUGH, heart, rough

from BiVMeshLib import MeshOptions, build_mesh
from BiVMeshLib.check.quality import shape_quality, signed_volumes
from BiVMeshLib.check.topology import boundary_faces
from BiVMeshLib.prepare.align import displaced_by
from BiVMeshLib.prepare.frame import heart_frame
from BiVMeshLib.prepare.labels_check import check_labels
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.heart_shape import Shape, make_shape
from BiVMeshLib.shape.sizing import ACROSS, EDGE_MM, LEAST_MM, edge_for
from BiVMeshLib.tetra import stuffing
from BiVMeshLib.tetra.lattice import MEAN_EDGE, make_lattice
from BiVMeshLib.tetra.materials import assign_materials


def half_shell(outer, inner, spacing=1.25):
    """Half balls about the origin under the base, an LV alone."""
    low, high = -outer - 6.0, outer + 6.0
    axis = np.arange(low, high, spacing)
    z, y, x = np.meshgrid(axis[axis < 12.0], axis, axis, indexing="ij")
    # Over the base the walls go on upright, as those of a shape do.
    radius = np.where(z < 0, np.sqrt(x**2 + y**2 + z**2), np.hypot(x, y)).astype(np.float32)
    origin = np.full(3, low)
    pool, body = (Field(radius - r, origin, spacing) for r in (inner, outer))
    return Shape(pool, None, body, body)


def lattice_of(shape, edge_mm):
    """A lattice for a shape, and its materials."""
    outer = shape.outer
    high = outer.origin + outer.spacing * (np.array(outer.values.shape[::-1]) - 1)
    lattice = make_lattice(outer.origin, high, edge_mm / MEAN_EDGE)
    return lattice, assign_materials(lattice, shape)


@pytest.mark.parametrize(("outer", "inner"), [(30.0, 20.0), (30.0, 26.0), (32.0, 28.5)])
def test_thickness_of_half_shells(outer, inner):
    edge, thickness = edge_for(half_shell(outer, inner))
    assert thickness == pytest.approx(2 / 3 * (outer**3 - inner**3) / (outer**2 + inner**2), rel=0.03)
    assert edge == pytest.approx(np.clip(thickness / ACROSS, LEAST_MM, EDGE_MM))
    assert (edge == EDGE_MM) == (outer - inner > 5)


@pytest.mark.slow
def test_a_thin_heart_is_meshed_finer_unless_a_size_is_asked_for():
    labels, matrix = heart()
    small = np.diag([0.5, 0.5, 0.5, 1.0]) @ matrix
    options = MeshOptions(grid_mm=1.0, rv_wall_mm=2.0, min_septum_mm=3.0, fibres=False, coordinates=False)
    chosen = build_mesh(labels, small, options)
    assert LEAST_MM <= chosen.quality.made.edge_length_mm < EDGE_MM
    assert any(note.startswith("The wall is thin") for note in chosen.notes)
    asked = build_mesh(labels, small, replace(options, edge_length_mm=EDGE_MM, optimise=False))
    assert asked.quality.made.edge_length_mm == EDGE_MM and len(asked.tets) < 0.7 * len(chosen.tets)
    assert asked.quality.shape.scaled_jacobian_mean < chosen.quality.shape.scaled_jacobian_mean
    assert not any(note.startswith("The wall is thin") for note in asked.notes)


@pytest.mark.slow
def test_no_tets_lie_within_others_where_the_wall_is_thinner_than_the_lattice(phantom):
    """Positive tets that add up to what their surface encloses; the RV wall is 3 mm thick."""
    stack = check_labels(phantom.labels.labels[0], phantom.labels.ijk_to_lps)
    shape = make_shape(stack, heart_frame(stack), replace(COARSE, grid_mm=2.0))
    made = stuffing.stuff(*lattice_of(shape, 3.4), shape.myocardium())
    a, b, c = (made.points[boundary_faces(made.tets)[:, n]] for n in range(3))
    enclosed = np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0
    assert signed_volumes(made.points, made.tets).sum() == pytest.approx(enclosed, rel=1e-9)


@pytest.mark.slow
def test_corners_of_flat_tets_are_not_snapped(monkeypatch):
    stack = check_labels(*heart())
    shape = make_shape(stack, heart_frame(stack), COARSE)
    lattice, myocardium = lattice_of(shape, 2.2), shape.myocardium()

    def flat():
        made = stuffing.stuff(*lattice, myocardium)
        return int((shape_quality(made.points, made.tets) < 0.1).sum()), made.undone

    found, undone = flat()
    monkeypatch.setattr(stuffing, "FLAT", -1.0)
    without, before = flat()
    assert found < without and undone > before


@pytest.mark.slow
def test_slices_out_of_line_are_aligned_where_that_helps():
    labels, matrix = heart()
    assert displaced_by(check_labels(labels, matrix)) < 1.0
    labels = labels.copy()
    for k, pixels in ((3, -7), (4, 7), (5, -7)):
        labels[k] = np.roll(labels[k], pixels, axis=1)
    assert displaced_by(check_labels(labels, matrix)) > 10.0
    missed = build_mesh(labels, matrix, replace(ROUGH, align_slices=False))
    assert any(key.endswith("_mm") for key in missed.quality.missed())
    assert not missed.quality.made.aligned_slices and not any("aligned" in note for note in missed.notes)
    aligned = build_mesh(labels, matrix, ROUGH)
    assert aligned.quality.made.aligned_slices
    assert set(aligned.quality.missed()) < set(missed.quality.missed())
    assert any("Slices were aligned in their planes" in note for note in aligned.notes)
    assert "without aligning them the mesh misses" in aligned.notes[-1] and "distance_mean_mm" in aligned.notes[-1]
    assert not any("out of line" in note for note in rough().notes) and not rough().quality.made.aligned_slices
