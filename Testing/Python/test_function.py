"""Volumes, ED and ES, ejection fraction and mass from labels with known contents."""

import numpy as np
import pytest

from CardiacLib.geometry import matrix_from
from CardiacLib.labels import LabelMap
from CardiacSegLib.function import end_frames, measure

SPACING = (1.5, 1.5, 10.0)


def made_labels(lv_counts, rv_counts, myo=200) -> LabelMap:
    labels = np.zeros((len(lv_counts), 2, 40, 40), np.uint8)
    for frame, lv, rv in zip(labels, lv_counts, rv_counts, strict=True):
        flat = frame.reshape(-1)
        flat[:lv], flat[1000 : 1000 + rv], flat[2500 : 2500 + myo] = 1, 3, 2
    return LabelMap(labels, matrix_from((0, 0, 0), np.eye(3), SPACING), np.arange(len(labels)) * 30.0)


def test_volumes_and_ejection():
    found = measure(made_labels([800, 600, 400, 300, 500, 700], [700, 600, 500, 350, 450, 600]), 62.0)
    assert (found.ed, found.es) == (0, 3)
    assert found.lv_edv_ml == pytest.approx(800 * 22.5 / 1000)
    assert found.lv_ef_percent == pytest.approx(100 * 500 / 800)
    assert found.rv_ef_percent == pytest.approx(50.0)
    assert found.lv_mass_g == pytest.approx(200 * 0.0225 * 1.05)
    assert found.heart_rate_bpm == 62.0


def test_one_frame_has_no_ejection_fraction():
    found = measure(made_labels([500], [400]))
    assert found.lv_edv_ml > 0 and found.lv_ef_percent is None and found.rv_esv_ml is None


def test_missing_ventricles():
    found = measure(made_labels([0, 0, 0, 0], [500, 400, 300, 400], myo=0))
    assert found.lv_edv_ml is None and found.lv_mass_g is None
    assert (found.ed, found.es) == (0, 2) and found.rv_ef_percent == pytest.approx(40.0)


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
    json.dumps(found.to_dict(), allow_nan=False)
    assert [row["frame"] for row in found.rows()] == [0, 1]
