"""The published short-axis bundle: its network, MONAI's own run of it against ours, and its training."""

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path, read_config, read_weights
from CardiacLib.networks.model_store import import_file
from CardiacLib.networks.opened import OpenedNetwork
from CardiacLib.readers import read_image
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import likeliest
from CardiacSegLib import open_segmenter
from CardiacSegLib.segment.published import VolumeSegmenter, Windows, scale_frames
from cineheart.cli import main

NAME = "ventricular_short_axis_3label"
ON_TORCH = RunsOn("cpu", "torch")
SIZES = {"smaller": (200, 180, 3), "equal": (256, 256, 5), "larger": (300, 280, 2)}
AFFINE = np.diag([1.4, 1.2, 8.0, 1.0])


@pytest.fixture(scope="module")
def random_network():
    """The bundle's network with random weights."""
    torch.manual_seed(5)
    return read_config(bundle_path(NAME), "inference").get_parsed_content("network_def").eval()


@pytest.fixture(scope="module")
def weights(random_network, tmp_path_factory):
    """Those weights in the cache; gives their file."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save(random_network.state_dict(), folder / "random.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEHEART_BUNDLES", str(folder / "cache"))
        yield import_file(NAME, folder / "random.pt")


@pytest.fixture(scope="module")
def segmenter(weights):
    return VolumeSegmenter(NetworkChoice(NAME, ON_TORCH))


def smooth_image(shape, seed) -> np.ndarray:
    """Random int16 (I, J, K) of smooth patches."""
    coarse = torch.rand(1, shape[2], 9, 11, generator=torch.Generator().manual_seed(seed))
    fine = torch.nn.functional.interpolate(coarse, size=shape[:2], mode="bicubic")[0]
    return (fine.permute(1, 2, 0) * 900 + 50).numpy().astype(np.int16)


def run_monai(what, **settings) -> None:
    """What ``python -m monai.bundle run`` calls, on the bundle."""
    from monai.bundle import run

    configs = bundle_path(NAME) / "configs"
    config = configs / {"evaluating": "inference.json", "training": "train.json"}[what]
    settings |= {"bundle_root": str(bundle_path(NAME)), "meta_file": str(configs / "metadata.json")}
    run(what, config_file=str(config), **settings)


@pytest.fixture(scope="module")
def evaluated(weights, tmp_path_factory):
    """Folder of images and, in ``out``, what MONAI's own run of the bundle makes of them."""
    pytest.importorskip("fire")
    folder = tmp_path_factory.mktemp("evaluated")
    for seed, (name, shape) in enumerate(SIZES.items()):
        nibabel.save(nibabel.Nifti1Image(smooth_image(shape, seed), AFFINE), folder / f"{name}.nii.gz")
    out = str(folder / "out")
    run_monai("evaluating", dataset_dir=str(folder), output_dir=out, ckpt_path=str(weights))
    return folder


def test_the_network_is_the_published_one(random_network):
    state = random_network.state_dict()
    assert len(state) == 63
    assert sum(p.numel() for p in random_network.parameters()) == 1_625_849
    bottom = "model.1.submodule.1.submodule.1.submodule.1.submodule"
    for key, shape in {
        "model.0.conv.unit0.conv.weight": (16, 1, 3, 3),
        "model.0.conv.unit1.adn.A.weight": (1,),
        "model.0.residual.weight": (16, 1, 3, 3),
        "model.1.submodule.0.residual.bias": (32,),
        f"{bottom}.conv.unit0.conv.weight": (256, 128, 3, 3),
        f"{bottom}.residual.weight": (256, 128, 1, 1),
        "model.1.submodule.1.submodule.1.submodule.2.0.conv.weight": (384, 64, 3, 3),
        "model.1.submodule.1.submodule.2.0.conv.weight": (128, 32, 3, 3),
        "model.1.submodule.2.0.conv.weight": (64, 16, 3, 3),
        "model.2.0.conv.weight": (32, 4, 3, 3),
        "model.2.1.conv.unit0.conv.bias": (4,),
    }.items():
        assert tuple(state[key].shape) == shape, key
    assert not any("model.2.1.conv.unit0.adn" in key for key in state)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_monai_runs_the_bundle_to_the_same_voxels(name, evaluated, segmenter, monkeypatch):
    monkeypatch.setattr("CardiacLib.networks.backends.torch_backend.supports_bfloat16", lambda device: False)
    found = segmenter.segment(read_image(evaluated / f"{name}.nii.gz")).labels.labels[0]
    theirs = np.asarray(nibabel.load(evaluated / "out" / f"{name}_seg.nii.gz").dataobj)
    assert len(np.unique(found)) > 1
    assert np.array_equal(found, theirs.T)


def test_every_frame_of_a_cine_is_a_volume_by_itself(segmenter):
    frames = np.stack([smooth_image((90, 70, 3), 1), 3 * smooth_image((90, 70, 3), 2) + 500]).transpose(0, 3, 2, 1)
    cine = Cine(frames, AFFINE, np.array([0.0, 40.0]), "sax", "made.nii.gz")
    both = segmenter.segment(cine)
    assert both.labels.labels.shape == cine.frames.shape and len(both.notes) == 1
    for t in (0, 1):
        alone = segmenter.segment(cine.with_changes(frames=cine.frames[t : t + 1], times_ms=np.zeros(1)))
        assert np.array_equal(alone.labels.labels[0], both.labels.labels[t])
        assert np.allclose(alone.statistics.soft[0], both.statistics.soft[t], rtol=1e-4)


def test_statistics_are_those_of_the_probabilities(segmenter, random_network):
    frames = smooth_image((256, 256, 2), 3).transpose(2, 1, 0)[None]
    found = segmenter.segment(Cine(frames, AFFINE, np.zeros(1), "sax"))
    with torch.inference_mode():
        inputs = torch.from_numpy(scale_frames(frames.astype(np.float32)))[0][:, None].mT
        probabilities = random_network(inputs).softmax(1)
    for label in (1, 2, 3):
        soft = probabilities[:, label].sum((1, 2)).numpy()
        assert np.allclose(found.statistics.soft[0, :, label - 1], soft, rtol=2e-2)
        hard = (found.labels.labels[0] == label).sum((1, 2))
        assert np.array_equal(found.statistics.hard[0, :, label - 1], hard)
    entropy = -(probabilities * probabilities.log()).sum((1, 2, 3)).numpy()
    assert np.allclose(found.statistics.entropy[0], entropy, rtol=2e-2)


def test_likeliest_is_argmax_with_its_ties():
    values = np.random.default_rng(0).integers(0, 3, (2, 4, 20, 20)).astype(np.float32)
    assert np.array_equal(likeliest(values), values.argmax(1))


def test_windows_are_those_of_monai(random_network):
    """Sizes below, at and beyond one window, along one axis or both."""
    from monai.inferers import SliceInferer

    windows = Windows((32, 48), 0.25)

    def network(slices):
        return torch.cat([slices * (2 + torch.arange(slices.shape[-1])), slices**2], 1)

    def predictor(slices):
        return network(torch.from_numpy(slices)).numpy()

    for shape in ((20, 30), (32, 48), (33, 100), (90, 48), (31, 120)):
        images = np.random.default_rng(1).random((2, 1, *shape), np.float32)
        theirs = SliceInferer(roi_size=(32, 48), spatial_dim=2)(torch.from_numpy(images)[..., None], network)
        assert np.allclose(windows.apply(images, predictor), theirs[..., 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "change", [{"_target_": "SimpleInferer"}, {"mode": "gaussian"}, {"roi_size": 256}, {"spatial_dim": 0}]
)
def test_another_inferer_gets_one_sentence(change):
    inferer = {"_target_": "monai.inferers.SliceInferer", "roi_size": [96, 64], "overlap": 0.5}

    def opened(stated):
        return OpenedNetwork(Path("mine"), {"inferer": stated}, None, "")

    assert Windows.of(opened(inferer)) == Windows((96, 64), 0.5)
    with pytest.raises(InputError, match="mine: 'inferer' of its configuration must be a SliceInferer"):
        Windows.of(opened(inferer | change))


def test_a_flat_frame_becomes_zeros():
    assert not scale_frames(np.full((1, 2, 3, 4), 7, np.float32)).any()


def test_best_quality_is_the_mean_over_flips(segmenter, weights):
    frames = smooth_image((256, 256, 1), 4).transpose(2, 1, 0)[None]
    cine = Cine(frames, AFFINE, np.zeros(1), "sax")
    best = VolumeSegmenter(NetworkChoice(NAME, ON_TORCH, "best")).segment(cine)
    flips = [(), (2,), (3,), (2, 3)]
    alone = [segmenter.segment(cine.with_changes(frames=np.flip(cine.frames, f).copy())) for f in flips]
    assert np.allclose(best.statistics.soft, np.mean([s.statistics.soft for s in alone], 0), rtol=1e-3)


def test_the_factory_opens_it_and_long_axis_views_are_refused(weights):
    opened = open_segmenter(NetworkChoice(NAME, ON_TORCH))
    assert isinstance(opened, VolumeSegmenter)
    frames = smooth_image((64, 64, 1), 0).transpose(2, 1, 0)[None]
    with pytest.raises(InputError, match="4ch view"):
        opened.segment(Cine(frames, AFFINE, np.zeros(1), "4ch", "long.nii.gz"))
    with pytest.raises(InputError, match="No quality 'slow'"):
        open_segmenter(NetworkChoice(NAME, ON_TORCH, "slow"))


def test_the_published_example_slice(data, segmenter, random_network, monkeypatch):
    """The bundle's own example through our path and through the bare network, as its notebook does."""
    monkeypatch.setattr("CardiacLib.networks.backends.torch_backend.supports_bfloat16", lambda device: False)
    image = np.load(data / "seed_samples" / "SC-N-2-3-0.npy").astype(np.float32)
    labels = segmenter.segment(Cine(image.T[None, None], AFFINE, np.zeros(1), "sax")).labels.labels[0, 0].T
    scaled = torch.from_numpy((image - image.min()) / (image.max() - image.min()))
    with torch.inference_mode():
        assert np.array_equal(labels, random_network(scaled[None, None]).argmax(1)[0].numpy())


def write_training_data(path, count=16, side=64) -> None:
    """Noisy rings with a crescent beside them, in the published form: ``images`` and ``segs``."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    segs = np.zeros((count, side, side), np.uint8)
    for labels in segs:
        row, column = rng.uniform(0.4 * side, 0.6 * side, 2)
        distance = np.hypot(rows - row, columns - column)
        labels[np.hypot(rows - row, columns - column + side / 5) < side / 7] = 3
        labels[distance < side / 6] = 2
        labels[distance < side / 10] = 1
    np.savez(path, images=np.array([20, 200, 80, 180])[segs] + rng.normal(0, 10, segs.shape), segs=segs)


def test_training_configuration_is_the_published_one():
    config = read_config(bundle_path(NAME), "train").config
    order = [step["_target_"] for step in config["augmentation"]]
    assert order == [
        "RandAxisFlipd",
        "RandRotate90d",
        "RandSmoothDeformd",
        "RandAffined",
        "RandSmoothFieldAdjustContrastd",
        "RandSmoothFieldAdjustIntensityd",
        "RandGaussianNoised",
        "ScaleIntensityd",
    ]
    assert (config["batch_size"], config["iterations"], config["repeats"], config["epochs"]) == (200, 400, 5, 50)
    assert config["network_def"] == read_config(bundle_path(NAME), "inference").config["network_def"]


def test_monai_trains_the_bundle(tmp_path, monai_log):
    pytest.importorskip("fire")
    pytest.importorskip("ignite")
    write_training_data(tmp_path / "allimages3label.npz")
    settings = {"epochs": 2, "iterations": 4, "repeats": 2, "batch_size": 4, "workers": 0}
    run_monai("training", dataset_dir=str(tmp_path), output_dir=str(tmp_path / "out"), **settings)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"model_epoch=1.pt", "model_epoch=2.pt", "model.pt"}
    for epoch in (1, 2):
        assert f"Epoch[{epoch}] Metrics -- val_mean_dice: 0." in monai_log.text
    first, last, final = (
        read_weights(tmp_path / "out" / f"{f}.pt") for f in ("model_epoch=1", "model_epoch=2", "model")
    )
    assert all(torch.equal(last[key], final[key]) for key in final)
    assert any(not torch.equal(first[key], final[key]) for key in final)


@pytest.mark.slow
def test_cineheart_trains_it_too(tmp_path, capsys):
    pytest.importorskip("ignite")
    write_training_data(tmp_path / "allimages3label.npz", side=32)
    bundle = tmp_path / "small"
    shutil.copytree(bundle_path(NAME), bundle)
    config = json.loads((bundle / "configs" / "train.json").read_text(encoding="utf-8"))
    config |= {"iterations": 2, "repeats": 1, "batch_size": 4, "workers": 0}
    (bundle / "configs" / "train.json").write_text(json.dumps(config), encoding="utf-8")
    arguments = [
        "train",
        str(bundle),
        "-o",
        str(tmp_path / "runs"),
        "--epochs",
        "2",
        "--device",
        "cpu",
        "--json",
        "--trust",
    ]
    assert main([*arguments, "--data", str(tmp_path / "nothing")]) == 2
    assert "nothing: there are no such data" in capsys.readouterr().err
    assert main([*arguments, "--data", str(tmp_path)]) == 0
    trained = tmp_path / "runs" / "small"
    rows = list(csv.DictReader((trained / "training" / "log.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"] and all("val_mean_dice" in row["validation"] for row in rows)
    frames = smooth_image((32, 32, 1), 0).transpose(2, 1, 0)[None]
    opened = open_segmenter(NetworkChoice(str(trained), RunsOn("cpu"), trust=True))
    assert opened.segment(Cine(frames, AFFINE, np.zeros(1))).labels.labels.shape == (1, 1, 32, 32)
