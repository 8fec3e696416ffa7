"""Active contraction and the unloaded shape, with scikit-fem on the ellipsoid of a published benchmark."""

import inspect
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

skfem = pytest.importorskip("skfem")
from ellipsoid import ellipsoid  # noqa: E402
from mesh_block import make_block  # noqa: E402

from BiVMeshLib.check.quality import signed_volumes  # noqa: E402
from BiVMeshLib.convert import read_mesh  # noqa: E402
from BiVMeshLib.exporters import write_vtu  # noqa: E402
from CardiacLib.errors import InputError  # noqa: E402
from CardiacLib.types.bivmesh import PATCHES, REGIONS, BiVMesh  # noqa: E402
from cineheart.cli import main  # noqa: E402
from cineheart.fem import cli as fem_cli  # noqa: E402
from cineheart.fem.mechanics import inverse  # noqa: E402
from cineheart.fem.mechanics.carried import carried_axes  # noqa: E402
from cineheart.fem.mechanics.inverse import ImagedSolid, slacken  # noqa: E402
from cineheart.fem.mechanics.loading import contraction, deform, filling, newton, stiffened  # noqa: E402
from cineheart.fem.mechanics.materials import Guccione  # noqa: E402
from cineheart.fem.mechanics.nodal import NodalSolid  # noqa: E402
from cineheart.fem.mechanics.solid import Load, Solid, held_along  # noqa: E402
from cineheart.fem.mechanics.unload import SLOW, UnloadOptions, unload  # noqa: E402
from cineheart.fem.unloaded import MOST_TETS, UnloadFile, unload_mesh  # noqa: E402

FILLED = {"ENDO_LV": 1.0}
EJECTED = Load({"ENDO_LV": 15.0}, 60.0)


@pytest.fixture(scope="module")
def heart():
    return ellipsoid()


@pytest.fixture(scope="module")
def contracted(heart):
    """Problem 3 of Land et al. 2015 in few tets: to 15 kPa and a tension of 60 kPa, after filling."""
    filled = Load(FILLED)
    loads = [*filling(FILLED, 1), *contraction(filled, EJECTED, 4)]
    return deform(heart, loads, Guccione(kappa=1000.0))


@pytest.fixture(scope="module")
def unloaded(heart):
    return unload(heart, FILLED, UnloadOptions(tolerance_mm=0.02))


def tet_volumes(heart, moved=0.0):
    """(M,) positive."""
    nodes, tets = heart.mesh.p.T + moved, heart.mesh.t.T
    return np.abs(signed_volumes(nodes, tets))


def biv_mesh(heart):
    """As one of ours."""
    nodes, tets = heart.mesh.p.T.copy(), heart.mesh.t.T.copy()
    turned = signed_volumes(nodes, tets) < 0
    tets[turned] = tets[turned][:, [0, 2, 1, 3]]
    triangles, patches = [], []
    for name, facets in heart.mesh.boundaries.items():
        corners = heart.mesh.facets[:, facets].T.copy()
        inner = heart.mesh.p[:, heart.mesh.t[:, heart.mesh.f2t[0, facets]]].mean(1).T
        a, b, c = (nodes[corners[:, n]] for n in range(3))
        inwards = np.einsum("fi,fi->f", np.cross(b - a, c - a), a - inner) < 0
        corners[inwards] = corners[inwards][:, [0, 2, 1]]
        triangles.append(corners)
        patches.append(np.full(len(corners), PATCHES[name], np.int32))
    regions = np.full(len(tets), REGIONS["LV_MYO"], np.int32)
    cells = dict(zip(("fibre", "sheet", "normal"), np.moveaxis(heart.axes, 2, 0), strict=True))
    return BiVMesh(nodes, tets, regions, np.concatenate(triangles), np.concatenate(patches), cell_fields=cells)


@pytest.mark.slow
def test_contraction_ejects_and_thickens_the_wall(heart, contracted):
    _, full, *_, end = contracted.steps
    assert end.volume["ENDO_LV"] < 0.9 * full.volume["ENDO_LV"]
    moved, p = contracted.displacement, heart.mesh.p.T
    inner, outer = (np.unique(heart.mesh.facets[:, heart.mesh.boundaries[name]]) for name in ("ENDO_LV", "EPI"))
    # Both walls have the same nodes in the same order, one below the other.
    free = p[inner, 2] < 0.0
    before, after = (np.linalg.norm((q[inner] - q[outer])[free], axis=1) for q in (p, p + moved))
    assert np.median(after / before) > 1.05
    assert np.median(contracted.fibre_stretch) < 1.0
    assert np.median(contracted.fibre_stress) > 30.0
    # The muscle keeps its volume: within 1 % as a whole, 6 % in a tet.
    volumes = tet_volumes(heart)
    assert contracted.jacobian @ volumes == pytest.approx(volumes.sum(), rel=0.01)
    assert np.abs(contracted.jacobian - 1.0).max() < 0.06


def test_contraction_converges_quadratically(contracted):
    residuals = np.array(contracted.steps[-1].residuals)
    assert residuals[-1] < 1e-8
    last = residuals[residuals < 1e-2]
    assert len(last) >= 3
    assert (last[1:] < 100 * last[:-1] ** 2 + 1e-11).all()


def test_contraction_balances_the_pressure(heart, contracted):
    # The base is held, so that the opening keeps its area, and with it the resultant: that of the flat opening.
    rim = np.intersect1d(*(np.unique(heart.mesh.facets[:, heart.mesh.boundaries[n]]) for n in ("ENDO_LV", "BASE")))
    x, y = heart.mesh.p[:2, rim[np.argsort(np.arctan2(*heart.mesh.p[1::-1, rim]))]]
    area = 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    assert np.allclose(contracted.reaction, [0.0, 0.0, 15.0 * area], rtol=1e-5, atol=1e-2)


def test_tension_is_the_derivative_of_its_energy():
    law, step, tension = Guccione(), 1e-6, 40.0
    f = np.eye(3) + 0.1 * np.random.default_rng(0).normal(size=(4, 3, 3))
    stress, tangent = law.stress(f, tension)[1], law.tangent(f, tension)
    for k in range(3):
        for b in range(3):
            change = np.zeros((3, 3))
            change[k, b] = step
            above, below = law.stress(f + change, tension), law.stress(f - change, tension)
            assert np.allclose((above[0] - below[0]) / (2 * step), stress[:, k, b], rtol=1e-5, atol=1e-5)
            assert np.allclose((above[1] - below[1]) / (2 * step), tangent[..., k, b], rtol=1e-5, atol=1e-4)
    # Cauchy stress of the tension alone in a stretched, incompressible bar: T times the stretch squared.
    bar = np.diag([1.1, 1.1**-0.5, 1.1**-0.5])
    active = law.stress(bar, tension)[1] - law.stress(bar)[1]
    assert np.allclose(active @ bar.T, np.diag([tension * 1.21, 0.0, 0.0]))


def test_nodal_tangent_is_the_derivative_of_forces_and_energy(heart):
    random, load = np.random.default_rng(5), Load({"ENDO_LV": 2.0}, 30.0)
    solid = NodalSolid(held_along(heart, 0.3), Guccione(kappa=500.0))
    u, way = 0.05 * random.normal(size=(solid.n, 3)), random.normal(size=(solid.n, 3))
    step = 1e-5

    def forces(at):
        return solid.internal(at, load.tension)[0] - solid.external(at, load)

    change = (forces(u + step * way) - forces(u - step * way)) / (2 * step)
    found = (solid.stiffness(u, load) @ way.ravel()).reshape(-1, 3)
    assert np.allclose(found, change, rtol=1e-5, atol=1e-5 * np.abs(change).max())
    energy = [solid.internal(u + s * way, load.tension)[1] for s in (step, -step)]
    assert (energy[0] - energy[1]) / (2 * step) == pytest.approx((solid.internal(u, 30.0)[0] * way).sum(), rel=1e-6)


def test_nodal_tets_do_not_lock(heart):
    """They give way to the pressure where plain linear ones are locked; and contract, the volume kept."""
    loads = [*filling(FILLED, 1), *contraction(Load(FILLED), EJECTED, 4)]
    found = deform(heart, loads, Guccione(kappa=1000.0), NodalSolid)
    locked = deform(heart, loads[:1], Guccione(kappa=1000.0), partial(Solid, element=skfem.ElementTetP1()))
    grown = [d.steps[1].volume["ENDO_LV"] - d.steps[0].volume["ENDO_LV"] for d in (found, locked)]
    assert grown[1] < 0.4 * grown[0]
    assert found.steps[-1].volume["ENDO_LV"] < 0.8 * found.steps[1].volume["ENDO_LV"]
    residuals = np.array(found.steps[-1].residuals)
    assert residuals[-1] < 1e-8
    last = residuals[residuals < 1e-2]
    assert len(last) >= 3 and (last[1:] < 100 * last[:-1] ** 2 + 1e-11).all()
    whole = tet_volumes(heart)
    assert found.jacobian @ whole == pytest.approx(whole.sum(), rel=0.015)


@pytest.mark.parametrize(("elements", "whole"), [(Solid, 10**6), (Solid, 0), (NodalSolid, 10**6)])
def test_iterations_solve_as_factors_do(heart, monkeypatch, elements, whole):
    """Also where memory is too short for factors of the whole matrix."""
    solid = elements(heart, Guccione(kappa=1000.0))
    right = np.random.default_rng(2).normal(size=len(solid.free))
    matrix = solid.stiffness(np.zeros((solid.n, 3)), Load(FILLED))
    expected = solid.solve_linear(matrix, right)
    monkeypatch.setattr(elements, "few", 0)
    monkeypatch.setattr(elements, "whole", whole)
    for _ in range(2):  # with new factors, then with kept ones
        assert np.linalg.norm(solid.solve_linear(matrix, right) - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.slow
def test_the_unloaded_shape_inflates_to_the_imaged_one(heart, unloaded):
    again = deform(unloaded.heart, filling(FILLED, 1))
    reached = unloaded.heart.mesh.p.T + again.displacement
    assert np.linalg.norm(reached - heart.mesh.p.T, axis=1).max() < 0.02
    assert unloaded.errors_mm[-1] < 0.02 < unloaded.errors_mm[0]
    assert unloaded.unloaded_ml["ENDO_LV"] < 0.9 * unloaded.inflated_ml["ENDO_LV"]
    assert (np.linalg.det(unloaded.heart.axes) > 0.999).all()
    assert (tet_volumes(unloaded.heart) > 0.0).all()
    base = np.unique(heart.mesh.facets[:, heart.mesh.boundaries["BASE"]])
    assert np.array_equal(unloaded.heart.mesh.p[:, base], heart.mesh.p[:, base])


def test_inverse_forces_are_those_of_the_inflated_shape(heart):
    """Against the equations of the shape without load, which know nothing of the imaged place; and their tangent."""
    heart = held_along(heart, 0.3)
    random, load = np.random.default_rng(4), Load(FILLED)
    imaged, image = ImagedSolid(heart, Guccione()), heart.mesh.p.T
    places, way = image + 0.02 * random.normal(size=image.shape), random.normal(size=image.shape)
    moved = skfem.MeshTet(places.T.copy(), heart.mesh.t, sort_t=False, _boundaries=heart.mesh.boundaries)
    axes = carried_axes(heart.axes, image, places, heart.mesh.t.T)
    solid = NodalSolid(replace(heart, mesh=moved, axes=axes), Guccione())
    assert np.allclose(imaged.inner(places), solid.internal(image - places)[0], rtol=1e-9, atol=1e-10)
    assert np.allclose(imaged.outer(load), solid.external(image - places, load), rtol=1e-9, atol=1e-10)
    step = 1e-6
    change = (imaged.inner(places - step * way) - imaged.inner(places + step * way)) / (2 * step)
    found = (imaged.slackening(places)[0] @ way.ravel()).reshape(-1, 3)
    assert np.allclose(found, change, rtol=1e-5, atol=1e-6 * np.abs(change).max())


def test_springs_hold_the_epicardium_along_its_normal(heart):
    outer = np.unique(heart.mesh.facets[:, heart.mesh.boundaries["EPI"]])
    springs = held_along(heart, 0.2).springs
    assert np.array_equal(np.flatnonzero(np.trace(springs, axis1=1, axis2=2)), outer)
    a, b, c = heart.mesh.p.T[heart.mesh.facets[:, heart.mesh.boundaries["EPI"]]]
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()
    assert np.trace(springs, axis1=1, axis2=2).sum() == pytest.approx(0.2 * area, rel=0.05)
    loads = filling(FILLED, 1)
    free, held = (deform(h, loads, solid=NodalSolid) for h in (heart, held_along(heart, 0.2)))
    grown = [d.steps[1].volume["ENDO_LV"] - d.steps[0].volume["ENDO_LV"] for d in (free, held)]
    assert 0.2 * grown[0] < grown[1] < 0.95 * grown[0]
    assert held.steps[1].residuals[-1] < 1e-8


@pytest.mark.parametrize(("elements", "noise_mm"), [(Solid, 0.1), (NodalSolid, 0.4)])
def test_a_poor_guess_is_brought_into_equilibrium_with_a_penalty_that_rises(heart, elements, noise_mm):
    """Nodes moved at random make volume errors, whose stresses lead Newton's method astray."""
    problem, load = elements(heart, Guccione()), Load(FILLED)
    true = np.zeros((problem.n, 3))
    newton(problem, true, load)
    noise = np.zeros(true.size)
    noise[problem.free] = np.random.default_rng(0).normal(0.0, noise_mm, len(problem.free))
    poor = true + noise.reshape(-1, 3)
    with pytest.raises(ArithmeticError, match="did not converge"):
        newton(problem, poor.copy(), load, slow=SLOW)
    law = problem.law
    assert stiffened(problem, poor, load)[-1] < 1e-8 and problem.law == law
    assert np.abs(poor - true).max() < 1e-5


def test_a_load_that_fails_is_tried_again_half_as_far_from_the_last_one(heart, monkeypatch):
    """No rise beyond 0.3 of the load converges here; what is found then is what is found with small rises."""
    small = slacken(ImagedSolid(heart, Guccione()), Load(FILLED), rise=0.25)
    solve, tried = inverse.slackened, []

    def fails_far(problem, places, load):
        last = max((share for share, done in tried if done), default=0.0)
        tried.append((load.pressure["ENDO_LV"], load.pressure["ENDO_LV"] - last < 0.3))
        if not tried[-1][1]:
            raise ArithmeticError("too far")
        return solve(problem, places, load)

    monkeypatch.setattr(inverse, "slackened", fails_far)
    found = slacken(ImagedSolid(heart, Guccione()), Load(FILLED), rise=1.0)
    assert tried[:3] == [(1.0, False), (0.5, False), (0.25, True)]
    assert found.halved == sum(not done for _, done in tried) and found.shares[-1] == 1.0
    assert np.abs(found.places - small.places).max() < 1e-6
    monkeypatch.setattr(inverse, "HALVINGS", 1)
    tried.clear()
    with pytest.raises(ArithmeticError, match="at 50% of the load: too far"):
        slacken(ImagedSolid(heart, Guccione()), Load(FILLED), rise=1.0)
    with pytest.raises(InputError, match=r"No unloaded shape was found for 9\.00 kPa in ENDO_LV; choose a lower"):
        unload(heart, {"ENDO_LV": 9.0})


def test_kept_factors_serve_the_next_iterations(heart, monkeypatch):
    imaged = ImagedSolid(heart, Guccione())
    right = np.random.default_rng(2).normal(size=len(imaged.free))
    expected = imaged.solve(imaged.image, right)
    monkeypatch.setattr(NodalSolid, "few", 0)
    for places in (imaged.image, imaged.image + 0.01 * np.random.default_rng(3).normal(size=imaged.image.shape)):
        found = imaged.solve(places, right)
        matrix = imaged.slackening(places)[0][imaged.free][:, imaged.free]
        assert np.linalg.norm(matrix @ found - right) < 1e-3 * np.linalg.norm(right)
    assert np.linalg.norm(imaged.solve(imaged.image, right) - expected) < 1e-2 * np.linalg.norm(expected)


def test_fibres_are_carried_along(heart):
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    nodes = heart.mesh.p.T
    assert np.allclose(carried_axes(heart.axes, nodes, nodes @ turn.T, heart.mesh.t.T), turn @ heart.axes)
    stretched = np.diag([2.0, 1.0, 1.0])
    fibre = carried_axes(heart.axes, nodes, nodes @ stretched.T, heart.mesh.t.T)[:, :, 0]
    expected = heart.axes[:, :, 0] * [2.0, 1.0, 1.0]
    assert np.allclose(fibre, expected / np.linalg.norm(expected, axis=1, keepdims=True))


def test_command_writes_the_unloaded_mesh(heart, tmp_path, capsys):
    mesh = biv_mesh(heart)
    write_vtu(mesh, tmp_path / "mesh.vtu")
    command = ["unload", str(tmp_path / "mesh.vtu"), "-o", str(tmp_path / "unloaded.vtu"), "--pressure", "0.5"]
    assert main([*command, "--json"]) == 0
    assert '"lv_pool_unloaded_ml"' in capsys.readouterr().out
    found = read_mesh(tmp_path / "unloaded.vtu")
    assert np.array_equal(found.patches, mesh.patches) and signed_volumes(found.nodes, found.tets).min() > 0.0
    moved = found.nodes + found.point_fields["to_imaged_mm"]
    assert np.linalg.norm(moved - mesh.nodes, axis=1).max() < 0.05
    assert np.abs((found.cell_fields["fibre"] ** 2).sum(1) - 1.0).max() < 1e-6


def test_the_commands_defaults_are_those_of_its_options():
    """The command states them again, as it is read without scikit-fem."""
    stated = inspect.signature(fem_cli.unload).parameters
    names = ("pressure", "rv_pressure", "stiffness", "tolerance", "linear", "pericardium")
    assert UnloadFile(*(stated[name].default for name in names)) == UnloadFile()


def test_what_cannot_be_unloaded(heart, tmp_path, capsys, monkeypatch):
    mesh = biv_mesh(heart)
    with pytest.raises(InputError, match="make a coarser mesh"):
        unload_mesh(replace(mesh, tets=np.zeros((MOST_TETS[False] + 1, 4), int)), UnloadFile())
    with pytest.raises(InputError, match="make it with fibres"):
        unload_mesh(make_block(fields=False), UnloadFile())
    write_vtu(mesh, tmp_path / "mesh.vtu")
    command = ["unload", str(tmp_path / "mesh.vtu"), "-o", str(tmp_path / "out.vtu")]
    assert main([*command, "--pressure", "-1"]) == 2
    assert "--pressure -1: must be more than 0 kPa" in capsys.readouterr().err
    assert main([*command, "--pericardium", "-1"]) == 2
    assert "--pericardium -1: must not be less than 0 kPa/mm" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(command) == 2
    assert "pip install scikit-fem" in capsys.readouterr().err
    assert not (tmp_path / "out.vtu").exists()
