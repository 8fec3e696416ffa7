"""UNet 3+ of the mouse framework: its size, its fast form, and Keras weights against a forward pass in numpy."""

import zipfile

import h5py
import numpy as np
import pytest
import torch
from keras_files import LAYOUTS, SMALL, block, forward, pooled, random_layers, upsampled, write_keras

from CardiacLib.errors import InputError
from CardiacLib.networks.keras.weights import keras_state
from CardiacLib.networks.model_store import import_file
from CardiacLib.networks.opened import open_network
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacSegLib.mouse.networks.fast_skips import FastUNet3Plus, fast_path
from CardiacSegLib.mouse.networks.unet3plus import PUBLISHED, UNet3Plus, n_numbers

IMAGE = np.random.default_rng(1).random((48, 32))


@pytest.fixture(scope="module")
def layers():
    return random_layers()


def loaded(path, kind=UNet3Plus, **options):
    network = kind(SMALL, **options)
    network.load_state_dict(keras_state(network, path), strict=True)
    return network.eval().double()


def answers(network, image=IMAGE):
    with torch.no_grad():
        found = network(torch.from_numpy(image)[None, None])
    found = found if isinstance(found, list) else [found]
    return [a.softmax(1)[0].permute(1, 2, 0).numpy() for a in found]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whole_network_in_every_layout(tmp_path, layers, layout):
    path = write_keras(tmp_path / ("m.keras" if "archive" in layout else "m.h5"), layers, layout)
    wanted = forward(layers, IMAGE[..., None])
    found = answers(loaded(path, supervised=True))
    assert len(found) == len(wanted) == 5
    for a, b in zip(found, wanted, strict=True):
        assert np.abs(a - b).max() < 1e-12
    assert np.ptp(wanted[-1][..., 0]) > 0.1  # the answer depends on the image


def test_blocks(tmp_path, layers):
    network = loaded(write_keras(tmp_path / "m.h5", layers))
    image = np.random.default_rng(2).random((16, 16, 5))
    with torch.no_grad():
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
        small = network.skip(tensor[:, :2], 1, 4)[0].permute(1, 2, 0).numpy()
        large = network.skip(tensor, 4, 1)[0].permute(1, 2, 0).numpy()
    assert np.allclose(small, block(layers, "Skip1_4", pooled(image[..., :2], 8)), atol=1e-13)
    assert np.allclose(large, block(layers, "Skip4_1", upsampled(image, 8)), atol=1e-13)


def test_published_width_and_fast_path():
    network = UNet3Plus().eval()
    assert n_numbers(network) == 12_963_443 and network.filters == PUBLISHED
    small = UNet3Plus((4, 8, 16, 24, 32)).eval()
    for layer in small.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.running_mean, std=0.2)
            torch.nn.init.uniform_(layer.running_var, 0.3, 2.0)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    images = torch.rand(2, 1, 96, 64)
    with torch.no_grad():
        fast = fast_path(small)
        apart = (fast(images).softmax(1) - small(images).softmax(1)).abs().max()
        again = (fast(images[..., :48]).softmax(1) - small(images[..., :48]).softmax(1)).abs().max()
    assert apart < 1e-5 and again < 1e-5
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fast.modules())


def test_fast_form_learns_alike():
    plain, images = UNet3Plus(SMALL), torch.rand(2, 1, 32, 32)
    fast = FastUNet3Plus(SMALL)
    fast.load_state_dict(plain.state_dict())
    for network in (plain, fast):
        sum(answer.square().mean() for answer in network(images)).backward()
    for a, b in zip(plain.parameters(), fast.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=2e-5)


def test_shipped_network_answers_alike_without_pytorch():
    images = np.random.default_rng(3).random((2, 1, 256, 256), np.float32)
    plain, *others = (
        open_network(NetworkChoice("mouse_short_axis_small", RunsOn("cpu", backend)), bfloat16=False)
        for backend in ("torch", "openvino", "onnxruntime")
    )
    wanted = plain.predictor(images)
    for other in others:
        found = other.predictor(images)
        assert np.abs(found - wanted).max() < 1e-4
        assert (found.argmax(1) == wanted.argmax(1)).mean() > 0.9999


@pytest.mark.slow
def test_import_of_the_published_width(tmp_path, monkeypatch):
    monkeypatch.setenv("CINEHEART_BUNDLES", str(tmp_path / "cache"))
    monkeypatch.setattr("CardiacLib.networks.onnx_export.can_export", lambda: False)  # tried with the shipped width
    layers = random_layers(PUBLISHED)
    weights = import_file("mouse_short_axis", write_keras(tmp_path / "SEG459.h5", layers))
    state = torch.load(weights, weights_only=True)
    placed = sum(v.numel() for k, v in state.items() if not k.endswith("num_batches_tracked"))
    assert placed == sum(a.size for v in layers.values() for a in v.values()) == 12_963_443
    kernel = layers["Decoder1_Conv_1"]["kernel"]
    assert np.array_equal(state["decoder.1.0.weight"].numpy(), kernel.transpose(3, 2, 0, 1))


def wrong_layers(change):
    layers = random_layers()
    change(layers)
    return layers


def variable(layer, name, value):
    def change(layers):
        layers[layer][name] = value(layers[layer][name])

    return change


def renamed(layers):
    for name in list(layers):
        layers[f"vgg_{name}"] = layers.pop(name)


def no_h5(path):
    path.write_bytes(b"PK is no such file, nor is this HDF5")


def cut(path):
    write_keras(path, random_layers())
    path.write_bytes(path.read_bytes()[:20_000])


def data_file(path):
    with h5py.File(path, "w") as file:
        file["Images"] = np.zeros((4, 4, 2, 2))


def nameless(path):
    write_keras(path, random_layers(), "keras3 weights, plain")


def other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("models/model.pt", b"")


def external(path):
    with h5py.File(path, "w") as file:
        file["model_weights"] = h5py.ExternalLink("/etc/other.h5", "/")


def layer_wise(*changes):
    return lambda path: write_keras(path, wrong_layers(lambda layers: [c(layers) for c in changes]))


WRONG = {
    "no such file": (lambda path: None, "no such weights file"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "no HDF5": (no_h5, "no readable file of Keras weights"),
    "cut short": (cut, "no readable file of Keras weights"),
    "data instead of weights": (data_file, "holds no Keras weights"),
    "links out of the file": (external, "holds no Keras weights"),
    "another model": (layer_wise(renamed), "another network"),
    "a layer less": (layer_wise(lambda layers: layers.pop("Skip5_1_BN_1")), "lacks 1 of 78 layers"),
    "a layer more": (
        layer_wise(lambda layers: layers.update(dense={"kernel": np.zeros((3, 3), np.float32)})), "1 layers that this",
    ),
    "no bias": (layer_wise(lambda layers: layers["Decoder2_Conv_1"].pop("bias")), "'Decoder2_Conv_1' has no bias"),
    "another width": (lambda path: write_keras(path, random_layers((4, 5, 6, 7, 8))), "another width or kind"),
    "channels first": (
        layer_wise(variable("Encoder2_Conv_1", "kernel", lambda k: k.transpose(3, 2, 0, 1))), "has the shape",
    ),
    "a number that is none": (
        layer_wise(variable("Encoder5_BN_2", "moving_mean", lambda m: m * np.float32(np.nan))), "no finite number",
    ),
    "negative variance": (layer_wise(variable("Decoder3_BN_1", "moving_variance", lambda v: -v)), "is negative"),
    "whole numbers": (
        layer_wise(variable("Encoder1_Conv_1", "kernel", lambda k: k.astype(np.int8))), "give weights of float",
    ),
    "Keras 3 without names": (nameless, "does not name its layers"),
    "another zip": (other_zip, "no Keras model"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_files_are_refused_in_one_sentence(tmp_path, kind):
    make, message = WRONG[kind]
    path = tmp_path / "SEG.h5"
    make(path)
    with pytest.raises(InputError, match=message) as refused:
        keras_state(UNet3Plus(SMALL), path)
    text = str(refused.value)
    assert text.startswith(str(path)) and "\n" not in text and text.endswith(".")
