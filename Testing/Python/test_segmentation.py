"""Short-axis segmentation: preprocessing, inference on any grid, clean-up, and MONAI's own run of the bundle."""

import shutil

import numpy as np
import pytest

from CardiacLib.errors import Cancelled, InputError
from CardiacLib.geometry import matrix_from
from CardiacLib.networks.intensity import intensity_limits, normalise, percentile
from CardiacLib.networks.sampling import sample
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacSegLib import Segmenter, segment_cine
from CardiacSegLib.segment import preprocess
from CardiacSegLib.segment import segmenter as infer
from CardiacSegLib.segment.postprocess import clean_frame, main_component
from CardiacSegLib.segment.preprocess import (
    NetworkGrid,
    opposite_frames,
    resampled_shape,
    sample_slices,
    with_neighbours,
)
from CardiacSegLib.segment.segmenter import Look, heart_window, predict
from CardiacSegLib.segment.slice_network import softmax
from CardiacSegLib.segment.statistics import slice_statistics


def on_processor(bundle, backend="auto", quality="fast") -> NetworkChoice:
    return NetworkChoice(str(bundle), RunsOn("cpu", backend), quality)


def made_cine(frames=2, slices=4, spacing=(1.6, 1.3, 9.0), view="sax", seed=0) -> Cine:
    rng = np.random.default_rng(seed)
    image = rng.gamma(2.0, 100.0, (frames, slices, 70, 90)).astype(np.float32)
    return Cine(image, matrix_from((5, -7, 30), np.eye(3), spacing), np.arange(frames) * 40.0, view, "made.nii.gz")


def test_labels_are_on_the_grid_of_the_cine(random_bundle):
    cine = made_cine()
    labels = segment_cine(cine, on_processor(random_bundle))
    assert labels.labels.shape == cine.frames.shape
    assert labels.labels.dtype == np.uint8
    assert np.array_equal(labels.ijk_to_lps, cine.ijk_to_lps)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 5)])
def test_single_frames_and_slices(random_bundle, shape):
    assert segment_cine(made_cine(*shape), on_processor(random_bundle)).labels.shape[:2] == shape


def test_long_axis_views_are_refused(random_bundle):
    with pytest.raises(InputError, match="4ch view"):
        segment_cine(made_cine(view="4ch"), on_processor(random_bundle))


def test_cancel_passes_through(random_bundle):
    def stop(fraction, message):
        if fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        segment_cine(made_cine(), on_processor(random_bundle), progress=stop)


def test_unknown_bundle_and_device(random_bundle):
    with pytest.raises(InputError, match="No bundle 'nothing'"):
        Segmenter(NetworkChoice("nothing"))
    with pytest.raises(InputError, match="cuda:77"):
        Segmenter(NetworkChoice(str(random_bundle), RunsOn("cuda:77")))


def test_wrong_weights_are_refused(random_bundle, tmp_path):
    import torch

    copy = tmp_path / "wrong"
    shutil.copytree(random_bundle, copy)
    torch.save({"some.weight": torch.zeros(3)}, copy / "models" / "model.pt")
    with pytest.raises(InputError, match="do not belong"):
        Segmenter(on_processor(copy))


def test_the_window_holds_the_heart():
    labels = np.zeros((2, 3, 160, 208), np.uint8)
    labels[:, :, 32:72, 120:168] = 3
    rows, columns = heart_window(labels, 96, (160, 208))
    assert rows.stop - rows.start == columns.stop - columns.start == 96
    assert rows.start <= 32 and rows.stop >= 72 and columns.start <= 120 and columns.stop >= 168
    # A heart with most of its pixels at one end needs no more than its extent and the margins.
    labels[:, 1, 36:40, 100:120] = 3
    columns = heart_window(labels, 96, (160, 208))[1]
    assert columns.stop - columns.start == 96 and columns.start <= 100 - 12 and columns.stop >= 168 + 12
    labels[:, :, 8:152, 48:200] = 3
    rows, columns = heart_window(labels, 96, (160, 208))
    assert (rows.start, rows.stop) == (0, 160) and columns.stop - columns.start >= 152
    assert heart_window(np.zeros_like(labels), 96, (160, 208)) is None


def test_the_window_from_coarse_pixels():
    labels = np.zeros((1, 3, 80, 104), np.uint8)
    labels[:, :, 16:36, 60:84] = 3
    fine = np.repeat(np.repeat(labels, 2, 2), 2, 3)
    coarse = heart_window(labels, 96, (160, 208), 2.0)
    for found, expected in zip(coarse, heart_window(fine, 96, (160, 208)), strict=True):
        assert abs(found.start - expected.start) <= 1 and found.stop - found.start == 96


@pytest.mark.parametrize("window", [(slice(16, 48), slice(20, 52)), (slice(0, 30), slice(40, 85))])
def test_labels_in_a_window_are_those_of_the_whole_field(window):
    """Probabilities that are background outside the window give the same labels with and without it."""
    grid = NetworkGrid((70, 90), (1.3, 1.6), 1.4)
    probabilities = softmax(np.random.default_rng(4).random((3, 4, *grid.shape), np.float32))
    everywhere = np.zeros_like(probabilities)
    everywhere[:, 0] = 1.0
    everywhere[:, :, window[0], window[1]] = probabilities[:, :, window[0], window[1]]
    inside = grid.labels(probabilities[:, :, window[0], window[1]], window)
    assert np.array_equal(inside, grid.labels(everywhere, grid.whole))
    rows, columns = np.nonzero(inside.any(0))
    assert rows.min() >= (window[0].start - 1) * 1.4 / 1.3 and rows.max() <= window[0].stop * 1.4 / 1.3
    assert columns.min() >= (window[1].start - 1) * 1.4 / 1.6 and columns.max() <= window[1].stop * 1.4 / 1.6


def test_the_margin_of_background_changes_no_label(monkeypatch):
    grid, random = NetworkGrid((70, 90), (1.3, 1.6), 1.4), np.random.default_rng(6)
    logits = random.normal(0, 1, (2, 4, *grid.shape))
    logits[:, 0] += 20.0
    logits[:, 0, 20:40, 30:50] -= 20.0
    probabilities = softmax(logits.astype(np.float32))
    found = grid.labels(probabilities, grid.whole)
    cut, window = preprocess._round_structures(probabilities, grid.whole)
    assert cut.shape == (2, 4, 22, 22) and window == (slice(19, 41), slice(29, 51))
    monkeypatch.setattr(preprocess, "_round_structures", lambda values, window: (values, window))
    assert found.any() and np.array_equal(found, grid.labels(probabilities, grid.whole))


def test_best_quality_is_the_mean_over_flips(random_bundle, monkeypatch):
    monkeypatch.setattr("CardiacLib.networks.backends.torch_backend.supports_bfloat16", lambda device: False)
    segmenter = Segmenter(on_processor(random_bundle, "torch", "best"))
    images = normalise(made_cine(1, 2).frames)
    grid = NetworkGrid((70, 90), (1.3, 1.6), segmenter.pixel_mm)
    window = (slice(0, 48), slice(16, 64))
    once = predict(images, Look(grid, window), segmenter.predictor).probabilities
    mean = predict(images, Look(grid, window, flips=segmenter.flips), segmenter.predictor).probabilities
    flipped_grid = NetworkGrid((48, 48), (1.4, 1.4), 1.4)
    stack = grid.from_images(images[0], window)
    whole = Look(flipped_grid, flipped_grid.whole)
    flipped = predict(np.flip(stack, -1)[None], whole, segmenter.predictor)
    assert np.abs(mean - once).max() > 1e-3
    four = [once[0], np.flip(flipped.probabilities[0], -1)]
    for axes in ((-2,), (-2, -1)):
        turned = predict(np.flip(stack, axes)[None], whole, segmenter.predictor)
        four.append(np.flip(turned.probabilities[0], axes))
    assert np.allclose(mean[0], np.mean(four, 0), atol=1e-4)
    with pytest.raises(InputError, match="No quality 'slow'"):
        on_processor(random_bundle, quality="slow")


def test_limits_and_labelling_of_every_second_slice(random_bundle, monkeypatch):
    monkeypatch.setattr("CardiacLib.networks.backends.torch_backend.supports_bfloat16", lambda device: False)
    predictor = Segmenter(on_processor(random_bundle, "torch")).predictor
    frames = made_cine(2, 5).frames
    grid = NetworkGrid((70, 90), (1.3, 1.6), 1.4)
    expected = predict(normalise(frames), Look(grid, grid.whole), predictor).probabilities
    some = Look(grid, grid.whole, intensity_limits(frames), every=2)
    found = predict(frames, some, predictor).probabilities
    assert found.shape[1] == 3 and np.allclose(found, expected[:, ::2], atol=1e-4)


@pytest.mark.parametrize(("slices", "looked_through"), [(7, 7), (8, 4), (9, 5)])
def test_the_heart_is_looked_for_in_every_second_of_many_slices(random_bundle, monkeypatch, slices, looked_through):
    seen = []
    find = infer.heart_window
    monkeypatch.setattr(infer, "heart_window", lambda labels, *rest: seen.append(labels) or find(labels, *rest))
    labels = segment_cine(made_cine(2, slices), on_processor(random_bundle))
    assert len(seen) == 1 and seen[0].shape[:2] == (2, looked_through)
    assert labels.labels.shape[1] == slices


def test_labels_that_nobody_knows_are_refused():
    labels = np.full((1, 2, 4, 4), 4, np.uint8)
    LabelMap(labels, np.eye(4), np.zeros(1))
    labels[0, 1, 2, 2:] = 7, 255
    with pytest.raises(InputError, match=r"masks.nii: unknown label values \[7, 255\]"):
        LabelMap(labels, np.eye(4), np.zeros(1), "masks.nii")


def test_statistics_are_sums_over_the_slice(random_bundle):
    cine = made_cine(2, 3)
    found = Segmenter(on_processor(random_bundle)).segment(cine)
    statistics = found.statistics
    assert statistics.soft.shape == statistics.hard.shape == statistics.both.shape == (2, 3, 3)
    assert statistics.entropy.shape == (2, 3) and (statistics.entropy > 0).all()
    assert np.array_equal(statistics.hard, np.round(statistics.hard))
    assert (statistics.both <= np.minimum(statistics.soft, statistics.hard) + 1e-2).all()
    sure = np.zeros((1, 4, 5, 6), np.float32)
    sure[:, 2] = 1.0
    sums = slice_statistics(sure)
    assert sums.soft.tolist() == sums.hard.tolist() == sums.both.tolist() == [[0.0, 30.0, 0.0]]
    assert sums.entropy.tolist() == [0.0]


def test_the_opposite_frame_is_the_least_alike():
    size = np.array([12, 10, 6, 4, 7, 11])
    frames = np.array([np.hypot(*np.mgrid[-16:16, -16:16]) < r for r in size], np.float32)[:, None]
    noisy = frames + np.random.default_rng(0).normal(0, 0.05, frames.shape).astype(np.float32)
    assert opposite_frames(noisy).tolist() == [3, 3, 0, 0, 0, 3]
    assert opposite_frames(noisy[:1]).tolist() == [0]


def test_neighbours_beyond_the_ends_are_zero():
    volume = np.arange(1.0, 4.0)[:, None, None] * np.ones((1, 2, 2))
    stacked = with_neighbours(volume)
    assert stacked[:, :, 0, 0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 0]]


def test_resampling_there_and_back_keeps_positions():
    rows, columns = np.mgrid[:60, :80].astype(np.float32)
    image = (rows + 2 * columns)[None, None]
    spacing = (1.1, 0.9)
    shape = resampled_shape((60, 80), spacing, 1.4)
    there = sample_slices(image, tuple(1.4 / s for s in spacing), shape)
    assert there[0, 0, 10, 20] == pytest.approx(10 * 1.4 / 1.1 + 2 * 20 * 1.4 / 0.9, abs=1e-3)
    back = sample_slices(there, tuple(s / 1.4 for s in spacing), (60, 80))
    assert np.allclose(back[..., 2:-2, 2:-2], image[..., 2:-2, 2:-2], atol=2e-2)


@pytest.mark.parametrize("beyond", ["border", "zeros"])
def test_sampling_is_that_of_torch(beyond):
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(2).random((2, 3, 11, 14), np.float32)
    rows, columns = np.linspace(-3, 13, 17), np.linspace(-2.5, 15, 9)
    where = np.stack(np.meshgrid(2 * columns / 13 - 1, 2 * rows / 10 - 1), -1).astype(np.float32)
    grid, options = torch.from_numpy(where)[None].expand(2, -1, -1, -1), {"padding_mode": beyond, "align_corners": True}
    expected = torch.nn.functional.grid_sample(torch.from_numpy(images), grid, **options)
    assert np.allclose(sample(images, rows, columns, beyond), expected, atol=1e-5)


def test_normalise_ignores_gain_and_offset():
    image = made_cine().frames
    assert np.allclose(normalise(image), normalise(3.0 * image + 50.0), atol=1e-5)
    assert not normalise(np.full((2, 3, 4), 7.0)).any()


@pytest.mark.parametrize("kind", ["normal", "whole numbers", "mostly air", "flat", "periodic"])
def test_percentiles_of_many_values_are_exact(kind):
    draw = np.random.default_rng(4)
    values = draw.normal(100.0, 30.0, 1_300_003).astype(np.float32)
    values = {
        "normal": values,
        "whole numbers": np.rint(values),
        "mostly air": np.maximum(values - 130.0, 0.0),
        "flat": np.full_like(values, 7.0),
        "periodic": (np.arange(len(values)) % 97).astype(np.float32),
    }[kind]
    for percent in (0.0, 1.0, 37.5, 99.0, 100.0):
        exact = np.percentile(values, percent)
        assert percentile(values, percent) == pytest.approx(exact, rel=1e-6)


def test_clean_up_keeps_the_heart_and_its_apex(ring_labels):
    dirty = ring_labels.copy()
    dirty[3, 1:5, 1:5] = 3
    dirty[5, 58:61, 66:69] = 1
    assert np.array_equal(clean_frame(dirty), ring_labels)


def test_what_lies_in_few_slices_is_no_ventricle(ring_labels):
    dirty = ring_labels.copy()
    dirty[0:2, 50:64, :60] = 1
    assert (dirty == 1).sum() > 2 * (ring_labels == 1).sum() / 3
    assert not clean_frame(dirty)[0:2, 58:64, :40].any()


def test_slices_are_connected_by_overlap_or_nearly_so():
    mask = np.zeros((3, 20, 20), bool)
    mask[0, 2:6, 2:6] = True
    mask[1, 8:10, 2:6] = True
    assert main_component(mask)[1].any()
    mask[1] = False
    mask[1, 12:14, 2:6] = True
    kept = main_component(mask)
    assert kept[0].sum() == 16 and not kept[1].any()


def test_monai_runs_the_bundle_to_the_same_labels(random_bundle, tmp_path, monkeypatch):
    """MONAI's run of the bundle and our path agree in float32; both without clean-up."""
    import SimpleITK as sitk
    from monai.bundle import run

    from CardiacLib.geometry import to_sitk

    rng = np.random.default_rng(5)
    smooth = sample(rng.random((1, 5, 9, 11), np.float32), np.linspace(0, 8, 70), np.linspace(0, 10, 90))
    cine = made_cine(1, 5).with_changes(frames=smooth)
    (tmp_path / "in").mkdir()
    sitk.WriteImage(to_sitk(cine.frames[0], cine.ijk_to_lps), str(tmp_path / "in" / "image.nii.gz"))
    configs = random_bundle / "configs"
    files = {"config_file": configs / "inference.json", "meta_file": configs / "metadata.json"}
    folders = {"bundle_root": random_bundle, "dataset_dir": tmp_path / "in", "output_dir": tmp_path / "out"}
    run(**{name: str(path) for name, path in (files | folders).items()})
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "image_seg.nii.gz")))
    monkeypatch.setattr("CardiacLib.networks.backends.torch_backend.supports_bfloat16", lambda device: False)
    segmenter = Segmenter(on_processor(random_bundle, "torch"))
    grid = NetworkGrid((70, 90), (1.3, 1.6), segmenter.pixel_mm)
    ours = predict(normalise(cine.frames), Look(grid, grid.whole), segmenter.predictor).labels()[0]
    assert len(np.unique(ours)) > 1
    assert (ours == theirs).mean() > 0.999
