"""Aortic points that leave the valve: followed by the image from the first frame, or left out."""

import numpy as np
import pytest

from CardiacLandmarksLib.detect.detector import DETECTED_VIEWS, Detection
from CardiacLandmarksLib.detect.follow import FOLLOWED, follow, steady
from CardiacLandmarksLib.detect.world import lps_to_pixels
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS
from CardiacLib.types.times import frame_phases

AORTIC = [LANDMARK_NAMES.index(name) for name in ("aortic septal", "aortic free wall")]
SEPTAL, FREE = AORTIC
OWN = [view == "3ch" for view in LANDMARK_VIEWS]
LEFT = slice(2, 7)
"""Frames in which the network has left the valve."""


@pytest.fixture(scope="module")
def view(phantom):
    """Frames (T, H, W), true points (T, 10, 2), phases and spacing of the 3CH cine."""
    cine = phantom.cines["3ch"]
    points = lps_to_pixels(cine, phantom.landmarks.points)
    points[:, ~np.array(OWN)] = np.nan
    return cine.frames[:, 0], points, frame_phases(cine), tuple(cine.spacing[1::-1])


def detection(points, confidence=0.9) -> Detection:
    known = np.isfinite(points).all(2)
    return Detection(points, np.where(known, confidence, 0.0), np.array([v == "3ch" for v in DETECTED_VIEWS], float))


def left(view) -> np.ndarray:
    """The true points, but for the aortic septal one, which slides 25 mm down the septum."""
    _, true, _, spacing = view
    points = true.copy()
    away = points[0, OWN].mean(0) - np.array(view[0].shape[1:]) / 2
    points[LEFT, SEPTAL] += 25.0 / np.array(spacing) * away / np.linalg.norm(away)
    return points


def test_a_point_is_found_again_by_the_image(view):
    frames, true, _, spacing = view
    found = follow(frames, true[0, SEPTAL], spacing)
    assert np.linalg.norm((found - true[:, SEPTAL]) * spacing, axis=1).max() < 5.0
    still = follow(np.stack([frames[0]] * 4), true[0, SEPTAL], spacing)
    assert np.abs(still - true[0, SEPTAL]).max() < 0.05


def test_what_moves_as_an_annulus_is_left_alone(view):
    frames, true, phases, spacing = view
    given = detection(true)
    kept, notes = steady(frames, given, phases, spacing)
    assert kept is given and notes == []
    assert steady(frames[:2], detection(left(view)[:2]), phases[:2], spacing)[1] == []  # too few for a path


def test_where_a_point_slides_down_the_septum_both_are_followed(view):
    frames, true, phases, spacing = view
    mended, notes = steady(frames, detection(left(view)), phases, spacing)
    off = np.linalg.norm((mended.points[:, AORTIC] - true[:, AORTIC]) * spacing, axis=2)
    assert off.max() < 5.0 and (off[0] == 0).all() and (off[1:] > 0).all()
    assert (mended.confidence[1:, AORTIC] == FOLLOWED).all() and (mended.confidence[0, AORTIC] == 0.9).all()
    assert [note.split(";")[0] for note in notes] == [
        "aortic septal: the network leaves the valve",
        "aortic free wall: the network leaves the other point of the valve",
    ]
    others = np.setdiff1d(np.arange(len(OWN)), AORTIC)
    assert np.array_equal(mended.points[:, others], true[:, others], equal_nan=True)


@pytest.mark.parametrize(("some", "confidence"), [(list(range(8)), 0.4), ([0, 1, 2, 3, 5, 7], 0.9)])
def test_without_a_sure_start_or_enough_frames_it_is_left_out(view, some, confidence):
    frames, true, phases, spacing = view
    given = detection(left(view)[some], confidence)
    mended, notes = steady(frames[some], given, phases[some], spacing)
    assert np.isnan(mended.points[:, SEPTAL]).all() and (mended.confidence[:, SEPTAL] == 0).all()
    assert np.array_equal(mended.points[:, FREE], true[some, FREE])
    assert notes == ["aortic septal: moves more than 18 mm, as no aortic annulus does; it is left out."]
