"""Valve points after the network: paths through the beat, positions in the patient, planes, views, annulus motion."""

import csv
import json

import numpy as np
import pytest

from CardiacLandmarksLib.detect.detector import DETECTED_VIEWS, Detection
from CardiacLandmarksLib.detect.study_landmarks import detect_landmarks, from_landmarks
from CardiacLandmarksLib.detect.trajectories import fit_trajectories
from CardiacLandmarksLib.detect.world import lps_to_pixels, pixels_to_lps
from CardiacLandmarksLib.measure.agreement import align_views, compare_views
from CardiacLandmarksLib.measure.annulus import measure_annulus
from CardiacLandmarksLib.measure.apex import left_ventricle_apex
from CardiacLandmarksLib.measure.planes import fit_planes
from CardiacLandmarksLib.pipeline import unproven_views
from CardiacLib.errors import InputError
from CardiacLib.geometry import apply, slice_normal
from CardiacLib.phantom import PhantomOptions
from CardiacLib.phantom.motion import solve_motion
from CardiacLib.phantom.truth import landmarks as true_landmarks
from CardiacLib.phantom.views import heart_to_lps, lax_grid
from CardiacLib.types.cine import Cine
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, Landmarks
from CardiacLib.types.patient import Patient
from CardiacLib.types.times import beat_ms, frame_phases
from CardiacLib.writers.markups import points_document
from cineheart.cli import main

OWN = {view: [v == view for v in LANDMARK_VIEWS] for view in DETECTED_VIEWS}


@pytest.fixture(scope="module")
def truth():
    """Valve points of 25 frames of the usual phantom, its long-axis grids without images, and its axis."""
    options = PhantomOptions()
    motion = solve_motion(options)
    to_lps = heart_to_lps(options, motion.shapes[0])
    points = true_landmarks(options, motion, to_lps)
    cines = {}
    for view in DETECTED_VIEWS:
        grid = lax_grid(options, to_lps, motion.shapes[0], view)
        frames = np.zeros((len(points.points), 1, *grid.shape[1:]), np.float32)
        cines[view] = Cine(frames, grid.ijk_to_lps, motion.times_ms, view, view)
    return points, cines, -to_lps[:3, 2], motion


@pytest.fixture(scope="module")
def long_axis(phantom):
    return {view: phantom.cines[view] for view in DETECTED_VIEWS}


class NoisyTruth:
    """A detector that gives the phantom's own points with noise, single wrong frames, and what it is told to lose."""

    bundle, said = "noisy truth", "The truth is told"

    def __init__(self, points: np.ndarray, cines, noise=0.7, wrong=0.08, lost=(), seed=0):
        self.points, self.cines, self.lost = points, cines, list(lost)
        self.noise, self.wrong, self.random = noise, wrong, np.random.default_rng(seed)
        self.seen = None

    def detect(self, frames, spacing_mm, view=None, progress=None):
        self.seen = frames.shape, spacing_mm
        points = lps_to_pixels(self.cines[view], self.points)
        points += self.random.normal(0.0, self.noise, points.shape)
        wrong = self.random.random(points.shape[:2]) < self.wrong
        points[wrong] += self.random.normal(0.0, 15.0, (wrong.sum(), 2))
        points[:, ~np.array(OWN[view])] = np.nan
        points[:, self.lost] = np.nan
        confidence = np.where(np.isfinite(points[..., 0]), 0.9, 0.1)
        return Detection(points, confidence, np.array([0.9 if v == view else 0.05 for v in DETECTED_VIEWS]))


def test_paths_keep_true_motion_and_lose_noise_and_wrong_frames(truth):
    points, cines, _, _ = truth
    phases = frame_phases(points)
    exact = lps_to_pixels(cines["4ch"], points.points)
    clean = fit_trajectories(exact, np.ones(exact.shape[:2]), phases)
    assert np.linalg.norm(clean.at(phases) - exact, axis=2).max() < 0.8
    random = np.random.default_rng(1)
    noisy = exact + random.normal(0.0, 0.8, exact.shape)
    noisy[[3, 11, 12], 5] += 20.0
    found = fit_trajectories(noisy, np.ones(exact.shape[:2]), phases)
    error, raw = (np.linalg.norm(p - exact, axis=2) for p in (found.at(phases), noisy))
    assert error.mean() < 0.85 * np.median(raw) and error[:, 5].max() < 3.0
    assert (found.weights[[3, 11, 12], 5] < 0.05).all() and np.median(found.weights) > 0.7
    jitter, before, true = (
        np.median(np.linalg.norm(np.diff(p, 2, axis=0), axis=2)) for p in (found.at(phases), noisy, exact)
    )
    assert jitter < 0.4 * before and jitter < 0.7 > true


def test_paths_are_periodic_and_their_velocity_is_their_slope(truth):
    points, cines, _, _ = truth
    exact = lps_to_pixels(cines["3ch"], points.points)
    paths = fit_trajectories(exact, np.ones(exact.shape[:2]), frame_phases(points))
    some = np.array([0.0, 0.13, 0.5, 0.97])
    assert np.allclose(paths.at(some), paths.at(some + 1.0))
    assert np.allclose(paths.velocity(some), (paths.at(some + 1e-5) - paths.at(some - 1e-5)) / 2e-5, atol=1e-3)


def test_gaps_are_bridged_and_points_missing_in_most_frames_stay_missing(truth):
    points, cines, _, _ = truth
    phases = frame_phases(points)
    exact = lps_to_pixels(cines["4ch"], points.points)
    gappy = exact.copy()
    gappy[6:11, 4] = np.nan
    gappy[:14, 8] = np.nan
    found = fit_trajectories(gappy, np.where(np.isfinite(gappy[..., 0]), 1.0, 0.0), phases).at(phases)
    assert np.linalg.norm(found[:, 4] - exact[:, 4], axis=1).max() < 3.0
    assert np.isnan(found[:, 8]).all() and np.isfinite(found[:, 9]).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_paths_of_few_frames(count):
    points = np.arange(count * 2.0).reshape(count, 1, 2)
    found = fit_trajectories(points, np.ones((count, 1)), np.arange(count) / count)
    assert np.isfinite(found.at(np.zeros(1))).all()
    for times in (np.zeros(count), None):
        untimed = Landmarks(np.zeros((count, 10, 3)), times)
        assert beat_ms(untimed) == 0.0 and np.array_equal(frame_phases(untimed), np.arange(count) / count)


def test_pixels_and_patient_are_one_to_one(long_axis):
    cine = long_axis["3ch"]
    assert np.allclose(pixels_to_lps(cine, np.array([7.0, 20.0])), apply(cine.ijk_to_lps, [20.0, 7.0, 0.0]))
    somewhere = np.random.default_rng(0).uniform(0, 90, (4, 10, 2))
    somewhere[0, 0] = np.nan
    back = lps_to_pixels(cine, pixels_to_lps(cine, somewhere))
    assert np.allclose(back, somewhere, equal_nan=True)


def test_views_with_other_frames_and_beats_are_matched_by_phase(truth):
    points, cines, _, motion = truth
    every_other = slice(0, None, 2)
    fewer = cines["3ch"].with_changes(
        frames=cines["3ch"].frames[every_other], times_ms=1.3 * motion.times_ms[every_other]
    )
    exact, half = (NoisyTruth(p, cines, 0.0, 0.0) for p in (points.points, points.points[every_other]))
    mixed = {**detect_landmarks(cines, exact).views, **detect_landmarks({"3ch": fewer}, half).views}
    study = detect_landmarks(cines, exact)
    study = type(study)(mixed)
    assert np.array_equal(study.frames.times_ms, motion.times_ms)
    found = study.landmarks()
    # 13 frames of a beat of 13/12.5 of the true one: up to 4 % of a beat too late
    assert np.linalg.norm(found.points - points.points, axis=2).max() < 4.0
    assert found.confidence.shape == (25, 10) and found.confidence.min() > 0.8
    at_sax = study.landmarks(Landmarks(np.zeros((40, 10, 3)), np.arange(40) * 20.0))
    assert at_sax.points.shape == (40, 10, 3) and np.allclose(at_sax.points[20], study.at(np.array([0.5]))[0])


def test_detection_of_a_study_asks_the_network_view_by_view(truth):
    points, cines, _, _ = truth
    detector = NoisyTruth(points.points, cines, lost=[7])
    told = []
    study = detect_landmarks({"sax": cines["2ch"], **cines}, detector, lambda fraction, text: told.append(fraction))
    assert list(study.views) == ["2ch", "3ch", "4ch"] and told[-1] == 1.0
    assert detector.seen == ((25, 224, 224), pytest.approx((1.4, 1.4)))
    assert study.notes == ("3CH: not found in most frames: aortic free wall.",)
    assert np.isnan(study.landmarks().points[:, 7]).all() and not study.landmarks().confidence[:, 7].any()
    raw = study.views["4ch"].detection.points
    assert np.isfinite(raw[:, OWN["4ch"]]).all() and not np.allclose(raw[:, 4], study.views["4ch"].pixels[:, 4])
    with pytest.raises(InputError, match="no 2CH, 3CH or 4CH cine"):
        detect_landmarks({"sax": cines["2ch"]}, detector)


def test_a_cine_that_looks_like_another_view_gets_a_note(truth):
    points, cines, _, _ = truth

    class Confused(NoisyTruth):
        def detect(self, *arguments, **options):
            found = super().detect(*arguments, **options)
            return Detection(found.points, found.confidence, np.array([0.02, 0.03, 0.95]))

    notes = detect_landmarks({"3ch": cines["3ch"]}, Confused(points.points, cines)).notes
    assert notes == ("3CH: the images look like a 4CH view; check which view it is.",)


def test_planes_are_those_of_the_phantom(truth):
    points, cines, axis, motion = truth
    normals = {view: slice_normal(cine.ijk_to_lps) for view, cine in cines.items()}
    planes = fit_planes(points, normals, axis)
    for t in (0, motion.es):
        shape = motion.shapes[t]
        tilt = np.degrees(np.arctan(np.hypot(*shape.base[1:])))
        found = np.degrees(np.arccos(-planes["mitral"].normals[t] @ axis))
        assert found == pytest.approx(tilt, abs=0.1) and planes["mitral"].residual_mm[t] < 0.01
    for valve, pair in (("aortic", (6, 7)), ("tricuspid", (8, 9))):
        plane, view = planes[valve], LANDMARK_VIEWS[pair[0]]
        along = points.points[:, pair[1]] - points.points[:, pair[0]]
        assert np.abs((plane.normals * along).sum(1)).max() < 1e-6
        assert np.abs(plane.normals @ normals[view]).max() < 1e-6 and np.isnan(plane.residual_mm).all()
    lifted = points.points.copy()
    lifted[:, 0] += 6.0 * planes["mitral"].normals
    assert fit_planes(Landmarks(lifted, points.times_ms), normals, axis)["mitral"].residual_mm.min() > 1.0
    few = points.points.copy()
    few[:, [1, 2, 3, 5, 6, 7, 8]] = np.nan
    left = fit_planes(Landmarks(few, points.times_ms), normals, axis)
    assert set(left) == {"mitral"} and np.isnan(left["mitral"].normals).all()


def test_annulus_measures_are_the_phantoms(truth):
    points, cines, axis, motion = truth
    heights = points.points @ axis
    true = (heights - heights[0]).max(0)
    measured = measure_annulus(detect_landmarks(cines, NoisyTruth(points.points, cines, 0.3)))
    assert measured.axis_source == "crossing of the views" and measured.axis @ axis > np.cos(np.radians(0.1))
    values = measured.values()
    assert (measured.ed in (0, 24, 1)) and abs(measured.es - motion.es) <= 1
    assert values["mapse_septal_mm"] == pytest.approx(true[4], abs=1.0)
    assert values["mapse_lateral_mm"] == pytest.approx(true[5], abs=1.0)
    assert values["mapse_all_views_mm"] == pytest.approx(true[:6].mean(), abs=1.0)
    assert values["tapse_mm"] == pytest.approx(PhantomOptions().tapse_mm, abs=1.5)
    velocity = np.gradient(heights[:, :6].mean(1), motion.times_ms) * 100.0
    assert values["mapse_all_views_s_cm_s"] == pytest.approx(velocity.max(), rel=0.2)
    assert values["mapse_all_views_e_cm_s"] == pytest.approx(-velocity.min(), rel=0.2)
    gap = np.linalg.norm(points.points[:, 4] - points.points[:, 5], axis=1)
    assert np.abs(measured.diameters["mitral_4ch_mm"] - gap).mean() < 1.0
    assert "lv_length_ed_mm" not in values and "No length of the LV" in measured.notes[0]
    rows, plain = measured.rows(), measured.to_dict()
    assert len(rows) == 25 and rows[motion.es]["tapse_mm"] > 15.0 and json.dumps(plain, allow_nan=False)


@pytest.mark.parametrize("view", DETECTED_VIEWS)
def test_one_view_alone_is_measured_along_the_perpendicular_of_its_annulus(truth, view):
    points, cines, axis, _ = truth
    measured = measure_annulus(from_landmarks(points, {view: cines[view]}))
    assert measured.axis_source == "perpendicular to the mitral annulus"
    assert np.degrees(np.arccos(measured.axis @ axis)) < 15.0  # the phantom's valve plane is tilted by 12 degrees
    first = {"2ch": "mapse_anterior", "3ch": "mapse_anteroseptal", "4ch": "mapse_septal"}[view]
    assert measured.excursions[first].peak_mm == pytest.approx(12.0, abs=1.5)
    assert (
        set(measured.planes) == {"2ch": {"mitral"}, "3ch": {"mitral", "aortic"}, "4ch": {"mitral", "tricuspid"}}[view]
    )


def test_the_axis_points_to_the_apex_in_files_without_orientation(truth):
    """Images whose header says nothing about the patient: the motion tells which end is the apex."""
    points, cines, axis, _ = truth
    turn = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    turned = {view: cine.with_changes(ijk_to_lps=turn @ cine.ijk_to_lps) for view, cine in cines.items()}
    moved = Landmarks(apply(turn, points.points), points.times_ms)
    measured = measure_annulus(from_landmarks(moved, turned))
    assert measured.axis @ (turn[:3, :3] @ axis) > 0.999


def test_points_that_fell_together_are_told(truth):
    points, cines, _, _ = truth
    fallen = points.points.copy()
    fallen[:, 1] = fallen[:, 0] + 3.0
    notes = measure_annulus(from_landmarks(Landmarks(fallen, points.times_ms), cines)).notes
    assert notes[0].startswith("2CH: the two mitral points lie") and "one of them is wrong" in notes[0]
    assert not any("apart" in note for note in measure_annulus(from_landmarks(points, cines)).notes)


def test_without_any_point_there_are_no_measures(truth):
    points, cines, _, _ = truth
    assert measure_annulus(detect_landmarks(cines, NoisyTruth(points.points, cines, lost=range(10)))) is None


def test_length_of_the_ventricle_from_labels(phantom, long_axis):
    study = from_landmarks(phantom.landmarks, long_axis)
    mitral = phantom.landmarks.points[:, :6].mean((0, 1))
    apex = left_ventricle_apex(phantom.labels, mitral)
    shapes = phantom.motion.shapes
    lowest = np.mean([shape.center_z - shape.semi_z for shape in shapes])
    true = apply(phantom.heart_to_lps, [0.0, 0.0, lowest])
    assert np.linalg.norm(apex - true) < 5.0  # slices are 10 mm apart
    measured = measure_annulus(study, phantom.labels, apex_lps=apex)
    assert measured.axis_source == "apex of the segmentation" and len(measured.lv_length_mm) == 8
    values = measured.values()
    assert values["lv_length_ed_mm"] > values["lv_length_es_mm"] + 8.0
    lengths = np.linalg.norm(phantom.landmarks.points[:, :6].mean(1) - true, axis=1)
    strain = 100.0 * (lengths.min() / lengths.max() - 1.0)
    assert strain < -10.0 and values["lv_long_axis_strain_percent"] == pytest.approx(strain, abs=1.5)
    assert measured.rows()[measured.ed]["lv_long_axis_strain_percent"] == 0.0
    empty = type(phantom.labels)(
        np.zeros_like(phantom.labels.labels), phantom.labels.ijk_to_lps, phantom.labels.times_ms
    )
    assert left_ventricle_apex(empty, mitral) is None


def test_a_breath_hold_shift_is_seen_and_mended(phantom, long_axis):
    axis = phantom.heart_to_lps[:3, 2]
    middle = phantom.landmarks.points[0, :6].mean(0)
    agreeing = compare_views(long_axis, middle)
    assert agreeing.spread_mm < 1.5 and agreeing.warning() is None and min(agreeing.correlation.values()) > 0.9
    matrix = long_axis["2ch"].ijk_to_lps.copy()
    matrix[:3, 3] += 8.0 * axis
    shifted = {**long_axis, "2ch": long_axis["2ch"].with_changes(ijk_to_lps=matrix)}
    agreement = compare_views(shifted, middle)
    assert agreement.spread_mm == pytest.approx(8.0, abs=1.5)
    assert "2CH" in agreement.warning() and "breath-hold" in agreement.warning()
    own = phantom.landmarks.points.copy()
    own[:, OWN["2ch"]] += 8.0 * axis
    study = from_landmarks(Landmarks(own, phantom.landmarks.times_ms), shifted)
    mended = align_views(study, agreement).landmarks().points
    spread = (mended - phantom.landmarks.points) @ axis
    assert np.abs(spread - spread.mean()).max() < 1.5 and np.abs(own - phantom.landmarks.points).max() > 4.0


def test_views_without_a_common_line_say_nothing(long_axis):
    alike = {"2ch": long_axis["2ch"], "4ch": long_axis["2ch"].with_changes(view="4ch")}
    agreement = compare_views(alike, np.zeros(3))
    assert agreement.offsets_mm == {} and agreement.warning() is None
    study = from_landmarks(Landmarks(np.zeros((8, 10, 3)), np.arange(8.0)), alike)
    assert align_views(study, agreement) is study


def test_landmarks_check_their_sizes():
    with pytest.raises(InputError, match="2 frames but 3 frame times"):
        Landmarks(np.zeros((2, 10, 3)), np.zeros(3))
    with pytest.raises(InputError, match="A detection is"):
        Detection(np.zeros((2, 10, 3)), np.zeros((2, 10)), np.zeros(3))


def test_markups_are_read_by_slicer(tmp_path):
    slicer = pytest.importorskip("slicer")
    points = np.arange(30.0).reshape(10, 3)
    points[3] = np.nan
    (tmp_path / "points.mrk.json").write_text(json.dumps(points_document(points, LANDMARK_NAMES)), encoding="utf-8")
    scene, node, storage = (
        slicer.vtkMRMLScene(),
        slicer.vtkMRMLMarkupsFiducialNode(),
        slicer.vtkMRMLMarkupsJsonStorageNode(),
    )
    scene.AddNode(node)
    scene.AddNode(storage)
    storage.SetFileName(str(tmp_path / "points.mrk.json"))
    assert storage.ReadData(node) == 1
    assert [node.GetNthControlPointLabel(n) for n in range(10)] == list(LANDMARK_NAMES)
    status = [node.GetNthControlPointPositionStatus(n) for n in range(10)]
    assert status == [node.PositionMissing if n == 3 else node.PositionDefined for n in range(10)]
    assert np.allclose(node.GetNthControlPointPosition(4), points[4] * (-1.0, -1.0, 1.0))


@pytest.fixture
def noisy_network(phantom, long_axis, monkeypatch):
    """Puts the phantom's own points, with noise, in the place of every network."""
    monkeypatch.setattr(
        "CardiacLandmarksLib.pipeline.open_detector",
        lambda *arguments: NoisyTruth(phantom.landmarks.points, long_axis, 0.2, 0.0),
    )
    monkeypatch.setattr("cineheart.pipeline.has_weights", lambda bundle: True)


@pytest.fixture(scope="module")
def files(phantom, tmp_path_factory):
    """The small phantom's images on disk."""
    from CardiacLib.phantom import write_phantom

    folder = tmp_path_factory.mktemp("study")
    write_phantom(phantom, folder)
    return {view: next(folder.rglob(f"*{view}*.nii.gz")) for view in DETECTED_VIEWS}


def test_the_command_writes_all_files(noisy_network, phantom, files, tmp_path, capsys):
    given = [word for view, path in files.items() for word in (f"--{view}", str(path))]
    assert main(["landmarks", *given, "-o", str(tmp_path / "out"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["points"] == 10 and facts["mapse_mm"] == pytest.approx(12.0, abs=1.0)
    out = tmp_path / "out"
    names = {"landmarks.json", "annulus.json", "annulus.csv", "measures.csv", "markups"}
    names |= {f"landmarks_{view}{kind}.npy" for view in DETECTED_VIEWS for kind in ("", "_raw")}
    assert {p.name for p in out.iterdir()} == names and len(list((out / "markups").iterdir())) == 8
    document = json.loads((out / "landmarks.json").read_text(encoding="utf-8"))
    entry = document["frames"][2]["points"]["tricuspid free wall"]
    assert document["space"] == "LPS" and entry["view"] == "4ch"
    assert np.linalg.norm(np.array(entry["lps_mm"]) - phantom.landmarks.points[2, 9]) < 3.0
    saved = np.load(out / "landmarks_4ch.npy")
    assert saved.shape == (8, 2, 10) and np.isnan(saved[:, :, :4]).all()
    assert saved[2, :, 9] == pytest.approx([entry["column"], entry["row"]], abs=0.01)
    with open(out / "annulus.csv", encoding="utf-8", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 8


def test_the_command_draws_every_frame(noisy_network, files, tmp_path, capsys):
    from PIL import Image

    out = tmp_path / "out"
    command = ["landmarks", "--4ch", str(files["4ch"]), "-o", str(out)]
    assert main([*command, "--pictures"]) == 0
    assert {p.name for p in out.glob("valves_*")} == {"valves_4ch.png", "valves_4ch.gif"}
    with Image.open(out / "valves_4ch.gif") as moving:
        assert moving.n_frames == 8 and moving.info["loop"] == 0
        frames = []
        for n in range(moving.n_frames):
            moving.seek(n)
            frames.append(np.asarray(moving.convert("RGB"), int))
    colour = frames[3].max(2) - frames[3].min(2)
    assert (colour > 100).sum() > 50 and np.abs(frames[0] - frames[3]).max() > 100
    with Image.open(out / "valves_4ch.png") as montage:
        assert montage.width > 400
    assert main(command) == 0 and not list(out.glob("valves_*"))
    capsys.readouterr()


def test_the_command_needs_a_view_and_weights(tmp_path, files, capsys, monkeypatch):
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path / "empty"))
    assert main(["landmarks", "-o", str(tmp_path / "out")]) == 2
    assert "at least one long-axis cine" in capsys.readouterr().err
    arguments = ["landmarks", "--4ch", str(files["4ch"]), "-o", str(tmp_path / "out"), "--bundle", "valve_landmarks"]
    assert main(arguments) == 2
    assert "cineheart bundles fetch valve_landmarks" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def whole_study(phantom, long_axis):
    """The phantom's study with its own labels and points, as ``cineheart run`` hands it on."""
    from CardiacLib.readers import Study
    from CardiacLib.types.segmentation import Segmentation
    from CardiacSegLib import measure
    from CardiacSegLib.result import SegmentResult
    from cineheart.results import StudyResult
    from cineheart.steps import measure_points

    found = from_landmarks(phantom.landmarks, long_axis)
    study = Study(phantom.cines, patient=Patient(id="PHANTOM"), source="phantom")
    segmented = SegmentResult(Segmentation(phantom.labels, None), measure(phantom.labels), None)
    points = measure_points(found, phantom.labels, frames=phantom.labels)
    return StudyResult(study=study, segmented=segmented, points=points)


@pytest.mark.slow
def test_the_report_shows_points_and_curves(whole_study, tmp_path):
    from cineheart.report import write_report

    write_report(whole_study, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    section = page[page.index("<h2>Valves</h2>") :]
    section = section[: section.index("</section>")]
    assert "Valve points in 2CH, 3CH, 4CH" in section and "Motion of the mitral and tricuspid annulus" in section
    assert "TAPSE" in section and "Length of the LV, end-diastole" in section and "apex of the segmentation" in section


def test_the_scene_holds_points_and_measures(whole_study):
    pytest.importorskip("slicer")
    from CardiacLib.mrml.nodes.host import private_scene
    from CardiacLib.mrml.nodes.markups import landmarks_from_nodes
    from cineheart.scene import fill_scene

    with private_scene():
        nodes = fill_scene(whole_study, "PHANTOM")
        lists = [nodes[f"{valve} valve"] for valve in ("mitral", "aortic", "tricuspid")]
        found = landmarks_from_nodes(lists).points
        assert "annulus chart" in nodes and nodes["annulus measures"].GetNumberOfRows() > 20
    # the paths are smooth, the phantom's own points are not quite
    assert np.linalg.norm(found - whole_study.landmarks.landmarks().points, axis=2).max() < 1e-3


def test_a_run_finds_points_or_says_why_not(whole_study, noisy_network, monkeypatch):
    from CardiacLib.clock import Clock
    from cineheart.pipeline import RunOptions, _find_points, _Given

    clock, options = Clock(), RunOptions()
    points = _find_points(whole_study.study, _Given(), options, clock, lambda fraction, text: None)
    found = points.result.found
    assert set(found.views) == set(DETECTED_VIEWS) and points.notes == found.notes and "landmarks" in clock.seconds
    monkeypatch.setattr("cineheart.pipeline.has_weights", lambda bundle: False)
    nothing = _find_points(whole_study.study, _Given(), options, clock, lambda fraction, text: None)
    assert nothing.result is None and len(nothing.notes) == 1
    assert "weights of 'cineheart_lax_landmarks'" in nothing.notes[0]


def test_wrong_frames_in_rows_do_not_carry_the_path_away(truth):
    """As of a network that takes another structure for the point in a quarter of the frames, and loses it in some."""
    points, cines, _, _ = truth
    phases = frame_phases(points)
    exact = lps_to_pixels(cines["4ch"], points.points)
    seen = exact + np.random.default_rng(2).normal(0.0, 1.0, exact.shape)
    seen[[3, 4, 11, 12, 13, 22], 9] += (-45.0, 20.0)
    seen[17:21, 9] = np.nan
    found = fit_trajectories(seen, np.where(np.isfinite(seen[..., 0]), 0.6, 0.0), phases)
    assert np.linalg.norm(found.at(phases)[:, 9] - exact[:, 9], axis=1).max() < 5.0
    assert not found.weights[[3, 4, 11, 12, 13, 22], 9].any()


def test_views_without_real_labels_are_told():
    assert unproven_views("cineheart_lax_landmarks", dict.fromkeys(("2ch", "3ch", "4ch"))) == ["2ch", "3ch"]
    assert unproven_views("valve_landmarks", dict.fromkeys(("2ch", "4ch"))) == []
