"""The parts of the mesher: element measures, surface topology, lattice and its simple points, fields, interpolation."""

import numpy as np
import pytest
import scipy

from BiVMeshLib.check import quality, topology
from BiVMeshLib.prepare.interpolate import slice_distance, upright
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.heart_shape import _solid, _surface_closed, distance
from BiVMeshLib.tetra.lattice import OFFSETS, make_lattice, tet_patterns
from BiVMeshLib.tetra.lattice_topology import component_count, euler_number, flip_simple, is_half_ball, simple_codes
from BiVMeshLib.tetra.materials import grown_half_ball

REGULAR = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]])
ONE = np.array([[0, 1, 2, 3]])


def test_measures_of_a_regular_tet():
    tet = ONE if quality.signed_volumes(REGULAR, ONE)[0] > 0 else ONE[:, [0, 2, 1, 3]]
    assert quality.signed_volumes(REGULAR, tet)[0] == pytest.approx(8 / 3)
    assert quality.scaled_jacobian(REGULAR, tet)[0] == pytest.approx(1.0)
    assert quality.dihedral_angles(REGULAR, tet) == pytest.approx(np.degrees(np.arccos(1 / 3)))


def test_measures_of_random_tets_agree_with_each_other():
    points = np.random.default_rng(1).normal(size=(40, 3))
    tets = np.arange(40).reshape(-1, 4)
    tets = np.where((quality.signed_volumes(points, tets) < 0)[:, None], tets[:, [0, 2, 1, 3]], tets)
    sines = np.sin(np.radians(quality.dihedral_angles(points, tets))).min(1)
    expected = np.minimum(quality.scaled_jacobian(points, tets), sines)
    assert quality.shape_quality(points, tets) == pytest.approx(expected)
    assert (quality.shape_quality(points, tets[:, [0, 2, 1, 3]]) < 0).all()


def test_defects_of_two_tets_that_share_an_edge_or_a_vertex():
    tet = np.array([[0, 1, 2, 3]])
    assert topology.euler(topology.boundary_faces(tet)) == 2
    at_edge = topology.surface_defects(topology.boundary_faces(np.array([[0, 1, 2, 3], [0, 1, 4, 5]])), 6)
    assert at_edge.nonmanifold_edges == 1 and at_edge.nonmanifold_vertices == 2 and at_edge.open_edges == 0
    at_vertex = topology.surface_defects(topology.boundary_faces(np.array([[0, 1, 2, 3], [0, 4, 5, 6]])), 7)
    assert at_vertex.nonmanifold_edges == 0 and at_vertex.nonmanifold_vertices == 1
    open_edges = topology.surface_defects(topology.boundary_faces(tet)[1:], 4).open_edges
    assert open_edges == 3


@pytest.fixture(scope="module")
def lattice():
    return make_lattice(np.array([-10.0, -10.0, -10.0]), np.array([10.0, 10.0, 0.0]), 2.0)


def test_lattice_fills_space_with_equal_tets(lattice):
    everything = np.ones(len(lattice.points), bool)
    tets = lattice.tets(everything)
    volumes = np.abs(quality.signed_volumes(lattice.points, tets))
    assert volumes == pytest.approx(2.0**3 / 12)
    assert len(np.unique(np.sort(tets, 1), axis=0)) == len(tets)
    assert len(tet_patterns()) == 12 and lattice.points[:, 2].max() == 0.0
    reached = lattice.neighbours[:, :14] < len(lattice.points)
    assert (lattice.colour[:, None] != np.append(lattice.colour, -1)[lattice.neighbours])[reached].all()


def test_neighbours_are_at_two_distances(lattice):
    inner = np.flatnonzero(np.linalg.norm(lattice.points - (0, 0, -5), axis=1) < 2)
    gaps = np.linalg.norm(lattice.points[lattice.neighbours[inner]] - lattice.points[inner][:, None], axis=2)
    assert gaps == pytest.approx(np.broadcast_to(np.where(np.arange(14) < 8, np.sqrt(3), 2.0), gaps.shape))


def test_simple_codes_of_known_neighbourhoods():
    simple = simple_codes()
    opposite = (1 << 8) | (1 << 9)
    assert tuple(OFFSETS[8]) == (-2, 0, 0) and tuple(OFFSETS[9]) == (2, 0, 0)
    assert not simple[0] and not simple[(1 << 14) - 1] and not simple[opposite]
    assert simple[1] and simple[((1 << 14) - 1) ^ 1]


def test_euler_numbers_of_ball_ring_and_shell(lattice):
    x, y, z = (lattice.points - (0, 0, -5)).T
    ball = x**2 + y**2 + z**2 < 16
    ring = (np.hypot(x, y) - 5) ** 2 + z**2 < 5
    assert euler_number(lattice, ball) == 1 and component_count(lattice, ball) == 1
    assert euler_number(lattice, ring) == 0 and component_count(lattice, ring) == 1
    assert euler_number(lattice, ball & (x**2 + y**2 + z**2 > 4)) == 2


@pytest.mark.parametrize("on_base", [False, True])
def test_pieces_are_those_of_a_graph(lattice, on_base):
    """Random points, joined where they are neighbours, those of the base within it."""
    count = len(lattice.points)
    for share in (0.1, 0.3):
        state = np.random.default_rng(0).random(count) < share
        state &= lattice.on_base | (not on_base)
        rows, columns = np.repeat(np.arange(count), 14), lattice.neighbours.ravel()
        real = np.array([lattice.real(n) for n in range(14)]).T.ravel()
        joined = real & state[rows] & np.append(state, False)[columns]
        links = scipy.sparse.coo_matrix((np.ones(joined.sum()), (rows[joined], columns[joined])), shape=(count, count))
        pieces = scipy.sparse.csgraph.connected_components(links, directed=False)[1]
        assert component_count(lattice, state, on_base) == len(np.unique(pieces[state])) > 1


def test_growing_cuts_a_handle_at_its_thin_place(lattice):
    x, y, z = lattice.points.T
    level = (np.hypot(x, z) - 6) ** 2 + y**2 - np.where(x > 0, 7, 5)
    arch = level < 0
    assert component_count(lattice, arch) == 1 and euler_number(lattice, arch, on_base=True) == 2
    assert not is_half_ball(lattice, arch)
    grown = grown_half_ball(lattice, level, arch, "arch")
    assert is_half_ball(lattice, grown) and not (grown & ~arch).any()
    assert grown.sum() > 0.85 * arch.sum()


def test_flipping_simple_points_keeps_the_euler_number(lattice):
    rng = np.random.default_rng(0)
    x, y, z = lattice.points.T
    start = x**2 + y**2 + z**2 < 25
    away_from_the_box = x**2 + y**2 + z**2 < 64
    moved = flip_simple(lattice, start, (rng.random(len(start)) < 0.5) & away_from_the_box, rng.random(len(start)))
    assert is_half_ball(lattice, start) and is_half_ball(lattice, moved)
    assert (moved != start).sum() > 100


def test_field_is_exact_for_linear_functions():
    z, y, x = np.meshgrid(np.arange(5.0), np.arange(6.0), np.arange(7.0), indexing="ij")
    field = Field((2 * x - y + 0.5 * z).astype(np.float32), np.array([-1.0, 0.0, 2.0]), 0.5)
    points = np.random.default_rng(0).random((50, 3)) * (3, 2.5, 2) + (-1, 0, 2)
    expected = (points - (-1, 0, 2)) / 0.5 @ (2, -1, 0.5)
    values, gradient = field.with_gradient(points)
    assert field(points) == pytest.approx(expected, abs=1e-5) and values == pytest.approx(expected, abs=1e-5)
    assert gradient == pytest.approx(np.broadcast_to((4, -2, 1), gradient.shape), abs=1e-4)


def test_distance_of_a_sphere_is_true_and_sub_voxel():
    axis = np.arange(-20, 20.1, 1.25)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    found = distance(((radius**2 / 12.3 - 12.3) / 2).astype(np.float32), 1.25)
    near = np.abs(radius - 12.3) < 1.2
    assert np.abs(found - (radius - 12.3))[near].max() < 0.15
    assert np.abs(found - (radius - 12.3)).max() < 1.25


def test_slice_distance_has_its_zero_between_voxels():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    found = slice_distance(mask, (1.5, 1.5))
    assert found[20, 9] == pytest.approx(0.75, abs=0.05) and found[20, 10] == pytest.approx(-0.75, abs=0.05)


def test_walls_are_upright_at_the_base():
    z = np.array([-10.0, -4.0, -3.0, -2.0, -1.0, 0.0, 5.0])
    assert upright(z) == pytest.approx([-10, -4, -2, 0, 0, 0, 0])


def test_distances_within_reach_and_pieces_are_those_of_the_whole_grid():
    z, y, x = np.indices((24, 30, 28)) - np.array([20.0, 13.0, 12.0])[:, None, None, None]
    values = (np.sqrt(x**2 + 1.5 * y**2 + 0.5 * z**2) - 7.3).astype(np.float32)  # ends at the top of the grid
    whole, near = distance(values, 1.2), distance(values, 1.2, 3.0)
    asked = whole <= 3.0
    assert np.array_equal(near[asked], whole[asked]) and (near[~asked] > 3.0).all()
    pierced = np.where((abs(x) < 2) & (abs(y) < 2) & (abs(z + 3) < 2), np.float32(1.0), values)
    pierced[2:4, 2:4, 2:4] = -1.0  # a piece of its own
    assert np.array_equal(_solid(pierced) < 0, values < 0)
    # A groove of two voxels is closed by a ball of radius 2.4, one of eight is not.
    for width, shut in ((2, True), (8, False)):
        grooved = np.where((abs(x) < width / 2) & (z < 1), np.float32(1.0), values)
        assert (_surface_closed(grooved, 1.2, 2.4)[14, 13, 12] < 0) == shut
