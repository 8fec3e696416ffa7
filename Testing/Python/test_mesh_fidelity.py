"""Measures on finished meshes: self-intersections, distance to the labels' contours, volumes; slices out of line."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from test_mesh_build import COARSE, ROUGH, heart, inside, mesh, rough

from BiVMeshLib import build_mesh
from BiVMeshLib.check import fidelity
from BiVMeshLib.check.intersections import self_intersections
from BiVMeshLib.check.quality import failures, measure, shape_quality
from BiVMeshLib.check.topology import boundary_faces
from BiVMeshLib.prepare.align import align_slices
from BiVMeshLib.prepare.frame import heart_frame
from BiVMeshLib.prepare.interpolate import slab_volume
from BiVMeshLib.prepare.labels_check import check_labels
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.heart_shape import make_shape
from BiVMeshLib.tetra.lattice import make_lattice
from BiVMeshLib.tetra.relax import relax
from BiVMeshLib.tetra.stuffing import Stuffed, positive
from CardiacLib.types.bivmesh import REGIONS

SIDES = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]


def two_cubes(offset):
    """Corners and triangles of a unit cube and of one moved by ``offset``."""
    corners = np.array([(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
    triangles = np.array([t for a, b, c, d in SIDES for t in ((a, b, c), (a, c, d))])
    return np.concatenate([corners, corners + offset]), np.concatenate([triangles, triangles + 8])


@pytest.mark.parametrize(
    ("offset", "crossing"),
    [((2, 0, 0), False), ((1, 1, 1), False), ((0.5, 0.3, 0.2), True), ((1, 0.2, 0.2), True), ((0.5, 0, 0), True)],
)
def test_cubes_that_are_apart_touch_cross_or_share_a_plane(offset, crossing):
    """At (1, .2, .2) only two coplanar sides overlap; at (1, 1, 1) the cubes touch in one corner."""
    pairs = self_intersections(*two_cubes(np.array(offset)))
    assert (len(pairs) > 0) == crossing
    assert all(a < 12 <= b for a, b in np.sort(pairs, axis=1))


def passes_through(one, n, other):
    """Whether side n of a triangle passes through another."""
    start, end = one[n], one[(n + 1) % 3]
    system = np.column_stack([other[1] - other[0], other[2] - other[0], start - end])
    u, v, t = np.linalg.solve(system, start - other[0])
    return u >= 0 and v >= 0 and u + v <= 1 and 0 <= t <= 1


def test_crossing_triangles_are_those_that_a_segment_test_finds():
    """Random triangles: two cross if and only if a side of one passes through the other."""
    rng = np.random.default_rng(4)
    points, triangles = rng.random((180, 3)), np.arange(180).reshape(-1, 3)
    found = {tuple(sorted(pair)) for pair in self_intersections(points, triangles).tolist()}
    expected = set()
    for a in range(len(triangles)):
        for b in range(a + 1, len(triangles)):
            for one, other in (
                (points[triangles[a]], points[triangles[b]]),
                (points[triangles[b]], points[triangles[a]]),
            ):
                for n in range(3):
                    start, end = one[n], one[(n + 1) % 3]
                    system = np.column_stack([other[1] - other[0], other[2] - other[0], start - end])
                    u, v, t = np.linalg.solve(system, start - other[0])
                    if u >= 0 and v >= 0 and u + v <= 1 and 0 <= t <= 1:
                        expected.add((a, b))
    assert found == expected and len(expected) > 50


@pytest.mark.slow
def test_a_node_pushed_through_the_wall_fails_the_gate():
    m = mesh()
    assert m.quality.topology.self_intersections == 0
    nodes = m.nodes.copy()
    outside = np.unique(m.patch("EPI"))
    pushed = outside[np.argmin(nodes[outside, 2])]
    nodes[pushed] += (0, 0, 25.0)
    report = measure(replace(m, nodes=nodes))
    assert report.topology.self_intersections > 0
    assert any(text.startswith("self_intersections") for text in failures(report, COARSE))


def test_distances_to_triangles_are_exact():
    nodes = np.array([(0, 0, 0), (4, 0, 0), (0, 4, 0.0)])
    points = np.array([(1, 1, 3), (-3, 0, 4), (2, -2, 0), (4, 4, 0.0), (1, 1, 0)])
    found = fidelity.distance_to_triangles(points, nodes, np.array([[0, 1, 2]]))
    assert found == pytest.approx([3, 5, 2, 4 / np.sqrt(2), 0], abs=1e-12)


def test_triangles_that_cannot_be_nearest_are_left_out():
    """The large triangle's centre is the farthest, its side the nearest."""
    nodes = np.array([(0, 0, 0), (90, 0, 0), (0, 90, 0), (0, -3, 0), (1, -3, 0), (0, -4, 0.0)])
    triangles = np.array([[0, 1, 2], [3, 5, 4]])
    points = np.array([(1, -1, 0), (0.2, -2.5, 0), (0.2, -3.2, 1), (30, 30, 2.0)])
    found = fidelity.distance_to_triangles(points, nodes, triangles)
    each = [fidelity.distance_to_triangles(points, nodes, triangles[n : n + 1]) for n in (0, 1)]
    assert found == pytest.approx(np.minimum(*each)) and found == pytest.approx([1, 0.5, 1, 2])


def test_border_of_a_mask_lies_between_the_pixels():
    mask = np.zeros((7, 8), bool)
    mask[2:5, 3:6] = True
    points = fidelity.border(mask)
    assert (np.abs(points - (3, 4)).max(1) <= 1.5).all() and (np.abs(points - (3, 4)).max(1) >= 1.0).all()
    assert np.ptp(points, axis=0) == pytest.approx((3, 3), abs=0.3)
    corners = np.array([[1, 0], [0, 1]], bool)
    assert len(fidelity.border(corners)) == len(fidelity.border(corners[::-1]))


def test_fidelity_of_a_mesh_and_of_the_mesh_moved_aside():
    """Moved by 3 mm the surfaces lie off their contours by up to 3 mm; the volumes stay."""
    stack = check_labels(*heart())
    frame, m = heart_frame(stack), mesh()
    report = m.quality.fidelity
    assert report.contour_distance_mm["all"].mean < 0.5 and report.contour_distance_mm["all"].p95 < 1.2
    assert set(report.volume_error_percent) == {"lv_pool", "lv_myocardium", "rv_pool"}
    assert all(abs(error) < 2.0 for error in report.volume_error_percent.values())
    aside = replace(m, nodes=m.nodes + (3.0, 0, 0))
    moved = fidelity.measure_fidelity(aside, m.quality.volumes, stack, frame)
    assert 1.2 < moved.contour_distance_mm["lv_pool"].mean < 2.2
    assert 2.4 < moved.contour_distance_mm["lv_pool"].p95 < 3.6
    assert moved.volume_error_percent == report.volume_error_percent


def test_what_clean_up_removes_counts_as_error():
    labels, matrix = heart()
    labels = labels.copy()
    labels[3, 2:12, 2:12] = 3
    stack = check_labels(labels, matrix)
    assert not stack.rv[3, 2:12, 2:12].any()
    found = fidelity.contour_distances(mesh(), stack, heart_frame(stack))
    assert found["rv_pool"].max() > 15.0


def test_no_rv_wall_beside_the_lv():
    """Every tet of the RV wall is nearer to the RV pool's surface than to the LV pool's."""
    from scipy.spatial import cKDTree

    m = mesh()
    wall = m.nodes[m.tets[m.regions == REGIONS["RV_WALL"]]].mean(1)
    to_lv, to_rv = (cKDTree(m.nodes[np.unique(m.patch(name))]).query(wall)[0] for name in ("ENDO_LV", "ENDO_RV"))
    assert (to_rv < to_lv + 1.0).all()


@pytest.fixture(scope="module")
def displaced():
    """Stacks of one phantom with the slices in line and displaced by 4 mm standard deviation."""
    from CardiacLib.phantom import PhantomOptions, make_phantom

    made = [
        make_phantom(PhantomOptions.small(n_frames=1, slice_spacing_mm=8.0, breath_hold_shift_mm=shift, seed=1))
        for shift in (0.0, 4.0)
    ]
    return [check_labels(phantom.labels.labels[0], phantom.labels.ijk_to_lps) for phantom in made]


def _centres(stack, slices):
    places = [np.nonzero(stack.lv_epi[k]) for k in slices]
    return np.array([stack.to_lps(i.mean(), j.mean(), k) for k, (j, i) in zip(slices, places, strict=True)])


@pytest.mark.slow
def test_displaced_slices_come_back_into_line(displaced):
    """Against the phantom without displacement; a tilt of the whole heart, which slices do not show, is left out."""
    true, shifted = displaced
    slices = [k for k in range(true.base + 1) if true.lv_epi[k].any() and shifted.lv_epi[k].any()]
    line = np.stack([np.ones(len(slices)), slices], axis=1)

    def error(stack):
        offset = _centres(stack, slices) - _centres(true, slices)
        rest = offset - line @ np.linalg.lstsq(line, offset, rcond=None)[0]
        return np.sqrt((rest**2).sum(1).mean())

    aligned = align_slices(shifted)
    assert error(shifted) > 3.0 and error(aligned) < 0.4 * error(shifted)
    assert "Slices were aligned in their planes" in aligned.notes[-1] and shifted.notes == aligned.notes[:-1]
    normal = np.cross(*shifted.ijk_to_lps[:3, :2].T)
    assert np.abs(aligned.shifts @ normal).max() < 1e-9 and not shifted.shifts.any()


def test_slices_in_line_stay_where_they_are(displaced):
    assert not align_slices(displaced[0]).shifts.any()


def test_one_displaced_slice_is_moved_alone():
    labels, matrix = heart()
    labels = labels.copy()
    labels[4] = np.roll(labels[4], 4, axis=1)
    aligned = align_slices(check_labels(labels, matrix))
    assert aligned.shifts[4] == pytest.approx((-8, 0, 0), abs=2.0)
    assert np.linalg.norm(np.delete(aligned.shifts, 4, axis=0), axis=1).max() < 1.5
    straight = build_mesh(labels, matrix, replace(ROUGH, align_slices=True))
    assert any("aligned in their planes" in note for note in straight.notes)
    assert straight.quality.volumes.lv_pool_ml == pytest.approx(rough().quality.volumes.lv_pool_ml, rel=0.02)
    assert straight.quality.fidelity.contour_distance_mm["all"].mean < 0.6


def test_a_thin_rv_keeps_its_volume_between_slices():
    """A crescent 5 mm thick that moves from slice to slice; plainly interpolated, much of it vanishes in between."""
    labels, matrix = heart((2.0, 2.0, 10.0))
    labels = labels.copy()
    for section in labels:
        near = distance_transform_edt(~np.isin(section, (1, 2)), sampling=2.0)
        section[(section == 3) & (near > 5.0)] = 0
    stack = check_labels(labels, matrix)
    frame = heart_frame(stack)
    rv = make_shape(stack, frame, COARSE).rv
    height = rv.origin[2] + rv.spacing * np.arange(len(rv.values))
    share = np.clip(0.5 - rv.values / rv.spacing, 0, 1).sum((1, 2)) @ np.clip(0.5 - height / rv.spacing, 0, 1)
    wanted = fidelity.label_volumes(stack, frame)["rv_pool"]
    assert share * rv.spacing**3 / 1000 == pytest.approx(wanted, rel=0.03)


def test_relaxation_raises_the_mean_and_keeps_the_worst():
    """A block of lattice tets with its inner nodes shaken; without a surface to follow only they move."""
    lattice = make_lattice(np.full(3, -8.0), np.array([8.0, 8.0, 0.0]), 2.0)
    tets = positive(lattice.points, lattice.tets(np.ones(len(lattice.points), bool)))
    border = np.isin(np.arange(len(lattice.points)), boundary_faces(tets))
    points = lattice.points + np.where(
        border[:, None], 0.0, np.random.default_rng(2).normal(0, 0.2, lattice.points.shape)
    )
    nothing = np.zeros(len(points), np.int8)
    shaken = Stuffed(points, tets, nothing, border, border)
    field = Field(np.full((3, 3, 3), -100.0, np.float32), np.full(3, -20.0), 20.0)
    relaxed = relax(shaken, field, rounds=3)
    before, after = (shape_quality(m.points, tets) for m in (shaken, relaxed))
    assert (before > 0).all() and after.mean() > before.mean() + 0.01 and after.min() >= before.min() - 1e-6
    assert np.array_equal(relaxed.points[border], points[border])


def test_crossings_are_found_round_some_triangles_alone():
    """All pairs with one of the triangles asked for are among what is found, by the numbers of the whole surface."""
    rng = np.random.default_rng(7)
    points, triangles = rng.random((240, 3)) * 3, np.arange(240).reshape(-1, 3)
    every = {tuple(sorted(pair)) for pair in self_intersections(points, triangles).tolist()}
    near = np.array([3, 40, 41])
    found = {tuple(sorted(pair)) for pair in self_intersections(points, triangles, near).tolist()}
    asked = {pair for pair in every if set(pair) & set(near.tolist())}
    assert asked and asked <= found <= every
    assert len(self_intersections(points, triangles, near[:0])) == 0


def test_a_labelled_wall_keeps_the_volume_of_its_labels():
    """Rounding the grooves between the ventricles adds to the outer body; the whole surface gives it back."""
    labels, matrix = heart((1.5, 1.5, 4.0))
    k, j, i = np.indices(labels.shape)
    points = np.stack([i, j, k], -1) * (1.5, 1.5, 4.0) + matrix[:3, 3]
    wall = inside(points, (24, 0, 3), (38, 38, 60))[:, 2:-2, 2:-2]
    labels = np.pad(np.where((labels[:, 2:-2, 2:-2] == 0) & wall, 4, labels[:, 2:-2, 2:-2]), ((0, 0), (2, 2), (2, 2)))
    stack = check_labels(labels.astype(np.uint8), matrix)
    frame = heart_frame(stack)
    outer = make_shape(stack, frame, COARSE).outer
    height = outer.origin[2] + outer.spacing * np.arange(len(outer.values))
    weight = np.clip(0.5 - height / outer.spacing, 0.0, 1.0)
    share = np.clip(0.5 - outer.values / outer.spacing, 0.0, 1.0).sum((1, 2))
    assert share @ weight * outer.spacing**3 == pytest.approx(slab_volume(stack.wall, stack, frame), rel=2e-3)
