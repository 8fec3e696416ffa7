"""What keeps a moving mesh good: a solver of two levels, tets made even together, nodes that do not lock."""

import numpy as np
import pytest
import scipy
from test_mesh_sizing import half_shell, lattice_of

from BiVMeshLib.anatomy.laplace import Pattern
from BiVMeshLib.check.quality import shape_quality, signed_volumes
from BiVMeshLib.check.topology import boundary_faces
from BiVMeshLib.motion.cores import side_by_side
from BiVMeshLib.motion.follow import Follower
from BiVMeshLib.motion.solver import Cubes, System
from BiVMeshLib.prepare.frame import HeartFrame
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.heart_shape import Shape
from BiVMeshLib.tetra.distortion import Distortion
from BiVMeshLib.tetra.minimise import Ways, even_out, evened
from BiVMeshLib.tetra.relax import relax
from BiVMeshLib.tetra.smoothing import smooth
from BiVMeshLib.tetra.stuffing import Stuffed, stuff
from BiVMeshLib.tetra.tags import patch_ids
from CardiacLib.types.bivmesh import BiVMesh

OUTER, INNER = 20.0, 14.0


@pytest.fixture(scope="module")
def shell() -> tuple[Stuffed, Field]:
    """Half a hollow ball under the base, walls EPI and ENDO_LV, 6 mm thick."""
    shape = closing(0.0)
    lattice, materials = lattice_of(shape, 3.0)
    field = shape.myocardium()
    return relax(smooth(stuff(lattice, materials, field), field), field), field


def closing(closed: float, aside: float = 0.0) -> Shape:
    """Half an ellipsoid of a pool in half a ball, narrowed to 12 % and half as deep at ``closed`` 1, moved in x."""
    made = half_shell(OUTER, INNER).outer
    axes = [made.origin[n] + made.spacing * np.arange(made.values.shape[2 - n]) for n in range(3)]
    z, y, x = np.meshgrid(np.minimum(axes[2], 0.0), axes[1], axes[0] - aside, indexing="ij")

    def ellipsoid(radius, least):
        radii = [radius * (1.0 + closed * (share - 1.0)) for share in least]
        length = np.sqrt(sum((part / r) ** 2 for part, r in zip((x, y, z), radii, strict=True)))
        slope = np.sqrt(sum((part / r**2) ** 2 for part, r in zip((x, y, z), radii, strict=True)))
        return Field((length * (length - 1.0) / np.maximum(slope, 1e-3)).astype(np.float32), made.origin, made.spacing)

    body = ellipsoid(OUTER, (0.8, 0.8, 0.8))
    return Shape(ellipsoid(INNER, (0.12, 0.12, 0.5)), None, body, body)


def test_a_wall_that_closes_and_moves_on_leaves_no_node_behind(shell):
    """Tets at the floor of quality held their nodes back, up to 7 mm from their surface, and tore a spike."""
    mesh, triangles = shell[0], boundary_faces(shell[0].tets)
    heart = BiVMesh(
        nodes=mesh.points,
        tets=mesh.tets,
        regions=np.ones(len(mesh.tets), np.int8),
        triangles=triangles,
        patches=patch_ids(mesh, triangles),
    )
    before = closing(0.0)
    follower = Follower(heart, HeartFrame(np.eye(3), np.zeros(3)), before)
    points = follower.points
    for closed, aside in ((0.25, 0), (0.5, 0), (0.75, 0), (1, 0), (1, 2), (1, 4), (1, 6), (1, 8)):
        after = closing(closed, aside)
        points, before = follower.follow(points, before, after), after
    missed = follower.distances(points, before)
    assert missed.mean() < 0.5 and missed.max() < 2.5
    assert shape_quality(points, mesh.tets).min() > 0.02


def test_poor_tets_are_made_even_together_and_none_is_turned_over(shell):
    mesh, _ = shell
    shaken = mesh.points + np.random.default_rng(2).normal(0, 0.5, mesh.points.shape)
    held = (mesh.side > 0) | mesh.on_base
    shaken[held] = mesh.points[held]
    good = shape_quality(shaken, mesh.tets)
    assert 0.0 < good.min() < 0.1
    ways = Ways(np.zeros_like(shaken), mesh.on_base, held)
    found = evened(shaken, mesh.tets, ways, 0.3)
    after = shape_quality(found, mesh.tets)
    assert np.array_equal(found[held], shaken[held])
    assert after.min() > 2 * good.min() and (after < 0.2).sum() < 0.3 * (good < 0.2).sum()
    untouched = np.ones(len(found), bool)
    untouched[mesh.tets[good < 0.3].ravel()] = False
    assert np.array_equal(found[untouched], shaken[untouched])
    assert evened(found, mesh.tets, ways, -1.0) is found


def test_surface_nodes_slide_on_their_surface(shell):
    mesh, field = shell
    slid = even_out(mesh, field, 0.6, 0.2)
    moved = (slid.points != mesh.points).any(1)
    bound = moved & (mesh.side > 0) & ~mesh.loose
    assert bound.sum() > 50 and np.abs(field(slid.points[bound])).max() < 0.1
    assert (slid.points[mesh.on_base, 2] == 0).all() and (signed_volumes(slid.points, mesh.tets) > 0).all()
    worse = np.minimum(shape_quality(mesh.points, mesh.tets).min(), 0.2)
    assert shape_quality(slid.points, mesh.tets).min() >= worse - 1e-9


def test_the_slopes_of_the_distortion_are_those_of_its_energy(shell):
    """Central differences along random directions; a regular tet has 1, one turned over no bound."""
    mesh = shell[0]
    across, rng = np.ascontiguousarray(mesh.points.T), np.random.default_rng(3)
    for power in (1.0, 4.0):
        distortion = Distortion(mesh.tets, len(mesh.points), power)
        way = rng.normal(size=across.shape)
        rise = (distortion.energy(across + 1e-5 * way) - distortion.energy(across - 1e-5 * way)) / 2e-5
        assert np.vdot(distortion.slopes(across)[0], way) == pytest.approx(rise, rel=1e-5)
    regular = np.array([(1, 1, 1), (-1, -1, 1), (-1, 1, -1), (1, -1, -1)], float).T
    one = Distortion(np.array([[0, 1, 3, 2]]), 4)
    turned = Distortion(np.array([[0, 1, 2, 3]]), 4)
    assert sorted([one.energy(regular), turned.energy(regular)]) == pytest.approx([1.0, np.inf])


def test_two_levels_solve_what_a_direct_solver_does(shell):
    mesh = shell[0]
    count, rng = len(mesh.points), np.random.default_rng(5)
    pattern = Pattern(mesh.tets, count)
    stiffness = pattern.matrix([-np.ones(len(mesh.tets))] * 6)
    directions, held = rng.normal(size=(count, 3)), mesh.side > 0
    pull = 5.0 * held[:, None, None] * directions[:, :, None] * directions[:, None, :]
    system = System(stiffness, pull, rng.normal(size=(count, 3)), mesh.on_base)
    cubes = Cubes(mesh.points, pattern.start, pattern.end)
    found = cubes.solve(system, cubes.inverse(system))
    whole = scipy.sparse.kron(stiffness, np.eye(3)) + scipy.sparse.block_diag(list(pull))
    free = np.flatnonzero(np.stack([np.ones(count), np.ones(count), ~mesh.on_base], axis=1).ravel())
    truth = np.zeros(3 * count)
    truth[free] = scipy.sparse.linalg.spsolve(whole.tocsc()[free][:, free], system.load.ravel()[free])
    assert np.abs(truth).max() > 0.1
    assert np.abs(found.ravel() - truth).max() < 0.02 * np.abs(truth).max()
    assert (found[mesh.on_base, 2] == 0).all()


def test_tasks_side_by_side():
    """All that they yield arrives, in the order of each; an error of one reaches who asks."""
    found = list(side_by_side([iter([1, 3, 5]), iter([2, 4]), iter([])]))
    assert sorted(found) == [1, 2, 3, 4, 5] and [n for n in found if n % 2] == [1, 3, 5]

    def breaks():
        yield 1
        raise ValueError("the second")

    with pytest.raises(ValueError, match="the second"):
        list(side_by_side([breaks(), iter(range(10))]))
