"""``cineheart gif``."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.writers.images import write_cine, write_labels
from cineheart.cli import main
from cineheart.commands.pictures.gif import chosen_slices, frame_durations_ms


def test_a_beating_heart(ring_labels, tmp_path, capsys):
    labels = np.stack([ring_labels[:3], np.roll(ring_labels[:3], 4, 2)])
    cine = Cine(labels * 50.0, np.diag([1.5, 1.5, 8.0, 1.0]), times_ms=np.array([0.0, 400.0]))
    write_cine(tmp_path / "sax.nii.gz", cine)
    write_labels(tmp_path / "labels.nii.gz", LabelMap.of(labels, cine))
    out = tmp_path / "out" / "heart.gif"
    assert main(["gif", str(tmp_path / "sax.nii.gz"), "-o", str(out), "--labels", str(tmp_path / "labels.nii.gz")]) == 0
    with Image.open(out) as picture:
        assert picture.n_frames == 2 and picture.info["duration"] == 400
        first = np.asarray(picture.convert("RGB")).astype(int)
        picture.seek(1)
        second = np.asarray(picture.convert("RGB")).astype(int)
    coloured = np.ptp(first, axis=2) > 60
    assert coloured.sum() > 200 and np.abs(first - second).max() > 100
    assert main(["gif", str(tmp_path / "sax.nii.gz"), "-o", str(out), "--slices", "4"]) == 2
    assert "numbers from 1 to 3" in capsys.readouterr().err
    assert main(["gif", str(tmp_path / "sax.nii.gz"), "-o", str(tmp_path / "heart.avi")]) == 2
    assert "as .gif or .mp4" in capsys.readouterr().err


def test_a_video_of_whole_beats(ring_labels, tmp_path, capsys, monkeypatch):
    cv2 = pytest.importorskip("cv2")
    labels = np.stack([ring_labels[:1], np.roll(ring_labels[:1], 9, 2)])
    write_cine(
        tmp_path / "sax.nii.gz", Cine(labels * 50.0, np.diag([1.5, 1.5, 8.0, 1.0]), times_ms=np.array([0, 400.0]))
    )
    words = ["gif", str(tmp_path / "sax.nii.gz"), "--json", "-o"]
    assert main([*words, str(tmp_path / "heart.gif")]) == 0
    capsys.readouterr()
    assert main([*words, str(tmp_path / "heart.mp4")]) == 0
    assert json.loads(capsys.readouterr().out)["beats"] == 3  # of .8 s
    video = cv2.VideoCapture(str(tmp_path / "heart.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(2.5) and video.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    with Image.open(tmp_path / "heart.gif") as picture:
        for frame in range(6):
            picture.seek(frame % 2)
            drawn = np.asarray(picture.convert("RGB")).astype(int)
            shown = video.read()[1][: drawn.shape[0], : drawn.shape[1], ::-1].astype(int)
            assert np.abs(shown - drawn).mean() < 6.0
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert main([*words, str(tmp_path / "other.mp4")]) == 2
    assert "An MP4 needs OpenCV" in capsys.readouterr().err and not list(tmp_path.glob("*other*"))


def test_slices_and_durations():
    assert chosen_slices("all", 3) == [0, 1, 2] and chosen_slices("middle", 5) == [2]
    assert chosen_slices("3, 1", 3) == [2, 0]
    assert frame_durations_ms(np.array([0.0, 30.0, 70.0]), 3) == [30, 40, pytest.approx(40, abs=10)]
    assert frame_durations_ms(None, 20) == [50] * 20 and frame_durations_ms(np.zeros(200), 200) == [20] * 200
