"""Laplace solves and rule-based fibres: exact solutions, the rule on an analytic shell, the phantom heart."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from heart_mesh import ENDO_RADII, EPI_RADII, in_heart_frame, lv_alone, phantom_mesh, shell
from scipy.spatial.transform import Rotation

from BiVMeshLib import FibreOptions, MeshError, MeshOptions
from BiVMeshLib.anatomy import laplace, quaternions
from BiVMeshLib.anatomy import with_anatomy as anatomy
from BiVMeshLib.anatomy.fibres import axes, bislerp, make_fibres
from BiVMeshLib.anatomy.laplace import DirichletProblem, LinearElements
from BiVMeshLib.anatomy.potentials import nodes_of, on_patch, solve_potentials
from BiVMeshLib.check.quality import measure, signed_volumes
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import REGIONS
from CardiacLib.types.values import read_value, write_value
from cineheart.cli import main

FIBRES = ("fibre", "sheet", "normal")


def axial(vectors, directions):
    """Degrees between axes, which have no sign."""
    return np.degrees(np.arccos(np.clip(np.abs((vectors * directions).sum(-1)), 0, 1)))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def helix(fibre, circumferential, up):
    """Helix angle in degrees, -90 to 90."""
    angle = np.degrees(np.arctan2((fibre * up).sum(1), (fibre * circumferential).sum(1)))
    return (angle + 90) % 180 - 90


def test_a_linear_field_is_solved_exactly():
    mesh = shell()[0]
    elements = LinearElements.on(mesh.nodes, mesh.tets)
    assert elements.volumes == pytest.approx(signed_volumes(mesh.nodes, mesh.tets))
    field = mesh.nodes @ [0.3, -1.0, 2.0] + 5.0
    assert np.abs(elements.gradient(field) - [0.3, -1.0, 2.0]).max() < 1e-9
    held = nodes_of(mesh, np.zeros(len(mesh.tets), bool))
    held[mesh.triangles] = True
    problem = DirichletProblem(elements.stiffness(), held)
    solved = problem.solve(np.where(held, field, 0.0))
    assert np.array_equal(solved[held], field[held])
    assert np.abs(solved - field).max() < 1e-5
    few = np.zeros(len(held), bool)
    few[mesh.patch("BASE")] = few[mesh.patch("EPI")] = True
    one, two = (
        DirichletProblem(elements.stiffness(), few, p).solve(np.where(few, field, 0.0)) for p in (None, mesh.nodes)
    )
    assert two == pytest.approx(one, abs=1e-5) and np.ptp(laplace.cubes_of(mesh.nodes)) > 100
    flux = elements.divergence(elements.gradient(field))
    assert flux == pytest.approx(elements.stiffness() @ field, abs=1e-8)


def test_stiffness_is_that_of_scikit_fem():
    skfem = pytest.importorskip("skfem")
    from skfem.models.poisson import laplace

    mesh = shell(8, 3)[0]
    basis = skfem.Basis(skfem.MeshTet(mesh.nodes.T.copy(), mesh.tets.T.copy()), skfem.ElementTetP1())
    expected = skfem.asm(laplace, basis)
    assert abs(LinearElements.on(mesh.nodes, mesh.tets).stiffness() - expected).max() < 1e-9


def test_potential_rises_evenly_through_the_wall():
    mesh, depth, _ = shell()
    found = solve_potentials(mesh)
    assert np.abs(found.epi - depth).max() < 0.03
    assert (found.rv == 0).all()


def rule_on_the_shell(options):
    """Tets of the shell away from its poles: fibres, depth, and the analytic local axes."""
    mesh, depth, angle = shell()
    fibres = make_fibres(mesh, solve_potentials(mesh), options)
    depth, angle = depth[mesh.tets].mean(1), angle[mesh.tets].mean(1)
    centre = mesh.nodes[mesh.tets].mean(1)
    radii = ENDO_RADII + depth[:, None] * (EPI_RADII - ENDO_RADII)
    turn = np.arctan2(centre[:, 1], centre[:, 0])
    around = np.stack([-np.sin(turn), np.cos(turn), 0 * turn], axis=1)
    along = np.stack([np.cos(angle) * np.cos(turn), np.cos(angle) * np.sin(turn), np.sin(angle)], axis=1)
    up = unit(along * radii)
    rows = (angle > 0.35) & (angle < 1.45)
    return fibres, depth, around, up, np.cross(around, up), rows


@pytest.mark.parametrize("alpha", [(60.0, -60.0), (40.0, -50.0)])
def test_helix_angle_is_linear_in_depth(alpha):
    """The rule is analytic here; reference values of other LDRB programs are not at hand."""
    endo, epi = alpha
    fibres, depth, around, up, _, rows = rule_on_the_shell(FibreOptions(alpha_endo=endo, alpha_epi=epi))
    error = np.abs(helix(fibres.fibre, around, up) - (endo + depth * (epi - endo)))
    assert np.median(error[rows]) <= 2.0 and np.percentile(error[rows], 95) <= 6.0
    assert fibres.repaired == 0


def test_sheets_turn_from_beta_endo_to_beta_epi():
    fibres, depth, _, _, outwards, rows = rule_on_the_shell(FibreOptions())
    beta = np.radians(-65 + 90 * depth)[:, None]
    error = axial(fibres.sheet, unit(np.cos(beta) * outwards - np.sin(beta) * np.cross(fibres.fibre, outwards)))
    assert np.median(error[rows]) <= 3.0


@pytest.mark.slow
def test_frames_of_the_phantom_are_orthonormal_and_right_handed():
    mesh, _ = phantom_mesh()
    assert mesh.quality.fibres.fibre_orthonormality_error < 1e-12
    fibre, sheet, normal = (mesh.cell_fields[name] for name in FIBRES)
    assert np.abs((fibre * sheet).sum(1)).max() < 1e-12
    assert np.abs(np.cross(fibre, sheet) - normal).max() < 1e-12
    assert mesh.quality.fibres.repaired_fibre_frames < 0.001 * len(mesh.tets)


@pytest.mark.parametrize("region", REGIONS)
def test_fibres_of_the_phantom_turn_through_every_wall(region):
    """Seen from the LV axis; in the septum from the LV's to the RV's side, +60 to -60 degrees as in the free walls."""
    mesh, to_lps = phantom_mesh()
    centre = in_heart_frame(mesh.nodes[mesh.tets].mean(1), to_lps)
    fibre = mesh.cell_fields["fibre"] @ to_lps[:3, :3]
    around = unit(np.cross([0.0, 0.0, 1.0], centre * [1, 1, 0]))
    angle = helix(fibre, around, [0.0, 0.0, 1.0])
    depth = mesh.point_fields["transmural"][mesh.tets].mean(1)
    level = mesh.point_fields["apicobasal"][mesh.tets].mean(1)
    rows = (mesh.regions == REGIONS[region]) & (level > 0.45) & (level < 0.8)
    edges = np.linspace(0, 1, 6)
    medians = [np.median(angle[rows & (depth >= a) & (depth < b)]) for a, b in pairwise(edges)]
    assert (np.diff(medians) < 0).all()
    assert 40 < medians[0] < 60 and -60 < medians[-1] < -40
    if region == "LV_MYO":
        assert medians == pytest.approx([48, 24, 0, -24, -48], abs=5)


def test_turned_heart_has_turned_fibres():
    mesh, _ = phantom_mesh()
    turn = Rotation.from_euler("xyz", [20, -35, 70], degrees=True).as_matrix()
    turned = replace(mesh, nodes=mesh.nodes @ turn.T + [10, 20, 30])
    fibres = make_fibres(turned, solve_potentials(turned), FibreOptions())
    assert np.percentile(axial(fibres.fibre, mesh.cell_fields["fibre"] @ turn.T), 99.9) < 0.1


def test_left_ventricle_alone_has_the_same_fibres_in_its_free_wall():
    mesh, _ = phantom_mesh()
    alone = lv_alone(mesh)
    fibres = make_fibres(alone, solve_potentials(alone), FibreOptions())
    kept = mesh.regions[mesh.regions != REGIONS["RV_WALL"]] == REGIONS["LV_MYO"]
    both = mesh.cell_fields["fibre"][mesh.regions == REGIONS["LV_MYO"]]
    assert np.median(axial(fibres.fibre[kept], both)) < 3.0


def test_cells_without_a_gradient_have_the_frame_of_the_nearest():
    mesh, _, _ = shell()
    found = solve_potentials(mesh)
    flat = found.apicobasal.copy()
    some = mesh.tets[len(mesh.tets) // 2 :: 5000]
    flat[some] = 0.5
    fibres = make_fibres(mesh, replace(found, apicobasal=flat), FibreOptions())
    assert len(some) <= fibres.repaired < 50 * len(some)
    assert anatomy.orthonormality_error(fibres) < 1e-12


def test_axes_are_frames_even_where_they_are_not_defined():
    up = np.array([[0, 0, 2.0], [0, 0, 1e-14], [0, 3.0, 0], [1.0, 1, 0]])
    across = np.array([[1.0, 0, 1], [1.0, 0, 0], [0, 1.0, 0], [0, 0, 0]])
    frames, bad = axes(up, across)
    assert bad.tolist() == [False, True, True, True]
    assert np.abs(quaternions.matrices(frames)[0] - np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])).max() < 1e-15


def test_quaternions_are_those_of_scipy():
    one, two = Rotation.random(500, random_state=3), Rotation.random(500, random_state=4)
    half_turns = Rotation.from_quat(np.eye(4))  # where one component of a quaternion is all there is
    for turns in (one, half_turns):
        frames = turns.as_matrix()
        found = quaternions.from_axes(*frames.transpose(2, 1, 0))
        assert np.abs(quaternions.matrices(found) - frames).max() < 1e-14
    product = quaternions.product(one.as_quat().T, two.as_quat().T)
    assert np.abs(quaternions.matrices(product) - (one * two).as_matrix()).max() < 1e-14
    way = one * Rotation.from_rotvec(0.3 * (one.inv() * two).as_rotvec())
    found = quaternions.slerp(one.as_quat().T, two.as_quat().T, np.full(500, 0.3))
    assert np.abs(quaternions.matrices(found) - way.as_matrix()).max() < 1e-12


def test_bislerp_goes_the_short_way_between_axes():
    one = Rotation.random(200, random_state=1)
    two = Rotation.random(200, random_state=2)

    def between(first, share):
        return Rotation.from_quat(bislerp(first.as_quat().T, two.as_quat().T, np.full(200, share)).T)

    ends = [between(one, share).as_matrix() for share in (0.0, 1.0)]
    for end, frame in zip(ends, (one, two), strict=True):
        cosines = np.abs(np.einsum("mij,mij->mj", end, frame.as_matrix()))
        assert cosines == pytest.approx(1.0)
    half = between(one, 0.5)
    way = (half.inv() * two).magnitude()
    assert way.max() <= np.radians(60)  # no frame is farther than 120 degrees from an equivalent one of another
    flipped = one * Rotation.from_matrix(np.diag([1.0, -1.0, -1.0]))
    cosines = np.abs(np.einsum("mij,mij->mj", between(flipped, 0.5).as_matrix(), half.as_matrix()))
    assert cosines == pytest.approx(1.0)


def test_options_choose_what_a_mesh_carries():
    mesh = replace(shell()[0], quality=measure(shell()[0]))
    plain = anatomy.with_anatomy(mesh, MeshOptions(fibres=False, coordinates=False))
    assert plain.cell_fields == {} and plain.point_fields == {} and plain.quality == mesh.quality
    only = anatomy.with_anatomy(mesh, MeshOptions(coordinates=False))
    assert set(only.cell_fields) == set(FIBRES) and only.point_fields == {}
    assert mesh.quality.fibres is None and only.quality.fibres.fibre_orthonormality_error < 1e-12
    steep = anatomy.with_anatomy(mesh, MeshOptions(coordinates=False, fibre_angles=FibreOptions(alpha_endo=80)))
    assert not np.allclose(steep.cell_fields["fibre"], only.cell_fields["fibre"])


def test_a_solve_that_does_not_converge_is_an_error(monkeypatch):
    monkeypatch.setattr(laplace, "MAX_ITERATIONS", 2)
    with pytest.raises(MeshError, match="another edge length"):
        anatomy.with_anatomy(shell()[0], MeshOptions())


def test_fields_pass_through_a_job_file(tmp_path):
    mesh, _ = phantom_mesh()
    write_value(tmp_path / "mesh.npz", mesh)
    read = read_value(tmp_path / "mesh.npz")
    for name in ("cell_fields", "point_fields"):
        wanted, got = getattr(mesh, name), getattr(read, name)
        assert wanted.keys() == got.keys() and all(np.array_equal(wanted[key], got[key]) for key in wanted)


@pytest.mark.parametrize("angles", ["60", "a,b", "100,-60"])
def test_bad_angles_on_the_command_line(angles, tmp_path, capsys):
    assert main(["mesh", "labels.nii.gz", "-o", str(tmp_path / "out"), "--fibre-angles", angles]) == 2
    assert "60,-60" in capsys.readouterr().err or angles == "100,-60"
    with pytest.raises(InputError, match="alpha_endo"):
        FibreOptions(alpha_endo=100)


def test_boundary_values_of_the_potentials_are_exact():
    mesh, _ = phantom_mesh()
    found = solve_potentials(mesh)
    for name, field in (("ENDO_LV", found.lv), ("ENDO_RV", found.rv), ("EPI", found.epi), ("BASE", found.apicobasal)):
        assert (field[on_patch(mesh, name)] == 1).all()
    assert np.abs(found.lv + found.rv + found.epi - 1).max() < 1e-12
