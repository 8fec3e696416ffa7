"""The mesh over the cycle: it follows the phantom, stays a good mesh, and is written, shown and played."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from made_study import make_mesh, make_result
from vtkmodules.util.numpy_support import vtk_to_numpy

from BiVMeshLib import MeshOptions, build_mesh
from BiVMeshLib.check.intersections import self_intersections
from BiVMeshLib.check.marks import MOVING, SAME_PLANE, mesh_rows
from BiVMeshLib.check.quality import shape_quality, signed_volumes
from BiVMeshLib.check.topology import boundary_faces
from BiVMeshLib.exporters import write_motion, write_moving_pools
from BiVMeshLib.motion import move_mesh
from BiVMeshLib.motion.apart import kept_apart, parted
from BiVMeshLib.motion.base_plane import base_from_valves
from BiVMeshLib.motion.cycle import Cycle
from BiVMeshLib.motion.follow import FLOOR, GAP, Follower, Wall, facing_walls
from BiVMeshLib.motion.moving import HARMONICS, Followed, clean_stacks
from BiVMeshLib.prepare.frame import heart_frame
from BiVMeshLib.prepare.labels_check import check_labels
from BiVMeshLib.result import MeshChoice, MeshResult
from CardiacLib import InputError, LabelMap
from CardiacLib.geometry import slice_normal
from CardiacLib.types.bivmesh import MovingMesh
from CardiacLib.types.mesh_quality import FrameQuality, MotionQuality
from CardiacLib.types.values import read_value, write_value

COARSE = MeshOptions(
    edge_length_mm=5.0,
    grid_mm=2.5,
    rv_wall_mm=5.0,
    min_lv_wall_mm=5.0,
    min_septum_mm=5.0,
    refinements=0,
    optimise=False,
    fibres=False,
    coordinates=False,
)
FRAMES, ES, BROKEN = [0, 1, 3, 5, 6], 2, 4
"""Of the small phantom's 8 frames those that are used; ES and a frame without labels among them."""


@pytest.fixture(scope="module")
def moving(phantom) -> MovingMesh:
    """The small phantom's ED mesh over five frames, of which one has no labels."""
    labels = phantom.labels.labels[FRAMES]
    labels[BROKEN] = 0
    cycle = LabelMap(labels, phantom.labels.ijk_to_lps, phantom.labels.times_ms[FRAMES])
    mesh = build_mesh(labels[0], phantom.labels.ijk_to_lps, COARSE)
    return move_mesh(mesh, cycle, 0, COARSE)


@pytest.mark.slow
def test_every_frame_is_a_good_mesh(moving, phantom):
    assert len(moving) == len(FRAMES) and phantom.es == FRAMES[ES]
    assert not moving.displacements[0].any()
    assert np.abs(moving.displacements[1:]).max() > 8.0
    curves = moving.quality.curves()
    assert set(curves["inverted_tets"]) == {0} and set(curves["self_intersections"]) == {0}
    assert min(curves["scaled_jacobian_min"]) >= 0.05


def test_cavities_follow_the_labels_and_muscle_stays(moving):
    seen = np.arange(len(FRAMES)) != BROKEN
    for name in ("lv_pool_ml", "rv_pool_ml"):
        mesh, labels = (np.array(moving.quality.curves()[key], float) for key in (name, f"label_{name}"))
        assert np.isnan(labels[BROKEN]) and np.isfinite(mesh).all()
        assert mesh[seen] == pytest.approx(labels[seen], rel=0.06)
    assert min(moving.quality.curves()["lv_pool_ml"]) < 0.5 * moving.quality.curves()["lv_pool_ml"][0]
    muscle = moving.quality.curves()["lv_myocardium_ml"]
    assert muscle == pytest.approx(np.full(len(FRAMES), muscle[0]), rel=0.06)


def test_a_frame_without_labels_is_filled_in(moving):
    assert moving.quality.unused_frames == (BROKEN,)
    assert len(moving.notes) == 1 and f"frame {BROKEN + 1}" in moving.notes[0]
    pools = moving.quality.curves()["lv_pool_ml"]
    assert pools[BROKEN - 1] * 0.9 < pools[BROKEN] < pools[0] * 1.05


def test_the_base_descends_as_the_phantoms_does(moving, phantom):
    heights = np.array(moving.quality.base_height_mm)
    assert heights[0] == 0.0
    assert -1.4 * phantom.options.mapse_mm < heights.min() < -0.6 * phantom.options.mapse_mm
    base, up = np.unique(moving.mesh.patch("BASE")), slice_normal(phantom.labels.ijk_to_lps)
    for t in range(len(moving)):
        along = moving.nodes(t)[base] @ up
        assert np.ptp(along) < 1e-3
        assert abs(along.mean() - moving.nodes(0)[base[0]] @ up) == pytest.approx(abs(heights[t]), abs=1e-3)


def test_the_long_axis_shortens_evenly_from_base_to_apex(moving, phantom):
    """No label shows it: it is what the smoothest displacement makes of the descent of the base."""
    up = phantom.heart_to_lps[:3, 2]
    height = (moving.mesh.nodes - phantom.heart_to_lps[:3, 3]) @ up
    descent = -(moving.displacements[ES] @ up)
    lv = np.isin(np.arange(len(height)), moving.mesh.patch("ENDO_LV"))
    parts = np.array_split(np.flatnonzero(lv)[np.argsort(height[lv])], 4)
    means = [float(descent[part].mean()) for part in parts]
    assert means == sorted(means)
    assert means[3] > 3.0 * abs(means[0])


def test_pools_stay_closed_over_the_cycle(moving, tmp_path):
    vtk_io = pytest.importorskip("vtkmodules.vtkIOXML")
    write_moving_pools(moving, tmp_path)
    for side in ("LV", "RV"):
        series = ElementTree.parse(tmp_path / "pools" / f"{side}_POOL.pvd").getroot().iter("DataSet")
        entries = [(float(e.get("timestep")), e.get("file")) for e in series]
        assert [time for time, _ in entries] == pytest.approx(moving.times_ms)
        first, expected = None, moving.quality.curves()[f"{side.lower()}_pool_ml"]
        for (_, name), ml in zip(entries, expected, strict=True):
            reader = vtk_io.vtkXMLPolyDataReader()
            reader.SetFileName(str(tmp_path / "pools" / name))
            reader.Update()
            read = reader.GetOutput()
            triangles = vtk_to_numpy(read.GetPolys().GetConnectivityArray()).reshape(-1, 3)
            first = triangles if first is None else first
            assert np.array_equal(triangles, first)
            sides = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
            assert (np.unique(np.sort(sides, axis=1), axis=0, return_counts=True)[1] == 2).all()
            a, b, c = (vtk_to_numpy(read.GetPoints().GetData())[triangles[:, n]] for n in range(3))
            found = np.einsum("ij,ij->", a, np.cross(b, c)) / 6000.0
            assert found > 0 and found == pytest.approx(ml, rel=1e-4)


def test_the_labels_are_counted_below_the_plane_of_the_mesh(moving):
    rows = {(row.source, row.ventricle): row for row in mesh_rows(moving.mesh, moving, (0, ES))}
    for side in ("LV", "RV"):
        mesh, labels = rows[MOVING, side], rows[SAME_PLANE, side]
        assert labels.ed_ml == moving.quality.frames[0].label_ml[f"{side.lower()}_pool"]
        assert mesh.ef_percent == pytest.approx(labels.ef_percent, abs=4.0)
    sides = {row.source for row in mesh_rows(moving.mesh, moving, (0, BROKEN))}
    assert SAME_PLANE not in sides and MOVING in sides


def test_base_motion_from_valve_points(phantom):
    frame = heart_frame(check_labels(phantom.labels.labels[0], phantom.labels.ijk_to_lps))
    cycle = Cycle(phantom.labels.times_ms, 0, np.ones(8, bool))
    height = base_from_valves(phantom.landmarks, frame, cycle)
    up = phantom.heart_to_lps[:3, 2]
    points = phantom.landmarks.points[:, [0, 1, 2, 3, 4, 5, 8, 9]]
    truth = ((points - points[0]) @ up).mean(1)
    assert height == pytest.approx(truth, abs=1.5)
    nothing = replace(phantom.landmarks, points=np.full_like(phantom.landmarks.points, np.nan))
    assert base_from_valves(nothing, frame, cycle) is None


def test_series_are_periodic_and_zero_in_the_frame_of_the_mesh():
    times, phase = np.arange(20) * 40.0, np.arange(20) * 2 * np.pi / 20
    truth = (np.sin(phase) + 0.5 * np.cos(3 * phase))[:, None] * [1.0, -2.0]
    truth -= truth[7]
    usable = np.arange(20) != 11
    noise = np.random.default_rng(2).normal(0, 0.1, truth.shape)
    cycle = Cycle(times, 7, np.ones(20, bool))
    assert cycle.smooth(truth, 4) == pytest.approx(truth, abs=1e-9)
    filled = Cycle(times, 7, usable).smooth(np.where(usable[:, None], truth, 99.0), 4)
    assert filled == pytest.approx(truth, abs=0.15)
    smooth = cycle.smooth(truth + noise - noise[7], 4)
    assert not smooth[7].any()
    assert np.abs(smooth - truth).std() < np.abs(noise).std()
    two = np.array([[0.0], [5.0]])
    assert np.array_equal(Cycle(times[:2], 0, np.ones(2, bool)).smooth(two, 6), two)
    with pytest.raises(InputError, match="6 of 20 frames cannot be used"):
        Cycle(times, 7, np.arange(20) > 5)


def test_the_fit_over_the_cycle_inverts_nothing():
    """Places of which the smooth course would turn a tet inside out stay where the labels had them."""
    follower = object.__new__(Follower)
    follower.points, follower.tets = np.vstack([np.zeros(3), np.eye(3)]), np.array([[0, 1, 2, 3]])
    follower.triangles = boundary_faces(follower.tets)
    cycle = Cycle(np.arange(25) * 40.0, 0, np.ones(25, bool))
    local = np.repeat(follower.points[None], 25, axis=0)
    local[10:14, 3, 2] = 0.05
    smooth = cycle.smooth(local - follower.points, HARMONICS) + follower.points
    assert min(shape_quality(places, follower.tets)[0] for places in smooth) < 0.0
    found = Followed(follower, local, [None] * 25, [None] * 25).smoothed(cycle)
    assert min(shape_quality(places, follower.tets)[0] for places in found.local) >= FLOOR
    assert np.allclose(found.local[[0, 5, 20]], smooth[[0, 5, 20]])


def test_slices_are_moved_alike_in_all_frames(phantom):
    labels = phantom.labels.labels.copy()
    middle = labels.shape[1] // 2
    labels[:, middle] = np.roll(labels[:, middle], 4, axis=-1)
    displaced = LabelMap(labels, phantom.labels.ijk_to_lps, phantom.labels.times_ms)
    stacks, _ = clean_stacks(displaced, 0, align=True)
    assert np.abs(stacks[0].shifts).max() > 4.0
    assert all(np.array_equal(stack.shifts, stacks[0].shifts) for stack in stacks)
    assert not any(stack.shifts.any() for stack in clean_stacks(displaced, 0)[0])


def test_one_frame_is_no_motion(phantom):
    one = LabelMap(phantom.labels.labels[:1], phantom.labels.ijk_to_lps, phantom.labels.times_ms[:1], "one.nii.gz")
    with pytest.raises(InputError, match=r"one\.nii\.gz: a motion needs the labels of two frames"):
        move_mesh(make_mesh(), one, 0, COARSE)


def made_up_motion(n_frames: int) -> MovingMesh:
    """The tetrahedron of the made-up study, shifted from frame to frame."""
    mesh = make_mesh()
    shift = np.arange(n_frames)[:, None, None] * np.array([1.0, 2.0, 3.0])
    volumes = replace(mesh.quality.volumes, lv_pool_ml=100.0, rv_pool_ml=None)
    rest = FrameQuality(shape=mesh.quality.shape, volumes=volumes, self_intersections=0, label_ml={})
    labelled = replace(rest, label_ml={"lv_pool": 99.0}, surface_distance_mm=0.1)
    times = 40.0 * np.arange(n_frames)
    quality = MotionQuality(
        frame=0,
        times_ms=tuple(times.tolist()),
        base_from="labels",
        base_height_mm=(0.0,) * n_frames,
        unused_frames=(0,),
        frames=(rest, *[labelled] * (n_frames - 1)),
        label_whole_ml={"lv_pool": (101.0,) * n_frames},
        seconds={"follow": 1.0},
    )
    displacements = np.broadcast_to(shift, (n_frames, len(mesh.nodes), 3)).astype(np.float32)
    return MovingMesh(mesh, 0, displacements, times, quality)


def test_the_report_of_a_motion_is_a_document_of_curves(tmp_path):
    moving = made_up_motion(3)
    document = moving.quality.to_dict()
    assert document["lv_pool_ml"] == [100.0] * 3 and document["label_lv_pool_ml"] == [None, 99.0, 99.0]
    assert "rv_pool_ml" not in document and document["label_lv_pool_whole_ml"] == [101.0] * 3
    assert document["surface_distance_mm"] == [None, 0.1, 0.1] and document["unused_frame_indices"] == [0]
    write_value(tmp_path / "value.npz", moving)
    assert read_value(tmp_path / "value.npz").quality == moving.quality


def test_vtk_reads_the_series(moving, tmp_path):
    pytest.importorskip("vtk")
    from vtk.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridReader

    write_motion(moving, tmp_path)
    entries = ElementTree.parse(tmp_path / "motion.pvd").getroot().findall("Collection/DataSet")
    assert [float(e.get("timestep")) for e in entries] == pytest.approx(moving.times_ms)
    assert len(list((tmp_path / "motion").iterdir())) == len(entries) == len(moving)
    for t in (0, 3):
        reader = vtkXMLUnstructuredGridReader()
        reader.SetFileName(str(tmp_path / entries[t].get("file")))
        reader.Update()
        grid = reader.GetOutput()
        assert np.array_equal(vtk_to_numpy(grid.GetCells().GetConnectivityArray()).reshape(-1, 4), moving.mesh.tets)
        assert vtk_to_numpy(grid.GetPoints().GetData()) == pytest.approx(moving.nodes(t), abs=1e-3)
        assert np.array_equal(vtk_to_numpy(grid.GetPointData().GetArray("displacement")), moving.displacements[t])
        assert np.array_equal(vtk_to_numpy(grid.GetCellData().GetArray("region")), moving.mesh.regions)


def test_slicer_plays_it_with_the_cine(tmp_path):
    pytest.importorskip("slicer")
    from vtk.util.numpy_support import vtk_to_numpy

    from CardiacLib.mrml.nodes import sequences
    from CardiacLib.mrml.nodes.host import private_scene
    from CardiacLib.mrml.nodes.scenes import load_scene
    from cineheart.scene import write_scene

    moving = made_up_motion(4)
    write_scene(replace(make_result(4), meshed=MeshResult(moving.mesh, 0, moving)), tmp_path / "scene.mrb")
    with private_scene() as scene:
        load_scene(tmp_path / "scene.mrb")
        assert scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 1
        model = scene.GetFirstNodeByName("MADE-UP-01 mesh EPI")
        browser, sequence = sequences.sequence_of(model)
        assert sequence.GetNumberOfDataNodes() == 4 == browser.GetNumberOfItems()
        used = np.unique(moving.mesh.patch("EPI"))
        for t in (3, 0, 2):
            sequences.select_frame(browser, t)
            points = vtk_to_numpy(model.GetPolyData().GetPoints().GetData())
            assert points == pytest.approx(moving.nodes(t)[used] * [-1, -1, 1], abs=1e-3)


@pytest.mark.slow
def test_the_report_shows_it_only_where_there_is_one(tmp_path):
    from cineheart.report import write_report

    moving = made_up_motion(4)
    for result, shown in (
        (replace(make_result(4), meshed=MeshResult(moving.mesh, 0, moving)), True),
        (make_result(4, mesh=moving.mesh), False),
    ):
        write_report(result, tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert ("data:image/gif;base64," in page) == shown
        assert ("Cavity volumes of the moving mesh" in page) == shown


@pytest.mark.slow
def test_command_writes_the_motion(phantom, tmp_path, read_json):
    from CardiacLib.writers.images import write_labels
    from cineheart.commands.mesh import MeshFile, mesh_labels

    frames = [0, phantom.es]
    two = LabelMap(phantom.labels.labels[frames], phantom.labels.ijk_to_lps, phantom.labels.times_ms[frames])
    write_labels(tmp_path / "labels.nii.gz", two)
    options = MeshFile(MeshChoice(options=COARSE, motion=True), formats=("vtu",))
    folder = tmp_path / "mesh"
    mesh_labels(tmp_path / "labels.nii.gz", folder, options)
    assert sorted(p.name for p in folder.iterdir()) == [
        "measures.csv",
        "mesh.vtu",
        "motion",
        "motion.pvd",
        "quality.json",
    ]
    report = read_json(folder / "quality.json")["motion"]
    assert report["inverted_tets"] == [0, 0] and report["lv_pool_ml"][1] < 0.6 * report["lv_pool_ml"][0]


def two_bodies(apart_mm):
    """A follower of two bricks of tets that face each other across a gap, and of a third one elsewhere."""
    brick = BRICK
    follower = object.__new__(Follower)
    follower.points = np.concatenate([brick, brick * (-1, 1, -1) + (2.0 + apart_mm, 0, 1.0), brick + (0, 0, 9.0)])
    follower.tets = np.concatenate([BRICK_TETS + n * len(brick) for n in range(3)])
    follower.triangles = boundary_faces(follower.tets)
    follower.on_base, follower.free = np.zeros(len(follower.points), bool), np.ones_like(follower.points)
    nodes, local = np.unique(follower.triangles, return_inverse=True)
    follower.walls = [Wall("ENDO_RV", nodes, local.reshape(-1, 3), -1.0)]
    return follower


BRICK = np.array([(x, y, z) for x in (0, 1.0) for y in (0, 1.0, 2.0) for z in (0, 1.0)])
CUBE = np.array([(0, 6, 8, 9), (0, 8, 2, 9), (0, 2, 3, 9), (0, 3, 1, 9), (0, 1, 7, 9), (0, 7, 6, 9)])
BRICK_TETS = np.concatenate([CUBE, CUBE + 2])


def test_walls_that_passed_through_each_other_are_drawn_back():
    """Two bodies 0.3 mm deep in each other: they part by half each, a third one stays where it is."""
    follower = two_bodies(-0.3)
    assert (signed_volumes(follower.points, follower.tets) > 0).all()
    assert len(self_intersections(follower.points, follower.triangles))
    found = parted(follower, follower.points)
    assert len(self_intersections(found, follower.triangles)) == 0
    assert shape_quality(found, follower.tets).min() >= FLOOR
    assert np.array_equal(found[24:], follower.points[24:]) and np.abs(found - follower.points).max() < 0.8
    apart = two_bodies(0.2)
    assert parted(apart, apart.points) is apart.points


def test_a_repair_lets_no_walls_pass_through_each_other():
    follower = two_bodies(0.2)
    moved = follower.points.copy()
    moved[:12, 0] += 0.4
    moved[24:, 2] += 1.0
    kept = kept_apart(follower, follower.points, moved)
    assert len(self_intersections(moved, follower.triangles))
    assert len(self_intersections(kept, follower.triangles)) == 0
    assert shape_quality(kept, follower.tets).min() >= FLOOR and np.array_equal(kept[24:], moved[24:])


def test_walls_of_a_closing_cavity_draw_back_by_half_each():
    """Two flat walls, as far apart as GAP or less, and one through the other; those farther apart are left alone."""
    y, z = (part.ravel() for part in np.meshgrid(np.arange(6.0), np.arange(6.0)))
    for gap in (0.2, -1.5, 3.0):
        one, other = np.stack([0 * y, y, z], 1), np.stack([0 * y + gap, y, z], 1)
        normals = np.repeat([(1.0, 0, 0), (-1.0, 0, 0)], len(y), axis=0)
        close, retreat = facing_walls(np.concatenate([one, other]), normals)
        assert len(close) == (0 if gap > GAP else 2 * len(y))
        assert retreat == pytest.approx((GAP - gap) / 2)
