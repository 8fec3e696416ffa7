"""``cineheart segment --landmarks``: labels and volumes end at the valve planes that the file's points give."""

import json
from dataclasses import replace

import numpy as np
import pytest

from CardiacLib.errors import InputError
from CardiacLib.phantom import PhantomOptions, make_phantom
from CardiacLib.types.labels import LV, LabelMap
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, read_landmarks
from CardiacLib.types.segmentation import Segmentation, SliceStatistics
from CardiacLib.writers.images import write_cine
from CardiacSegLib.segment.slice_network import SliceNetwork
from CardiacSegLib.segment.valve_plane import cut_at_valve_plane, off_plane_mm
from cineheart.cli import main


@pytest.fixture(scope="module")
def files(phantom, tmp_path_factory):
    """The phantom's short axis, and its true valve points as ``landmarks.json``."""
    folder = tmp_path_factory.mktemp("study")
    write_cine(folder / "sax.nii.gz", phantom.cines["sax"])
    frames = []
    for time, points in zip(phantom.landmarks.times_ms, phantom.landmarks.points, strict=True):
        named = zip(LANDMARK_NAMES, LANDMARK_VIEWS, points, strict=True)
        entries = {n: {"lps_mm": p.tolist(), "view": v, "row": 0, "column": 0, "confidence": 0.9} for n, v, p in named}
        frames.append({"time_ms": float(time), "points": entries | {"aortic septal": None}})
    (folder / "landmarks.json").write_text(json.dumps({"space": "LPS", "frames": frames}))
    return folder


class TooHigh(SliceNetwork):
    """Draws the truth, and the LV pool of every slice into the slice above it as well."""

    def __init__(self, labels: LabelMap):
        self.truth = labels
        self.said = "The truth is drawn"

    def _segment(self, cine, progress, on_frame):
        wrong = self.truth.labels.copy()
        above = np.roll(self.truth.labels, 1 if self._base_is_last() else -1, axis=1)
        wrong[(wrong == 0) & (above == LV)] = LV
        sums = np.ones((*wrong.shape[:2], 3), np.float32)
        labels = LabelMap(wrong, self.truth.ijk_to_lps, self.truth.times_ms, "phantom")
        return Segmentation(labels, SliceStatistics(sums, sums, sums, sums[..., 0]))

    def _base_is_last(self) -> bool:
        area = (self.truth.labels[0] == LV).sum((1, 2))
        held = np.flatnonzero(area)
        return area[held[-1]] > area[held[0]]


def test_the_file_is_read(files, phantom):
    found = read_landmarks(files / "landmarks.json")
    n = LANDMARK_NAMES.index("aortic septal")
    assert np.isnan(found.points[:, n]).all() and np.isnan(found.confidence[:, n]).all()
    others = np.arange(len(LANDMARK_NAMES)) != n
    np.testing.assert_allclose(found.points[:, others], phantom.landmarks.points[:, others])
    np.testing.assert_allclose(found.times_ms, phantom.landmarks.times_ms)
    assert (found.confidence[:, others] == 0.9).all()


@pytest.mark.parametrize("text", ["[]", "no json", '{"frames": [{"points": {}}]}', '{"frames": []}'])
def test_another_file_is_one_sentence(tmp_path, text):
    path = tmp_path / "landmarks.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is no landmarks"):
        read_landmarks(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_landmarks(tmp_path / "missing.json")


def test_volumes_end_at_the_valve_planes(files, phantom, tmp_path, monkeypatch):
    monkeypatch.setattr("CardiacSegLib.segment.memory.open_segmenter", lambda choice: TooHigh(phantom.labels))
    measured = {}
    for name, options in (("whole", []), ("cut", ["--landmarks", str(files / "landmarks.json")])):
        arguments = ["segment", str(files / "sax.nii.gz"), "-o", str(tmp_path / name), "--no-scene", *options]
        assert main(arguments) == 0
        measured[name] = json.loads((tmp_path / name / "measurements.json").read_text())
    truth = float(np.max(phantom.volumes["lv"]))
    error = {name: abs(values["lv_edv_ml"] - truth) for name, values in measured.items()}
    assert error["cut"] < 0.06 * truth and error["cut"] < 0.5 * error["whole"]


@pytest.mark.slow
@pytest.mark.parametrize(("spacing", "continued"), [(8.0, True), (16.0, False)])
def test_a_slice_left_empty_below_the_plane_counts(spacing, continued):
    """Networks leave a slice that is half ventricle, half atrium; the plane tells how much of it there is."""
    phantom = make_phantom(PhantomOptions.small(slice_spacing_mm=spacing))
    short = phantom.labels.labels.copy()
    for frame in short:
        held = np.flatnonzero((frame == LV).any((1, 2)))
        frame[held[-1] if (frame[held[-1]] == LV).sum() > (frame[held[0]] == LV).sum() else held[0]] = 0
    found = LabelMap(short, phantom.labels.ijk_to_lps, phantom.labels.times_ms, "phantom")
    cut = cut_at_valve_plane(found, phantom.landmarks)
    left = np.abs(cut.lv_ml / phantom.volumes["lv"] - 1)
    plain = np.abs(found.volume_ml(LV) / phantom.volumes["lv"] - 1)
    np.testing.assert_array_equal(cut.labels.labels[short == 0], 0)
    assert (left.max() < 0.05) == continued and left.mean() < plain.mean()


def test_a_view_that_drifts_shows_off_the_plane(phantom):
    """The phantom's mitral points lie in its plane; two of six that rise by 12 mm lie 8 mm over the middle of all."""
    assert off_plane_mm(phantom.landmarks).max() < 1e-6
    drifted = phantom.landmarks.points.copy()
    in_2ch = [n for n, name in enumerate(LANDMARK_NAMES) if name.startswith("mitral") and name.endswith("2CH")]
    drifted[3, in_2ch] += 12.0 * phantom.heart_to_lps[:3, 2]
    off = off_plane_mm(replace(phantom.landmarks, points=drifted))
    assert 6.0 < off[3] < 12.0 and np.delete(off, 3).max() < 1e-6
    drifted[:, [n for n in range(len(LANDMARK_NAMES)) if n not in in_2ch]] = np.nan
    assert np.isnan(off_plane_mm(replace(phantom.landmarks, points=drifted))).all()


def test_points_of_another_number_of_frames_are_refused(files, phantom, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("CardiacSegLib.segment.memory.open_segmenter", lambda choice: TooHigh(phantom.labels))
    document = json.loads((files / "landmarks.json").read_text())
    document["frames"] = document["frames"][:-1]
    few = tmp_path / "few.json"
    few.write_text(json.dumps(document))
    arguments = ["segment", str(files / "sax.nii.gz"), "-o", str(tmp_path / "out"), "--no-scene"]
    assert main([*arguments, "--landmarks", str(few)]) == 2
    assert "frames" in capsys.readouterr().err and not (tmp_path / "out").exists()
