"""Valve rings: annuli against the phantom's own valves, the base split, cavities capped, at rest and moving."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from heart_mesh import lv_alone, phantom_mesh
from mesh_block import make_block
from test_mesh_surfaces import assert_closed

from BiVMeshLib.check.intersections import self_intersections
from BiVMeshLib.check.topology import edge_counts, euler
from BiVMeshLib.convert import Conversion, convert_mesh, read_mesh
from BiVMeshLib.decks import write_deck
from BiVMeshLib.exporters import write_moving_pools, write_quality, write_rings
from BiVMeshLib.exporters.closed_pools import LIDS, closed_pools
from BiVMeshLib.result import MeshChoice
from BiVMeshLib.valves import with_valve_rings
from BiVMeshLib.valves.annuli import fit_ring
from BiVMeshLib.valves.lids import lid_with_caps
from BiVMeshLib.valves.openings import Opening, within
from BiVMeshLib.valves.unfold import doubled_area
from BiVMeshLib.valves.with_rings import with_moving_rings
from CardiacLib.errors import InputError
from CardiacLib.geometry import apply
from CardiacLib.phantom.motion import tricuspid_hinges
from CardiacLib.phantom.vessels import surroundings
from CardiacLib.types.bivmesh import PATCHES, VALVE_PATCHES, MovingMesh, ValveRing
from CardiacLib.types.landmarks import Landmarks, valve_points
from CardiacLib.types.values import read_value, write_value
from cineheart import steps
from cineheart.report.heart3d import mesh_gltf


@pytest.fixture(scope="module")
def rings(phantom):
    """The coarse phantom heart with the rings of its true points."""
    return with_valve_rings(phantom_mesh()[0], phantom.landmarks.points[0])


def true_centres(phantom) -> dict[str, tuple[np.ndarray, float]]:
    """Centre, LPS mm, and radius of the valves that the phantom's images show at ED."""
    shape = phantom.motion.shapes[0]
    around = surroundings(shape, shape, tricuspid_hinges(phantom.options, shape), 0.0, False)
    aortic = (shape.aortic_center, shape.aortic_radius)
    circles = {"MITRAL": around.mitral, "AORTIC": aortic, "TRICUSPID": around.tricuspid}
    return {name: (apply(phantom.heart_to_lps, np.array(c)), r) for name, (c, r) in circles.items()}


def test_the_rings_lie_where_the_phantoms_valves_do(rings, phantom):
    """Its mitral leaflets hang from a circle of 0.8 of the radius on which its hinges lie."""
    measured = {ring.name: ring.to_dict() for ring in rings.rings}
    for name, (centre, radius) in true_centres(phantom).items():
        assert np.linalg.norm(np.array(measured[name]["centre_lps_mm"]) - centre) < 4.0
        share = np.sqrt(measured[name]["area_mm2"] / np.pi) / radius
        assert (1.0 < share < 1.25) if name == "MITRAL" else (0.88 < share < 1.05)
        up = phantom.heart_to_lps[:3, 2]
        assert np.array(measured[name]["normal_lps"]) @ up > 0.9


def test_a_ring_goes_through_the_hinges_of_an_oval(phantom):
    """Six points of an ellipse on a tilted plane; with two of one view a circle on them."""
    turn, normal = np.deg2rad([90, 270, 30, 210, -30, 150]), np.array([0.1, -0.2, 1.0])
    points = np.full((10, 3), np.nan)
    points[valve_points("mitral"), :2] = np.stack([18 * np.cos(turn), 15 * np.sin(turn)], 1) + (5.0, -3.0)
    points[:, 2] = -points[:, :2] @ normal[:2]
    ring = fit_ring("MITRAL", points, np.array([0.0, 0.0, 1.0]))
    assert ring.rms_mm < 0.5 and np.abs(ring.points @ normal).max() < 0.5
    assert np.linalg.norm(ring.area_vector) == pytest.approx(np.pi * 18 * 15 * np.linalg.norm(normal), rel=0.03)
    points[valve_points("mitral")[2:]] = np.nan
    ring = fit_ring("MITRAL", points, np.array([0.0, 0.0, 1.0]))
    assert ring.perimeter_mm == pytest.approx(np.pi * np.linalg.norm(points[0] - points[1]), rel=0.02)
    points[0] = np.nan
    assert fit_ring("MITRAL", points, np.array([0.0, 0.0, 1.0])) is None


def test_the_base_is_split_into_annuli_and_muscle(rings, phantom):
    whole = phantom_mesh()[0]
    assert np.array_equal(rings.patch("BASE"), whole.patch("BASE"))
    other = whole.patches != PATCHES["BASE"]
    assert np.array_equal(rings.patches[other], whole.patches[other])
    assert set(np.unique(rings.patches)) == {*PATCHES.values(), *VALVE_PATCHES.values()}
    for name, walls in (("MITRAL", "ENDO_LV"), ("AORTIC", "ENDO_LV"), ("TRICUSPID", "ENDO_RV")):
        annulus = rings.triangles[rings.patches == VALVE_PATCHES[name]]
        rim = rings.nodes[np.intersect1d(rings.patch(walls), rings.patch("BASE"))]
        far = np.linalg.norm(rings.nodes[annulus].mean(1)[:, None] - rim, axis=2).min(1)
        assert far.max() < 3.0 + 2.0  # nodes of the rim lie up to 4 mm apart
    assert np.array_equal(with_valve_rings(rings, phantom.landmarks.points[0]).patches, rings.patches)


def test_caps_close_the_pools(rings):
    plain = {pool.name: pool.volume_ml() for pool in closed_pools(phantom_mesh()[0])}
    pools = {pool.name: pool for pool in closed_pools(rings)}
    assert set(pools["LV_POOL"].ids()) == {"ENDO_LV", "AORTIC", "MITRAL", "LID_LV"}
    assert set(pools["RV_POOL"].ids()) == {"ENDO_RV", "TRICUSPID", "LID_RV"}
    sizes = {ring.name: ring.cap_mm2 for ring in rings.rings}
    for name, pool in pools.items():
        assert_closed(pool.triangles, len(pool.nodes))
        assert euler(pool.triangles) == 2
        # The lid lies in the base plane, but at the rings and where these reach the rim.
        assert plain[name] < pool.volume_ml() < 1.12 * plain[name]
        assert not len(self_intersections(pool.nodes, pool.triangles[pool.faces != PATCHES[pool.wall]]))
        for valve in pool.valves:
            cap = pool.triangles[pool.faces == VALVE_PATCHES[valve]]
            a, b, c = (pool.nodes[cap[:, n]] for n in range(3))
            assert euler(cap) == 1
            assert 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() == pytest.approx(sizes[valve])
    assert [p.valves for p in closed_pools(lv_alone(rings))] == [()]  # rings are not carried to another mesh


@pytest.mark.slow
def test_caps_move_with_the_mesh(rings, phantom, tmp_path):
    """Sheared and shrunk as a whole the wall is what the map makes of it; the caps span the rings of the frame."""
    change = np.array([[0.8, 0.1, 0.0], [0.0, 0.9, 0.0], [0.05, 0.0, 0.95]])
    shift = rings.nodes @ change.T + (3.0, 0.0, -5.0) - rings.nodes
    moving = MovingMesh(rings, 0, displacements=np.stack([0 * shift, shift]).astype(np.float32), times_ms=None)
    for pool in closed_pools(rings):
        moved, kept = pool.moved(moving.nodes(1)), len(rings.nodes)
        assert np.abs(moved.nodes[:kept] - (pool.nodes[:kept] @ change.T + (3.0, 0.0, -5.0))).max() < 1e-4
        assert moved.volume_ml() == pytest.approx(np.linalg.det(change) * pool.volume_ml(), rel=0.02)
        assert moved.nodes.shape == pool.nodes.shape
    points = phantom.landmarks.points[0]
    moving = with_moving_rings(moving, np.stack([points, points @ change.T + (3.0, 0.0, -5.0)]))
    write_quality(rings, tmp_path / "quality.json", moving)
    curves = json.loads((tmp_path / "quality.json").read_text())["valve_rings_by_frame"]
    assert set(curves) == set(VALVE_PATCHES)
    for ring in rings.rings:
        still, later = curves[ring.name]["cap_area_mm2"]
        assert still == pytest.approx(ring.cap_mm2) and later < still
        assert curves[ring.name]["perimeter_mm"][0] == pytest.approx(ring.perimeter_mm)
        assert 0.8 < curves[ring.name]["perimeter_mm"][1] / ring.perimeter_mm < 1.0
    vtk_io = pytest.importorskip("vtkmodules.vtkIOXML")
    write_moving_pools(moving, tmp_path)
    reader = vtk_io.vtkXMLPolyDataReader()
    reader.SetFileName(str(tmp_path / "pools" / "LV_POOL" / "frame_001.vtp"))
    reader.Update()
    assert "7 MITRAL" in reader.GetOutput().GetFieldData().GetAbstractArray("Names").GetValue(0)
    assert reader.GetOutput().GetPointData().GetArray("displacement").GetNumberOfTuples() > 0
    rows = list(csv.DictReader((tmp_path / "pools" / "volumes.csv").open()))
    assert len(rows) == 2 and {row["lv_pool_crossing"] for row in rows} == {"0"}
    lv = closed_pools(rings)[0]
    assert float(rows[0]["lv_pool_ml"]) == pytest.approx(lv.volume_ml(), abs=0.01)
    assert float(rows[1]["mitral_cap_mm2"]) == pytest.approx(curves["MITRAL"]["cap_area_mm2"][1], abs=0.1)


@pytest.mark.slow
def test_caps_span_rings_beyond_the_rim_and_keep_apart():
    """An ellipse with a mitral ring that comes to reach beyond it all round, and an aortic one that it overlaps."""
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    flat = np.stack([25 * np.cos(turn), 20 * np.sin(turn)], 1)
    opening = Opening(np.arange(60), np.zeros(3), np.eye(3), flat)
    nodes = np.column_stack([flat, np.zeros(60)])

    def ring(name, x, y, radius):
        circle = np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn), 0 * turn], 1)
        return ValveRing(name, circle, (), 0.0)

    lid = lid_with_caps(opening, [ring("AORTIC", 14, 0, 9), ring("MITRAL", -6, 0, 15)], LIDS["LID_LV"])
    later = [ring("AORTIC", 16, 0, 8), ring("MITRAL", -4, 0, 24)]
    own = lid.own(nodes, later)
    triangles, shape = lid.numbered(60), np.concatenate([nodes, own])
    edges, count, _ = edge_counts(triangles)
    assert {tuple(edge) for edge in edges[count == 1].tolist()} == {tuple(sorted((n, (n + 1) % 60))) for n in range(60)}
    assert lid.folded(nodes, later) == 0 and not len(self_intersections(shape, triangles))
    areas = {name: lid.sizes(nodes, VALVE_PATCHES[name], later)[0] for name in ("AORTIC", "MITRAL")}
    assert areas["AORTIC"] == pytest.approx(np.pi * 64, rel=0.06)
    # Without the aortic ring and a gap round it; the cap lies over the rim, which it passes.
    x, y = np.meshgrid(*2 * [np.arange(-30, 30, 0.2)])
    expected = 0.04 * ((np.hypot(x + 4, y) < 24) & (np.hypot(x - 16, y) > 9.5)).sum()
    assert areas["MITRAL"] == pytest.approx(expected, rel=0.04)
    cap = shape[np.unique(triangles[lid.faces == VALVE_PATCHES["MITRAL"]])]
    assert cap[:, 2].min() >= 0.0 and np.abs(cap[:, 1]).max() == pytest.approx(24, abs=0.5)
    # Sunk to the base plane, what lies within the border would cut the collar, which rises to it beyond the rim.
    places, height, seen = lid._placed(nodes, later)
    sunk = np.where(np.arange(len(height)) < 60, height, 0.0)
    raised = lid._over_collar(seen, places, sunk)
    rim = np.column_stack([seen.flat, np.zeros(60)])
    crossing = [
        len(self_intersections(np.concatenate([rim, np.column_stack([places, h])]), lid.triangles))
        for h in (sunk, raised)
    ]
    assert crossing[0] > 0 == crossing[1] and np.array_equal(raised[:60], sunk[:60]) and (raised >= sunk).all()
    # A ring that is missing in a frame goes with the rim: here to twice the size.
    alone = lid.sizes(2 * nodes, VALVE_PATCHES["AORTIC"], later[1:])[0]
    assert alone == pytest.approx(4 * lid.sizes(nodes, VALVE_PATCHES["AORTIC"])[0], rel=0.1)
    far = lid_with_caps(opening, [ring("MITRAL", 200, 0, 10)], LIDS["LID_LV"])
    assert set(far.faces) == {LIDS["LID_LV"]} and not far.rings
    assert within(flat, np.array([[0.0, 0.0], [24.0, 15.0]])).tolist() == [True, False]


def test_a_lid_does_not_fold_where_its_rim_bends_in():
    """A round rim that gets a dent: places in balance with the border alone would fold over it."""
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    flat = 20.0 * np.stack([np.cos(turn), np.sin(turn)], 1)
    lid = lid_with_caps(Opening(np.arange(60), np.zeros(3), np.eye(3), flat), [], LIDS["LID_RV"])
    moved = np.column_stack([flat, np.full(60, 4.0)])
    moved[:, 0] -= 12.0 * np.exp(-((moved[:, 1] / 8.0) ** 2)) * (moved[:, 0] > 0)
    own, inner = lid.own(moved), lid.triangles[60:] - 60
    inner = inner[(inner >= 0).all(1)]
    border = own[: lid.weights.shape[1]]
    plain = np.concatenate([border, lid.weights @ border])[:, :2]
    assert (doubled_area(plain, inner) < 0).any() and lid.folded(moved) == 0
    assert own[:, 2].min() > 4.0 - 1e-9 and own[:, 2].max() < 5.5


def test_what_is_missing_is_said(phantom):
    mesh, points = phantom_mesh()[0], phantom.landmarks.points[0].copy()
    points[valve_points("aortic")[0]] = np.nan
    found = with_valve_rings(mesh, points)
    assert [ring.name for ring in found.rings] == ["MITRAL", "TRICUSPID"]
    assert any("AORTIC has no ring" in note for note in found.notes)
    assert any("PULMONARY was not told" in note for note in found.notes)
    with pytest.raises(InputError, match="no valve has both points"):
        with_valve_rings(mesh, np.full((10, 3), np.nan))
    with pytest.raises(InputError, match="beside the openings"):
        with_valve_rings(mesh, phantom.landmarks.points[0] + 300.0)


def test_a_mesh_without_rings_is_not_lost(phantom, monkeypatch):
    monkeypatch.setattr(steps, "build_mesh", lambda *given, **named: phantom_mesh()[0])
    choice = MeshChoice(0, valve_rings=True)
    made = steps.mesh(phantom.labels, choice)
    assert not made.mesh.rings and "they need the valve points" in made.problem
    nowhere = Landmarks(np.full((8, 10, 3), np.nan), phantom.labels.times_ms)
    assert "no valve has both points" in steps.mesh(phantom.labels, choice, valves=nowhere).problem
    made = steps.mesh(phantom.labels, choice, valves=phantom.landmarks).complete()
    assert len(made.mesh.rings) == 3


@pytest.fixture(scope="module")
def block():
    """The block with its base given to the valves by place."""
    mesh = make_block()
    base = np.flatnonzero(mesh.patches == PATCHES["BASE"])
    patches = mesh.patches.copy()
    patches[base] = np.resize([PATCHES["BASE"], *VALVE_PATCHES.values()], len(base))
    return replace(mesh, patches=patches)


@pytest.mark.parametrize("suffix", [".vtu", ".msh", ".xdmf", ".feb", ".inp", ".pts"])
def test_files_have_the_annuli(block, suffix, tmp_path):
    pytest.importorskip("meshio")
    pytest.importorskip("h5py")
    convert_mesh(block, tmp_path, f"heart{suffix}", Conversion(units="um" if suffix == ".pts" else "mm"))
    found = read_mesh(tmp_path / f"heart{suffix}")
    for name, number in {**PATCHES, **VALVE_PATCHES}.items():
        sets = [{frozenset(t) for t in m.triangles[m.patches == number].tolist()} for m in (found, block)]
        assert sets[0] == sets[1], name
    assert (tmp_path / "AORTIC.vtx").is_file() == (suffix == ".pts")


def test_decks_hold_the_whole_base(block, tmp_path):
    write_deck(block, tmp_path, "abaqus")
    read = read_mesh(tmp_path / "mesh.inp")
    assert np.array_equal(np.unique(read.patch("BASE")), np.unique(block.patch("BASE")))
    assert set(np.unique(read.patches)) == set(PATCHES.values())


def test_the_report_shows_the_annuli_as_parts(block):
    """The page names the objects by their order: patches, annuli, fibres."""
    parts = [mesh["primitives"][0] for mesh in json.loads(mesh_gltf(block))["meshes"]]
    assert len(parts) == len(PATCHES) + len(VALVE_PATCHES) + 1


def test_rings_as_lines_and_in_jobs(rings, tmp_path):
    vtk_io = pytest.importorskip("vtkmodules.vtkIOXML")
    write_rings(rings, tmp_path / "rings.vtp")
    reader = vtk_io.vtkXMLPolyDataReader()
    reader.SetFileName(str(tmp_path / "rings.vtp"))
    reader.Update()
    found = reader.GetOutput()
    assert found.GetNumberOfLines() == 3
    ids = [int(found.GetCellData().GetArray("patch").GetValue(n)) for n in range(3)]
    assert ids == [VALVE_PATCHES[ring.name] for ring in rings.rings]
    first = found.GetCell(0).GetPointIds()
    assert first.GetId(0) == first.GetId(first.GetNumberOfIds() - 1)
    assert np.allclose(found.GetPoint(0), rings.rings[0].points[0])
    write_value(tmp_path / "job.npz", rings)
    back = read_value(tmp_path / "job.npz")
    assert [ring.to_dict() for ring in back.rings] == [ring.to_dict() for ring in rings.rings]
