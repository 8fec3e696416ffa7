"""The backends of the networks: which one is taken, and that OpenVINO gives what torch gives."""

import importlib.util
import sys

import numpy as np
import pytest
import torch

from CardiacLib.errors import InputError
from CardiacLib.metrics import dice
from CardiacLib.networks.backends import GPU_BATCH, OpenVinoPredictor, TorchPredictor, make_predictor
from CardiacLib.networks.device import supports_bfloat16
from CardiacLib.networks.plain_convolutions import PlainConvTranspose2d, with_plain_convolutions
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, RV
from CardiacSegLib import Segmenter
from cineheart.cli import main

CPU = torch.device("cpu")
needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")


@pytest.fixture(scope="module")
def network():
    """A narrow network of the kind of the bundles, random."""
    from monai.networks.nets import UNet

    torch.manual_seed(1)
    norm = ("INSTANCE", {"affine": True})
    return UNet(2, 3, 4, (4, 8, 8), (2, 2), num_res_units=2, norm=norm, act="LEAKYRELU").eval()


@pytest.fixture
def no_openvino(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "openvino" else find(name))


def test_unknown_backend(network):
    with pytest.raises(InputError, match="No backend 'onnx'; choose one of auto, torch, openvino"):
        make_predictor(network, CPU, "onnx")


def test_torch_where_openvino_is_not_installed(network, no_openvino):
    assert isinstance(make_predictor(network, CPU), TorchPredictor)
    with pytest.raises(InputError, match=r"OpenVINO is not installed; .*pip install openvino"):
        make_predictor(network, CPU, "openvino")


def test_a_broken_openvino_is_not_passed_over(network, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "openvino", None)
    predictor = make_predictor(network, CPU)
    with pytest.raises(InputError, match="cannot be loaded"):
        predictor(torch.zeros(1, 3, 16, 16))


def test_transposed_convolutions_of_stride_one_become_convolutions():
    from monai.networks.nets import UNet

    torch.manual_seed(3)
    network = UNet(2, 3, 4, (4, 8, 8), (1, 2), num_res_units=2).eval()
    plain = with_plain_convolutions(network)
    changed = {m.stride for m in plain.modules() if isinstance(m, PlainConvTranspose2d)}
    left = {m.stride for m in plain.modules() if type(m) is torch.nn.ConvTranspose2d}
    assert changed == {(1, 1)} and left == {(2, 2)}
    assert not any(isinstance(m, PlainConvTranspose2d) for m in network.modules())
    network.load_state_dict(plain.state_dict())
    slices = torch.randn(2, 3, 20, 28)
    with torch.inference_mode():
        torch.testing.assert_close(plain(slices), network(slices))
    assert with_plain_convolutions(plain) is plain


@pytest.mark.parametrize("options", [{"padding": 0}, {"padding": 1}, {"padding": 2, "bias": False}])
def test_a_turned_kernel_gives_what_the_transposed_one_gives(options):
    transposed = torch.nn.ConvTranspose2d(3, 5, (3, 5), **options).eval()
    slices = torch.randn(2, 3, 9, 11)
    plain = with_plain_convolutions(torch.nn.Sequential(transposed))
    assert type(plain[0]) is PlainConvTranspose2d and not plain[0].training
    with torch.inference_mode():
        torch.testing.assert_close(plain(slices), transposed(slices))


@needs_openvino
def test_openvino_is_taken_on_the_processor_only(network):
    assert make_predictor(network, CPU).name == "openvino"
    assert make_predictor(network, CPU, "torch").name == "torch"
    other = make_predictor(network, torch.device("cuda"))
    assert other.name == "torch" and other.batch == GPU_BATCH
    with pytest.raises(InputError, match="not on 'cuda'"):
        make_predictor(network, torch.device("cuda"), "openvino")


@needs_openvino
def test_same_logits_for_every_number_and_size_of_slices(network):
    """To bfloat16's rounding where the processor has it, else to float32's."""
    predictor = make_predictor(network, CPU, "openvino")
    tolerance = 3e-2 if supports_bfloat16(CPU) else 1e-4
    assert predictor.device == CPU and 1 <= predictor.batch <= 16
    earlier = []
    for shape in [(2, 3, 48, 64), (1, 3, 32, 32), (5, 3, 64, 48)]:
        inputs = torch.rand(shape, generator=torch.Generator().manual_seed(shape[0])).transpose(2, 3)
        with torch.inference_mode():
            expected = network(inputs)
        found = predictor(inputs)
        assert found.dtype == torch.float32 and found.device == CPU
        assert torch.allclose(found, expected, atol=tolerance * float(expected.abs().max()))
        earlier.append((found, found.clone()))
    assert all(torch.equal(kept, copy) for kept, copy in earlier)


@needs_openvino
def test_as_many_threads_as_torch_and_nobody_is_called(network, monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    predictor = OpenVinoPredictor(network, CPU)
    predictor(torch.zeros(1, 3, 16, 16))
    assert predictor._compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert predictor._compiled.get_property("ENABLE_CPU_PINNING") is False
    assert not [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module]


@pytest.mark.parametrize("backend", ["torch", pytest.param("openvino", marks=needs_openvino)])
def test_torch_does_not_keep_cores_busy_beside_openvino(network, backend, monkeypatch):
    threads = [4]
    monkeypatch.setattr("torch.get_num_threads", lambda: threads[-1])
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    predictor = make_predictor(network, CPU, backend)
    with pytest.raises(KeyError), predictor.running():
        assert torch.is_inference_mode_enabled()
        assert threads[-1] == (1 if backend == "openvino" else 4)
        raise KeyError
    assert threads[-1] == 4


@needs_openvino
def test_a_network_that_openvino_cannot_run():
    class Strange(torch.nn.Module):
        def forward(self, inputs):
            return torch.linalg.eigvals(inputs).real

    with pytest.raises(InputError, match="cannot run this network"):
        make_predictor(Strange().eval(), CPU, "openvino")(torch.zeros(1, 3, 4, 4))


@pytest.mark.slow
@needs_openvino
def test_the_shipped_network_labels_the_phantom_alike(phantom):
    cine = phantom.cines["sax"]
    two = Cine(cine.frames[[0, phantom.es]], cine.ijk_to_lps, cine.times_ms[[0, phantom.es]], "sax")
    labels = [
        Segmenter(NetworkChoice(runs_on=RunsOn("cpu", backend))).segment(two).labels.labels
        for backend in ("torch", "openvino")
    ]
    heart = (labels[0] > 0) | (labels[1] > 0)
    assert (labels[0] == labels[1])[heart].mean() >= 0.999
    assert all(dice(labels[0] == label, labels[1] == label) > 0.999 for label in (LV, MYO, RV))


def test_the_command_line_knows_the_backend(tmp_path, capsys):
    import nibabel

    image = tmp_path / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((32, 32, 4), np.float32), np.diag([1.5, 1.5, 8.0, 1.0])), image)
    words = ["segment", str(image), "-o", str(tmp_path / "out"), "--no-scene", "--device", "cpu", "--json"]
    assert main([*words, "--backend", "onnx"]) == 2
    assert "No backend 'onnx'" in capsys.readouterr().err
