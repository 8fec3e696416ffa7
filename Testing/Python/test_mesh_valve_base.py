"""The base of the mesh at the valves: planes of valve points, labels that end at them, points of other hearts."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk
from test_mesh_build import COARSE, ROUGH, heart, inside

from BiVMeshLib import build_mesh
from BiVMeshLib.motion import move_mesh
from BiVMeshLib.prepare.frame import heart_frame
from BiVMeshLib.prepare.labels_check import check_labels
from BiVMeshLib.prepare.valve_base import continued, find_valve_base
from BiVMeshLib.result import MeshChoice
from CardiacLib.errors import InputError
from CardiacLib.geometry import to_sitk
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, Landmarks
from cineheart import steps
from cineheart.cli import main

SLOPE = np.array([0.20, -0.12])
"""Of the true base plane z = BASE + SLOPE . (x, y): 13 degrees."""
BASE = -13.0
PLAIN = replace(COARSE, edge_length_mm=3.4, grid_mm=2.0, optimise=False, fibres=False, coordinates=False)
RINGS = {"2ch": (0.0, 1.0), "3ch": (-0.87, 0.5), "4ch": (1.0, 0.0)}
"""Where each view cuts the short axis of the ellipsoids, whose RV lies along x."""


def valve_points(base=BASE, slope=SLOPE, views=("2ch", "3ch", "4ch")):
    """(10, 3) points on a plane over the ellipsoids: mitral ones round the LV, tricuspid ones where the 4CH view is."""
    points = np.full((10, 3), np.nan)
    for n, (name, view) in enumerate(zip(LANDMARK_NAMES, LANDMARK_VIEWS, strict=True)):
        if view in views and not name.startswith("aortic"):
            side = 1.0 if any(word in name for word in ("anterior", "septal")) else -1.0
            along = {"tricuspid septal": 32.0, "tricuspid free wall": 56.0}.get(name, 21.0 * side)
            points[n, :2] = along * np.array(RINGS[view])
    points[:, 2] = base + points[:, :2] @ slope
    return points


@cache
def true_volumes(base=BASE, slope=tuple(SLOPE)):
    """ml of LV pool, LV myocardium and RV pool of the ellipsoids of ``heart`` under a plane."""
    axes = [np.arange(a, b, 1.0) for a, b in ((-42, 74), (-42, 42), (-64, 8))]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    points = np.stack([x, y, z], -1)
    under = z < base + slope[0] * x + slope[1] * y
    pool, body = inside(points, (0, 0, 0), (21, 21, 50)), inside(points, (0, 0, 0), (30, 30, 60))
    rv = inside(points, (24, 0, 3), (34, 34, 56)) & ~body
    return [float((part & under).sum()) / 1000 for part in (pool, body & ~pool, rv)]


def cut(labels, matrix, base=BASE, slope=SLOPE):
    """Labels that end at a plane, as those of ``cineheart segment --landmarks`` do."""
    k, j, i = np.indices(labels.shape)
    x, y, z = (np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]).transpose(3, 0, 1, 2)
    return np.where(z < base + slope[0] * x + slope[1] * y, labels, 0).astype(np.uint8)


@cache
def mesh(ending="whole"):
    """The ellipsoids' mesh up to the plane, from labels that end at the heart's own base, at the plane, or below it."""
    labels, matrix = heart()
    if ending == "cut":
        labels = cut(labels, matrix)
    elif ending == "short":
        labels = labels.copy()
        labels[-2:] = 0
    return build_mesh(labels, matrix, PLAIN, valves=valve_points())


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["whole", "cut"])
def test_a_tilted_base_has_the_true_volumes(ending):
    """Within 3 %, wherever the labels end."""
    q = mesh(ending).quality
    found = [q.volumes.lv_pool_ml, q.volumes.lv_myocardium_ml, q.volumes.rv_pool_ml]
    assert found == pytest.approx(true_volumes(), rel=0.03)
    assert q.topology.patch_euler == {"EPI": 1, "ENDO_LV": 1, "ENDO_RV": 1, "BASE": -1}
    assert q.base.base_from == "valve points" and q.base.base_points == 8 and q.at_valves
    assert q.fidelity.contour_distance_mm["all"].mean < 0.6


@pytest.mark.slow
def test_the_base_lies_in_the_plane_of_the_points():
    """Flat; within 0.5 mm of the true plane all over, for the prior takes a little off the slope."""
    m = mesh()
    assert m.quality.volumes.base_flatness_mm < 1e-9
    base = m.nodes[np.unique(m.patch("BASE"))]
    assert np.abs(base[:, 2] - BASE - base[:, :2] @ SLOPE).max() < 0.5
    assert m.quality.base.base_tilt_deg == pytest.approx(np.degrees(np.arctan(np.linalg.norm(SLOPE))), abs=0.5)
    assert any("The base is the plane of 8 valve points" in note for note in m.notes)


@pytest.mark.slow
def test_labels_that_end_below_the_plane_go_on_up_to_it():
    m = mesh("short")
    base = m.nodes[np.unique(m.patch("BASE"))]
    assert np.abs(base[:, 2] - BASE - base[:, :2] @ SLOPE).max() < 0.5
    assert any("labels end below the base plane" in note for note in m.notes)
    assert m.quality.volumes.lv_pool_ml == pytest.approx(true_volumes()[0], rel=0.06)


def test_labels_beyond_the_plane_stay_as_they_are():
    stack = check_labels(*heart())
    base = find_valve_base(valve_points(), stack)
    same, changed = continued(stack, heart_frame(stack, plane=(base.point, base.normal)))
    assert changed == 0 and np.array_equal(same.given, stack.given) and np.array_equal(same.lv, stack.lv)


def test_one_view_leaves_the_base_across_it_as_the_slices_are():
    stack = check_labels(*heart())
    base = find_valve_base(valve_points(views=("4ch",)), stack)
    slope = -base.normal[:2] / base.normal[2]
    assert slope == pytest.approx((SLOPE[0], 0.0), abs=0.01) and len(base.used) == 4


def test_points_of_the_four_chamber_view_weigh_more():
    """Where 2CH and 3CH lie 6 mm too high, the base does so by less than half of that."""
    points = valve_points(slope=np.zeros(2))
    points[[view != "4ch" for view in LANDMARK_VIEWS], 2] += 6.0
    stack = check_labels(*heart())
    base = find_valve_base(points, stack)
    assert BASE < base.point[2] < BASE + 3.0 and base.rms_mm > 1.0


ELSEWHERE = {
    "other place": (lambda p: p + (60.0, 40.0, 0.0), "beside the LV"),
    "over the labels": (lambda p: p + (0.0, 0.0, 40.0), "above the last labelled slice"),
    "at the apex": (lambda p: p - (0.0, 0.0, 40.0), "slices of the LV below it"),
    "steep": (lambda p: p * (1, 1, 0) + np.nan_to_num(p[:, :1]) * (0, 0, 1.6), "is tilted by"),
    "one point": (lambda p: np.where(np.arange(10)[:, None] == 4, p, np.nan), "two mitral points or more"),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_points_of_another_heart_are_one_sentence(case):
    change, message = ELSEWHERE[case]
    with pytest.raises(InputError, match=message):
        build_mesh(*heart(), ROUGH, valves=change(valve_points()))


@pytest.mark.slow
def test_the_phantom_up_to_its_own_valves(little_heart):
    """True points of a whole phantom: the LV under the plane is nearly all of its true volume, without them 87 %."""
    phantom = little_heart
    labels, matrix = phantom.labels.labels[0], phantom.labels.ijk_to_lps
    truth = float(phantom.volumes["lv"][0])
    plain = build_mesh(labels, matrix, ROUGH).quality
    found = build_mesh(labels, matrix, PLAIN, valves=phantom.landmarks.points[0]).quality
    assert found.volumes.lv_pool_ml == pytest.approx(truth, rel=0.03) and plain.volumes.lv_pool_ml < 0.92 * truth
    assert found.volumes.lv_myocardium_ml == pytest.approx(float(phantom.volumes["myo"][0]), rel=0.03)
    assert found.base.base_points_rms_mm < 2.0


def write_landmarks(path, points):
    frames = []
    for t, frame in enumerate(points):
        entries = {
            name: None if np.isnan(p).any() else {"lps_mm": p.tolist(), "view": view, "confidence": 1.0}
            for name, view, p in zip(LANDMARK_NAMES, LANDMARK_VIEWS, frame, strict=True)
        }
        frames.append({"time_ms": 40.0 * t, "points": entries})
    path.write_text(json.dumps({"space": "LPS", "frames": frames}), encoding="utf-8")


@pytest.mark.slow
def test_the_command_takes_landmarks(tmp_path, rough_meshes, capsys):
    labels, matrix = heart()
    path, landmarks, out = tmp_path / "labels.nii.gz", tmp_path / "landmarks.json", tmp_path / "out"
    sitk.WriteImage(to_sitk(labels, matrix), str(path))
    write_landmarks(landmarks, valve_points()[None])
    arguments = ["mesh", str(path), "-o", str(out), "--edge-length", "5", "--no-fibres", "--no-coordinates"]
    arguments += ["--format", "vtp,pools", "--valve-rings", "--landmarks", str(landmarks)]
    assert main(arguments) == 0
    quality = json.loads((out / "quality.json").read_text())
    assert quality["base_from"] == "valve points" and quality["base_tilt_deg"] > 10
    assert set(quality["valve_rings"]) == {"MITRAL", "TRICUSPID"} and (out / "rings.vtp").is_file()
    assert {"AORTIC has no ring", "PULMONARY was not told"} <= {note.split(":")[0] for note in quality["notes"]}
    assert (out / "pools" / "LV_POOL_MITRAL.stl").is_file() and (out / "pools" / "RV_POOL_TRICUSPID.stl").is_file()
    write_landmarks(landmarks, np.repeat(valve_points()[None], 3, axis=0))
    capsys.readouterr()
    assert main([*arguments[:3], str(tmp_path / "other"), *arguments[4:]]) == 2
    assert "valve points of 3 frames" in capsys.readouterr().err and not (tmp_path / "other").exists()
    write_landmarks(landmarks, valve_points()[None] + (0, 0, 60.0))
    assert main([*arguments[:3], str(tmp_path / "other"), *arguments[4:]]) == 2
    said = capsys.readouterr().err.strip()
    assert "do not lie at the base of these labels" in said and "labels.nii.gz" in said and len(said.splitlines()) == 1
    assert main(["mesh", str(tmp_path), *arguments[2:]]) == 2
    assert "to one label map" in capsys.readouterr().err
    assert main([*arguments[:3], str(tmp_path / "other"), *arguments[4:-2]]) == 2
    said = capsys.readouterr().err.strip()
    assert "they need the valve points" in said and len(said.splitlines()) == 1


@pytest.mark.slow
def test_a_study_cut_at_its_valves_has_a_mesh_up_to_them():
    """The mesh of ``cineheart run --cut-at-valves`` and its motion: labels that end at the plane, moving points."""
    labels, matrix = heart()
    points = np.stack([valve_points(), valve_points(BASE - 3.0)])
    frames = np.stack([cut(labels, matrix), cut(labels, matrix, BASE - 3.0)])
    beat = LabelMap(frames, matrix, np.array([0.0, 400.0]), "made up")
    for cut_at_valves in (True, False):
        choice = MeshChoice(0, ROUGH, motion=True, base_at_valves=cut_at_valves)
        result = steps.mesh(beat, choice, valves=Landmarks(points, beat.times_ms)).complete()
        made, moving = result.mesh, result.moving
        assert made.quality.base.base_from == ("valve points" if cut_at_valves else "labels")
        assert moving.quality.base_from == "valve points" and set(moving.quality.curves()["inverted_tets"]) == {0}
    base = np.unique(made.patch("BASE"))
    assert np.ptp(made.nodes[base, 2]) < 1e-9


@pytest.mark.slow
def test_the_mesh_up_to_the_valves_moves_with_them():
    """Base at the plane of the points in the second frame too, 3 mm lower; volumes under it are the true ones."""
    labels, matrix = heart()
    beat = LabelMap(np.stack([labels, labels]), matrix, np.array([0.0, 400.0]), "made up")
    points = np.stack([valve_points(), valve_points(BASE - 3.0)])
    made = build_mesh(labels, matrix, ROUGH, valves=points[0])
    moving = move_mesh(made, beat, 0, ROUGH, valves=Landmarks(points, beat.times_ms))
    base = moving.nodes(1)[np.unique(made.patch("BASE"))]
    assert np.abs(base[:, 2] - (BASE - 3.0) - base[:, :2] @ SLOPE).max() < 0.6
    assert moving.quality.curves()["lv_pool_ml"][1] == pytest.approx(true_volumes(BASE - 3.0)[0], rel=0.03)
    assert moving.quality.curves()["self_intersections"] == [0, 0]
    with pytest.raises(InputError, match="its motion needs mitral or tricuspid points"):
        move_mesh(made, beat, 0, ROUGH)
