"""Slices that show nothing: found, interpolated, told; in the segmentation and its flags."""

import numpy as np
import pytest

from CardiacLib.networks.spoilt_slices import bridged, spoilt_note, spoilt_slices
from CardiacLib.types.choices import NetworkChoice
from CardiacSegLib import open_segmenter
from CardiacSegLib.function import measure
from CardiacSegLib.quality import assess


def with_noise(cine, k):
    """The cine with slice k full of noise in all frames."""
    frames = cine.frames.copy()
    low, high = np.percentile(frames, (1, 99))
    frames[:, k] = np.random.default_rng(3).uniform(low, high, frames[:, k].shape)
    return cine.with_changes(frames=frames)


def test_noise_and_emptiness_are_found(phantom):
    cine = phantom.cines["sax"]
    assert not spoilt_slices(cine.frames, cine.spacing).any()
    k = cine.n_slices // 2
    noisy = with_noise(cine, k).frames
    assert np.flatnonzero(spoilt_slices(noisy, cine.spacing)).tolist() == [k]
    empty = cine.frames.copy()
    empty[:, [0, k + 1]] = 7
    assert np.flatnonzero(spoilt_slices(empty, cine.spacing)).tolist() == [0, k + 1]
    assert not spoilt_slices(np.zeros_like(empty), cine.spacing).any()  # nothing to interpolate from
    assert not spoilt_slices(empty[:, :2], cine.spacing).any()


def test_spoilt_slices_are_interpolated():
    frames = np.arange(6.0).reshape(1, 6, 1, 1) ** 2
    spoilt = np.isin(np.arange(6), (0, 2, 3))
    assert bridged(frames, spoilt).ravel().tolist() == [1, 1, 6, 11, 16, 25]
    spoilt = np.arange(6) == 5
    assert bridged(frames, spoilt).ravel()[-2:].tolist() == [16, 16]
    assert bridged(frames, np.zeros(6, bool)) is frames
    assert spoilt_note(spoilt)[0].startswith("Slice 5 shows nothing") and spoilt_note(spoilt & False) == ()


@pytest.mark.slow
def test_a_noisy_slice_is_labelled_from_its_neighbours_and_told(phantom):
    cine, segmenter = phantom.cines["sax"].only([phantom.ed, phantom.es]), open_segmenter(NetworkChoice())
    k = cine.n_slices // 2
    good, found = segmenter.segment(cine), segmenter.segment(with_noise(cine, k))
    assert good.statistics.spoilt == () and found.statistics.spoilt == (k,)
    for label in (1, 2, 3):
        one, two = (s.labels.labels == label for s in (good, found))
        assert 2 * (one & two).sum() / (one.sum() + two.sum()) > 0.93, label
    report = assess(found.labels, measure(found.labels), found.statistics, "cineheart_sax")
    (flag,) = (flag for flag in report.flags if flag.code == "spoilt_slice")
    assert flag.slices == (k,) and f"slice {k + 1}" in flag.sentence and report.light != "green"
