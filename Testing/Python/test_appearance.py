"""The warning of images that are unlike the training images."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from CardiacLib.networks.bundles import bundle_path
from CardiacLib.types.choices import SegmentChoice
from CardiacSegLib.quality.appearance import FEATURES, Appearance, load_appearance
from cineheart import steps
from cineheart.cli import main


@pytest.fixture(scope="module")
def usual():
    """Numbers of 200 hearts, and what they look like."""
    numbers = np.random.default_rng(0).normal(np.arange(len(FEATURES)), 0.5, (200, len(FEATURES)))
    return numbers, Appearance.of(numbers)


def test_they_belong_to_the_weights(tmp_path):
    shutil.copytree(bundle_path("cineheart_sax"), tmp_path / "sax")
    assert load_appearance(tmp_path / "sax") is not None
    weights = tmp_path / "sax" / "models" / "model.pt"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert load_appearance(tmp_path / "sax") is None


def test_few_of_its_own_images_are_unlike(usual):
    numbers, appearance = usual
    assert sum(bool(appearance.flags(row)) for row in numbers) == pytest.approx(4, abs=2)
    assert appearance.flags(appearance.mean) == [] and appearance.distance(appearance.mean) == 0.0


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("oddest", range(len(FEATURES)))
def test_the_flag_says_what_is_odd(usual, oddest, side):
    odd = usual[1].mean.copy()
    odd[oddest] += 5.0 if side else -5.0
    (flag,) = usual[1].flags(odd)
    assert flag.code == "unlike_training" and flag.severity == "warning"
    assert flag.sentence.endswith(f": {list(FEATURES.values())[oddest][side]}.")


def test_missing_numbers_are_taken_as_usual(usual):
    assert usual[1].flags(np.full(len(FEATURES), np.nan)) == []


def test_outliers_do_not_widen_the_limit(usual):
    numbers = usual[0].copy()
    numbers[:3] += 30.0
    assert Appearance.of(numbers).limit < 2.0 * usual[1].limit


@pytest.mark.slow
def test_the_shipped_network_warns_of_blurred_and_noisy_images(phantom):
    assert load_appearance("cineheart_sax").limit > 0
    cine = phantom.cines["sax"].only([phantom.ed, phantom.es])
    white = np.percentile(cine.frames, 99)
    noise = np.random.default_rng(0).normal(0, 0.2 * white, cine.frames.shape)
    spoilt = {
        "blurred": ndimage.gaussian_filter(cine.frames.astype(np.float32), (0, 0, 2.5, 2.5)),
        "noise": np.abs(cine.frames + noise).astype(np.float32),
    }
    assert not told(cine)
    for word, frames in spoilt.items():
        assert word in told(replace(cine, frames=frames))


def told(cine) -> str:
    """Sentence of the warning, or nothing."""
    report = steps.segment(cine, SegmentChoice()).quality
    return " ".join(flag.sentence for flag in report.flags if flag.code == "unlike_training")


def test_too_few_hearts_are_one_sentence(data, tmp_path, capsys):
    for name in ("P01_ED.nii.gz", "P01_ED_gt.nii.gz"):
        shutil.copy(data / "other_centres" / "training" / "rvsc" / name, tmp_path)
    assert main(["calibrate", "cineheart_sax", "--data", str(tmp_path), "--appearance", "--every"]) == 2
    assert "training hearts can be described; 70 are needed" in capsys.readouterr().err
