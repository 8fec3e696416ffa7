"""What a person sets of labels: ED and ES, basal slices that are left out or added, the phase of one frame."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_ring_labels

from CardiacLib.errors import InputError
from CardiacLib.types.choices import BasalSlices, ByHand, SegmentChoice, basal_slices
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.segmentation import ValveCut
from CardiacLib.types.values import read_value, write_value
from CardiacLib.writers.images import write_labels
from CardiacSegLib.function import correct, measure, set_by_hand
from CardiacSegLib.quality import assess
from cineheart import steps
from cineheart.cli import main

BASE_LAST = np.diag([1.4, 1.4, 8.0, 1.0])


def beating(n_frames: int = 4) -> LabelMap:
    """Rings whose pool is smallest in frame 2 (of four: 0 is ED); slice 7 is the base, slice 0 the apex."""
    frames = []
    for t in range(n_frames):
        labels = make_ring_labels()
        shrink = (0, 4, 7, 3)[t % 4]
        for _ in range(shrink):
            pool = labels == LV
            edge = pool & ~(np.roll(pool, 1, 1) & np.roll(pool, -1, 1))
            labels[edge] = MYO
        labels[labels == RV] = np.where(np.arange((labels == RV).sum()) % 10 < shrink, 0, RV)
        frames.append(labels)
    return LabelMap(np.stack(frames), BASE_LAST, np.arange(n_frames) * 200.0, "rings.nii.gz")


def choice(**by_hand) -> SegmentChoice:
    return SegmentChoice(by_hand=ByHand(**by_hand))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lv=1", ["lv=1"]),
        ("RV=1,2@es", ["rv=1,2@es"]),
        ("lv=1,rv=1-3", ["lv=1", "rv=1,2,3"]),
        ("lv=2; rv=1@ed", ["lv=2", "rv=1@ed"]),
        ("", []),
    ],
)
def test_slices_are_written_as_people_count_them(text, expected):
    assert [str(edit) for edit in basal_slices(text)] == expected


@pytest.mark.parametrize("text", ["1", "lv", "lv=0", "la=1", "lv=1@mid", "lv=1.5", "lv=-1"])
def test_other_spellings_are_refused(text):
    with pytest.raises(InputError, match=r"ventricle|base|phase"):
        basal_slices(text)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_slice_that_is_left_out_does_not_count(flipped):
    labels = beating()
    if flipped:  # base first
        labels = replace(labels, labels=labels.labels[:, ::-1])
    found, whole = measure(labels, choice(left_out=basal_slices("lv=1,2"))), measure(labels)
    basal = labels.labels[:, :2] if flipped else labels.labels[:, -2:]
    for label, volume, before in (
        (LV, found.lv.volume_ml, whole.lv.volume_ml),
        (MYO, found.myocardium.volume_ml, whole.myocardium.volume_ml),
    ):
        np.testing.assert_allclose(before - volume, (basal == label).sum((1, 2, 3)) * labels.voxel_ml)
    np.testing.assert_array_equal(found.rv.volume_ml, whole.rv.volume_ml)
    assert found.to_dict()["by_hand"] == {"left_out_slices": ["lv=1,2"]}
    assert "left out in slices 1, 2 (counted from 1 at the base of the stack) in all frames" in found.notes[0]


def test_a_slice_of_one_phase_changes_only_its_frame_and_moves_no_phase():
    labels = beating()
    found, whole = measure(labels, choice(left_out=basal_slices("rv=1@es"))), measure(labels)
    changed = np.flatnonzero(found.rv.volume_ml != whole.rv.volume_ml)
    assert (found.ed, found.es) == (whole.ed, whole.es) == (0, 2) and changed.tolist() == [2]
    at_ed = measure(labels, choice(left_out=basal_slices("lv=1-6@ed")))  # ED is then far from the largest volume
    assert at_ed.ed == 0 and at_ed.lv.edv_ml < whole.lv.edv_ml / 2


def test_an_added_slice_has_the_section_of_its_neighbour():
    labels = beating()
    array = labels.labels.copy()
    array[:, 6:][np.isin(array[:, 6:], (LV, MYO))] = 0
    array[2, 5][array[2, 5] == RV] = array[2, 6][array[2, 6] == RV] = array[2, 7][array[2, 7] == RV] = 0
    short = replace(labels, labels=array)
    made = correct(short, ByHand(added=basal_slices("lv=1-2"))).labels.labels
    for k in (6, 7):
        np.testing.assert_array_equal(made[:, k] == LV, array[:, 5] == LV)
        wall = (array[:, 5] == MYO) & ~np.isin(array[:, k], (RV,))
        np.testing.assert_array_equal(made[:, k] == MYO, wall)
    at_es = correct(short, ByHand(added=basal_slices("rv=3@es"))).labels.labels
    assert (at_es[2, 5] == RV).sum() > 0 and np.array_equal(at_es[[0, 1, 3]], array[[0, 1, 3]])
    everywhere = correct(short, ByHand(added=basal_slices("rv=3"))).labels.labels
    np.testing.assert_array_equal(everywhere, at_es)  # where it was drawn it stays


@pytest.mark.parametrize(
    ("by_hand", "sentence"),
    [
        (ByHand(left_out=basal_slices("lv=9")), "lv=9: the stack has slices 1 to 8"),
        (ByHand(added=basal_slices("lv=1")), "lv=1: the LV is drawn in slices 1 to 8"),
        (ByHand(es_frame=4), "End-systole cannot be frame 5: there are frames 1 to 4"),
        (ByHand(ed_frame=2), "End-diastole and end-systole are both frame 3; set the other frame too"),
        (ByHand(phase="ed"), "--phase ed: is for labels of one frame; these have 4 frames"),
    ],
)
def test_what_does_not_fit_is_refused(by_hand, sentence):
    with pytest.raises(InputError, match=sentence):
        measure(beating(), SegmentChoice(by_hand=by_hand))


def test_a_slice_where_nothing_is_drawn_is_told_with_the_slices_that_hold_the_ventricle():
    labels = beating()
    padded = replace(labels, labels=np.pad(labels.labels, ((0, 0), (0, 3), (0, 0), (0, 0))))
    for made in ({"left_out": basal_slices("lv=1")}, {"added": basal_slices("lv=1")}):
        with pytest.raises(InputError, match="drawn in slices 4 to 11, counted from 1 at the base of the stack"):
            measure(padded, choice(**made))
    single = replace(labels, labels=labels.labels[:, 7:])
    with pytest.raises(InputError, match="which end of the stack is the base cannot be told"):
        measure(single, choice(left_out=basal_slices("lv=1")))


def test_frames_by_hand_go_before_the_volumes():
    found = measure(beating(), choice(ed_frame=3, es_frame=1))
    assert (found.ed, found.es) == (3, 1)
    assert found.lv.edv_ml == found.lv.volume_ml[3] and found.lv.esv_ml == found.lv.volume_ml[1]
    assert found.rv.edv_ml == found.rv.volume_ml[3] and found.to_dict()["es_frame_index"] == 1
    assert found.to_dict()["by_hand"] == {"ed_frame_index": 3, "es_frame_index": 1}
    assert found.notes[:2] == (
        "End-diastole was set by hand: frame 4, counted from 1.",
        "End-systole was set by hand: frame 2, counted from 1.",
    )


def test_the_labels_of_a_result_are_those_that_were_measured():
    labels = beating()
    by_hand = ByHand(left_out=basal_slices("lv=1, rv=1@es"), es_frame=1)
    cine = Cine(np.zeros(labels.labels.shape, np.float32), labels.ijk_to_lps, labels.times_ms)
    result = steps.measure_given(labels, cine, SegmentChoice(by_hand=by_hand))
    counted = result.segmentation.labels
    np.testing.assert_allclose(counted.volume_ml(LV), result.function.lv.volume_ml)
    np.testing.assert_allclose(counted.volume_ml(RV), result.function.rv.volume_ml)
    assert result.quality.note.startswith("The labels came without")


def test_valve_planes_and_slices_by_hand_exclude_each_other():
    labels = beating()
    volumes = [labels.volume_ml(label) for label in (LV, MYO, RV)]
    cut = ValveCut(labels, *volumes, ())
    with pytest.raises(InputError, match="set them by hand, or cut at the valves"):
        measure(labels, choice(left_out=basal_slices("lv=1")), cut=cut)
    assert measure(labels, choice(es_frame=1), cut=cut).es == 1


def test_by_hand_crosses_to_the_worker(tmp_path):
    made = choice(ed_frame=1, left_out=(BasalSlices("rv", (0, 1), "es"),))
    write_value(tmp_path / "choice.npz", made)
    assert read_value(tmp_path / "choice.npz") == made and len(set_by_hand(made.by_hand)) == 2


# One frame


@pytest.mark.parametrize("phase", ["", "ed", "es"])
def test_one_frame_is_called_by_a_phase_only_if_somebody_says_so(phase):
    labels = beating().only([2])
    found = measure(labels, choice(phase=phase)).to_dict()
    volume = labels.volume_ml(LV)[0]
    mass = labels.volume_ml(MYO)[0] * 1.05
    assert found["lv_volume_ml"] == pytest.approx(volume)
    for name in ("edv", "esv"):
        for side, own in (("lv", volume), ("rv", labels.volume_ml(RV)[0])):
            expected = own if f"{phase}v" == name else None
            assert found[f"{side}_{name}_ml"] == (None if expected is None else pytest.approx(expected))
    for name in ("ed", "es"):
        assert found[f"{name}_frame_index"] == (0 if phase == name else None)
    assert found["lv_mass_g"] == (None if phase == "es" else pytest.approx(mass))
    assert found["lv_mass_es_g"] == (pytest.approx(mass) if phase == "es" else None)
    assert ("phase" in found["by_hand"]) == bool(phase)
    thickness = {"": "thickness_mm", "ed": "thickness_ed_mm", "es": "thickness_es_mm"}
    measured = {key: any(s[key] is not None for s in found["segments"]) for key in thickness.values()}
    assert measured == {key: key == thickness[phase] for key in thickness.values()}
    assert any("One frame of unknown phase" in note for note in found["measurement_notes"]) == (not phase)
    nothing = ("lv_ef_percent", "lv_sv_ml", "lv_global_circumferential_mid_percent", "lv_peak_ejection_rate_ml_per_s")
    assert all(found[key] is None for key in nothing)


def test_quality_names_no_phase_of_one_frame():
    labels = beating().only([2])
    report = assess(labels, measure(labels))
    assert report.to_dict()["ed_frame_index"] is None and report.to_dict()["es_frame_index"] is None


# The command


def run_measure(tmp_path, capsys, *options: str) -> tuple[int, str]:
    write_labels(tmp_path / "labels.nii.gz", beating(1) if "one" in options else beating())
    given = [option for option in options if option != "one"]
    code = main(["measure", str(tmp_path / "labels.nii.gz"), "-o", str(tmp_path / "M"), "--json", *given])
    return code, capsys.readouterr().err


def test_cineheart_measure(tmp_path, capsys):
    code, _ = run_measure(tmp_path, capsys, "--leave-out-slices", "lv=1", "--es-frame", "2", "--heart-rate", "60")
    found = json.loads((tmp_path / "M" / "measurements.json").read_text())
    assert code == 0 and found["by_hand"] == {"es_frame_index": 1, "left_out_slices": ["lv=1"]}
    assert found["es_frame_index"] == 1 and found["slice_indices"]["lv"][0] == list(range(7))
    assert found["lv_cardiac_output_l_per_min"] == pytest.approx(0.06 * found["lv_sv_ml"])
    assert [entry["name"] for entry in found["provenance"]["inputs"]] == ["labels.nii.gz"]
    assert {path.name for path in (tmp_path / "M").iterdir()} == {
        "measurements.json", "measurements.csv", "measures.csv", "segments.csv", "quality.json"
    }  # fmt: skip


@pytest.mark.parametrize("phase", ["ed", "es"])
def test_cineheart_measure_of_one_frame(tmp_path, capsys, phase):
    assert run_measure(tmp_path, capsys, "one")[0] == 0
    first = json.loads((tmp_path / "M" / "measurements.json").read_text())
    assert first["lv_edv_ml"] is None and first["lv_volume_ml"] > 0
    assert run_measure(tmp_path, capsys, "one", "--phase", phase)[0] == 0
    told = json.loads((tmp_path / "M" / "measurements.json").read_text())
    assert told[f"lv_{phase}v_ml"] == first["lv_volume_ml"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--leave-out-slices", "lv"), "--leave-out-slices lv: write VENTRICLE=SLICES"),
        (("--add-slices", "la=1"), "No ventricle 'la'; choose one of lv, rv"),
        (("--ed-frame", "5"), "End-diastole cannot be frame 5: there are frames 1 to 4"),
        (("one", "--ed-frame", "1"), "there is one frame, whose phase --phase ed says"),
        (("--papillary", "myocardium"), "give --image"),
    ],
)
def test_cineheart_measure_refuses_in_one_sentence(tmp_path, capsys, options, sentence):
    code, said = run_measure(tmp_path, capsys, *options)
    assert code == 2 and sentence in said and said.count("\n") == 1 and not (tmp_path / "M").exists()
