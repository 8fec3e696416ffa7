"""Each measurement with its light and reason, uncertainty of volumes, and the one table of volumes."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest
from made_study import make_mesh, make_result

from BiVMeshLib.check.marks import mesh_marks
from CardiacLandmarksLib.detect.study_landmarks import from_landmarks
from CardiacLandmarksLib.measure.annulus import EXCURSIONS, measure_annulus
from CardiacLandmarksLib.measure.marks import diameter_mark, point_marks, strong_ones
from CardiacLib.types.labels import LV, RV
from CardiacLib.types.landmarks import LANDMARK_NAMES
from CardiacLib.types.measures.marks import AMBER, GREEN, RED, Mark, worst
from CardiacLib.types.measures.volumes import VolumeRow
from CardiacLib.types.segmentation import Segmentation
from CardiacLib.types.values import read_value, write_value
from CardiacSegLib import measure
from CardiacSegLib.function.records import INDEXED
from CardiacSegLib.function.volume_table import WHOLE, label_rows
from CardiacSegLib.mrml.summaries import function_text, segmentation_facts
from CardiacSegLib.mrml.tables import MEASUREMENTS
from CardiacSegLib.quality import assess, frame_marks, mark_measurements
from CardiacSegLib.quality.marks import NEEDS
from CardiacSegLib.quality.slice_rules import flickers, largest_step, slice_volumes
from CardiacSegLib.quality.uncertainty import uncertainties
from cineheart import console, steps
from cineheart.commands.answers import study_answer
from cineheart.measures.tables import measure_rows
from cineheart.measures.volumes import counted_labels, marks_at_valves, study_volumes
from cineheart.outputs import summary_row, write_segmentation, write_volumes
from cineheart.report import write_report
from cineheart.report.cells import Row, cell, reasons


def altered(labels, change):
    """The same with labels changed in place."""
    copy = labels.labels.copy()
    change(copy)
    return dataclasses.replace(labels, labels=copy)


def marks_of(labels):
    function = measure(labels)
    return mark_measurements(function, labels, assess(labels, function))


def basal_rv_slice(labels):
    """The RV's slice with the most volume."""
    return int(slice_volumes(labels, "RV").sum(0).argmax())


def test_worst_keeps_the_worst_light_and_each_reason_once():
    found = worst([Mark(), Mark(AMBER, ("a.", "b.")), Mark(RED, ("c.",)), Mark(AMBER, ("b.",))])
    assert found == Mark(RED, ("c.", "a.", "b.")) and found.reason == "c. a. b."
    assert worst([]) == worst([Mark(uncertainty=3.0)]) == Mark(GREEN)


def test_a_good_study_is_green_but_for_its_few_frames(phantom):
    marks = marks_of(phantom.labels)
    assert marks["lv_edv_ml"] == marks["lv_mass_g"] == marks["lv_wall_thickness_ed_mm"] == Mark()
    assert marks["lv_ef_percent"] == Mark(AMBER, ("8 frames only: end-systole may lie between two of them.",))
    assert not set(marks) - set(measure(phantom.labels).to_dict())  # and there is none of what has no value
    assert "lv_peak_ejection_rate_ml_per_s" not in marks and "lv_edv_index_ml_per_m2" not in marks


def test_every_measurement_has_a_light():
    unmarked = {key for key, _, _ in MEASUREMENTS} - set(NEEDS) - set(INDEXED.values())
    assert unmarked == {"heart_rate_bpm", "body_surface_m2"}


def test_a_slice_that_leaves_as_a_whole_marks_rates_and_volumes_of_its_ventricle(phantom):
    place = basal_rv_slice(phantom.labels)

    def drop(labels):
        labels[2:6, place][labels[2:6, place] == RV] = 0

    labels = altered(phantom.labels, drop)
    step = largest_step(slice_volumes(labels, "RV"))
    assert step.slice == place and {(step.frame, step.leaves)} <= {(1, True), (6, False)}
    thick = dataclasses.replace(labels, ijk_to_lps=labels.ijk_to_lps @ np.diag([1.0, 1.0, 3.0, 1.0]))
    many = dataclasses.replace(thick, labels=np.repeat(thick.labels, 3, axis=0), times_ms=np.arange(24) * 900.0 / 24)
    marks = marks_of(many)
    assert marks["rv_peak_ejection_rate_ml_per_s"].weak
    assert "Slice" not in marks["lv_peak_ejection_rate_ml_per_s"].reason
    assert f"Slice {place + 1} of the RV" in marks["rv_peak_ejection_rate_ml_per_s"].reason
    assert "rates are told by that step" in marks["rv_peak_ejection_rate_ml_per_s"].reason


def test_steps_and_flickers_of_made_up_slices():
    volumes = np.array([[9.0, 5.0], [9.0, 5.0], [9.0, 0.0], [9.0, 5.0]])
    step = largest_step(volumes)
    assert (step.ml, step.slice) == (5.0, 1) and (step.frame, step.leaves) in ((1, True), (3, False))
    assert step.sentence("RV") == "Slice 2 of the RV, 5 ml, leaves after frame 2 as a whole"
    assert flickers(volumes, 2, "RV", largest=True) == "Slice 2 of the RV is missing in frame 3 only."
    assert flickers(volumes, 2, "RV", largest=False) == ""  # the base descends to end-systole
    assert flickers(volumes, 0, "RV", largest=True) == "" and largest_step(np.ones((4, 2))) is None
    assert largest_step(np.array([[5.0, 5.0], [0.0, 0.0]])) is None  # a frame that nobody drew is no step
    volumes[:, 1] = [0.0, 4.0, 0.0, 0.0]
    assert flickers(volumes, 1, "LV", largest=False) == "Slice 2 of the LV is there in frame 2 only."


def test_a_finding_marks_what_rests_on_it_and_nothing_else(phantom):
    ed = measure(phantom.labels).ed
    place = basal_rv_slice(phantom.labels)

    def gap(labels):
        labels[ed, place][labels[ed, place] == RV] = 0

    labels = altered(phantom.labels, gap)
    marks = marks_of(labels)
    assert marks["rv_edv_ml"].light == marks["rv_ef_percent"].light == RED
    assert marks["rv_esv_ml"].light == AMBER and marks["lv_edv_ml"] == Mark()
    assert "The RV pool is missing between labelled slices" in marks["rv_edv_ml"].reason
    report = assess(labels, measure(labels))
    of_frames = frame_marks(report, labels.n_frames)
    assert [mark.light for mark in of_frames] == [RED if t == ed else GREEN for t in range(labels.n_frames)]


def test_a_stack_that_ends_above_the_apex_marks_what_needs_the_whole_lv(phantom):
    held = np.flatnonzero((phantom.labels.labels == LV).any((0, 2, 3)))

    def cut(labels):
        labels[:, held[:4]] = 0  # the phantom's apex

    marks = marks_of(altered(phantom.labels, cut))
    for key in ("lv_edv_ml", "lv_mass_g", "lv_ef_percent", "lv_sphericity_ed"):
        assert marks[key].weak and "end above the apex" in marks[key].reason
    assert "above the apex" not in marks["rv_edv_ml"].reason


def report_of(function, labels, dice: float, share):
    report = assess(labels, function)
    return dataclasses.replace(report, dice=np.full((labels.n_frames, 3), dice), volume_share=share)


def test_uncertainty_follows_the_probable_dice(phantom):
    function = measure(phantom.labels)
    known = uncertainties(function, report_of(function, phantom.labels, 0.95, (0.6, 0.3, 0.5)))
    assert known["lv_edv_ml"] == pytest.approx(0.6 * 2 * function.lv.edv_ml * 0.05)
    assert known["lv_mass_g"] == pytest.approx(0.3 * 2 * function.myocardium.mass_g * 0.05)
    assert known["rv_sv_ml"] == pytest.approx(np.hypot(known["rv_edv_ml"], known["rv_esv_ml"]))
    drawn = np.random.default_rng(1)
    edv, esv = (drawn.normal(getattr(function.lv, n), known[f"lv_{n}"], 200_000) for n in ("edv_ml", "esv_ml"))
    assert known["lv_ef_percent"] == pytest.approx(np.std(100 * (edv - esv) / edv), rel=0.1)
    surer = uncertainties(function, report_of(function, phantom.labels, 0.99, (0.6, 0.3, 0.5)))
    assert all(surer[key] < known[key] for key in known)


def test_labels_of_a_person_or_an_uncalibrated_network_have_no_uncertainty(phantom):
    function = measure(phantom.labels)
    assert uncertainties(function, assess(phantom.labels, function)) == {}
    assert uncertainties(function, report_of(function, phantom.labels, 0.9, None)) == {}
    result = steps.measure_labels(Segmentation(phantom.labels, None), cine=phantom.cines["sax"])
    assert result.quality is None and all(mark.uncertainty is None for mark in result.marks.values())
    assert len(result.frames) == phantom.labels.n_frames


def weak_study(phantom, **changes):
    return dataclasses.replace(from_landmarks(phantom.landmarks, phantom.cines), **changes)


def test_points_of_unproven_views_are_weak_and_means_leave_them_out(phantom):
    strong = measure_annulus(weak_study(phantom))
    found = measure_annulus(weak_study(phantom, unproven=("2ch", "3ch")))
    assert found.values()["mapse_all_views_mm"] == found.values()["mapse_mm"] != strong.values()["mapse_all_views_mm"]
    assert found.marks["mapse_all_views_mm"] == Mark() and found.marks["mapse_anterior_mm"].light == AMBER
    assert "2CH: the network was never validated on real images" in found.marks["mitral_2ch_ed_mm"].reason
    (note,) = [note for note in found.notes if note.startswith("The mean MAPSE of all views leaves out weak points")]
    assert "mitral anterior 2CH" in note and "4CH" not in note
    assert not any("leaves out" in note for note in strong.notes)


def test_a_mean_of_weak_points_only_is_weak(phantom):
    found = measure_annulus(weak_study(phantom, unproven=("2ch", "3ch", "4ch")))
    assert all(mark.weak for mark in found.marks.values()) and not any("leaves out" in note for note in found.notes)
    assert found.values()["mapse_all_views_mm"] == measure_annulus(weak_study(phantom)).values()["mapse_all_views_mm"]


@pytest.mark.parametrize("how", ["confidence", "lost", "strays"])
def test_a_point_that_is_unsure_or_unsteady_is_weak(phantom, how):
    study = weak_study(phantom)
    view, point = study.views["4ch"], LANDMARK_NAMES.index("mitral free wall 4CH")
    points, confidence = view.detection.points.copy(), view.detection.confidence.copy()
    if how == "confidence":
        confidence[:, point] = 0.4
    elif how == "lost":
        points[:3, point] = np.nan
    else:
        points[:3, point] += 30.0
    detection = dataclasses.replace(view.detection, points=points, confidence=confidence)
    views = study.views | {"4ch": dataclasses.replace(view, detection=detection)}
    study = dataclasses.replace(study, views=views)
    marks = point_marks(study)
    assert [LANDMARK_NAMES[n] for n, mark in enumerate(marks) if mark.weak] == ["mitral free wall 4CH"]
    assert strong_ones(EXCURSIONS["mapse"], marks) == (4,)
    found = measure_annulus(study)
    assert found.marks["mapse_lateral_mm"].weak and found.values()["mapse_mm"] == found.values()["mapse_septal_mm"]


def test_a_diameter_beyond_what_adults_have_is_red():
    assert diameter_mark("aortic", 24.0, Mark()) == Mark()
    found = diameter_mark("aortic", 14.3, Mark(AMBER, ("3CH: ...",)))
    assert found.light == RED
    assert found.reason == "14 mm between the aortic points (15 to 38 expected): one is probably wrong. 3CH: ..."


def test_few_frames_mark_velocities_first(phantom):
    marks = measure_annulus(weak_study(phantom)).marks  # 8 frames
    assert marks["mapse_mm"] == Mark() and "velocities are told too low" in marks["mapse_s_cm_s"].reason


def test_the_annuli_have_the_ends_of_the_heart(phantom):
    found = from_landmarks(phantom.landmarks, phantom.cines)
    result = steps.measure_points(found, phantom.labels, frames=phantom.labels)
    function = measure(phantom.labels)
    assert (result.annulus.ed, result.annulus.es) == (function.ed, function.es)
    told = steps.measure_points(found, phantom.labels, frames=phantom.labels, ends=(1, 4)).annulus
    assert (told.ed, told.es) == (1, 4) and told.to_dict()["es_frame_index"] == 4
    assert set(told.marks) == {key for key, value in told.values().items() if value is not None}


def test_mesh_measures_are_as_weak_as_their_labels():
    quality = make_mesh().quality
    bad = mesh_marks(quality, {"lv_edv_ml": Mark(AMBER, ("LV: ...",))})
    assert bad["lv_pool_ml"] == Mark(AMBER, ("LV: ...",)) and bad["open_edges"] == Mark()
    assert bad["min_dihedral_deg"].weak == (not quality.lines()["min_dihedral_deg"].met)
    missed = {name for name, mark in mesh_marks(quality, {}).items() if mark.weak}
    assert missed == set(quality.missed())


def test_one_row_of_each_ventricle_is_the_reported_one(phantom):
    result = make_result(mesh=make_mesh())
    rows = study_volumes(result)
    for side, ventricle in (("LV", result.function.lv), ("RV", result.function.rv)):
        (row,) = [row for row in rows if row.ventricle == side and row.reported]
        assert (row.ed_ml, row.es_ml, row.source) == (ventricle.edv_ml, ventricle.esv_ml, WHOLE)
        assert row.ef_percent == pytest.approx(ventricle.ef_percent)
    assert {row.source for row in rows} == {WHOLE, "mesh of end-diastole"} and all(row.reason for row in rows)
    alone = VolumeRow(source="x", ventricle="LV", ed_ml=100.0, es_ml=None, reason="y.")
    assert alone.ef_percent is None and alone.because("z.").reason == "y. z."
    points = steps.measure_points(from_landmarks(phantom.landmarks, phantom.cines), phantom.labels)
    segmented = steps.measure_labels(Segmentation(phantom.labels, None), cine=phantom.cines["sax"])
    study = dataclasses.replace(result.study, cines=phantom.cines)
    rows = study_volumes(dataclasses.replace(result, study=study, segmented=segmented, points=points, meshed=None))
    cut = {row.ventricle: row for row in rows if not row.reported}
    truth = measure(phantom.labels)
    assert cut["LV"].ed_ml == pytest.approx(truth.lv.edv_ml, rel=0.1) and "mitral plane" in cut["LV"].reason


def test_whole_slices_stand_beside_labels_that_end_at_the_valves(phantom):
    from CardiacSegLib.segment.valve_plane import cut_at_valve_plane

    cut = cut_at_valve_plane(phantom.labels, phantom.landmarks)
    function = measure(cut.labels, cut=cut)
    rows = label_rows(function, cut)
    assert [(row.ventricle, row.reported) for row in rows] == [
        ("LV", True), ("LV", False), ("RV", True), ("RV", False),
    ]  # fmt: skip
    assert rows[0].ed_ml == function.lv.edv_ml
    assert rows[1].ed_ml == pytest.approx(phantom.labels.volume_ml(LV)[function.ed])


def test_volumes_that_end_at_weak_valve_points_are_weak(phantom):
    marks = {"lv_edv_ml": Mark(uncertainty=4.0), "rv_edv_ml": Mark(), "lv_global_radial_percent": Mark()}
    found = marks_at_valves(marks, weak_study(phantom, unproven=("2ch",)))
    assert found["lv_edv_ml"].light == AMBER and found["lv_edv_ml"].uncertainty == 4.0
    assert "2CH" in found["lv_edv_ml"].reason
    assert found["rv_edv_ml"] == found["lv_global_radial_percent"] == Mark()  # the tricuspid points are of the 4CH


def test_pictures_show_the_papillary_muscles_where_they_are_counted():
    result = make_result()
    assert counted_labels(result) is result.labels
    function = dataclasses.replace(result.function, papillary="myocardium")
    muscle = dataclasses.replace(result, segmented=dataclasses.replace(result.segmented, function=function))
    sax = result.study.cines["sax"]
    pool = np.argwhere(result.labels.labels[function.ed] == LV)
    middle = tuple(pool[np.abs(pool - pool.mean(0)).sum(1).argmin()])
    sax.frames[(function.ed, middle[0], slice(middle[1] - 2, middle[1] + 3), slice(middle[2] - 2, middle[2] + 3))] = 90
    changed = counted_labels(muscle).labels != result.labels.labels
    assert changed[(function.ed, *middle)] and not changed[1].any()


@pytest.fixture
def weak_result():
    """A study whose RV ejection fraction is red, whose LV volume is uncertain by 4 ml."""
    result = make_result()
    marks = {"rv_ef_percent": Mark(RED, ("Slice 2 of the RV is <missing>.",)), "lv_edv_ml": Mark(uncertainty=4.2)}
    frames = (Mark(AMBER, ("A ring is open.",)), *[Mark()] * (result.function.n_frames - 1))
    return dataclasses.replace(result, segmented=dataclasses.replace(result.segmented, marks=marks, frames=frames))


def test_files_give_light_reason_and_uncertainty(weak_result, tmp_path, read_json):
    write_segmentation(weak_result.segmented, tmp_path, sequence=False)
    told = read_json(tmp_path / "measurements.json")
    assert told["marks"]["rv_ef_percent"]["light"] == "red" and told["marks"]["lv_edv_ml"]["uncertainty"] == 4.2
    assert told["volumes"][0]["reported"] and told["ed_frame_index"] == weak_result.function.ed
    rows = list(csv.DictReader((tmp_path / "measures.csv").open()))
    assert [row["measurement"] for row in rows] == ["rv_ef_percent", "lv_edv_ml"]
    assert rows[0]["reason"] == "Slice 2 of the RV is <missing>." and rows[1]["uncertainty"] == "4.2"
    frames = list(csv.DictReader((tmp_path / "measurements.csv").open()))
    assert [row["light"] for row in frames[:2]] == ["amber", "green"] and frames[0]["frame_index"] == "0"
    write_volumes(weak_result, tmp_path)
    assert [row["ventricle"] for row in csv.DictReader((tmp_path / "volumes.csv").open())] == ["LV", "RV"]
    row = summary_row(weak_result)
    assert (row["rv_ef_percent_light"], row["lv_edv_ml_uncertainty"]) == ("red", 4.2)
    assert row["reasons"] == "rv_ef_percent: Slice 2 of the RV is <missing>."
    assert measure_rows({"a": None, "b": 1.0}, {"a": Mark(), "b": Mark()})[0]["measurement"] == "b"


def test_the_page_shows_weak_values_grey_with_the_reason(weak_result, tmp_path):
    write_report(weak_result, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    value = f"{weak_result.function.rv.ef_percent:.0f}"
    assert f'<b class="weak">{value}<span>' in text  # its tile
    assert re.search(rf'<span class="weak" title="Slice 2 of the RV is &lt;missing&gt;\.">.*{value}</span>', text)
    assert "RV ejection fraction</li>" in text and "Table of volumes" in text
    assert f"{weak_result.function.lv.edv_ml:.0f} <small>\N{PLUS-MINUS SIGN} 4</small>" in text


def test_reasons_are_told_once_with_all_they_speak_against():
    weak = Mark(AMBER, ("Why.",))
    rows = [Row("End volume", (cell(1.0, weak), cell(2.0, weak))), Row("Mass", (cell(3.0, weak), cell(None)))]
    assert reasons(rows[:1]) == [("amber", "LV end volume, RV end volume", "Why.")]
    assert cell(12.34, Mark(uncertainty=1.26), "{:.1f} mm").sure == "\N{PLUS-MINUS SIGN} 1.3"


def test_the_command_line_names_frames_from_1_and_json_from_0(weak_result, capsys):
    answer = study_answer(weak_result)
    told, frames = answer.document(), weak_result.function.n_frames
    assert told["es_frame_index"] == weak_result.function.es and "es" not in told
    assert told["marks"]["rv_ef_percent"]["light"] == "red"
    json.dumps(told, allow_nan=False)
    console.Console("title", as_json=False).finish(answer)
    shown = re.sub(r"\s*\n?[\u2502\s]+", " ", capsys.readouterr().out)
    assert f"frame {weak_result.function.es + 1} of {frames}" in shown
    assert "(red: Slice 2 of the RV is <missing>.)" in shown and "\N{PLUS-MINUS SIGN} 4.2" in shown
    assert console.Counted(2, what="slice").key("start_slice") == "start_slice_index"


def test_the_panel_shows_weak_values_grey_with_the_reason_as_tooltip(weak_result):
    text = function_text(weak_result.function.to_dict(), weak_result.segmented.marks)
    assert re.search(r'EF <span style="color:#\w+"><i>\d+ %</i></span>', text) and "\N{PLUS-MINUS SIGN} 4 ml" in text
    facts = segmentation_facts(weak_result.segmented)
    assert facts["summary why"].endswith("RV EF: Slice 2 of the RV is <missing>.")
    assert "<" not in function_text(weak_result.function.to_dict())


def test_marks_cross_to_another_process(weak_result, tmp_path):
    write_value(tmp_path / "result.npz", weak_result.segmented)
    back = read_value(tmp_path / "result.npz")
    assert back.marks == weak_result.segmented.marks and back.volumes == weak_result.segmented.volumes
