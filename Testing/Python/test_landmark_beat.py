"""Mitral points that a network loses in systole are placed by the whole beat."""

import numpy as np
import pytest

from CardiacLandmarksLib.detect import heatmaps
from CardiacLandmarksLib.detect.beat import LEAST_BEAT, Motion, beat_places, image_motion, ring_posterior
from CardiacLandmarksLib.detect.decode import CHANNELS, POINTS, STRIDE, peaks
from CardiacLandmarksLib.detect.detector import CONFIDENT, DETECTED_VIEWS
from CardiacLandmarksLib.detect.follow import FOLLOWED
from CardiacLib.types.landmarks import LANDMARK_NAMES

FRAMES, CELLS = 12, 24
ANTERIOR, POSTERIOR = (LANDMARK_NAMES.index(f"mitral {wall} 2CH") for wall in ("anterior", "posterior"))
SEPTAL = LANDMARK_NAMES.index("aortic septal")
SYSTOLE = slice(4, 9)
"""Frames in which the network loses the posterior point."""


def _near(cells) -> np.ndarray:
    """(T, h, w) Gaussian of one cell about each place (T, 2)."""
    rows, columns = np.indices((CELLS, CELLS))
    return np.exp(-0.5 * ((rows - cells[:, 0, None, None]) ** 2 + (columns - cells[:, 1, None, None]) ** 2))


@pytest.fixture(scope="module")
def beat():
    """Places of two points (T, 2) in cells that go down and come back, and windows (T, H, W) that move with them."""
    down = 3.0 * (1.0 - np.cos(2.0 * np.pi * np.arange(FRAMES) / FRAMES)) / 2.0
    places = {ANTERIOR: np.stack([8.0 + down, np.full(FRAMES, 6.0)], 1)}
    places[POSTERIOR] = np.stack([8.0 + down, np.full(FRAMES, 17.0)], 1)
    side = STRIDE * CELLS
    texture = np.random.default_rng(3).random((side // 4 + 4, side // 4)).astype(np.float32)
    texture = np.kron(texture, np.ones((4, 4)))
    rows = 12.0 + np.arange(side) - STRIDE * down[:, None]
    low = rows.astype(int)
    share = (rows - low)[..., None]
    windows = (1.0 - share) * texture[low] + share * texture[low + 1]
    return places, windows.astype(np.float32)


def _outputs(maps: dict[int, np.ndarray]) -> np.ndarray:
    outputs = np.full((FRAMES, CHANNELS, CELLS, CELLS), -5.0, np.float32)
    for n, values in maps.items():
        outputs[:, n] = np.log(1e-3 + values)
    outputs[:, POINTS:] = -20.0
    return outputs


def _wanted(*points) -> np.ndarray:
    return np.isin(np.arange(POINTS), points)


def test_a_point_that_is_taken_for_its_partner_in_systole_is_where_it_was_going(beat):
    places, windows = beat
    lost = _near(places[POSTERIOR])
    lost[SYSTOLE] = _near(places[ANTERIOR])[SYSTOLE] + 0.1 * lost[SYSTOLE]
    outputs = _outputs({ANTERIOR: _near(places[ANTERIOR]), POSTERIOR: lost})
    found, own = beat_places(outputs, windows, _wanted(ANTERIOR, POSTERIOR))
    for n in (ANTERIOR, POSTERIOR):
        off = np.linalg.norm((found[:, n] - (STRIDE - 1) / 2) / STRIDE - places[n], axis=1)
        assert off.max() < 0.7
    assert (own[SYSTOLE, POSTERIOR] < 0.2).all() and (own[SYSTOLE, ANTERIOR] > 0.7).all()
    assert np.isnan(found[:, SEPTAL]).all()


def test_two_points_of_a_valve_do_not_share_a_place(beat):
    """The weaker of two, whose maps mostly say where the other is, is found at its own place."""
    places, windows = beat
    mostly_there = 3.0 * _near(places[ANTERIOR]) + _near(places[POSTERIOR])
    outputs = _outputs({ANTERIOR: _near(places[ANTERIOR]), POSTERIOR: mostly_there})
    found, _ = beat_places(outputs, windows, _wanted(ANTERIOR, POSTERIOR))
    cells = (found - (STRIDE - 1) / 2) / STRIDE
    assert all(np.linalg.norm(cells[:, n] - places[n], axis=1).max() < 1.0 for n in (ANTERIOR, POSTERIOR))


def test_the_image_carries_a_point_that_is_seen_once(beat):
    places, windows = beat
    evidence = np.ones((FRAMES, CELLS, CELLS))
    evidence[0] = _near(places[POSTERIOR])[0] ** 4 + 1e-6
    moved, _ = peaks(ring_posterior(evidence, image_motion(windows, steps=4), 0.4))
    assert np.linalg.norm(moved - places[POSTERIOR], axis=1).max() < 0.8
    nothing = np.zeros((FRAMES, 2, CELLS, CELLS))
    still, _ = peaks(ring_posterior(evidence, Motion(nothing, nothing), 0.4))
    assert np.abs(still - places[POSTERIOR][0]).max() < 0.1


def test_aortic_points_and_few_frames_are_left_to_the_network(beat):
    places, windows = beat
    outputs = _outputs({SEPTAL: _near(places[POSTERIOR]), ANTERIOR: _near(places[ANTERIOR])})
    assert np.isnan(beat_places(outputs, windows, _wanted(SEPTAL))[0]).all()
    few = slice(0, LEAST_BEAT - 1)
    assert np.isnan(beat_places(outputs[few], windows[few], _wanted(ANTERIOR))[0]).all()


class _Seen:
    """Stands for a network: says of each window what was put down for it, found by the window's own values."""

    batch = 4

    def __init__(self, windows, outputs):
        self.windows, self.outputs = windows, outputs

    def __call__(self, cut):
        flipped = self.windows[..., ::-1]
        answers = []
        for image in cut[:, 0]:
            gaps = [np.abs(known - image).mean((1, 2)) for known in (self.windows, flipped)]
            mirrored = int(gaps[1].min() < gaps[0].min())
            answer = self.outputs[gaps[mirrored].argmin()]
            answers.append(answer[..., ::-1] if mirrored else answer)
        return np.stack(answers)


def test_a_detector_keeps_sure_points_and_places_the_others(beat, monkeypatch):
    monkeypatch.setattr(heatmaps, "_middle", lambda points, confidence, otherwise: otherwise)
    places, windows = beat
    lost = _near(places[POSTERIOR])
    lost[SYSTOLE] *= 0.02
    outputs = _outputs({ANTERIOR: _near(places[ANTERIOR]), POSTERIOR: lost})
    outputs[SYSTOLE, POINTS + POSTERIOR] = 2.0  # absent, says the network
    outputs[:, 2 * POINTS :] = -20.0
    outputs[:, 2 * POINTS + DETECTED_VIEWS.index("2ch")] = 20.0
    detector = object.__new__(heatmaps.HeatmapDetector)
    scaled = (windows - windows.min()) / np.ptp(windows)
    detector.bundle, detector.said, detector.pixel_mm, detector.window = "", "", 1.25, STRIDE * CELLS
    detector.predictor = _Seen(scaled, outputs)
    found = detector.detect(windows, (1.25, 1.25), view="2ch")
    true = places[POSTERIOR] * STRIDE + (STRIDE - 1) / 2
    assert np.linalg.norm(found.points[:, POSTERIOR] - true, axis=1).max() < 1.5
    kept = np.delete(np.arange(FRAMES), SYSTOLE)
    assert (found.confidence[kept, POSTERIOR] > 0.9).all() and (found.confidence[:, ANTERIOR] > 0.9).all()
    assert (
        (found.confidence[SYSTOLE, POSTERIOR] >= FOLLOWED) & (found.confidence[SYSTOLE, POSTERIOR] < CONFIDENT)
    ).all()
    assert np.isnan(found.points[:, SEPTAL]).all()
