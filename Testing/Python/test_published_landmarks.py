"""The published landmark bundle: its network, MONAI's own run of it against ours, and its training."""

import math
import re

import nibabel
import numpy as np
import pytest
import torch
from monai.transforms import RandSmoothDeform

from CardiacLandmarksLib import open_detector
from CardiacLandmarksLib.detect.published import Fit, PointDetector, scale_series, view_shares
from CardiacLandmarksLib.train.landmark_images import (
    CODES,
    PointsFromImaged,
    RandFourierDropoutd,
    RandPointDeformd,
    RandPointShiftd,
)
from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_path, read_config, read_weights, weights_path
from CardiacLib.networks.model_store import import_file
from CardiacLib.readers import read_image
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.landmarks import LANDMARK_VIEWS

NAME = "valve_landmarks"


def make_network(seed: int = 4):
    """The bundle's network with random weights, its answers spread over the image."""
    torch.manual_seed(seed)
    network = read_config(bundle_path(NAME), "inference").get_parsed_content("network_def").eval()
    with torch.no_grad():
        for path in network.final[0].children():
            path[2].weight.normal_(0.0, 0.3)
            path[2].bias.uniform_(40.0, 200.0)
    return network


def monai_network():
    """The published network as MONAI's own parts make it."""
    from monai.networks.blocks import ConvDenseBlock, Convolution
    from monai.networks.layers import Reshape
    from monai.networks.nets import Regressor

    class Parallel(torch.nn.Module):
        def __init__(self, paths):
            super().__init__()
            for n, path in enumerate(paths):
                self.add_module(f"catmodule_{n}", path)

        def forward(self, x):
            return torch.cat([path(x) for path in self.children()], 1)

    class MonaiPointRegressor(Regressor):
        def _get_layer(self, in_channels, out_channels, strides, is_last):
            d = out_channels - in_channels
            dense = ConvDenseBlock(2, in_channels, (d // 3, d // 3, d // 3 + d % 3), (1, 2, 4), num_res_units=2)
            return torch.nn.Sequential(
                dense, Convolution(2, out_channels, out_channels, strides, act=self.act, conv_only=is_last)
            )

        def _get_final_layer(self, in_shape):
            width = int(in_shape[0])
            inputs = math.prod(int(n) for n in in_shape) // 2
            paths = [
                torch.nn.Sequential(
                    Convolution(2, width, 2 * width, 2, conv_only=True), torch.nn.Flatten(), torch.nn.Linear(inputs, 2)
                )
                for _ in range(10)
            ]
            return torch.nn.Sequential(Parallel(paths), Reshape(2, 10))

    return MonaiPointRegressor((1, 256, 256), (2, 10), (8, 16, 32, 64, 128), (2, 2, 2, 2, 2)).eval()


@pytest.fixture(scope="module")
def network():
    return make_network()


@pytest.fixture(scope="module")
def detector(network, tmp_path_factory):
    """The product's own path with those weights, on torch."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save({"net": network.state_dict()}, folder / "random.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEHEART_BUNDLES", str(folder / "cache"))
        import_file(NAME, folder / "random.pt")
        return PointDetector(NetworkChoice(NAME, RunsOn("cpu", "torch")))


def smooth_cine(shape, count: int, seed: int) -> np.ndarray:
    """Random int16 (T, H, W) of smooth patches that change over time."""
    coarse = torch.rand(1, count, 9, 11, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.interpolate(coarse, size=shape, mode="bicubic")[0] * 900 + 50).numpy().astype(np.int16)


def test_the_network_is_the_published_one(network):
    theirs = monai_network()
    assert sum(p.numel() for p in network.parameters()) == 3_319_962 and len(network.state_dict()) == 174
    assert list(network.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(network.state_dict(), strict=True)
    images = torch.rand(3, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert (network(images) - theirs(images)).abs().max() < 1e-4
    network.load_state_dict(theirs.state_dict(), strict=True)


@pytest.mark.slow
def test_all_frames_at_once_are_the_frames_one_by_one(network, detector):
    images = scale_series(smooth_cine((256, 256), 11, 1))
    with torch.inference_mode():
        alone = torch.cat([network(torch.from_numpy(image)[None, None]) for image in images]).numpy()
    assert alone.shape == (11, 2, 10) and np.ptp(alone) > 50
    assert np.abs(detector.predict(images) - alone).max() <= 1e-4


@pytest.mark.slow
def test_openvino_gives_the_same_points(network, detector, monkeypatch, tmp_path):
    pytest.importorskip("openvino")
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path))
    torch.save(network.state_dict(), tmp_path / "random.pt")
    import_file(NAME, tmp_path / "random.pt")
    images = scale_series(smooth_cine((256, 256), 5, 2))
    other = PointDetector(NetworkChoice(NAME, RunsOn("cpu", "openvino")))
    assert np.abs(other.predict(images) - detector.predict(images)).max() < 0.02


@pytest.mark.slow
def test_monai_runs_the_bundle_to_the_same_points(network, detector, tmp_path):
    frames = smooth_cine((256, 256), 6, 3)
    nibabel.save(nibabel.Nifti1Image(frames.transpose(2, 1, 0)[:, :, None], np.eye(4)), tmp_path / "cine.nii.gz")
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    folders = {"dataset_dir": tmp_path, "output_dir": tmp_path / "out", "ckpt_path": tmp_path / "weights.pt"}
    run_monai("evaluating", "inference", **{name: str(path) for name, path in folders.items()})
    theirs = np.load(tmp_path / "out" / "cine_key-pred.npy")
    assert theirs.shape == (6, 2, 10) and theirs.dtype == np.float32
    cine = read_image(tmp_path / "cine.nii.gz")
    found = detector.detect(cine.frames[:, 0], (1.0, 1.0))
    present = np.isfinite(found.points[..., 0])
    assert present.any()
    # The network's first number runs along the first axis of the NIfTI image: the columns of a cine's frame.
    assert np.abs(found.points[present] - theirs[:, ::-1].transpose(0, 2, 1)[present]).max() <= 1e-4


def run_monai(part: str, config: str, **settings) -> None:
    """The function that ``python -m monai.bundle run`` calls, on the bundle."""
    from monai.bundle import run

    configs = bundle_path(NAME) / "configs"
    files = {"meta_file": configs / "metadata.json", "config_file": configs / f"{config}.json"}
    files |= {"bundle_root": bundle_path(NAME)}
    run(part, **{name: str(path) for name, path in files.items()}, **settings)


def test_points_near_the_origin_are_missing_and_the_view_follows(detector, monkeypatch):
    answers = np.full((4, 2, 10), 0.8, np.float32)
    answers[:, :, [4, 5, 8, 9]] = 120.0  # what the network says of a 4CH view
    answers[2, :, 5] = 3.0
    monkeypatch.setattr(detector, "predict", lambda images, progress: answers)
    found = detector.detect(smooth_cine((256, 256), 4, 0).astype(np.float32), (1.4, 1.4))
    seen = np.isfinite(found.points[..., 0])
    assert seen.all(0).nonzero()[0].tolist() == [4, 8, 9] and not seen[2, 5] and seen[[0, 1, 3], 5].all()
    assert found.views.argmax() == 2 and found.views.sum() == pytest.approx(1.0) and found.views[2] > 0.9
    of_3ch = detector.detect(smooth_cine((256, 256), 4, 0).astype(np.float32), (1.4, 1.4), view="3ch")
    assert not np.isfinite(of_3ch.points).any() and of_3ch.confidence.max() < 0.1
    assert np.isnan(view_shares(np.zeros((3, len(LANDMARK_VIEWS))))).all()


@pytest.mark.parametrize(
    ("shape", "spacing", "resampled"),
    [
        ((256, 256), (0.7, 0.7), (256, 256)),
        ((200, 180), (1.4, 1.4), (200, 180)),
        ((301, 280), (1.2, 1.2), (301, 280)),
        ((512, 400), (0.7, 0.7), (256, 200)),
        ((128, 100), (2.8, 2.8), (256, 200)),
        ((192, 256), (1.4, 1.05), (192, 192)),
    ],
)
def test_images_of_any_size_are_fitted_and_points_mapped_back(shape, spacing, resampled):
    fit = Fit.of(shape, spacing, (256, 256))
    assert fit.resampled == resampled
    middle = np.array([0.45 * shape[0], 0.55 * shape[1]])
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    square = ((rows - middle[0]) * spacing[0]) ** 2 + ((columns - middle[1]) * spacing[1]) ** 2
    seen = fit.apply(np.exp(-square / (2 * 8.0**2))[None].astype(np.float32))[0]
    assert seen.shape == (256, 256)
    rows, columns = np.mgrid[:256, :256]
    centre = np.array([(rows * seen).sum(), (columns * seen).sum()]) / seen.sum()
    assert np.abs(fit.undo(centre) - middle).max() < 0.05


def test_the_published_weights_on_the_published_image(data):
    """With the weights fetched or imported: the 4CH points are where the bundle's own example has them."""
    if not weights_path(bundle_path(NAME)).is_file():
        pytest.skip("no published weights (fetch valve_landmarks and set CINEHEART_BUNDLES to its cache folder)")
    cine = read_image(data / "seed_samples" / "AMRGAtlas_0031.nii.gz")
    found = open_detector(NetworkChoice(NAME, RunsOn("cpu", "torch"))).detect(cine.frames[:, 0], (1.0, 1.0))
    assert np.isfinite(found.points[..., 0]).all(0).nonzero()[0].tolist() == [4, 5, 8, 9]
    assert found.views.argmax() == 2
    expected = data / "seed_samples" / "AMRGAtlas_0031_key-pred.npy"
    if expected.is_file():
        theirs = np.load(expected)[:, ::-1].transpose(0, 2, 1)
        assert np.nanmax(np.abs(found.points - theirs)) < 0.01


def landmark_pair(random, side: int, count: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """An image of Gaussian spots, each of another height, and the landmark image of their centres."""
    label, image = np.zeros((side, side), np.uint8), np.zeros((side, side))
    rows, columns = np.mgrid[:side, :side]
    for n in range(count):
        row, column = random.randint(side // 5, side - side // 5, 2)
        label[row, column] = CODES[n]
        image += (n + 1) * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8.0)
    return image, label


def spot_pair(side: int, place) -> dict:
    """One sharp spot, and its landmark image, as tensors (1, side, side)."""
    rows, columns = np.mgrid[:side, :side]
    image = np.exp(-((rows - place[0]) ** 2 + (columns - place[1]) ** 2) / (2 * 2.0**2)).astype(np.float32)
    label = np.zeros((side, side), np.int32)
    label[place] = 250
    return {"image": torch.from_numpy(image)[None], "label": torch.from_numpy(label)[None]}


def centre_of(image) -> np.ndarray:
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    weight = np.clip(np.asarray(image)[0], 0, None)
    return np.array([(rows * weight).sum(), (columns * weight).sum()]) / weight.sum()


def test_points_from_landmark_images():
    label = np.zeros((1, 20, 30), np.int32)
    label[0, 4, 7], label[0, 11, 29] = 10, 200
    points = PointsFromImaged("label")({"label": torch.from_numpy(label)})["label"]
    assert points.shape == (2, 10) and points.dtype == torch.float32
    assert points[:, 0].tolist() == [4, 7] and points[:, 8].tolist() == [11, 29] and not points[:, [1, 9]].any()
    label[0, 0, 0] = 11
    with pytest.raises(InputError, match="holds the value 11"):
        PointsFromImaged("label")({"label": torch.from_numpy(label)})


@pytest.mark.parametrize("seed", range(4))
def test_deformation_and_shift_move_image_and_points_alike(seed):
    data = spot_pair(256, (100, 152))
    smooth = next(
        step["deform"]
        for step in read_config(bundle_path(NAME), "train").config["augmentation"]
        if step["_target_"].endswith("RandPointDeformd")
    )
    made = {name: value for name, value in smooth.items() if name != "_target_"} | {"spatial_size": (256, 256)}
    deform = RandPointDeformd(("image", "label"), RandSmoothDeform(**made), prob=1.0).set_random_state(seed)
    bent = deform(data)
    assert (bent["label"] != 0).sum() == 1 and bent["label"].max() == 250
    place = np.argwhere(bent["label"].numpy()[0])[0]
    assert np.linalg.norm(place - (100, 152)) > 1.0 and np.linalg.norm(centre_of(bent["image"]) - place) < 1.0
    shifted = RandPointShiftd(("image", "label"), prob=1.0, max_shift=8).set_random_state(seed)(data)
    place = np.argwhere(shifted["label"].numpy()[0])[0]
    assert np.linalg.norm(centre_of(shifted["image"]) - place) < 0.1
    assert not RandPointShiftd(("image", "label"), prob=0.0)(data)["label"].sub(data["label"]).any()


def test_points_that_leave_the_image_are_lost():
    data = spot_pair(32, (0, 31))
    lost = [RandPointShiftd(("image", "label"), prob=1.0).set_random_state(s)(data)["label"].any() for s in range(20)]
    assert not all(lost) and any(lost)


def test_fourier_dropout_keeps_low_frequencies_and_no_high_ones():
    rows = torch.arange(64.0)
    slow, fast = torch.cos(2 * torch.pi * rows / 32), torch.cos(2 * torch.pi * rows * 30 / 64)
    drop = RandFourierDropoutd("image", prob=1.0).set_random_state(0)
    kept, gone = (drop({"image": wave[None, :, None].expand(1, 64, 64)})["image"] for wave in (slow, fast))
    assert torch.allclose(kept[0, :, 0], slow, atol=1e-4) and gone.abs().max() < 1e-4
    noise = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert 0.02 < (drop({"image": noise})["image"] - noise).std() / noise.std() < 1.0


def write_training_data(path, side: int) -> None:
    random = np.random.RandomState(0)
    arrays = {}
    for part, count in (("train", 12), ("test", 4)):
        images, labels = zip(*(landmark_pair(random, side) for _ in range(count)), strict=True)
        arrays |= {f"{part}Imgs": np.array(images), f"{part}LMImgs": np.array(labels)}
    np.savez(path, **arrays)


def test_training_configuration_is_the_published_one():
    config = read_config(bundle_path(NAME), "train").config
    order = [step["_target_"].rpartition(".")[2] for step in config["augmentation"]]
    assert order == [
        "RandAxisFlipd",
        "RandRotate90d",
        "RandSmoothFieldAdjustIntensityd",
        "RandGaussianNoised",
        "RandFourierDropoutd",
        "RandPointDeformd",
        "RandPointShiftd",
    ]
    assert (config["batch_size"], config["iterations"], config["repeats"], config["epochs"]) == (600, 400, 3, 100)
    assert config["learning_rate"] == 1e-4 and config["loss"]["_target_"] == "torch.nn.L1Loss"
    assert config["network_def"] == read_config(bundle_path(NAME), "inference").config["network_def"]


@pytest.mark.slow
def test_monai_trains_the_bundle(tmp_path, monai_log):
    pytest.importorskip("ignite")
    write_training_data(tmp_path / "valvelandmarks.npz", 64)
    settings = {"epochs": 2, "iterations": 4, "repeats": 2, "batch_size": 4, "workers": 0}
    settings |= {"network_def#in_shape": [1, 64, 64], "learning_rate": 0.001}  # 0.01 is chaos: rounding decides
    settings |= {"dataset_dir": str(tmp_path), "output_dir": str(tmp_path / "out")}
    run_monai("training", "train", **settings)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"net_epoch=1.pt", "net_epoch=2.pt", "model.pt"}
    distances = [float(d) for d in re.findall(r"Metrics -- val_mean_distance: ([\d.]+)", monai_log.text)]
    assert len(distances) >= 2 and distances[1] < distances[0]
    first, final = (read_weights(tmp_path / "out" / f"{name}.pt") for name in ("net_epoch=1", "model"))
    assert any(not torch.equal(first[key], final[key]) for key in final)
