"""Changes of the input keep every tissue at its place, and the loss of Dice they cause is measured right."""

from dataclasses import replace

import numpy as np
import pytest

from CardiacLib.geometry import apply, index_of, matrix_from
from CardiacLib.metrics import dice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import Segmentation
from CardiacSegLib.evaluate import robustness as changes
from CardiacSegLib.evaluate.evaluation import Case, Patient, compare

NAMES = [change.name for change in changes.CHANGES]
KEPT = [name for name in NAMES if "coarser" not in name]
"""Changes that keep the size of a pixel."""


@pytest.fixture
def patient(ring_labels) -> Patient:
    """Two frames of a heart with an odd number of rows, turned in space; intensities tell the labels."""
    labels = np.stack([ring_labels, np.roll(ring_labels, 2, axis=2)])[:, :, 1:]
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    matrix = matrix_from((30.0, -60.0, 12.0), turn, (1.5, 1.25, 9.0))
    frames = np.array([30.0, 200.0, 80.0, 170.0])[labels]
    times = np.array([0.0, 1.0])
    cine = Cine(frames, matrix, times, "sax")
    return Patient("patient005", "NOR", cine, LabelMap(labels, matrix, times))


class Nearest:
    """A segmenter that gives each pixel the label whose intensity is nearest: blind to arrangement, not to contrast."""

    def segment(self, cine) -> Segmentation:
        distance = np.abs(cine.frames[..., None] - np.array([30.0, 200.0, 80.0, 170.0]))
        labels = distance.argmin(-1).astype(np.uint8)
        return Segmentation(LabelMap(labels, cine.ijk_to_lps, cine.times_ms), statistics=None)


class FirstSlices(Nearest):
    """Sees nothing in the second half of the stack."""

    def segment(self, cine) -> Segmentation:
        found = super().segment(cine)
        found.labels.labels[:, cine.n_slices // 2 :] = 0
        return found


def evaluated(patient, segmenter) -> list[Case]:
    found = segmenter.segment(patient.cine)
    return [Case(patient, found, tuple(compare(patient, found.labels)))]


@pytest.mark.parametrize("name", KEPT)
def test_tissue_keeps_its_place(patient, name):
    cine, true = _apply(name, patient)
    index = np.argwhere(np.ones(true.labels.shape[1:], bool))[::7]
    places = apply(true.ijk_to_lps, index[:, ::-1])
    before = index_of(patient.true.ijk_to_lps, places)[:, ::-1]
    nearest = np.rint(before).astype(int)
    assert np.allclose(before, nearest, atol=1e-6)
    inside = ((nearest >= 0) & (nearest < patient.true.labels.shape[1:])).all(1)
    assert np.array_equal(
        true.labels[(slice(None), *index[inside].T)], patient.true.labels[(slice(None), *nearest[inside].T)]
    )
    assert (true.labels > 0).sum() == (patient.true.labels > 0).sum()
    assert np.array_equal(cine.ijk_to_lps, true.ijk_to_lps)
    if name not in ("gamma 0.6", "gamma 1.6", "bias field"):
        old, new = (frames[(slice(None), *at.T)] for frames, at in (
            (patient.cine.frames, nearest[inside]), (cine.frames, index[inside]),
        ))  # fmt: skip
        assert np.array_equal(old, new)


@pytest.mark.parametrize("name", NAMES)
def test_every_change_changes_something(patient, name):
    cine, _ = _apply(name, patient)
    assert cine.frames.shape != patient.cine.frames.shape or not np.array_equal(cine.frames, patient.cine.frames)


def test_turns_follow_one_another(patient):
    once = _apply("rotated 90°", patient)
    twice = changes.rearranged(*once, True, "j")
    for made, wanted in zip(twice, _apply("rotated 180°", patient), strict=True):
        assert np.allclose(made.ijk_to_lps, wanted.ijk_to_lps)
    assert np.array_equal(once[0].frames, np.rot90(patient.cine.frames, 1, (2, 3)))


def test_contrast(patient):
    frames = patient.cine.frames
    darker = _apply("gamma 1.6", patient)[0].frames
    assert darker.max() == pytest.approx(frames.max()) and darker.min() == pytest.approx(frames.min())
    assert darker[frames == 80].max() < 80 < _apply("gamma 0.6", patient)[0].frames[frames == 80].min()
    flat = replace(patient, cine=patient.cine.with_changes(frames=np.where(frames == 30, 30.0, 130.0)))
    field = _apply("bias field", flat)[0].frames - 30.0
    heart = field[0, 0][frames[0, 0] != 30]
    assert heart.max() > 1.5 * heart.min() > 0


def test_coarser_pixels(patient):
    cine, true = _apply("2x coarser pixels", patient)
    assert true is patient.true
    assert cine.frames.shape == (2, 8, 32, 36) and np.allclose(cine.spacing, [3.0, 2.5, 9.0])
    centre = apply(cine.ijk_to_lps, [3, 5, 2])
    assert np.allclose(index_of(patient.cine.ijk_to_lps, centre), [6.5, 10.5, 2])
    assert cine.frames[1, 2, 5, 3] == pytest.approx(patient.cine.frames[1, 2, 10:12, 6:8].mean())


def test_labels_return_to_the_original_pixels(patient):
    """A straight edge between coarse pixels comes back where it was."""
    labels = np.zeros_like(patient.true.labels)
    labels[..., 20:] = 2
    true = replace(patient.true, labels=labels)
    coarse, _ = changes.coarser(patient.cine, true)
    found = LabelMap(np.ascontiguousarray(labels[:, :, ::2, ::2]), coarse.ijk_to_lps, true.times_ms)
    assert np.array_equal(changes.on_grid_of(true, found), labels)
    assert changes.on_grid_of(true, true) is true.labels


def test_round_contours_return_round(patient):
    """A disc drawn on coarse pixels comes back nearer to the disc than repeated pixels do."""
    j, i = np.mgrid[:63, :72]
    labels = np.zeros_like(patient.true.labels)
    labels[..., np.hypot(j - 30.3, i - 35.1) < 11] = 1
    true = replace(patient.true, labels=labels)
    coarse, _ = changes.coarser(patient.cine.with_changes(frames=labels), true)
    drawn = (coarse.frames > 0.5).astype(np.uint8)
    back = changes.on_grid_of(true, LabelMap(drawn, coarse.ijk_to_lps, true.times_ms))
    repeated = drawn.repeat(2, axis=2).repeat(2, axis=3)[:, :, :63]
    assert dice(back == 1, labels == 1) > dice(repeated == 1, labels == 1) + 0.003


def test_the_loss_is_that_of_the_segmenter(patient):
    cases = evaluated(patient, Nearest())
    assert cases[0].mean_dice == 1.0
    calls = []
    rows = changes.robustness(cases, Nearest(), lambda fraction, message: calls.append(fraction))
    assert len(rows) == len(NAMES) * 2 * 3 and calls == sorted(calls) and calls[-1] == 1.0
    table = {row["change"]: row for row in changes.robustness_summary(rows)["table"]}
    for name in set(KEPT) - {"gamma 0.6", "gamma 1.6", "bias field", "field 30 % larger, mirrored"}:
        assert table[name]["drop"] == 0.0 and table[name]["passed"]
    assert table["bias field"]["drop"] > 0.02 and not table["bias field"]["passed"]
    assert table["field 30 % larger, mirrored"]["drop"] > 0, "what it sees of the mirrored heart is wrong"
    assert 0 < table["2x coarser pixels"]["drop"] < 0.2

    half_blind = changes.robustness(evaluated(patient, FirstSlices()), FirstSlices())
    table = {row["change"]: row for row in changes.robustness_summary(half_blind)["table"]}
    reversed_, turned = table["slice order reversed"], table["rotated 90°"]
    assert abs(reversed_["drop"]) > 0.05 and turned["drop"] == 0.0
    assert reversed_["drop"] == pytest.approx(evaluated(patient, FirstSlices())[0].mean_dice - reversed_["mean_dice"])
    assert reversed_["drop"] == pytest.approx(np.mean(list(reversed_["structure_drop"].values())))
    assert reversed_["worst_patient_drop"] == reversed_["drop"] and reversed_["worst_patient"] == "patient005"


def _apply(name: str, patient: Patient):
    (change,) = (change for change in changes.CHANGES if change.name == name)
    return change.apply(patient.cine, patient.true)
