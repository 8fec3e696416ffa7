"""A finite-element solver takes the written mesh: Laplace, linear elasticity and passive inflation with scikit-fem."""

import sys
from pathlib import Path

import numpy as np
import pytest

from BiVMeshLib import MeshOptions, build_mesh
from BiVMeshLib.anatomy.laplace import LinearElements, even_conductivity
from BiVMeshLib.anatomy.potentials import solve_potentials
from BiVMeshLib.exporters import export
from CardiacLib.phantom import PhantomOptions
from CardiacLib.phantom.study import measured_labels

sys.path.append(str(Path(__file__).resolve().parents[2] / "Docs" / "examples"))
skfem = pytest.importorskip("skfem")
import mechanics  # noqa: E402

from cineheart.fem.mechanics.loading import deform, filling  # noqa: E402
from cineheart.fem.mechanics.materials import Guccione  # noqa: E402

PRESSURES = {"ENDO_LV": 0.3, "ENDO_RV": 0.1}


@pytest.fixture(scope="module")
def mesh():
    """The phantom with thick walls, for a coarse mesh; its tets are good enough for the solver as they are."""
    labels, _ = measured_labels(PhantomOptions(slice_spacing_mm=6.0, lv_edv_ml=70.0, rv_edv_ml=75.0))
    thick = {"rv_wall_mm": 8.0, "min_lv_wall_mm": 8.0, "min_septum_mm": 9.0}
    coarse = MeshOptions(edge_length_mm=10.0, grid_mm=3.0, refinements=0, optimise=False, **thick)
    return build_mesh(labels.labels[0], labels.ijk_to_lps, coarse)


@pytest.fixture(scope="module")
def heart(mesh, tmp_path_factory):
    folder = tmp_path_factory.mktemp("msh")
    export(mesh, folder, ("msh",))
    return mechanics.read_heart(folder)


@pytest.fixture(scope="module")
def inflation(heart):
    return deform(heart, filling(PRESSURES, 1))


def lid_area(mesh, patch) -> np.ndarray:
    """(3,) area vector of the flat opening of a cavity, out of the heart."""
    a, b, c = (mesh.nodes[mesh.patch(patch)[:, n]] for n in range(3))
    return 0.5 * np.cross(b - a, c - a).sum(0)


@pytest.mark.slow
def test_laplace_agrees_with_the_fibres_potentials(mesh, heart):
    endo, ours = ["ENDO_LV", "ENDO_RV"], solve_potentials(mesh)
    others = [["ENDO_RV", "EPI"], ["ENDO_LV", "EPI"]]
    lv, rv = (mechanics.laplace(heart.mesh, *patches) for patches in zip(endo, others, strict=True))
    even = even_conductivity([ours.elements.gradient(u) for u in (lv, rv, 1.0 - lv - rv)])
    for name, zeros, expected in zip(endo, others, (ours.lv, ours.rv), strict=True):
        found = mechanics.laplace(heart.mesh, name, zeros, even)
        # Obtuse tets let linear elements leave the range from 0 to 1 a little; ours are cut to it.
        assert np.abs(np.clip(found, 0.0, 1.0) - expected).max() < 1e-6


def test_fibres_of_the_file_lie_in_the_wall(heart):
    depth = mechanics.laplace(heart.mesh, "EPI", ["ENDO_LV", "ENDO_RV"])
    gradient = LinearElements.on(heart.mesh.p.T, heart.mesh.t.T).gradient(depth)
    gradient /= np.linalg.norm(gradient, axis=1, keepdims=True)
    fibre, sheet, normal = heart.axes.transpose(2, 0, 1)
    assert np.allclose(np.cross(fibre, sheet), normal, atol=1e-6)
    assert np.median(np.abs((fibre * gradient).sum(1))) < np.sin(np.radians(10.0))


def test_elasticity_balances_the_pressure(mesh, heart):
    found = mechanics.elasticity(heart.mesh, "ENDO_LV", 0.1)
    # The resultant follows from the flat opening alone: pressure on a closed surface has none.
    assert np.allclose(found.reaction, 0.1 * lid_area(mesh, "ENDO_LV"), rtol=1e-6, atol=1e-5)
    assert found.energy == pytest.approx(found.work, rel=1e-6)
    base = np.unique(mesh.patch("BASE"))
    assert np.abs(found.displacement[base]).max() == 0.0
    assert 0.05 < np.linalg.norm(found.displacement, axis=1).max() < 2.0


@pytest.mark.slow
def test_passive_inflation_converges_quadratically(inflation):
    residuals = np.array(inflation.steps[-1].residuals)
    assert residuals[-1] < 1e-8
    assert len(residuals) <= 9
    last = residuals[residuals < 1e-2]
    assert (last[1:] < 30 * last[:-1] ** 2 + 1e-11).all()


@pytest.mark.slow
def test_inflated_cavities_grow_and_the_muscle_keeps_its_volume(mesh, inflation):
    first, last = inflation.steps[0], inflation.steps[-1]
    assert first.volume["ENDO_LV"] == pytest.approx(mesh.quality.volumes.lv_pool_ml, rel=1e-6)
    assert first.volume["ENDO_RV"] == pytest.approx(mesh.quality.volumes.rv_pool_ml, rel=1e-6)
    assert 1.05 < last.volume["ENDO_LV"] / first.volume["ENDO_LV"] < 1.4
    assert 1.01 < last.volume["ENDO_RV"] / first.volume["ENDO_RV"] < 1.4
    assert np.abs(inflation.jacobian - 1.0).max() < 0.03
    assert np.median(inflation.fibre_stress) > 0.0


@pytest.mark.slow
def test_inflation_balances_the_pressure(mesh, inflation):
    # The base is held, so that the opening keeps its area however the wall deforms.
    expected = sum(value * lid_area(mesh, name) for name, value in PRESSURES.items())
    assert np.allclose(inflation.reaction, expected, rtol=1e-5, atol=1e-3)
    # The work is the trapezoid of one step.
    assert inflation.steps[-1].energy == pytest.approx(inflation.steps[-1].work, rel=0.1)


def test_the_law_is_the_derivative_of_its_energy():
    law, step = Guccione(), 1e-6
    f = np.eye(3) + 0.1 * np.random.default_rng(0).normal(size=(4, 3, 3))
    stress, tangent = law.stress(f)[1], law.tangent(f)
    for k in range(3):
        for b in range(3):
            change = np.zeros((3, 3))
            change[k, b] = step
            above, below = law.stress(f + change), law.stress(f - change)
            assert np.allclose((above[0] - below[0]) / (2 * step), stress[:, k, b], rtol=1e-5, atol=1e-5)
            assert np.allclose((above[1] - below[1]) / (2 * step), tangent[..., k, b], rtol=1e-5, atol=1e-4)
