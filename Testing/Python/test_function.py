"""Volumes, ED and ES, ejection fraction, output, filling rates and shape from labels and curves with known contents."""

from dataclasses import replace

import numpy as np
import pytest

from CardiacLib.errors import InputError
from CardiacLib.geometry import apply, matrix_from
from CardiacLib.phantom import PhantomOptions
from CardiacLib.phantom.motion import contraction_curve, solve_motion
from CardiacLib.phantom.study import measured_labels
from CardiacLib.phantom.vessels import papillary_muscles
from CardiacLib.types.choices import Body, ByHand, SegmentChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, LabelMap
from CardiacSegLib.function import CURVES, end_frames, measure
from CardiacSegLib.function.curves import filling, plausible_beat_ms
from CardiacSegLib.function.shape import body_surface_m2

SPACING = (1.5, 1.5, 10.0)


def made_labels(lv_counts, rv_counts, myo=200) -> LabelMap:
    labels = np.zeros((len(lv_counts), 2, 40, 40), np.uint8)
    for frame, lv, rv in zip(labels, lv_counts, rv_counts, strict=True):
        flat = frame.reshape(-1)
        flat[:lv], flat[1000 : 1000 + rv], flat[2500 : 2500 + myo] = 1, 3, 2
    return LabelMap(labels, matrix_from((0, 0, 0), np.eye(3), SPACING), np.arange(len(labels)) * 30.0)


def of_body(**facts) -> SegmentChoice:
    return SegmentChoice(body=Body(**facts))


def test_volumes_and_ejection():
    found = measure(
        made_labels([800, 600, 400, 300, 500, 700], [700, 600, 500, 350, 450, 600]), of_body(heart_rate_bpm=62.0)
    )
    assert (found.ed, found.es) == (0, 3)
    assert found.lv.edv_ml == pytest.approx(800 * 22.5 / 1000)
    assert found.lv.ef_percent == pytest.approx(100 * 500 / 800)
    assert found.rv.ef_percent == pytest.approx(50.0)
    assert found.myocardium.mass_g == pytest.approx(200 * 0.0225 * 1.05)
    assert found.heart_rate_bpm == 62.0


def at(phase: str, papillary: str = "cavity") -> SegmentChoice:
    """The choice for labels of one frame of a known phase."""
    return SegmentChoice(papillary=papillary, by_hand=ByHand(phase=phase))


def test_numbers_go_by_their_names_in_the_document_too():
    function = measure(made_labels([800, 300], [700, 350]))
    document = function.to_dict()
    assert function.lv_ef_percent == document["lv_ef_percent"] == function.lv.ef_percent
    assert function.rv_edv_ml == document["rv_edv_ml"] and function.lv_mass_g == document["lv_mass_g"]
    with pytest.raises(AttributeError, match="no attribute 'lv_size'"):
        _ = function.lv_size


def test_one_frame_has_no_ejection_fraction():
    found = measure(made_labels([500], [400]), at("ed"))
    assert found.lv.edv_ml > 0 and found.lv.ef_percent is None and found.rv.esv_ml is None


def test_missing_ventricles():
    found = measure(made_labels([0, 0, 0, 0], [500, 400, 300, 400], myo=0))
    assert found.lv.edv_ml is None and found.myocardium.mass_g is None
    assert (found.ed, found.es) == (0, 2) and found.rv.ef_percent == pytest.approx(40.0)


def test_end_frames_are_periodic_and_ignore_single_outliers():
    phase = np.arange(30) / 30
    curve = 100 + 40 * np.cos(2 * np.pi * (phase - 0.0))
    curve[8] = 55.0
    assert end_frames(curve) == (0, 15)


def test_few_frames_keep_their_extremes():
    assert end_frames(np.array([140.0, 118.0, 80.0, 56.0, 90.0, 110.0, 128.0, 131.0])) == (0, 3)
    assert end_frames(np.array([120.0, 60.0])) == (0, 1)
    assert end_frames(np.array([100.0])) == (0, 0)


def test_json_and_csv_rows_are_plain():
    import json

    found = measure(made_labels([800, 300], [700, 350]))
    values = found.to_dict()
    json.dumps(values, allow_nan=False)
    assert [row["frame_index"] for row in found.rows()] == [0, 1]
    assert [row["segment"] for row in found.segment_rows()] == list(range(1, 18))
    kept = {"times_ms", "lv_ml", "rv_ml", "myo_ml", "ed_frame_index", "es_frame_index", "lv_mass_g", "heart_rate_bpm"}
    kept |= {f"{side}_{name}" for side in ("lv", "rv") for name in ("edv_ml", "esv_ml", "sv_ml", "ef_percent")}
    assert kept <= set(values) and set(CURVES) <= set(values)


def test_output_index_and_mass_at_end_systole():
    labels = made_labels([800, 300], [700, 350])
    found = measure(labels, of_body(heart_rate_bpm=60.0, height_m=1.80, weight_kg=80.0))
    assert found.lv.cardiac_output_l_per_min == pytest.approx(500 * 22.5e-3 * 60 / 1000)
    assert found.myocardium.mass_es_g == found.myocardium.mass_g == pytest.approx(200 * 0.0225 * 1.05)
    assert found.body_surface_m2 == pytest.approx(2.0)  # sqrt(180 x 80 / 3600)
    index = found.indexed()
    assert index["lv_edv_index_ml_per_m2"] == pytest.approx(9.0)
    assert index["rv_cardiac_index_l_per_min_per_m2"] == pytest.approx(found.rv.cardiac_output_l_per_min / 2.0)
    assert all(found.to_dict()[key] == value for key, value in index.items())


def test_unknown_facts_give_none_and_a_reason():
    found = measure(made_labels([800, 300], [700, 350]))  # two frames in 60 ms
    assert found.heart_rate_bpm is None and found.lv.cardiac_output_l_per_min is None
    assert set(found.indexed().values()) == {None}
    assert any("heart rate" in note for note in found.notes) and any("Height" in note for note in found.notes)
    assert body_surface_m2(0.0, 80.0) is None and body_surface_m2(175.0, 80.0) is None  # a filler, centimetres
    assert measure(made_labels([0, 0], [500, 400], myo=0)).segment_rows() == []


def test_the_frame_times_give_the_heart_rate():
    labels = made_labels([800] * 5, [700] * 5)
    timed = LabelMap(labels.labels, labels.ijk_to_lps, np.arange(5) * 160.0 + 12.0)
    found = measure(timed)
    assert found.heart_rate_bpm == pytest.approx(75.0) and any("frame times" in note for note in found.notes)
    assert measure(timed, of_body(heart_rate_bpm=62.0)).heart_rate_bpm == 62.0
    for frames, times in ((5, np.zeros(5)), (1, np.zeros(1)), (5, None)):
        assert plausible_beat_ms(replace(labels, labels=labels.labels[:frames], times_ms=times)) is None


def true_rates(beat: float) -> tuple[np.ndarray, np.ndarray]:
    """Phantom's volume of 25 frames (ml), and its rate (ml/s) at 1000 phases, from its own contraction curve."""
    fine, _ = contraction_curve(1000)
    return 140.0 - 84.0 * contraction_curve(25)[0], -84.0 * np.gradient(fine, beat / 1000.0 / 1000)


@pytest.mark.parametrize("shift", [0, 4, 20])
def test_filling_rates_are_those_of_the_phantoms_curve(shift):
    volume, rate = true_rates(920.0)
    ed, es = shift, (9 + shift) % 25
    found = filling(np.roll(volume, shift), 920.0, ed, es)
    assert found.peak_ejection_ml_per_s == pytest.approx(-rate.min(), rel=0.06)
    assert found.peak_filling_ml_per_s == pytest.approx(rate.max(), rel=0.06)
    assert found.time_to_peak_ejection_ms == pytest.approx(0.92 * rate.argmin(), abs=60)
    assert found.time_to_peak_filling_ms == pytest.approx(0.92 * (rate.argmax() - 360), abs=30)
    error = np.roll(found.rate_ml_per_s, -shift) - rate[::40]
    assert np.sqrt((error**2).mean()) < 0.1 * rate.max()  # largest at the kink of end-systole
    assert found.rate_ml_per_s.mean() == pytest.approx(0.0, abs=1e-6)  # what goes out comes in


def test_no_filling_rate_without_frames_time_or_ventricle():
    volume, _ = true_rates(920.0)
    assert filling(volume, None, 0, 9) is None
    assert filling(volume[::3], 920.0, 0, 3) is None
    assert filling(np.zeros(25), 920.0, 0, 0) is None


def test_end_frames_bear_noise_and_outliers():
    volume, _ = true_rates(920.0)
    random = np.random.default_rng(5)
    missed = np.zeros(2)
    for _ in range(100):
        noisy = volume + random.normal(0.0, 2.5, 25)
        noisy[random.integers(3, 7)] = 20.0  # the network lost the ventricle in one frame of ejection
        ed, es = end_frames(noisy)
        missed += abs((ed + 12) % 25 - 12), abs(es - 9)
    assert (missed / 100 < 0.5).all()
    assert end_frames(np.roll(volume, 7)) == (7, 16)


@pytest.fixture(scope="module")
def shapes():
    """The phantom's true shapes at ED and ES."""
    motion = solve_motion(PhantomOptions())
    return motion.shapes[0], motion.shapes[motion.es]


@pytest.mark.parametrize("first_slice_mm", [-4.0, 0.0])
def test_volumes_and_sphericity_of_the_phantom(first_slice_mm, shapes):
    options = PhantomOptions(first_slice_mm=first_slice_mm, sax_size=132)
    labels, truth = measured_labels(options)
    found = measure(labels)
    assert (found.lv.edv_ml, found.lv.esv_ml) == pytest.approx(tuple(truth["lv"]), rel=0.05)
    assert (found.rv.edv_ml, found.rv.esv_ml) == pytest.approx(tuple(truth["rv"]), rel=0.05)
    assert found.lv.ef_percent == pytest.approx(options.lv_ef_percent, abs=2.0)
    assert (found.myocardium.mass_g, found.myocardium.mass_es_g) == pytest.approx(tuple(1.05 * truth["myo"]), rel=0.05)
    for shape, value in zip(shapes, (found.lv_sphericity_ed, found.lv_sphericity_es), strict=True):
        assert value == pytest.approx(2.0 * shape.radius / shape.length, abs=0.04)


def beating_ring() -> tuple[LabelMap, Cine, int]:
    """A ring with two dark muscles in its bright cavity, one free and one on the wall; and their number of pixels."""
    rows, columns = np.mgrid[:80, :80] - 40.0
    labels = np.zeros((1, 2, 80, 80), np.uint8)
    labels[..., np.hypot(rows, columns) < 30] = 2
    labels[..., np.hypot(rows, columns) < 22] = 1
    muscles = (np.hypot(rows - 8, columns) < 4) | (np.hypot(rows + 5, columns + 18) < 4)
    muscles &= labels[0, 0] == 1
    image = np.where(labels[0, 0] == 1, 230.0, 70.0)
    image[muscles] = 80.0
    shading = np.array([1.0, 0.6])[:, None, None]  # of the coil: the far slice is darker
    noise = np.random.default_rng(1).normal(0.0, 8.0, (2, 80, 80))
    matrix = matrix_from((0, 0, 0), np.eye(3), SPACING)
    return (
        LabelMap(labels, matrix, np.zeros(1)),
        Cine((image * shading + noise)[None], matrix, np.zeros(1)),
        muscles.sum(),
    )


def test_papillary_muscles_move_from_cavity_to_mass_when_asked():
    labels, cine, pixels = beating_ring()
    before, after = measure(labels, at("ed")), measure(labels, at("ed", "myocardium"), cine=cine)
    moved = before.lv.edv_ml - after.lv.edv_ml
    assert moved == pytest.approx(2 * pixels * labels.voxel_ml, rel=0.1)
    assert after.myocardium.mass_g - before.myocardium.mass_g == pytest.approx(1.05 * moved)
    assert after.regional.thickness_ed_mm == before.regional.thickness_ed_mm
    assert after.to_dict()["papillary"] == "myocardium" and any("Papillary" in note for note in after.notes)


def test_a_cavity_that_looks_like_muscle_keeps_its_volume():
    labels, cine, _ = beating_ring()
    dull = cine.with_changes(frames=np.full_like(cine.frames, 100.0))
    found = measure(labels, at("ed", "myocardium"), cine=dull)
    assert found.lv.edv_ml == measure(labels, at("ed")).lv.edv_ml > 0


def test_papillary_muscles_need_the_right_images():
    labels, cine, _ = beating_ring()
    with pytest.raises(InputError, match=r"'wall'; choose one of cavity, myocardium"):
        SegmentChoice(papillary="wall")
    with pytest.raises(InputError, match="give the cine"):
        measure(labels, SegmentChoice(papillary="myocardium"))
    with pytest.raises(InputError, match="grid"):
        measure(labels, SegmentChoice(papillary="myocardium"), cine=cine.with_changes(frames=cine.frames[:, :1]))


def test_papillary_volume_of_the_phantom(phantom):
    """At least its two muscles are found, and little more than its trabeculae besides (1.3 % of the cavity)."""
    labels, found = (
        phantom.labels,
        measure(phantom.labels, SegmentChoice(papillary="myocardium"), cine=phantom.cines["sax"]),
    )
    for frame in (phantom.ed, phantom.es):
        k, j, i = np.nonzero(labels.labels[frame] == LV)
        points = apply(np.linalg.inv(phantom.heart_to_lps) @ labels.ijk_to_lps, np.stack([i, j, k], axis=-1))
        muscles = (papillary_muscles(phantom.motion.shapes[frame], points.T) < 0).mean()
        share = 1.0 - found.lv.volume_ml[frame] / labels.volume_ml(LV)[frame]
        assert muscles - 0.01 < share < muscles + 0.05
