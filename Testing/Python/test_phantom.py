"""The phantom's truth is exact, agrees between images, labels, points and surfaces, and no voxel order moves it."""

import dataclasses
import json
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from CardiacLib.errors import InputError
from CardiacLib.geometry import index_of, slice_normal
from CardiacLib.phantom import PhantomOptions, make_phantom, write_phantom
from CardiacLib.phantom.anatomy import ventricle_fields
from CardiacLib.phantom.motion import contraction_curve, rv_ml, solve_motion
from CardiacLib.phantom.study import measured_labels
from CardiacLib.types import labels as names
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomOptions.small(seed=3))


@pytest.fixture(scope="module")
def default_truth():
    """Labels and volumes of the default study's ED and ES, without its images."""
    return measured_labels(PhantomOptions())


def heart_points(phantom, points):
    return index_of(phantom.heart_to_lps, points)


@pytest.mark.slow
@pytest.mark.parametrize("edv, ef, rv_edv, rv_ef", [(140, 60, 150, 56), (220, 30, 180, 45), (95, 68, 100, 62)])
def test_volumes_are_the_requested_ones(edv, ef, rv_edv, rv_ef):
    options = PhantomOptions(lv_edv_ml=edv, lv_ef_percent=ef, rv_edv_ml=rv_edv, rv_ef_percent=rv_ef, n_frames=3)
    motion = solve_motion(options)
    shapes = motion.shapes[0], motion.shapes[motion.es]
    for value, wanted in zip((rv_ml(s) for s in shapes), (rv_edv, rv_edv * (1 - rv_ef / 100)), strict=True):
        assert value == pytest.approx(wanted, rel=0.002)
    # The LV's closed form and the RV's integration, against brute force on a finer grid.
    for shape, lv_wanted in zip(shapes, (edv, edv * (1 - ef / 100)), strict=True):
        axes = [np.arange(low, high, 1.1, dtype=np.float32) for low, high in ((-55, 95), (-62, 72), (-3, 140))]
        fields = ventricle_fields(shape, np.meshgrid(*axes, indexing="ij", sparse=True))
        assert (fields["lv"] < 0).sum() * 1.1**3 / 1000 == pytest.approx(lv_wanted, rel=0.002)
        assert (fields["rv"] < 0).sum() * 1.1**3 / 1000 == pytest.approx(rv_ml(shape), rel=0.002)


@pytest.mark.slow
def test_volumes_over_the_cycle(phantom):
    lv, rv, myo = (phantom.volumes[name] for name in ("lv", "rv", "myo"))
    assert lv.argmax() == phantom.ed == 0 and lv.argmin() == phantom.es == rv.argmin()
    assert lv[0] == pytest.approx(140.0, rel=1e-6) and lv[phantom.es] == pytest.approx(56.0, rel=1e-6)
    assert np.ptp(myo) / myo.mean() < 1e-6
    assert np.all(np.diff(lv[: phantom.es + 1]) < 0) and np.all(np.diff(lv[phantom.es :]) > 0)


def test_curve_has_one_end_systole_and_a_diastasis():
    curve, es = contraction_curve(40)
    filling = -np.diff(curve[es:])
    assert curve[0] == 0 and curve[es] == 1 and (curve[1:] > 0).all()
    slowest = filling[5:-3].argmin() + 5
    assert filling[:slowest].max() > 4 * filling[slowest] and filling[slowest:].max() > 3 * filling[slowest]
    assert contraction_curve(1)[0].tolist() == [0.0]


def test_default_study_meets_two_percent(default_truth):
    labels, truth = default_truth
    volumes = {"lv": labels.volume_ml(names.LV), "rv": labels.volume_ml(names.RV), "myo": labels.volume_ml(names.MYO)}
    for name, voxels in volumes.items():
        assert voxels == pytest.approx(truth[name], rel=0.02), name
    for name in ("lv", "rv"):
        ef, true_ef = (100 * (1 - v[name][1] / v[name][0]) for v in (volumes, truth))
        assert ef == pytest.approx(true_ef, rel=0.02), name


def test_fine_slices_remove_the_sampling_error():
    labels, truth = measured_labels(PhantomOptions(slice_spacing_mm=2.0, slice_thickness_mm=2.0))
    for label, name in ((names.LV, "lv"), (names.RV, "rv"), (names.MYO, "myo")):
        assert labels.volume_ml(label) == pytest.approx(truth[name], rel=0.004)


def test_stack_covers_the_heart(phantom):
    labels = phantom.labels.labels
    assert not labels[:, 0].any() and not labels[:, -1].any() and labels[:, 1].any()


def test_labels_nest(phantom):
    for frame in phantom.labels.labels:
        lv, myo, rv = frame == names.LV, frame == names.MYO, frame == names.RV
        assert lv.any() and myo.any() and rv.any()
        touched = np.stack([ndimage.binary_dilation(s) for s in lv]) & ~lv
        outside = touched & ~myo
        # Only where the tilted valve plane cuts through a slice may the cavity end without wall.
        assert not outside[: np.flatnonzero(lv.any(axis=(1, 2)))[-2]].any()
        assert not (np.stack([ndimage.binary_dilation(s) for s in rv]) & lv).any()


def test_short_axis_image_fits_its_labels(phantom):
    labels, frames = phantom.labels.labels, phantom.cines["sax"].frames
    assert labels.shape == frames.shape
    inner = {v: np.stack([ndimage.binary_erosion(s == v) for f in labels for s in f]) for v in (1, 2, 3)}
    flat = frames.reshape(-1, *frames.shape[2:])
    median = {v: np.median(flat[mask]) for v, mask in inner.items()}
    assert 2.2 < median[names.LV] / median[names.MYO] < 4.0
    assert 0.7 < median[names.RV] / median[names.LV] < 1.0


def test_valve_points_lie_in_the_planes_of_their_views(phantom):
    for view in ("2ch", "3ch", "4ch"):
        cine = phantom.cines[view]
        mine = [n for n, v in enumerate(LANDMARK_VIEWS) if v == view]
        index = index_of(cine.ijk_to_lps, phantom.landmarks.points[:, mine])
        assert np.abs(index[..., 2] * cine.spacing[2]).max() < 1e-6
        assert index[..., :2].min() > 10 and index[..., :2].max() < cine.frames.shape[2] - 10


def test_valve_points_lie_on_the_valve_planes_and_walls(phantom):
    for shape, points in zip(phantom.motion.shapes, heart_points(phantom, phantom.landmarks.points), strict=True):
        fields = ventricle_fields(shape, points.T)
        assert np.abs(fields["over_lv"][:8]).max() < 1e-6 and np.abs(fields["over_rv"][8:]).max() < 1e-6
        on_endocardium = [n for n, name in enumerate(LANDMARK_NAMES[:8]) if n not in (2, 7)]
        assert np.abs(fields["lv_open"][on_endocardium]).max() < 0.05
        assert np.abs(fields["rv_open"][8:]).max() < 0.3


def test_base_descends_and_apex_stays(phantom):
    options, es = phantom.options, phantom.es
    moved = heart_points(phantom, phantom.landmarks.points)
    down = moved[0, :, 2] - moved[es, :, 2]
    # The tilt of the plane moves opposite hinges unequally as the ring narrows: their mean is the descent.
    for pair in ((0, 1), (4, 5)):
        assert down[list(pair)].mean() == pytest.approx(options.mapse_mm, abs=0.8)
    assert down[9] == pytest.approx(options.tapse_mm, abs=1e-6)
    first, last = phantom.motion.shapes[0], phantom.motion.shapes[es]
    lowest = [s.epi_center_z - s.epi_semi[2] for s in (first, last)]
    assert abs(lowest[0]) < 1e-6 and 0 < lowest[1] < 3.0
    assert 1.25 < last.wall / first.wall < 1.7 and first.wall == pytest.approx(options.wall_mm)


def test_pose_is_that_of_a_patient(phantom):
    rotation = phantom.heart_to_lps[:3, :3]
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    axis = np.array(phantom.options.long_axis_lps)
    assert -rotation[:, 2] @ axis / np.linalg.norm(axis) == pytest.approx(1.0)
    labels = phantom.labels
    centers = [np.argwhere(labels.labels[0] == v)[:, ::-1].mean(axis=0) for v in (names.LV, names.RV)]
    lv, rv = (labels.ijk_to_lps[:3, :3] @ c + labels.ijk_to_lps[:3, 3] for c in centers)
    assert rv[0] < lv[0] - 15 and rv[1] < lv[1] - 10  # right of it and in front of it
    assert np.abs(slice_normal(labels.ijk_to_lps) @ rotation[:, 2]) == pytest.approx(1.0)


def test_surfaces_are_exact(phantom):
    shape = phantom.motion.shapes[phantom.es]
    surfaces = phantom.surfaces(phantom.es, 1.5)
    volume = {}
    for name, surface in surfaces.items():
        points, triangles = surface["points"], surface["triangles"]
        edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
        a, b, c = (points[triangles[:, n]] - points.mean(axis=0) for n in range(3))
        volume[name] = np.einsum("ij,ij->", a, np.cross(b, c)) / 6000.0
    assert volume["ENDO_LV"] == pytest.approx(phantom.volumes["lv"][phantom.es], rel=0.015)
    assert volume["ENDO_RV"] == pytest.approx(phantom.volumes["rv"][phantom.es], rel=0.03)
    assert volume["EPI"] > sum(phantom.volumes[n][phantom.es] for n in ("lv", "rv", "myo"))
    wall = surfaces["ENDO_LV"]["triangles"][~surfaces["ENDO_LV"]["lid"]]
    inner = heart_points(phantom, surfaces["ENDO_LV"]["points"][np.unique(wall)])
    distance = np.abs(shape.lv_endo(inner.T))
    assert np.median(distance) < 0.05 and surfaces["ENDO_LV"]["lid"].any()


@pytest.mark.slow
def test_same_seed_same_voxels():
    options = PhantomOptions.small(n_frames=2, sax_size=48, sax_pixel_mm=4.0, lax_size=40, lax_pixel_mm=5.0)
    first, second = make_phantom(options), make_phantom(options)
    other = make_phantom(dataclasses.replace(options, seed=1))
    for view in first.cines:
        assert np.array_equal(first.cines[view].frames, second.cines[view].frames)
        assert not np.array_equal(first.cines[view].frames, other.cines[view].frames)
    assert np.array_equal(first.labels.labels, other.labels.labels)


@cache
def shifted(**order):
    """One frame of few pixels, its slices apart by breath holds."""
    small = {"n_frames": 1, "sax_size": 48, "sax_pixel_mm": 4.0, "lax_size": 32, "breath_hold_shift_mm": 3.0}
    return make_phantom(PhantomOptions.small(**small, **order))


@pytest.mark.parametrize("apex_first", [True, False])
@pytest.mark.parametrize("left_handed", [True, False])
def test_voxel_order_does_not_move_the_heart(apex_first, left_handed):
    plain, other = shifted(), shifted(apex_first=apex_first, left_handed=left_handed)
    matrix = other.labels.ijk_to_lps
    assert (np.linalg.det(matrix[:3, :3]) < 0) == left_handed
    to_apex = matrix[:3, 2] @ np.array(other.options.long_axis_lps) > 0
    assert to_apex != apex_first
    there = np.argwhere(np.ones(other.labels.labels.shape[1:]))[:, ::-1]
    lps = there @ matrix[:3, :3].T + matrix[:3, 3]
    here = index_of(plain.labels.ijk_to_lps, lps)
    i, j, k = np.rint(here).astype(int).T
    assert np.abs(here - np.rint(here)).max() < 1e-6
    assert np.array_equal(plain.labels.labels[0][k, j, i], other.labels.labels[0].ravel())
    assert np.array_equal(plain.cines["sax"].frames[0][k, j, i], other.cines["sax"].frames[0].ravel())
    order = slice(None) if apex_first else slice(None, None, -1)
    assert np.array_equal(other.slice_shifts[order], plain.slice_shifts)


@pytest.mark.slow
def test_breath_hold_shifts_move_labels_with_the_image():
    base = {"n_frames": 1, "lax_size": 32, "lax_pixel_mm": 5.0}
    still, moved = (make_phantom(PhantomOptions.small(breath_hold_shift_mm=mm, **base)) for mm in (0.0, 6.0))
    assert not still.slice_shifts.any() and np.abs(moved.slice_shifts @ moved.heart_to_lps[:3, 2]).max() < 1e-9
    for k in range(3, 7):
        seen = []
        for p in (still, moved):
            center = np.argwhere(p.labels.labels[0, k] == names.LV).mean(axis=0)[::-1]
            seen.append(p.labels.ijk_to_lps[:3, :2] @ center)
        assert seen[1] - seen[0] == pytest.approx(moved.slice_shifts[k], abs=0.6)


def test_written_study_reads_back(phantom, tmp_path):
    from CardiacLib.readers import read_labels, read_study

    write_phantom(phantom, tmp_path / "study")
    study = read_study(tmp_path / "study")
    assert set(study.cines) == {"sax", "2ch", "3ch", "4ch"}
    for view, cine in study.cines.items():
        assert np.allclose(cine.ijk_to_lps, phantom.cines[view].ijk_to_lps, atol=1e-3)
        assert np.allclose(cine.frames, np.rint(phantom.cines[view].frames))
    labels = read_labels(tmp_path / "study" / "truth" / "labels.nii.gz")
    assert np.array_equal(labels.labels, phantom.labels.labels)
    truth = json.loads((tmp_path / "study" / "truth" / "truth.json").read_text())
    assert truth["lv_edv_ml"] == pytest.approx(140.0) and truth["lv_ef_percent"] == pytest.approx(60.0)
    assert np.shape(truth["landmarks"]["points_lps"]) == (8, 10, 3)


def test_surfaces_file_opens_in_vtk(phantom, tmp_path):
    vtk = pytest.importorskip("vtk")
    from CardiacLib.phantom.output import write_surfaces
    from CardiacLib.types.bivmesh import PATCHES

    surfaces = phantom.surfaces(0, 3.0)
    write_surfaces(tmp_path / "s.vtp", surfaces)
    reader = vtk.vtkXMLPolyDataReader()
    reader.SetFileName(str(tmp_path / "s.vtp"))
    reader.Update()
    data = reader.GetOutput()
    assert data.GetNumberOfPolys() == sum(len(s["triangles"]) for s in surfaces.values())
    patches = [data.GetCellData().GetArray("patch").GetValue(n) for n in range(data.GetNumberOfPolys())]
    counted = {PATCHES[name]: len(s["triangles"]) for name, s in surfaces.items()}
    assert {v: patches.count(v) for v in set(patches)} == counted
    first = surfaces["EPI"]["points"][0]
    assert data.GetPoint(0) == pytest.approx(first, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("apex_first, left_handed", [(True, False), (False, False)])
def test_dicom_study_reads_back(tmp_path, apex_first, left_handed):
    from CardiacLib.readers import read_study

    options = PhantomOptions.small(n_frames=3, apex_first=apex_first, left_handed=left_handed, slice_spacing_mm=14.0)
    phantom = make_phantom(options)
    write_phantom(phantom, tmp_path / "study", dicom=True)
    study = read_study(tmp_path / "study" / "dicom")
    assert set(study.cines) == {"sax", "2ch", "3ch", "4ch"}
    for view, cine in study.cines.items():
        truth = phantom.cines[view]
        assert np.allclose(cine.times_ms, truth.times_ms, atol=0.01)
        k, j, i = np.indices(cine.frames.shape[1:]).reshape(3, -1)
        lps = np.column_stack([i, j, k]) @ cine.ijk_to_lps[:3, :3].T + cine.ijk_to_lps[:3, 3]
        there = index_of(truth.ijk_to_lps, lps)
        assert np.abs((there - np.rint(there)) * truth.spacing).max() < 1e-3
        ti, tj, tk = np.rint(there).astype(int).T
        assert np.array_equal(cine.frames[:, k, j, i], np.rint(truth.frames[:, tk, tj, ti]))


def test_impossible_requests_say_so():
    with pytest.raises(InputError, match="lv_edv_ml"):
        PhantomOptions(lv_edv_ml=1e4)
    with pytest.raises(InputError, match="unit vector"):
        PhantomOptions(long_axis_lps=(0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="ventric"):
        solve_motion(PhantomOptions(lv_edv_ml=350.0, rv_edv_ml=60.0, rv_ef_percent=75.0))
