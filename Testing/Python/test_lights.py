"""Whether the red light is right: precision, recall and their intervals; hearts damaged on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from CardiacLib.datasets.hearts import LabelledHeart
from CardiacLib.datasets.layouts.manifest import write_manifest
from CardiacLib.datasets.records import UNKNOWN, CaseRecord
from CardiacLib.types.choices import NetworkChoice
from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.segmentation import Segmentation, SliceStatistics
from CardiacLib.writers.images import write_cine, write_labels
from CardiacSegLib.evaluate.damage import IMAGE_DAMAGES, LABEL_DAMAGES
from CardiacSegLib.evaluate.lights import (
    AS_THEY_ARE,
    IMAGES,
    LABELS,
    LightRow,
    calibrated,
    chosen_for_damage,
    found_by,
    light_rows,
)
from cineheart.cli import main
from cineheart.evaluate import quality
from cineheart.evaluate.labelled import LabelledEvaluation

SURE = 0.97


class Draws:
    """Stands for a network: labels of the phantom, and how sure it says it is of them."""

    def __init__(self, labels: LabelMap, sure: float):
        self.labels, self.sure = labels, sure

    def segment(self, cine, **_):
        labels = replace(self.labels, labels=self.labels.labels[: cine.n_frames])
        hard = np.stack([(labels.labels == n).sum((2, 3)) for n in (LV, MYO, RV)], -1).astype(np.float32)
        return Segmentation(labels, SliceStatistics(hard, hard, self.sure * hard, hard[..., 0]))


@pytest.fixture(scope="module")
def heart(phantom):
    """ED and ES of the phantom, LV and RV drawn."""
    frames = [phantom.ed, phantom.es]
    record = CaseRecord("one", "one.nii.gz", None, structures=("lv", "rv"), centre="there")
    return LabelledHeart((record, record), phantom.cines["sax"].only(frames), phantom.labels.labels[frames])


def row(subject: str, dice: float, light: str) -> LightRow:
    return LightRow("there", subject, AS_THEY_ARE, "", "LV", dice, dice, light, "")


def test_precision_and_recall_by_hand():
    rows = [row("a", 0.5, "red"), row("b", 0.6, "amber"), row("c", 0.9, "red"), row("d", 0.95, "green")]
    found = found_by(rows, 0.75)
    assert (found.count, found.bad, found.red, found.both) == (4, 2, 2, 1)
    assert found.precision == found.recall == 0.5 and found.recall_range == (0.0, 1.0)
    assert found_by(rows, 0.75, ("red", "amber")).recall == 1.0
    none = found_by(rows[3:], 0.75)
    assert none.precision is None and none.recall is None and none.recall_range is None


def test_calibration_error_by_hand():
    """Twenty structures, two in each bin: those of one bin level out, those of different bins do not."""
    probable = np.linspace(0.5, 0.95, 10).repeat(2) + np.tile([0.0, 0.01], 10)
    off = np.tile([0.1, -0.1], 10)
    rows = [
        replace(row(f"s{n}", p + o, "green"), probable=p) for n, (p, o) in enumerate(zip(probable, off, strict=True))
    ]
    assert calibrated(rows).error == pytest.approx(0.0, abs=1e-12)
    off = np.repeat([0.1, -0.1], 10)
    rows = [replace(r, dice=p + o) for r, p, o in zip(rows, probable, off, strict=True)]
    found = calibrated([*rows, replace(rows[0], probable=np.nan)])
    assert found.error == pytest.approx(0.1) and found.dice == pytest.approx(found.probable) and found.count == 20
    assert found.error_range[0] <= found.error <= found.error_range[1] + 1e-9
    assert calibrated([replace(rows[0], probable=np.nan)]) is None


def test_intervals_are_those_of_a_binomial_and_keep_subjects_together():
    rows = [row(f"s{n}", 0.5, "red" if n % 4 else "green") for n in range(100)]
    low, high = found_by(rows, 0.75).recall_range
    half = 1.96 * np.sqrt(0.75 * 0.25 / 100)
    assert low == pytest.approx(0.75 - half, abs=0.02) and high == pytest.approx(0.75 + half, abs=0.02)
    together = [replace(r, subject=f"s{n // 25}") for n, r in enumerate(sorted(rows, key=lambda r: r.light))]
    low, high = found_by(together, 0.75).recall_range  # four subjects, one of them all green
    assert low <= 0.25 and high == 1.0


def test_every_damage_keeps_the_grid_and_is_repeated_by_its_seed(phantom):
    cine = phantom.cines["sax"].only([0])
    for damage in IMAGE_DAMAGES:
        spoilt = damage.of(cine)
        assert spoilt.frames.shape == cine.frames.shape and np.isfinite(spoilt.frames).all()
        assert (spoilt.frames != cine.frames).any(), damage.name
        np.testing.assert_array_equal(damage.of(cine).frames, spoilt.frames)
    for damage in LABEL_DAMAGES:
        spoilt = damage.of(phantom.labels).labels
        assert spoilt.dtype == np.uint8 and (spoilt != phantom.labels.labels).any(), damage.name


@pytest.mark.parametrize(("sure", "codes"), [(1.0, ""), (0.5, "low_confidence")])
def test_a_structure_is_red_where_a_serious_finding_is_about_it(heart, sure, codes):
    network = Draws(LabelMap.of(heart.labels, heart.cine), sure)
    rows = list(light_rows(heart, network, "cineheart_sax", False))
    assert [(r.structure, r.dice, r.light == "red", r.codes) for r in rows] == [
        ("LV", 1.0, bool(codes), codes),
        ("RV", 1.0, bool(codes), codes),
    ]
    half = replace(heart, labels=np.where(heart.labels == RV, UNKNOWN, heart.labels))
    assert [r.structure for r in light_rows(half, network, "cineheart_sax", False)] == ["LV"]


@pytest.mark.slow
def test_damaged_hearts_and_the_page(heart, tmp_path, monkeypatch):
    """The command's function on one heart that is drawn perfectly: what its damages make of it, and the files."""
    true = LabelMap.of(heart.labels, heart.cine)
    monkeypatch.setattr(quality, "open_segmenter", lambda choice: Draws(true, SURE))
    write_cine(tmp_path / "one.nii.gz", heart.cine)
    write_labels(tmp_path / "one_gt.nii.gz", true)
    case = CaseRecord("one", tmp_path / "one.nii.gz", tmp_path / "one_gt.nii.gz", centre="there", order="cineheart")
    write_manifest(tmp_path / "manifest.csv", [case])
    answer = quality.evaluate_lights(
        NetworkChoice("cineheart_sax"), tmp_path / "manifest.csv", tmp_path / "out", LabelledEvaluation(every=True)
    )
    places = [*(f"there, {name}" for name in ("LV", "MYO", "RV")), "all"]
    errors = {f"all, {kind}, calibration error" for kind in (AS_THEY_ARE, IMAGES)}
    lights = {f"{place}, {kind}" for place in places for kind in (AS_THEY_ARE, IMAGES, LABELS)}
    assert set(answer.facts) == lights | errors
    text = (tmp_path / "out" / "lights.csv").read_text().splitlines()
    assert len(text) == 1 + 3 * (1 + len(IMAGE_DAMAGES) + len(LABEL_DAMAGES))
    swapped = [line for line in text if "swapped" in line]
    assert len(swapped) == 3 and all("red,refused" in line for line in swapped)
    assert all("red,missing_slice" in line for line in text if "two middle slices" in line)
    page = (tmp_path / "out" / "lights.md").read_text()
    assert "| all |  | as they are | 3 | 0.9" in page and "Expected calibration error" in page
    assert "| all |  | two middle slices empty | 3 |" in page


def test_damaged_subjects_are_spread_evenly():
    names = [f"s{n:02d}" for n in range(39)]
    chosen = sorted(chosen_for_damage(names))
    assert len(chosen) == 12 and chosen[0] == "s00" and chosen[-1] == "s38"
    assert chosen_for_damage(names[:5]) == set(names[:5])


def test_two_evaluations_at_once_are_refused(tmp_path, capsys):
    assert main(["evaluate", "cineheart_sax", "--data", str(tmp_path), "--external", "--lights"]) == 2
    assert "one after the other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("bundle", "more", "told"),
    [("cineheart_sax", ["--update-card"], "numbers of --quality fast"), ("biv_propagation", [], "no other quality")],
)
def test_the_better_quality_is_not_for_the_card_nor_for_every_bundle(tmp_path, capsys, bundle, more, told):
    assert main(["evaluate", bundle, "--data", str(tmp_path), "--quality", "best", *more]) == 2
    assert told in capsys.readouterr().err
