"""Quality control: every rule finds its defect and leaves true labels alone; confidence, calibration, report."""

import dataclasses
import json
import shutil
from typing import NamedTuple

import numpy as np
import pytest
from made_study import make_result

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.segmentation import Segmentation, SliceStatistics
from CardiacLib.writers.images import write_cine, write_labels
from CardiacSegLib.function import Function, measure
from CardiacSegLib.quality import assess
from CardiacSegLib.quality.accuracy import detection, roc_auc
from CardiacSegLib.quality.appearance import UNLIKE
from CardiacSegLib.quality.calibration import (
    Samples,
    cross_validated,
    fit,
    fit_curve,
    samples_of,
    volume_coverage,
    volume_share,
    warning_limit,
    write_calibration,
)
from CardiacSegLib.quality.confidence import Calibration, expected_dice, expected_slice_dice, load_calibration
from CardiacSegLib.quality.curve_rules import curve_flags, misfit
from CardiacSegLib.quality.flags import Flag, ranges
from CardiacSegLib.quality.shape_rules import Heart, shape_flags
from CardiacSegLib.quality.summary import judge
from CardiacSegLib.result import SegmentResult
from cineheart.cli import main
from cineheart.outputs import write_segmentation, write_study_summary
from cineheart.report import write_report

MIDDLE = 5
"""A slice of the phantom that goes through both ventricles; its slice 0 is beyond the apex."""

GAP = 4
"""A slice of the made-up study of the reports."""


class Made(NamedTuple):
    """True labels and what they say."""

    labels: LabelMap
    function: Function


@pytest.fixture(scope="module")
def made(phantom):
    """True labels of the phantom: 8 frames, 13 slices, ED 0."""
    return Made(phantom.labels, measure(phantom.labels))


def altered(made, change) -> LabelMap:
    """The labels after ``change(labels)``, an alteration in place of the (T, K, J, I) array."""
    labels = made.labels.labels.copy()
    change(labels)
    return dataclasses.replace(made.labels, labels=labels)


def found(labels: LabelMap, made) -> dict[str, list]:
    """Flags of the shape rules by code."""
    flags: dict[str, list] = {}
    for flag in shape_flags(Heart(labels, made.function.ed, made.function.es)):
        flags.setdefault(flag.code, []).append(flag)
    return flags


def test_true_labels_are_green(made):
    report = assess(made.labels, made.function)
    assert report.light == "green" and report.reasons == () and report.flags == ()


def cut_slice(labels):
    labels[:, MIDDLE] = 0


def second_piece(labels):
    labels[0, MIDDLE, 1:7, 1:7] = LV


def rv_in_lv(labels):
    rows, columns = np.nonzero(labels[0, MIDDLE] == LV)
    labels[
        0, MIDDLE, int(rows.mean()) - 1 : int(rows.mean()) + 2, int(columns.mean()) - 1 : int(columns.mean()) + 2
    ] = RV


def rv_far(labels):
    labels[0, MIDDLE][labels[0, MIDDLE] == RV] = 0
    labels[0, MIDDLE, 2:7, 2:7] = RV


def open_wall(labels):
    wall = np.argwhere(labels[0, MIDDLE] == MYO)
    side = wall[wall[:, 0] > np.median(wall[:, 0])]
    labels[0, MIDDLE, side[:, 0], side[:, 1]] = 0


def at_border(labels):
    labels[0, MIDDLE, 0, 5:9] = RV


def beyond_border(labels):
    labels[0, MIDDLE, 0, 5:45] = RV


def small_slice(labels):
    wall = np.flatnonzero((labels[0, MIDDLE] == MYO).any(0))
    labels[0, MIDDLE, :, wall[: 2 * len(wall) // 5]] = 0


@pytest.mark.parametrize(
    ("change", "code", "severity"),
    [
        (cut_slice, "missing_slice", "serious"),
        (second_piece, "several_components", "warning"),
        (rv_in_lv, "rv_inside_lv", "warning"),
        (rv_far, "rv_apart", "warning"),
        (open_wall, "open_ring", "warning"),
        (at_border, "image_border", "warning"),
        (beyond_border, "image_border", "serious"),
        (small_slice, "area_leap", "warning"),
    ],
    ids=lambda v: v.__name__ if callable(v) else v,
)
def test_each_defect_is_found_where_it_is(made, change, code, severity):
    assert code not in found(made.labels, made)
    for flag in found(altered(made, change), made)[code]:
        assert flag.severity == severity
        assert flag.slices == (MIDDLE,) and 0 in flag.frames
        assert f"slice {MIDDLE + 1};" in flag.sentence and "frame" in flag.sentence


def test_slices_out_of_order_are_serious(made):
    def exchanged(labels):
        labels[:, [2, 8]] = labels[:, [8, 2]]

    worst = found(altered(made, exchanged), made)["area_leap"][0]
    assert worst.severity == "serious" and 8 in worst.slices and worst.structures == ()
    assert made.function.ed in worst.frames


def test_a_defect_off_ed_and_es_counts_less(made):
    frame = next(t for t in range(8) if t not in (made.function.ed, made.function.es))

    def one_frame(labels):
        labels[frame, MIDDLE] = 0

    flags = found(altered(made, one_frame), made)["missing_slice"]
    assert len(flags) == 3 and all(flag.severity == "warning" and flag.frames == (frame,) for flag in flags)


@pytest.mark.parametrize("label", [LV, MYO, RV])
def test_an_absent_structure_is_serious(made, label):
    labels = altered(made, lambda a: np.putmask(a, a == label, 0))
    (flag,) = found(labels, made)["heart_absent"]
    assert flag.severity == "serious" and flag.sentence.endswith("(all frames).") and len(flag.frames) == 8
    assert judge(labels, made.function, None, Calibration()).light == "red"


def test_the_last_basal_slice_may_be_open_on_one_side(made):
    heart = Heart(made.labels, made.function.ed, made.function.es)
    basal = heart.basal_slice(LV)
    assert not heart.base_first and basal.min() >= 8

    def open_base(labels):  # a pool with muscle on all sides but one
        for frame, k in zip(labels, basal, strict=True):
            frame[k] = 0
            frame[k, 40:52, 40:52] = MYO
            frame[k, 42:52, 42:50] = LV

    assert "open_ring" not in found(altered(made, open_base), made)
    turned = dataclasses.replace(made.labels, labels=made.labels.labels[:, ::-1].copy())
    assert Heart(turned, made.function.ed, made.function.es).base_first


def test_a_stack_that_ends_in_the_middle_of_the_heart(made):
    cut = dataclasses.replace(made.labels, labels=made.labels.labels[:, MIDDLE:10].copy())
    flags = found(cut, made)
    assert [flag.severity for flag in flags["stack_end"]] == ["warning", "note"]
    assert flags["too_few_slices"][0].sentence == "The LV lies in only 5 slices at end-diastole."


def test_smooth_curves_do_not_jump_and_an_outlier_does(made):
    phase = np.arange(25) / 25
    beat = 100 + 40 * np.cos(2 * np.pi * phase) + 5 * np.cos(6 * np.pi * phase)
    smooth = dataclasses.replace(
        made.function,
        lv=dataclasses.replace(made.function.lv, volume_ml=beat, sv_ml=80.0),
        rv=dataclasses.replace(made.function.rv, volume_ml=beat, sv_ml=78.0),
        myocardium=dataclasses.replace(made.function.myocardium, volume_ml=np.full(25, 110.0)),
        ed=0,
        es=12,
    )
    assert list(curve_flags(smooth)) == []
    for frame in (0, 7, 24):
        jumping = beat.copy()
        jumping[frame] += 15
        (flag,) = curve_flags(dataclasses.replace(smooth, rv=dataclasses.replace(smooth.rv, volume_ml=jumping)))
        assert (flag.code, flag.frames) == ("volume_jump", (frame,)) and "RV" in flag.sentence
        assert flag.severity == ("warning" if frame == 0 else "note")
    open_ended = np.linspace(150.0, 80.0, 25)  # a cine that stops before the heart has filled again
    assert misfit(open_ended).max() < 1e-9


def test_stroke_volumes_and_muscle(made):
    def flags(left, right, muscle=made.function.myocardium.volume_ml):
        changed = dataclasses.replace(
            made.function,
            lv=dataclasses.replace(made.function.lv, sv_ml=left),
            rv=dataclasses.replace(made.function.rv, sv_ml=right),
            myocardium=dataclasses.replace(made.function.myocardium, volume_ml=muscle),
        )
        return [(f.code, f.severity) for f in curve_flags(changed)]

    assert flags(80.0, 72.0) == []
    assert flags(80.0, 60.0) == [("stroke_volumes", "note")]
    assert flags(80.0, 40.0) == [("stroke_volumes", "warning")]
    assert flags(9.0, 3.0) == []
    assert flags(None, 3.0) == []
    muscle = made.function.myocardium.volume_ml.copy()
    muscle[made.function.es] = 0.7 * muscle[made.function.ed]
    assert ("myocardial_volume", "warning") in flags(80.0, 72.0, muscle)


def statistics_of(labels: LabelMap, sure: float) -> SliceStatistics:
    """Statistics of a network that gives its labels the probability ``sure`` and the rest to what lies around."""
    hard = np.stack([(labels.labels == label).sum((2, 3)) for label in (LV, MYO, RV)], -1).astype(np.float32)
    return SliceStatistics(soft=hard, hard=hard, both=sure * hard, entropy=hard.sum(-1))


def test_expected_dice_by_hand():
    soft = np.array([[[10.0, 0, 4], [30, 0, 0]]], np.float32)
    hard = np.array([[[8.0, 0, 0], [40, 0, 0]]], np.float32)
    both = np.array([[[7.0, 0, 0], [28, 0, 0]]], np.float32)
    statistics = SliceStatistics(soft, hard, both, np.zeros((1, 2), np.float32))
    np.testing.assert_allclose(expected_dice(statistics), [[70 / 88, np.nan, np.nan]])
    np.testing.assert_allclose(expected_slice_dice(statistics), [[14 / 22, 56 / 70]])


def samples(patients: int, rng) -> Samples:
    """Structures of a network that is surer than it is right, with noise."""
    expected = rng.uniform(0.6, 0.99, patients * 6)
    kinds = np.tile([0, 1, 2], patients * 2)
    odds = np.log(expected / (1 - expected)) * 1.4 - 1.5 - 0.2 * kinds
    dice = np.clip(1 / (1 + np.exp(-odds)) + rng.normal(0, 0.02, odds.size), 0, 1)
    names = np.repeat([f"p{n}" for n in range(patients)], 6)
    excess = rng.normal(0.0, 0.5, odds.size) * 2.0 * (1.0 - dice)
    return Samples(names, kinds, np.tile([0, 0, 0, 1, 1, 1], patients), expected, dice, excess)


def test_calibration_is_found_again_and_rises():
    known = samples(20, np.random.default_rng(4))
    offsets, slope = fit_curve(known, 3)
    assert slope == pytest.approx(1.4, abs=0.1)
    np.testing.assert_allclose(offsets, [-1.5, -1.7, -1.9], atol=0.2)
    curve = Calibration(tuple(offsets), slope, calibrated=True).dice(np.linspace(0, 1, 50)[:, None].repeat(3, 1))
    assert (np.diff(curve, axis=0) >= 0).all() and curve.min() >= 0 and curve.max() <= 1
    falling = dataclasses.replace(known, dice=1 - known.dice)
    assert fit_curve(falling, 3)[1] == pytest.approx(0, abs=1e-6)
    assert np.abs(cross_validated(known, 3) - known.dice).mean() < 0.03


def test_the_share_of_the_volume_error_is_found_again():
    known, few = samples(400, np.random.default_rng(7)), samples(60, np.random.default_rng(8))
    dice = np.minimum(known.dice, 0.999)
    np.testing.assert_allclose(volume_share(known, dice), 0.5, rtol=0.08)  # as they were made
    covered = volume_coverage(few, np.minimum(few.dice, 0.999))
    for share in covered.values():
        assert share["within_1"] == pytest.approx(0.68, abs=0.12) and share["within_2"] > 0.88


def test_warning_limit_catches_nine_of_ten_within_bounds():
    dice = np.array([0.8] * 10 + [0.95] * 10)
    assert warning_limit(np.linspace(0.80, 0.89, 20), dice) == pytest.approx(0.85)
    assert warning_limit(np.r_[np.linspace(0.80, 0.88, 10), np.full(10, 0.95)], dice) == pytest.approx(0.88)
    assert warning_limit(np.full(20, 0.99), dice) == 0.90
    assert warning_limit(np.full(20, 0.99), np.ones(20)) == 0.85


def test_roc_auc_by_hand():
    scores, positive = [0.9, 0.8, 0.4, 0.4, 0.1], [True, False, True, False, False]
    assert roc_auc(scores, positive) == pytest.approx((3 + 1.5) / 6)
    assert roc_auc(scores, [True] * 5) is None and roc_auc(scores, [False] * 5) is None
    result = detection([0.95, 0.90, 0.80], [0.92, 0.80, 0.84])
    assert (result.count, result.bad, result.auc) == (3, 2, 1.0)
    assert result.error == pytest.approx((0.03 + 0.10 + 0.04) / 3)


def cases(made, number: int):
    """Patients whose labels lose more and more of the RV while the network gets less sure."""
    for n in range(number):

        def shrink(labels, n=n):
            labels[..., :: 12 - n][labels[..., :: 12 - n] == RV] = 0

        true = dataclasses.replace(
            made.labels, labels=made.labels.labels[[0, 3]], times_ms=made.labels.times_ms[[0, 3]]
        )
        labels = altered(made._replace(labels=true), shrink)
        yield f"p{n}", Segmentation(labels, statistics_of(labels, 0.99 - 0.02 * n)), true


def test_fit_and_file(made, tmp_path, read_json):
    bundle = tmp_path / "own_bundle"
    shutil.copytree(bundle_path("cineheart_sax") / "configs", bundle / "configs")
    (bundle / "models").mkdir()
    (bundle / "models" / "model.pt").write_bytes(b"weights")
    (bundle / "configs" / "quality.json").unlink(missing_ok=True)
    calibration, note = load_calibration(bundle)
    assert not calibration.calibrated and "has no calibration ('cineheart calibrate own_bundle'" in note

    result = fit(list(cases(made, 6)))
    structures, slices = samples_of(list(cases(made, 6)))
    assert result.patients == 6 and result.structures.count == len(structures.dice) == 6 * 2 * 3
    assert result.slices.count == len(slices.dice)
    assert sum(row["patients"] for row in result.lights.values()) == 6
    assert set(result.coverage) == {"LV", "MYO", "RV", "LV EF", "RV EF"}
    assert calibration.volume_share is None and result.calibration.volume_share[2] > 0
    write_calibration(result, bundle, "made-up patients")
    calibration, note = load_calibration(bundle)
    assert calibration == result.calibration and note == ""
    assert read_json(bundle / "configs" / "quality.json")["fitted_on"] == "made-up patients"

    (bundle / "models" / "model.pt").write_bytes(b"other weights")
    calibration, note = load_calibration(bundle)
    assert not calibration.calibrated and "belongs to other weights" in note
    (bundle / "configs" / "quality.json").write_text("{}")
    with pytest.raises(InputError, match=r"quality\.json: is no calibration"):
        load_calibration(bundle)
    with pytest.raises(InputError, match="at least 5 patients"):
        fit(list(cases(made, 2)))


@pytest.mark.slow
def test_calibrating_on_data_of_any_layout(made, tmp_path, monkeypatch, read_json, capsys):
    bundle, rows = tmp_path / "own_bundle", ["image,subject,phase,structures,vendor"]
    shutil.copytree(bundle_path("cineheart_sax") / "configs", bundle / "configs")
    (bundle / "models").mkdir()
    (bundle / "models" / "model.pt").write_bytes(b"weights")
    for name, _, true in cases(made, 5):
        for t, phase in ((1, "ES"), (0, "ED")):
            one = true.only([t])
            write_cine(tmp_path / f"{name}{phase}.nii.gz", Cine(one.labels * 50.0, one.ijk_to_lps, np.zeros(1)))
            write_labels(tmp_path / f"{name}{phase}_gt.nii.gz", one)
            rows.append(f"{name}{phase}.nii.gz,{name},{phase},,GE")
    rows += ["p0ED.nii.gz,partial,ED,lv,GE", "p0ES.nii.gz,partial,ES,lv,GE", "p0ED.nii.gz,once,ED,,GE"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    waiting = [segmentation for _, segmentation, _ in cases(made, 5)]

    class Network:
        def segment(self, cine):
            segmentation = waiting.pop(0)
            assert cine.n_frames == 2 and (cine.frames[0] > 0).sum() > (cine.frames[1] > 0).sum()  # ED comes first
            return segmentation

    monkeypatch.setattr("cineheart.commands.networks.calibrate.open_segmenter", lambda network: Network())
    assert main(["calibrate", str(bundle), "--data", str(tmp_path), "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("2 cases without all three" in n for n in notes) and any(
        "1 subjects without ED and ES" in n for n in notes
    )
    calibration, note = load_calibration(bundle)
    expected = fit(list(cases(made, 5))).calibration
    assert note == "" and calibration.offsets == pytest.approx(expected.offsets, rel=1e-5)
    assert read_json(bundle / "configs" / "quality.json")["fitted_on"] == "ED and ES of p0, p1, p2, p3, p4 (GE)"
    (tmp_path / "manifest.csv").write_text("\n".join([rows[0], *rows[-3:-1]]))
    assert main(["calibrate", str(bundle), "--data", str(tmp_path)]) == 2
    assert "no case has all of LV, myocardium and RV drawn" in capsys.readouterr().err


def test_low_confidence_turns_the_light(made):
    lights = [
        judge(made.labels, made.function, statistics_of(made.labels, sure), Calibration()).light
        for sure in (0.97, 0.85, 0.7)
    ]
    assert lights == ["green", "amber", "red"]


def test_red_comes_sooner_where_images_are_unlike_the_training(made):
    calibration = Calibration(serious_below=0.75, serious_below_unlike=0.85)
    unlike = Flag(UNLIKE, "warning", "These images are unlike those that the network learned from.")
    statistics = statistics_of(made.labels, 0.8)
    like, other = (
        judge(made.labels, made.function, statistics, calibration, further=further) for further in ([], [unlike])
    )
    assert (like.light, other.light) == ("amber", "red")
    assert {f.severity for f in other.flags if f.code == "low_confidence"} == {"serious"}


def test_the_shipped_calibration_belongs_to_the_shipped_weights():
    calibration, note = load_calibration("cineheart_sax")
    assert calibration.calibrated and note == ""
    assert 0.5 < calibration.serious_below < calibration.serious_below_unlike < calibration.warn_below <= 0.9


def test_ranges():
    assert ranges([0, 1, 2, 5, 7, 8]) == "1-3, 6, 8-9" and ranges([]) == ""


@pytest.fixture(scope="module")
def judged():
    """A study in which a slice is missing at ED, with confidence in slices."""

    def gap(labels):
        labels[0, GAP] = 0

    made = make_result(n_frames=12)
    labels = altered(made, gap)
    statistics = statistics_of(labels, 0.97)
    report = judge(labels, made.function, statistics, Calibration(calibrated=True))
    segmented = SegmentResult(Segmentation(labels, statistics), made.function, report)
    return dataclasses.replace(made, segmented=segmented)


def test_json_is_whole(judged, tmp_path, read_json):
    write_segmentation(judged.segmented, tmp_path, sequence=False)
    told = read_json(tmp_path / "quality.json")
    assert told["light"] == "red" and told["flags"][0]["severity"] == "serious"
    assert told["flags"][0]["frame_indices"] == [0] and told["flags"][0]["slice_indices"] == [GAP]
    assert np.array(told["slice_dice"], float).shape == judged.labels.labels.shape[:2]
    assert told["slice_dice"][0][GAP] is None
    assert [len(told["dice"][name]) for name in ("LV", "MYO", "RV")] == [12] * 3
    write_study_summary(judged, tmp_path / "study.json")
    short = read_json(tmp_path / "study.json")["segmentation_quality"]
    assert short["light"] == "red" and short["dice"]["LV"]["ED"] == pytest.approx(0.97, abs=1e-3)
    json.dumps(assess(judged.labels, judged.function).to_dict(), allow_nan=False)


def test_report_shows_light_reasons_and_map(judged, tmp_path):
    write_report(judged, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<span class="light red">red</span>' in text
    for sentence in judged.quality.reasons:
        assert sentence in text
    assert "Confidence in each of 8 slices and 12 frames" in text and "Probable Dice" in text


def test_table_in_the_scene(judged):
    pytest.importorskip("slicer")
    from CardiacLib.mrml.nodes import host
    from CardiacSegLib.mrml import tables as function_tables

    with host.private_scene():
        table = function_tables.quality_to_scene(judged.quality.to_dict(), "study").GetTable()
        columns = [table.GetColumn(n) for n in range(3)]
        rows = [tuple(column.GetValue(n) for column in columns) for n in range(table.GetNumberOfRows())]
    assert rows[0][:2] == ("light", "red")
    assert rows[1:] == [(flag.severity, flag.code, flag.sentence) for flag in judged.quality.flags]
