"""Ten-node tetrahedra: valid everywhere, on the surface, and more accurate than linear ones of as many unknowns."""

from dataclasses import replace

import heart_mesh
import numpy as np
import pytest

from BiVMeshLib import MeshOptions, build_mesh
from BiVMeshLib.check.quality import signed_volumes
from BiVMeshLib.tetra.quadratic import LEAST, curve, elements, least_jacobian, mesh_edges, shape_gradients
from CardiacLib.phantom import PhantomOptions
from CardiacLib.phantom.study import measured_labels
from CardiacLib.types.bivmesh import PATCHES

INNER, OUTER = 20.0, 32.0


def half_ball(monkeypatch, side: int, layers: int):
    """Half a spherical shell."""
    monkeypatch.setattr(heart_mesh, "ENDO_RADII", np.full(3, INNER))
    monkeypatch.setattr(heart_mesh, "EPI_RADII", np.full(3, OUTER))
    return heart_mesh.shell.__wrapped__(side, layers)[0]


def onto_spheres(points, in_base):
    radius = np.linalg.norm(points, axis=1)
    wanted = np.where(radius < (INNER + OUTER) / 2, INNER, OUTER)
    return points * (wanted / radius)[:, None]


def test_a_straight_tet_has_the_jacobian_of_the_linear_one():
    nodes, tets = np.random.default_rng(0).normal(size=(4, 3)), np.array([[0, 1, 2, 3]])
    tets = tets if signed_volumes(nodes, tets)[0] > 0 else tets[:, [0, 2, 1, 3]]
    edges, of_tet = mesh_edges(tets)
    assert least_jacobian(nodes, tets, nodes[edges].mean(1)[of_tet])[0] == pytest.approx(1.0)


def test_the_bound_lies_below_every_jacobian_of_a_bent_tet():
    rng = np.random.default_rng(1)
    nodes, tets = np.vstack([np.zeros(3), np.eye(3)]), np.array([[0, 1, 2, 3]])
    edges, of_tet = mesh_edges(tets)
    bary = rng.dirichlet(np.ones(4), 4000)
    for bend in (0.02, 0.1, 0.3):
        middles = nodes[edges].mean(1) + bend * rng.normal(size=(6, 3))
        places = np.concatenate([nodes[tets], middles[of_tet]], axis=1)
        found = np.linalg.det(np.einsum("pai,max->pix", shape_gradients(bary[:, 1:]), places))
        bound = least_jacobian(nodes, tets, middles[of_tet])[0]
        assert bound <= found.min() + 1e-12 and bound > found.min() - 20 * bend


def test_curved_edges_lie_on_the_surface(monkeypatch):
    mesh = half_ball(monkeypatch, 8, 2)
    found = curve(mesh, onto_spheres)
    assert found.straight + found.eased < 0.05 * found.curved and found.least >= LEAST
    made = elements(replace(mesh, middles=found.middles))
    for name, radius in (("ENDO_LV", INNER), ("EPI", OUTER)):
        on = np.unique(made.triangles[mesh.patches == PATCHES[name]])
        off = np.abs(np.linalg.norm(made.nodes[on], axis=1) - radius)
        assert np.median(off) < 1e-9 and (off > 1e-9).mean() < 0.05


def test_an_edge_that_would_spoil_its_tet_stays_straight(monkeypatch):
    mesh = half_ball(monkeypatch, 8, 2)
    inwards = curve(mesh, lambda points, in_base: points * (1 + 0.24 * np.sign(np.sin(40 * points[:, :1]))))
    assert inwards.straight > 0 and inwards.least >= LEAST - 1e-9


def test_quadratic_elements_are_more_accurate_at_the_same_number_of_unknowns(monkeypatch):
    """Conduction through half a spherical shell, whose energy is known: 2 pi / (1/inner - 1/outer)."""
    skfem = pytest.importorskip("skfem")
    from skfem.helpers import dot, grad

    exact = 2 * np.pi / (1 / INNER - 1 / OUTER)
    stiffness = skfem.BilinearForm(lambda u, v, w: dot(grad(u), grad(v)))

    def error(mesh, element):
        made = elements(mesh)
        kind = skfem.MeshTet if made.order == 1 else skfem.MeshTet2
        basis = skfem.Basis(kind(made.nodes.T.copy(), made.tets.T.copy()), element, intorder=4)
        radius = np.linalg.norm(basis.doflocs, axis=0)
        size = len(radius)
        on = {name: np.zeros(size, bool) for name in ("ENDO_LV", "EPI")}
        for name in on:
            places = made.nodes[np.unique(made.triangles[mesh.patches == PATCHES[name]])]
            number = {tuple(p): n for n, p in enumerate(np.round(basis.doflocs.T, 6))}
            on[name][[number[tuple(p)] for p in np.round(places, 6)]] = True
        values = on["ENDO_LV"].astype(float)
        held = np.flatnonzero(on["ENDO_LV"] | on["EPI"])
        matrix = stiffness.assemble(basis)
        u = skfem.solve(*skfem.condense(matrix, x=values, D=held))
        return abs(u @ matrix @ u / exact - 1), size

    fine, coarse = half_ball(monkeypatch, 16, 4), half_ball(monkeypatch, 8, 2)
    linear, unknowns = error(fine, skfem.ElementTetP1())
    curved = replace(coarse, middles=curve(coarse, onto_spheres).middles)
    quadratic, same = error(curved, skfem.ElementTetP2())
    assert same == pytest.approx(unknowns, rel=0.02)
    assert quadratic < 0.2 * linear


@pytest.mark.slow
def test_order_2_of_a_heart():
    """The middles of the walls' edges are nearer to the smooth surface; those of the base stay in its plane."""
    labels, _ = measured_labels(PhantomOptions(slice_spacing_mm=6.0))
    thick = {"rv_wall_mm": 8.0, "min_lv_wall_mm": 8.0, "min_septum_mm": 9.0, "fibres": False, "coordinates": False}
    options = MeshOptions(edge_length_mm=6.5, grid_mm=2.5, refinements=0, optimise=False, order=2, **thick)
    mesh = build_mesh(labels.labels[0], labels.ijk_to_lps, options)
    assert any("Quadratic elements" in note for note in mesh.notes)
    edges, of_tet = mesh_edges(mesh.tets)
    assert least_jacobian(mesh.nodes, mesh.tets, mesh.middles[of_tet]).min() > 0
    made = elements(mesh)
    base = made.nodes[np.unique(made.triangles[mesh.patches == PATCHES["BASE"]])]
    normal = np.linalg.svd(base - base.mean(0))[2][2]
    assert np.abs((base - base.mean(0)) @ normal).max() < 1e-6
    moved = np.linalg.norm(mesh.middles - mesh.nodes[edges].mean(1), axis=1)
    walls = np.unique(made.triangles[mesh.patches != PATCHES["BASE"]][:, 3:]) - len(mesh.nodes)
    assert (moved[np.setdiff1d(np.arange(len(edges)), walls)] == 0).all()
    assert 0.01 < np.median(moved[walls]) < 1.0
