"""Edges are collapsed with guards: fewer tetrahedra, the same topology, volume and layers, no bad element."""

from dataclasses import replace

import numpy as np
import pytest
from test_mesh_sizing import half_shell, lattice_of

from BiVMeshLib.check.quality import shape_quality, signed_volumes
from BiVMeshLib.check.topology import boundary_faces, euler, surface_defects
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.sizing import ACROSS, COARSER, COARSEST_MM, EDGE_MM, FINER, Sizing, edge_for, sizing_for
from BiVMeshLib.tetra import hill_climb
from BiVMeshLib.tetra.coarsen import WORST, Aim, coarsen
from BiVMeshLib.tetra.hill_climb import DONE, FAR, GIVE_UP, NEAR, READY, WINDOW, climb, readied
from BiVMeshLib.tetra.relax import relax
from BiVMeshLib.tetra.smoothing import smooth
from BiVMeshLib.tetra.stuffing import Stuffed, positive, slid, stuff
from BiVMeshLib.tetra.volumes import enclosed_by, with_volumes
from CardiacLib.errors import InputError
from CardiacLib.types.mesh_options import MeshOptions


@pytest.fixture(scope="module")
def shell() -> tuple[Stuffed, Field]:
    """Half a hollow ball under the base, walls EPI and ENDO_LV, 5 mm thick."""
    shape = half_shell(20.0, 15.0)
    lattice, materials = lattice_of(shape, 2.6)
    field = shape.myocardium()
    return relax(smooth(stuff(lattice, materials, field), field), field), field


@pytest.fixture(scope="module")
def coarse(shell) -> Stuffed:
    mesh, field = shell
    return coarsen(mesh, field, Aim(len(mesh.tets) // 3, 12.0))


def test_a_third_of_the_tets_is_left(shell, coarse):
    assert len(coarse.tets) < 0.5 * len(shell[0].tets)
    assert len(np.unique(coarse.tets)) == len(coarse.points) == len(coarse.side)


def test_topology_and_volume_stay(shell, coarse):
    for mesh in (shell[0], coarse):
        faces = boundary_faces(mesh.tets)
        defects = surface_defects(faces, len(mesh.points))
        assert (defects.open_edges, defects.nonmanifold_edges, defects.nonmanifold_vertices) == (0, 0, 0)
        assert euler(faces) == 2
    before, after = (signed_volumes(m.points, m.tets).sum() for m in (shell[0], coarse))
    assert after == pytest.approx(before, rel=0.02)


def test_no_tet_is_bad_and_every_node_is_where_it_belongs(shell, coarse):
    mesh, field = shell
    least = min(WORST, shape_quality(mesh.points, mesh.tets).min())
    assert shape_quality(coarse.points, coarse.tets).min() >= least - 1e-9
    assert np.abs(field(coarse.points[(coarse.side > 0) & ~coarse.loose])).max() < 0.3
    assert (coarse.points[coarse.on_base, 2] == 0).all()


def test_no_edge_comes_to_join_the_walls(shell, coarse):
    def joining(mesh):
        side = np.where(mesh.on_base, 0, mesh.side)[mesh.tets]
        return int(((side == 1).any(1) & (side == 2).any(1)).sum())

    assert joining(coarse) <= joining(shell[0])
    side = coarse.side[coarse.tets]
    assert not any((side == s).all(1).any() for s in (1, 2))


def test_the_same_seed_gives_the_same_mesh(shell, coarse):
    mesh, field = shell
    again = coarsen(mesh, field, Aim(len(mesh.tets) // 3, 12.0))
    assert np.array_equal(again.points, coarse.points) and np.array_equal(again.tets, coarse.tets)


def test_sizes():
    shape = half_shell(30.0, 20.0)
    own, _ = edge_for(shape)
    assert not sizing_for(shape, MeshOptions(edge_length_mm=own)).collapses
    coarse = sizing_for(shape, MeshOptions(edge_length_mm=6.0))
    assert coarse.collapses and (coarse.lattice_mm, coarse.edge_mm) == (COARSEST_MM, 6.0)
    assert coarse.tets_wanted(1000) == round(1000 * (coarse.lattice_mm / 6.0) ** 3)
    assert not sizing_for(shape, MeshOptions(edge_length_mm=6.0, optimise=False)).collapses
    assert not sizing_for(shape, MeshOptions(edge_length_mm=COARSER * EDGE_MM)).collapses
    between = sizing_for(shape, MeshOptions(edge_length_mm=3.0))
    assert between.collapses and between.lattice_mm == pytest.approx(3.0 / FINER) and between.edge_mm == 3.0
    few, many = (sizing_for(half_shell(30.0, 25.0), MeshOptions(tets=n)) for n in (6_000, 2_000_000))
    assert few.lattice_mm == pytest.approx(few.thickness_mm / ACROSS * COARSER) and few.lattice_mm < COARSEST_MM
    assert few.collapses and few.tets_wanted(99) == 6_000 and not many.collapses and many.edge_mm < own
    assert "6000 tetrahedra were asked for; 12000 is about the smallest number" in few.left_over(12_000)[0]
    assert not few.left_over(6_500) and not coarse.left_over(10**6)
    assert few.coarse and not many.coarse and many.too_many(3_000_000) and not many.too_many(2_100_000)
    finer = Sizing(2.0, 5.0, 8.0).refined(0.8)
    assert (finer.lattice_mm, finer.edge_mm) == (1.6, 5.0)
    with pytest.raises(InputError, match="choose one"):
        MeshOptions(tets=10_000, edge_length_mm=2.0)


def test_poor_tets_are_made_more_even_before_the_climb(shell, coarse):
    """Moved at random, collapsed ones are poor."""
    rng, field = np.random.default_rng(0), shell[1]
    inner = (coarse.side == 0) & ~coarse.on_base
    moved = np.where(inner[:, None], coarse.points + rng.normal(0, 0.2, coarse.points.shape), coarse.points)
    poor = replace(coarse, points=moved)
    before, after = (shape_quality(m.points, m.tets) for m in (poor, readied(poor, field)))
    assert before.min() > 0 and (before < READY).sum() > 3 * (after < READY).sum() > 0


@pytest.mark.parametrize(
    ("below", "most"), [(0.5 * NEAR, WINDOW), (0.5 * (NEAR + FAR), GIVE_UP + 1), (2.0 * FAR, WINDOW)]
)
def test_a_climb_ends_where_it_gains_nothing(shell, monkeypatch, below, most):
    """Just below what it is to reach, and where that is far away, after a window; in between once it gives up."""
    mesh, field = shell
    rounds = []
    monkeypatch.setattr(hill_climb, "STEPS", 1)
    monkeypatch.setattr(hill_climb._Patch, "step", lambda patch, rng, field: rounds.append(patch))
    done = shape_quality(mesh.points, mesh.tets).min() + below
    again = climb(mesh, field, done=done, enough=done)
    assert len(rounds) == most and np.array_equal(again.points, mesh.points)


def test_positive_is_not_needed_after_collapses(coarse):
    assert np.array_equal(positive(coarse.points, coarse.tets.copy()), coarse.tets)


def test_walls_enclose_what_the_shape_does(shell, coarse):
    """Large flat triangles cut the corners of a cavity; its wall is moved by what they take."""
    shape, coarse = half_shell(20.0, 15.0), readied(coarse, shell[1])
    true = with_volumes(coarse, shape)

    def error(mesh, side, field):
        faces = boundary_faces(mesh.tets)
        a, b, c = (mesh.points[faces[(mesh.side[faces] == side).all(1)][:, n]] for n in range(3))
        enclosed = abs(np.cross(b - a, c - a)[:, 2] @ (a + b + c)[:, 2]) / 6.0
        return abs(enclosed / enclosed_by(field) - 1.0)

    for side, field, radius in ((1, shape.outer, 20.0), (2, shape.lv, 15.0)):
        assert enclosed_by(field) == pytest.approx(2 / 3 * np.pi * radius**3, rel=0.02)
        assert error(coarse, side, field) > 0.01 > 4 * error(true, side, field)
    least = min(shape_quality(coarse.points, coarse.tets).min(), DONE)
    assert shape_quality(true.points, true.tets).min() >= least - 1e-6
    assert (true.points[true.on_base, 2] == 0).all()


def test_no_node_goes_over_to_the_other_wall_of_a_narrow_cavity():
    """A gap of 2 mm across x: from 0.6 mm beyond its middle the nearest wall is the other one."""
    x = np.arange(-6.0, 6.5, 0.5)
    gap = Field(np.broadcast_to(1.0 - np.abs(x), (3, 3, len(x))).astype(np.float32), np.array([-6.0, -0.5, -0.5]), 0.5)
    start, free = np.array([[-1.0, 0.0, 0.0]] * 2), np.zeros(2, bool)
    places = slid(start, np.array([[0.6, 0.2, 0.0], [-0.6, 0.2, 0.0]]), gap, free)
    assert places == pytest.approx(np.array([[-1.0, 0.0, 0.0], [-1.0, 0.2, 0.0]]), abs=1e-6)
    sheet = Field(-gap.values, gap.origin, gap.spacing)  # of muscle: its node may go round an edge of it
    assert slid(start[:1], np.array([[0.6, 0.2, 0.0]]), sheet, free[:1])[0] == pytest.approx([1.0, 0.2, 0.0], abs=1e-6)
