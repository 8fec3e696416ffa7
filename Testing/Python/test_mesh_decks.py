"""Solver decks: complete, consistent with their files, in keywords that were published; laws equal to Guccione's."""

import itertools
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from unittest.mock import MagicMock

import numpy as np
import pytest
from mesh_block import make_block
from mesh_readers import vtk_file

from BiVMeshLib.convert import convert_mesh, read_mesh
from BiVMeshLib.decks import DECKS, Loads, read_loads, write_deck
from BiVMeshLib.decks.loads import Guccione
from BiVMeshLib.tetra.quadratic import mesh_edges
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import PATCHES, REGIONS
from cineheart.cli import main

LAW = Guccione()


@pytest.fixture(scope="module")
def block():
    return make_block()


@pytest.fixture(scope="module")
def decks(block, tmp_path_factory):
    folders = {}
    for name in DECKS:
        folders[name] = tmp_path_factory.mktemp(name)
        write_deck(block, folders[name], name)
    return folders


@pytest.fixture(scope="module")
def strains():
    """Green strains in fibre axes."""
    e = 0.1 * np.random.default_rng(2).normal(size=(5, 3, 3))
    return e + e.transpose(0, 2, 1)


def guccione_exponent(e):
    shear = LAW.bfs * 2 * (e[:, 0, 1] ** 2 + e[:, 0, 2] ** 2)
    return LAW.bf * e[:, 0, 0] ** 2 + LAW.bt * (e[:, 1, 1] ** 2 + e[:, 2, 2] ** 2 + 2 * e[:, 1, 2] ** 2) + shear


def test_febio_has_its_sections_in_order_and_our_mesh(decks, block):
    root = ET.parse(decks["febio"] / "heart.feb").getroot()
    order = "Module Control Material Mesh MeshDomains MeshData Boundary Loads LoadData Output"
    assert root.get("version") == "4.0" and [section.tag for section in root] == order.split()
    mesh = read_mesh(decks["febio"] / "heart.feb")
    assert np.array_equal(mesh.tets, block.tets) and np.abs(mesh.nodes - block.nodes).max() < 1e-8
    loads = {load.get("surface"): load.find("pressure").get("lc") for load in root.findall("Loads/surface_load")}
    curves = {c.get("id"): c for c in root.findall("LoadData/load_controller")}
    last = {name: curves[number].findall("points/pt")[-1].text for name, number in loads.items()}
    assert last == {"ENDO_LV": "0.4,0.015", "ENDO_RV": "0.4,0.004"}
    assert root.find("Boundary/bc").get("node_set") == "@surface:BASE"
    for material in root.findall("Material/material"):
        assert curves[material.find("solid/T0").get("lc")].findall("points/pt")[-1].text == "0.4,0.06"


def test_febio_law_is_guccione(decks, strains):
    """Fung's orthotropic exponent as the FEBio manual has it: moduli to Lame constants by the inverse compliance."""
    fung = ET.parse(decks["febio"] / "heart.feb").find("Material/material/solid[@type='Fung orthotropic']")
    p = {entry.tag: float(entry.text) for entry in fung}
    compliance = np.diag([1 / p["E1"], 1 / p["E2"], 1 / p["E3"]])
    compliance[[0, 1], [1, 0]] = -p["v12"] / p["E1"]
    compliance[[1, 2], [2, 1]] = -p["v23"] / p["E2"]
    compliance[[0, 2], [2, 0]] = -p["v31"] / p["E3"]
    stiffness = np.linalg.inv(compliance)
    mu = [p["G12"] + p["G31"] - p["G23"], p["G12"] - p["G31"] + p["G23"], p["G31"] + p["G23"] - p["G12"]]
    lame = stiffness - 2 * np.diag(mu)
    q = sum(2 * mu[a] * (strains @ strains)[:, a, a] for a in range(3))
    q = q + sum(lame[a, b] * strains[:, a, a] * strains[:, b, b] for a in range(3) for b in range(3))
    assert np.allclose(q / p["c"], guccione_exponent(strains), rtol=1e-5)
    assert p["c"] == pytest.approx(1e-3 * LAW.c)


def test_abaqus_law_is_guccione(decks, strains):
    """The exponent sums b_ijkl E_ij E_kl over all nine times nine pairs of indices."""
    lines = (decks["abaqus"] / "job.inp").read_text().splitlines()
    at = lines.index("*ANISOTROPIC HYPERELASTIC, FUNG-ORTHOTROPIC")
    values = [float(v) for line in lines[at + 1 : at + 3] for v in line.split(",")]
    names = ("1111", "1122", "2222", "1133", "2233", "3333", "1212", "1313", "2323")
    b = np.zeros((3, 3, 3, 3))
    for name, value in zip(names, values, strict=False):
        i, j, k, m = (int(digit) - 1 for digit in name)
        for index in ((i, j, k, m), (j, i, k, m), (i, j, m, k), (j, i, m, k)):
            b[index] = b[index[2:] + index[:2]] = value
    assert np.allclose(np.einsum("ijkl,nij,nkl->n", b, strains, strains), guccione_exponent(strains), rtol=1e-5)
    assert values[9] == pytest.approx(1e-3 * LAW.c) and 2 / values[10] == pytest.approx(1e-3 * LAW.bulk)


def test_abaqus_job_refers_to_what_its_mesh_defines(decks, block):
    mesh, job = ((decks["abaqus"] / name).read_text() for name in ("mesh.inp", "job.inp"))
    assert "ELSET=HEART\n" in mesh and "NAME=FIBRES" in mesh and "NSET=BASE_NODES" in mesh
    assert "*INCLUDE, INPUT=mesh.inp" in job and "BASE_NODES, 1, 3" in job
    assert all(f"{name}, P, 1." in job and f"SURFACE, NAME={name}" in mesh for name in ("ENDO_LV", "ENDO_RV"))
    springs = job.split("*FOUNDATION\n")[1].split("*")[0].split("\n")[:-1]
    assert len(springs) == (block.patches == PATCHES["EPI"]).sum()
    assert float(springs[0].split(",")[2]) == pytest.approx(1e-4)
    # Passive: the pressure ends where tension begins.
    amplitude = job.split("*AMPLITUDE, NAME=P_ENDO_LV\n")[1].split("*")[0].split()
    assert [float(v.strip(",")) for v in amplitude] == [0.0, 0.0, 0.2, 1e-3]
    assert all(len(line) <= 256 for line in (mesh + job).splitlines())


def test_opencarp_names_tags_and_files_that_are_there(decks, block):
    lines = [line for line in (decks["opencarp"] / "heart.par").read_text().splitlines() if not line.startswith("#")]
    values = dict(line.split(" = ") for line in lines)
    assert len(values) == len(lines)
    tags = {int(values[f"gregion[0].ID[{n}]"]) for n in range(int(values["gregion[0].num_IDs"]))}
    assert tags == set(block.regions.tolist()) == set(REGIONS.values())
    folder = decks["opencarp"]
    assert all((folder / f"{values['meshname']}{ending}").is_file() for ending in (".pts", ".elem", ".lon"))
    paced = [values[f"stim[{n}].elec.vtx_file"] for n in range(int(values["num_stim"]))]
    assert len(paced) == 2 and all((folder / f"{name}.vtx").is_file() for name in paced)
    assert values["imp_region[0].im"] == "tenTusscherPanfilov" and values["gregion[0].g_il"] == "0.17"


PUBLISHED = """
    Add_mesh Mesh_file_path Add_face Face_file_path Fiber_direction_file_path Mesh_scale_factor Add_equation Coupled
    Min_iterations Max_iterations Tolerance Density Elasticity_modulus Poisson_ratio Viscosity Value
    Constitutive_model a b a4f b4f a4s b4s afs bfs k Dilational_penalty_model Penalty_parameter
    Momentum_stabilization_coefficient Continuity_stabilization_coefficient Fiber_reinforcement_stress
    Temporal_values_file_path Ramp_function Output Displacement Velocity Jacobian Stress LS Linear_algebra
    Preconditioner Krylov_space_dimension Add_BC Type Stiffness Damping Apply_along_normal_direction
    Time_dependence Follower_pressure_load GeneralSimulationParameters Continue_previous_simulation
    Number_of_spatial_dimensions Number_of_time_steps Time_step_size Spectral_radius_of_infinite_time_step
    Searched_file_name_to_trigger_stop Save_results_to_VTK_format Name_prefix_of_saved_VTK_files
    Increment_in_saving_VTK_files Start_saving_after_time_step Increment_in_saving_restart_files
    Convert_BIN_to_VTK_format Verbose Warning Debug
    """
"""Keywords of the published cardiac example of svMultiPhysics."""


def test_svmultiphysics_uses_published_keywords_and_files_that_are_there(decks, block):
    folder = decks["svmultiphysics"]
    root = ET.parse(folder / "solver.xml").getroot()
    assert root.tag == "svMultiPhysicsFile" and {e.tag for e in root.iter()} - {root.tag} <= set(PUBLISHED.split())
    files = [e.text.strip() for e in root.iter() if e.tag.endswith("file_path")]
    assert files and all((folder / name).is_file() for name in files)
    faces = {face.get("name") for face in root.iter("Add_face")}
    assert faces == set(PATCHES) == {bc.get("name") for bc in root.iter("Add_BC")}
    grid = vtk_file(folder / root.find("Add_mesh/Mesh_file_path").text.strip())
    assert grid.GetNumberOfCells() == len(block.tets)
    head, *rows = (folder / "ENDO_LV.dat").read_text().splitlines()
    table = np.array([row.split() for row in rows], float)
    assert len(table) == int(head.split()[0]) and table[-1].tolist() == [0.4, 150000.0]


def test_pulse_script_solves_the_whole_curve(decks, monkeypatch):
    """Against stand-ins of the packages: every step is solved, the loads end where the curve does."""
    pulse, dolfinx = MagicMock(), MagicMock()
    values = []
    pulse.Variable.side_effect = lambda *given: values.append(MagicMock()) or values[-1]
    for name, module in {"pulse": pulse, "dolfinx": dolfinx, "mpi4py": MagicMock()}.items():
        monkeypatch.setitem(sys.modules, name, module)
    heart = MagicMock(markers={**REGIONS, **PATCHES})
    monkeypatch.setattr("cineheart.load_heart", lambda path, units: MagicMock(to_dolfinx=lambda comm: heart))
    script = (decks["pulse"] / "heart.py").read_text()
    exec(compile(script, "heart.py", "exec"), {"__name__": "__main__"})
    assert pulse.StaticProblem.return_value.solve.call_count == 81
    tension, lv, rv = values[:3]
    assert [v.assign.call_args.args[0] for v in (lv, rv, tension)] == pytest.approx([15.0, 4.0, 60.0])
    assert pulse.Geometry.call_args.kwargs["markers"] == {name: (number, 2) for name, number in PATCHES.items()}
    assert {call.kwargs["marker"] for call in pulse.NeumannBC.call_args_list} == {2, 3}
    assert read_mesh(decks["pulse"] / "mesh.vtu").regions.size


def test_every_deck_says_that_it_was_not_run(decks):
    for name, folder in decks.items():
        texts = [p.read_text() for p in folder.iterdir() if p.suffix in (".feb", ".par", ".xml", ".inp", ".py")]
        assert any("not run here" in text for text in texts), name


def test_quadratic_and_left_ventricle_alone(tmp_path, block):
    edges, _ = mesh_edges(block.tets)
    quadratic = replace(block, middles=block.nodes[edges].mean(1))
    write_deck(quadratic, tmp_path, "febio")
    root = ET.parse(tmp_path / "heart.feb").getroot()
    assert {e.get("type") for e in root.findall("Mesh/Elements")} == {"tet10"}
    whole = make_block(cavities=("ENDO_LV",))
    alone = replace(whole, regions=np.full_like(whole.regions, REGIONS["LV_MYO"]))
    for name in DECKS:
        (tmp_path / name).mkdir()
        write_deck(alone, tmp_path / name, name)
    text = "".join(p.read_text() for n in DECKS for p in (tmp_path / n).iterdir() if p.suffix in (".xml", ".par"))
    assert "ENDO_RV" not in text and "ENDO_LV" in text


def test_curve_of_a_file(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("time_s, lv_kpa, rv_kpa, tension_kpa\n0,0,0,0\n1,2,0.5,0\n")
    assert read_loads(path).curve[-1].tolist() == [1.0, 2.0, 0.5, 0.0] and Loads().end == 0.4
    heads = ("time,lv_kpa,rv_kpa,tension_kpa\n", "time_s,lv_kpa,rv_kpa,tension_kpa\n")
    for head, rows in itertools.product(heads, ("0,0,0,0\n", "1,0,0,0\n2,1,1,1\n", "0,1,0,0\n1,1,1,1\n")):
        path.write_text(head + rows)
        with pytest.raises(InputError, match=r"curve\.csv"):
            read_loads(path)


def test_command(tmp_path, block, capsys):
    pytest.importorskip("meshio")
    convert_mesh(block, tmp_path, "mesh.vtu")
    mesh, out = str(tmp_path / "mesh.vtu"), tmp_path / "deck"
    assert main(["convert", mesh, "-o", str(out), "--deck", "febio", "--json"]) == 0
    assert "not run" in capsys.readouterr().out and (out / "heart.feb").is_file()
    assert main(["convert", mesh, "-o", str(tmp_path / "x"), "--deck", "ansys"]) == 2
    assert "choose from febio" in capsys.readouterr().err
    assert main(["convert", mesh, "-o", str(tmp_path / "x"), "--deck", "febio", "--units", "m"]) == 2
    assert main(["convert", mesh, "-o", str(tmp_path / "x.vtu"), "--curve", "c.csv"]) == 2
    with pytest.raises(InputError, match="needs fibres"):
        write_deck(replace(block, cell_fields={}), tmp_path, "abaqus")
