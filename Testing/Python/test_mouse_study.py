"""A mouse from its files to measures, quality, mesh and evaluation, in its own units."""

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from BiVMeshLib import build_mesh
from CardiacLib.datasets.mouse.hdf5 import Animal, write_animal
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.networks.opened import OpenedNetwork
from CardiacLib.phantom.dicom import _instance, _set_pixels
from CardiacLib.phantom.mouse import MouseOptions, make_mouse
from CardiacLib.readers.cases import read_one_image, read_one_study
from CardiacLib.species import SPECIES, species_named
from CardiacLib.types.choices import SPECIES_NAMES, Body, ByHand, SegmentChoice, basal_slices
from CardiacLib.types.labels import LV, MYO, LabelMap
from CardiacLib.types.measures.marks import Mark
from CardiacLib.types.measures.ranges import NormalRanges
from CardiacLib.types.mesh_options import MeshOptions
from CardiacLib.types.segmentation import Segmentation
from CardiacLib.writers.images import write_cine, write_labels
from CardiacSegLib import measure
from CardiacSegLib.function.volume_table import label_rows
from CardiacSegLib.mouse.evaluation import score_animal, summary
from CardiacSegLib.mouse.islands import without_islands
from CardiacSegLib.mouse.phases import drawn_phases
from CardiacSegLib.mouse.segmenter import MouseSegmenter, starts
from CardiacSegLib.quality import assess, mark_measurements
from CardiacSegLib.quality.confidence import load_calibration
from CardiacSegLib.quality.slice_rules import SliceStep
from cineheart import steps
from cineheart.cli import app, main
from cineheart.commands.animals.labelled import SYNTHETIC
from cineheart.commands.answers import function_facts, function_marks
from cineheart.report.facts import headline, measurement_rows
from cineheart.report.quality_map import quality_content

MOUSE = SegmentChoice(species="mouse", body=Body(heart_rate_bpm=480.0))


@pytest.fixture(scope="module")
def mouse():
    """Twelve frames of a healthy mouse in coarse pixels."""
    return make_mouse(MouseOptions(n_frames=12, size=96, pixel_mm=0.2, n_slices=9, breathing=0.0, flow=0.0))


def test_species_are_those_that_may_be_chosen():
    assert set(SPECIES) == set(SPECIES_NAMES)
    with pytest.raises(InputError, match="choose one of human, rat, mouse"):
        species_named("cat")


@pytest.mark.slow
def test_function_in_the_units_of_a_mouse(mouse):
    function = measure(mouse.labels, MOUSE)
    numbers, true = function.to_dict(), mouse.summary()
    assert numbers["lv_edv_ul"] == pytest.approx(true["lv_edv_ul"], rel=0.06)
    assert numbers["lv_ef_percent"] == pytest.approx(true["lv_ef_percent"], abs=4.0)
    assert numbers["lv_mass_mg"] == pytest.approx(true["lv_mass_mg"], rel=0.08)
    stroke = numbers["lv_sv_ul"]
    assert numbers["lv_cardiac_output_ml_per_min"] == pytest.approx(stroke * 480 / 1000)
    assert numbers["lv_wall_thickness_ed_mm"] == pytest.approx(0.85, abs=0.15)
    assert numbers["lv_global_circumferential_endo_percent"] < -15
    # The same labels at human size say the same of everything that has no size.
    large = replace(mouse.labels, ijk_to_lps=np.diag([12, 12, 12, 1.0]) @ mouse.labels.ijk_to_lps)
    assert measure(large).to_dict()["lv_ef_percent"] == pytest.approx(numbers["lv_ef_percent"])
    assert not any("body surface" in note for note in function.notes)


def test_beat_of_a_mouse_is_read_from_its_times(mouse):
    assert measure(mouse.labels, SegmentChoice(species="mouse")).heart_rate_bpm == pytest.approx(480.0)
    assert measure(mouse.labels).heart_rate_bpm is None  # no human heart beats in 125 ms


def test_quality_has_no_human_flag(mouse):
    report = assess(mouse.labels, measure(mouse.labels, MOUSE))
    assert report.light == "green" and not any("RV" in flag.sentence for flag in report.flags)
    shown = quality_content(replace(report, dice=np.ones((12, 3))), SPECIES["mouse"].structures)
    assert [row[0] for row in shown["rows"]] == ["LV pool", "LV myocardium"]
    as_human = assess(mouse.labels, measure(mouse.labels))
    assert as_human.light == "red"
    slow = assess(mouse.labels, measure(mouse.labels, replace(MOUSE, body=Body(heart_rate_bpm=70.0))))
    assert [flag.code for flag in slow.flags if flag.code == "heart_rate"] == ["heart_rate"]


def test_marks_measure_a_mouse_by_its_own_limits(mouse):
    function = measure(mouse.labels, MOUSE)
    marks = mark_measurements(function, mouse.labels, assess(mouse.labels, function))
    assert marks["lv_edv_ml"].light == marks["lv_ef_percent"].light == "green"
    reasons = marks["lv_peak_ejection_rate_ml_per_s"].reasons  # 12 frames a beat: fewer than 16
    assert any("The frames are 10 ms apart" in reason for reason in reasons)
    step = SliceStep(0.0042, 2, 1, leaves=True)
    assert "Slice 2 of the LV, 4 \N{MICRO SIGN}l, leaves" in step.sentence("LV", species_named("mouse"))
    told = function_marks(function, {"lv_edv_ml": Mark("amber", ("so",), 0.003)})["lv_edv_ul"]
    assert (told.light, told.uncertainty) == ("amber", pytest.approx(3.0))


def test_slices_are_left_out_of_a_mouse(mouse):
    by_hand = ByHand(ed_frame=1, left_out=basal_slices("lv=2"))
    function = measure(mouse.labels, replace(MOUSE, by_hand=by_hand))
    whole = measure(mouse.labels, MOUSE)
    assert function.ed == 1 and function.species == "mouse" and function.by_hand == by_hand
    assert function.to_dict()["lv_edv_ul"] < whole.to_dict()["lv_edv_ul"]
    assert any("left out" in note for note in function.notes)
    (row,) = label_rows(whole)
    assert row.to_dict()["ed_ml"] == pytest.approx(whole.lv.edv_ml, abs=1e-5)
    one = measure(mouse.labels.only([0]), MOUSE)
    assert function_facts(one)["lv_volume_ul"] == pytest.approx(one.lv.volume_ml[0] * 1000, abs=0.06)


def test_report_speaks_of_microlitres(mouse):
    function = measure(mouse.labels, MOUSE)
    rows = {row.name: (row.cells[0].text, row.unit) for row in measurement_rows(function, {}, NormalRanges())}
    assert rows["End-diastolic volume"][1] == "\N{MICRO SIGN}l" and 50 < float(rows["End-diastolic volume"][0]) < 70
    assert rows["Myocardial mass (end-diastole)"][1] == "mg" and rows["Cardiac output"][1] == "ml/min"
    assert not any("RV" in row.name for row in headline(function, {}, NormalRanges()))


def test_mesh_at_the_size_of_a_mouse(mouse):
    labels = mouse.labels
    plain = MeshOptions(grid_mm=2.0, optimise=False, coordinates=False, fibres=False, order=2)
    options = replace(plain, species="mouse", edge_length_mm=0.5)
    small = build_mesh(labels.labels[0], labels.ijk_to_lps, options)
    assert np.ptp(small.nodes, 0).max() < 9.0
    made = small.quality
    assert made.made.species == "mouse" and made.shape.edge_mm_mean == pytest.approx(0.5, rel=0.1)
    assert 1000 * made.volumes.lv_pool_ml == pytest.approx(mouse.lv_ul[0], rel=0.12)
    limits = {name: line.limit for name, line in made.lines().items()}
    assert limits["distance_mean_mm"] == "<= 0.05" and limits["euler"] == "2"
    # Meshed at human size and made smaller: the same as labels that are that large.
    large = build_mesh(
        labels.labels[0],
        np.diag([12, 12, 12, 1.0]) @ labels.ijk_to_lps,
        replace(plain, edge_length_mm=6.0),
    )
    assert np.allclose(large.nodes / 12, small.nodes) and np.array_equal(large.tets, small.tets)
    apart = np.linalg.norm(large.middles / 12 - small.middles, axis=1)
    assert np.quantile(apart, 0.999) < 1e-9 and apart.max() < 0.02  # rounding may turn a search for the surface
    with pytest.raises(InputError, match=r"from 0\.025 to 0\.83"):
        MeshOptions(species="mouse", edge_length_mm=1.8)


def test_zip_of_nifti(tmp_path, mouse):
    write_cine(tmp_path / "sax_cine.nii.gz", mouse.cine)
    with zipfile.ZipFile(tmp_path / "mouse.zip", "w") as archive:
        archive.write(tmp_path / "sax_cine.nii.gz", "../up/sax_cine.nii.gz")
        archive.writestr("__MACOSX/._sax_cine.nii.gz", b"")
    found = read_one_image(tmp_path / "mouse.zip")
    assert np.allclose(found.frames, mouse.cine.frames) and found.source.endswith("mouse.zip")
    assert found.spacing == pytest.approx(mouse.cine.spacing, rel=1e-5)
    assert read_one_study(tmp_path / "mouse.zip").cines["sax"].n_slices == 9
    (tmp_path / "bad.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="cannot be unpacked"):
        read_one_image(tmp_path / "bad.zip")


def test_islands_go_as_published():
    labels = np.zeros((6, 90, 90), np.uint8)
    labels[0:5, 20:30, 20:30] = MYO
    labels[1:3, 40:44, 20:24] = MYO  # near, in two slices: stays
    labels[2, 20:30, 40:50] = MYO  # in one slice
    labels[1:4, 80:88, 80:88] = MYO  # far
    labels[5, 0, 0:3] = LV  # the only blood
    kept = without_islands(labels)
    assert (kept[1:3, 40:44, 20:24] == MYO).all() and (kept[0:5, 20:30, 20:30] == MYO).all()
    assert not kept[2, 20:30, 40:50].any() and not kept[1:4, 80:88, 80:88].any()
    assert (kept[5, 0, 0:3] == LV).all()


def test_a_vessel_through_all_slices_is_no_heart():
    labels = np.zeros((6, 120, 120), np.uint8)
    labels[1:5, 20:50, 20:50] = MYO
    labels[1:5, 27:43, 27:43] = LV
    labels[:, 90:100, 90:100] = LV  # an aorta
    labels[:, 104:110, 60:66] = MYO
    kept = without_islands(labels)
    assert np.array_equal(kept[:, :60, :60], labels[:, :60, :60]) and not kept[:, 60:].any()


@pytest.mark.parametrize("turned", [False, True])
def test_no_wall_over_the_base(turned):
    labels = np.zeros((6, 60, 60), np.uint8)
    labels[:, 10:50, 10:50] = MYO
    for k, half in ((1, 3), (2, 8), (3, 10), (4, 9)):  # slice 0 is the wall of the apex, 5 lies over the base
        labels[k, 30 - half : 30 + half, 30 - half : 30 + half] = LV
    labels = labels[::-1] if turned else labels
    kept = without_islands(labels)
    assert not kept[0 if turned else 5].any()
    inner = np.s_[1:] if turned else np.s_[:5]
    assert np.array_equal(kept[inner], labels[inner])


def test_a_vessel_over_the_base_is_no_heart():
    labels = np.zeros((9, 80, 80), np.uint8)
    labels[1:5, 20:50, 20:50] = MYO
    labels[1:5, 27:43, 27:43] = LV
    labels[6:8, 30:40, 30:40] = LV  # over a slice without heart
    kept = without_islands(labels)
    assert np.array_equal(kept[:5], labels[:5]) and not kept[5:].any()
    labels[5, 27:43, 27:43] = LV
    assert np.array_equal(without_islands(labels), labels)


def test_phases_of_drawn_frames():
    labels = np.zeros((6, 1, 60, 60), np.uint8)
    for frame, side in ((0, 40), (2, 12), (3, 20)):
        labels[frame, 0, 5 : 5 + side, 5 : 5 + side] = LV
    labels[2, 0, 50:54, 50:60] = LV  # outside the heart of ED: it does not count
    assert drawn_phases(labels, (0, 3, 2)) == (0, 2, "")
    assert drawn_phases(labels, (3,))[:2] == (3, 3)
    assert "end-diastole?" in drawn_phases(labels, (3, 0))[2]


class Knowing:
    """A predictor that knows the greys of blood and wall; the brightest pixel is neither."""

    batch, device, name = 4, "cpu", "made"

    def __call__(self, images):
        pool, wall = (images > 0.5) & (images < 0.9), (images > 0.2) & (images <= 0.5)
        return 40.0 * np.concatenate([~(pool | wall), wall, pool], 1).astype(np.float32)


def made_segmenter():
    segmenter = MouseSegmenter.__new__(MouseSegmenter)
    segmenter.predictor, segmenter.flips, segmenter.said = Knowing(), ((),), "made"
    segmenter.opened = OpenedNetwork(bundle_path("mouse_short_axis_small"), {}, segmenter.predictor, "made")
    return segmenter


@pytest.fixture
def painted(mouse):
    """The mouse with images of its labels."""
    value = np.array([0, 1000, 500], np.float32)
    frames = value[mouse.labels.labels]
    frames[..., 0, 0] = 1500
    return mouse.cine.with_changes(frames=frames)


def test_segmenter_pads_and_covers_large_images(mouse, painted):
    found = made_segmenter().segment(painted.only([0]))
    assert np.array_equal(found.labels.labels[0], without_islands(mouse.labels.labels[0]))
    assert found.statistics.hard[0, :, 2].sum() == 0 and "0.20 mm" in found.notes[2]
    assert "never validated on real mice" in found.notes[1]
    wide = np.zeros((1, 1, 300, 560), np.float32)
    wide[..., 100:140, 500:540], wide[..., 0, 0] = 1000, 1500
    found = made_segmenter().segment(painted.with_changes(frames=wide, times_ms=np.zeros(1)))
    assert np.array_equal(found.labels.labels == LV, wide == 1000)
    assert starts(256) == [0] and starts(300) == [0, 44] and starts(560) == [0, 152, 304]


def test_evaluation_of_an_animal(tmp_path, mouse, painted):
    animal = Animal("a", painted, mouse.labels, (mouse.ed, mouse.es), "healthy")
    write_animal(tmp_path / "a.h5", animal)
    write_animal(tmp_path / "b.h5", replace(animal, group="infarct"))
    scores = [score_animal(tmp_path / f"{name}.h5", made_segmenter()) for name in "ab"]
    found = summary(scores)
    assert set(found) == {"all", "healthy", "infarct"} and found["healthy"]["animals"] == 1
    assert found["all"]["dice"]["blood"]["mean"] > 0.999
    assert scores[0].true["edv_ul"] == pytest.approx(mouse.lv_ul[0], rel=0.06)
    assert found["all"]["agreement"]["ef_percent"]["largest"] < 0.5


def test_calibration_on_animals(tmp_path, mouse, painted, monkeypatch, read_json, capsys):
    bundle = tmp_path / "own_bundle"
    shutil.copytree(bundle_path("mouse_short_axis_small") / "configs", bundle / "configs")
    (bundle / "models").mkdir()
    (bundle / "models" / "model.pt").write_bytes(b"weights")
    ends = [mouse.ed, mouse.es]
    cine = painted.only(ends).with_changes(frames=painted.frames[ends, 2:6])
    labels = LabelMap.of(mouse.labels.labels[ends, 2:6], cine)
    for number in range(5):
        wrong = cine.frames.copy()
        wrong[:, :number][wrong[:, :number] == 500] = 0  # some slices lose their wall
        path = tmp_path / "mice" / f"m{number}.h5"
        write_animal(path, Animal(f"m{number}", cine.with_changes(frames=wrong), labels, (0, 1), synthetic=True))
    monkeypatch.setattr("cineheart.commands.animals.labelled.open_segmenter", lambda network: made_segmenter())
    assert main(["calibrate", str(bundle), "--data", str(tmp_path / "mice"), "--every", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["patients"] == 5 and "synthetic animals only" in answer["notes"][0]
    kept = read_json(bundle / "configs" / "quality.json")
    assert kept["fitted_on"].startswith("ED and ES of 5 synthetic animals: m0") and kept["volume_share"]["RV"] == 0
    calibration, note = load_calibration(bundle)
    assert calibration.calibrated and note == SYNTHETIC


def test_moving_a_mouse_is_refused_in_a_sentence(mouse):
    choice = steps.MeshChoice(
        options=MeshOptions(
            species="mouse", edge_length_mm=0.6, grid_mm=2.5, optimise=False, fibres=False, coordinates=False
        ),
        motion=True,
    )
    assert "made for human hearts" in steps.mesh(mouse.labels, choice).problem


def test_command_line_of_mice(tmp_path, mouse):
    write_animal(tmp_path / "data" / "a.h5", Animal("a", mouse.cine, mouse.labels, (mouse.ed, mouse.es)))
    (tmp_path / "data" / "b.h5").write_text("no HDF5")
    told = CliRunner().invoke(app, ["mice", "check", str(tmp_path / "data"), "--json"])
    facts = json.loads(told.stdout)
    assert told.exit_code == 0 and facts["wrong"] == 1 and "ED 1, ES 5" in facts["animals"]["a"]
    write_labels(tmp_path / "labels.nii.gz", mouse.labels.only([0]))
    words = ["mesh", str(tmp_path / "labels.nii.gz"), "-o", str(tmp_path / "M"), "--species", "mouse"]
    told = CliRunner().invoke(app, [*words, "--edge-length", "9", "--json"])
    assert isinstance(told.exception, InputError) and "edge_length_mm is 9" in str(told.exception)


def test_measuring_keeps_the_species(mouse):
    known = Segmentation(labels=mouse.labels, statistics=None)
    result = steps.measure_labels(known, MOUSE, cine=mouse.cine)
    assert result.function.species == "mouse"


@pytest.mark.parametrize("timed", [True, False])
def test_dicom_as_bruker_scanners_write_it(tmp_path, timed):
    """One series of single-frame files, every frame of a slice in a row, no heart rate, perhaps no trigger times."""
    cine = make_mouse(MouseOptions(n_frames=3, size=40, pixel_mm=0.3, n_slices=4, breathing=0.0, flow=0.0)).cine
    study, series = generate_uid(), generate_uid()
    direction = cine.ijk_to_lps[:3, :2] / cine.spacing[:2]
    for number, (k, t) in enumerate(np.ndindex(cine.n_slices, cine.n_frames)):
        file = _instance(generate_uid())
        file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = study, series, "1.2.3"
        file.Modality, file.Manufacturer, file.PatientID = "MR", "Bruker BioSpin MRI GmbH", "m12"
        file.ImageType, file.SeriesDescription = ["ORIGINAL", "PRIMARY", "OTHER"], "IgFLASH"
        file.SeriesNumber, file.InstanceNumber, file.CardiacNumberOfImages = 80001, number + 1, cine.n_frames
        file.ImageOrientationPatient = [f"{c:.8f}" for c in direction.T.ravel()]
        file.ImagePositionPatient = [f"{c:.8f}" for c in cine.ijk_to_lps[:3, 3] + k * cine.ijk_to_lps[:3, 2]]
        file.PixelSpacing, file.SliceThickness = ["0.3", "0.3"], "1.0"
        if timed:
            file.TriggerTime = round(float(cine.times_ms[t]), 3)
        _set_pixels(file, cine.frames[t, k])
        file.save_as(tmp_path / f"MRIm{number:03d}.dcm", enforce_file_format=True)
    found = read_one_study(tmp_path).cines["sax"]
    assert np.array_equal(found.frames, cine.frames) and np.allclose(found.ijk_to_lps, cine.ijk_to_lps, atol=1e-4)
    assert np.allclose(found.times_ms, cine.times_ms, atol=0.01) if timed else found.times_ms is None
