"""The backends of the networks: which one is taken and why, and that all give what torch gives in float32."""

import importlib.util
import shutil
import sys
import threading

import numpy as np
import pytest

from CardiacLib.errors import InputError
from CardiacLib.networks import device
from CardiacLib.networks.backends import choice as backends
from CardiacLib.networks.backends.ahead import answers
from CardiacLib.networks.backends.choice import choose_backend
from CardiacLib.networks.backends.openvino_backend import OpenVinoPredictor
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.networks.onnx_files import FILE, onnx_path, onnx_problem
from CardiacLib.networks.opened import open_network
from CardiacLib.types.choices import (
    INITIALIZATION_BUNDLE,
    LANDMARK_BUNDLE,
    PROPAGATION_BUNDLE,
    SHORT_AXIS_BUNDLE,
    NetworkChoice,
    RunsOn,
)
from cineheart.cli import main

SHIPPED = {
    SHORT_AXIS_BUNDLE: (6, 112, 128),
    LANDMARK_BUNDLE: (1, 160, 160),
    INITIALIZATION_BUNDLE: (1, 96, 112),
    PROPAGATION_BUNDLE: (9, 96, 80),
}
"""Channels, rows and columns of an input."""
LIGHT = ("openvino", "onnxruntime")


def needs(backend: str):
    return pytest.param(backend, marks=pytest.mark.skipif(not backends.is_installed(backend), reason="not installed"))


@pytest.fixture
def installed(monkeypatch):
    """Sets which backends seem to be there."""

    def only(*names: str):
        monkeypatch.setattr(backends, "is_installed", lambda name: name in names)
        monkeypatch.setattr(backends, "torch_gpu", lambda: None)

    return only


@pytest.mark.parametrize(
    ("there", "taken", "reason"),
    [
        (("openvino", "onnxruntime", "torch"), "openvino", "fastest"),
        (("onnxruntime", "torch"), "onnxruntime", "OpenVINO is not installed"),
        (("torch",), "torch", "OpenVINO and ONNX Runtime are not installed"),
    ],
)
def test_what_is_taken_on_the_processor(installed, there, taken, reason):
    installed(*there)
    for place in ("auto", "cpu"):
        chosen = choose_backend(RunsOn(place))
        assert (chosen.backend, chosen.device) == (taken, "cpu") and reason in chosen.reason
    assert chosen.sentence("net").startswith(f"net is run by {backends.NAMES[taken]} on the processor: ")


def test_a_gpu_is_torchs_or_openvinos(installed, monkeypatch):
    installed("openvino", "onnxruntime", "torch")
    monkeypatch.setattr(backends, "torch_gpu", lambda: "cuda")
    assert choose_backend(RunsOn()) == backends.Chosen("torch", "cuda", "PyTorch is installed and can use it")
    assert choose_backend(RunsOn(backend="torch")).device == "cuda"
    assert choose_backend(RunsOn("cpu")).backend == "openvino"
    assert choose_backend(RunsOn("cuda:1")).backend == "torch"
    assert choose_backend(RunsOn("gpu")).backend == choose_backend(RunsOn("gpu", "openvino")).backend == "openvino"
    for backend in LIGHT:
        with pytest.raises(InputError, match="on the processor, not on 'cuda'"):
            choose_backend(RunsOn("cuda", backend))


def test_what_is_not_there_is_said(installed):
    installed()
    with pytest.raises(InputError, match="Nothing that runs networks is installed"):
        choose_backend(RunsOn())
    for backend, package in (("openvino", "openvino"), ("onnxruntime", "onnxruntime"), ("torch", "cineheart.gpu")):
        with pytest.raises(InputError, match=f"is not installed; get it with: pip install .*{package}"):
            choose_backend(RunsOn(backend=backend))
    with pytest.raises(InputError, match="PyTorch is not installed"):
        choose_backend(RunsOn("mps"))


def test_a_network_without_onnx_is_run_by_torch(installed):
    installed("openvino", "torch")
    chosen = choose_backend(RunsOn(), "mine has no model.onnx")
    assert chosen.backend == "torch" and "no model.onnx" in chosen.reason
    with pytest.raises(InputError, match="OpenVINO cannot run this network: mine has"):
        choose_backend(RunsOn(backend="openvino"), "mine has no model.onnx")
    installed("openvino")
    with pytest.raises(InputError, match=r"Mine has no model.onnx; PyTorch, .* missing"):
        choose_backend(RunsOn(), "mine has no model.onnx")


def test_torch_is_not_imported_to_find_no_gpu(monkeypatch, tmp_path):
    """A build of PyTorch for processors, and one for GPUs without a driver, are told by their files."""
    assert not backends._may_have_gpu(tmp_path) or sys.platform == "darwin"
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libtorch_cuda.so").touch()
    monkeypatch.setattr(backends.sys, "platform", "linux")
    monkeypatch.setattr(backends, "ROCM_DEVICE", tmp_path / "none")

    def no_driver(name):
        raise OSError(name)

    monkeypatch.setattr(backends.ctypes, "CDLL", no_driver)
    assert not backends._may_have_gpu(tmp_path)
    monkeypatch.setattr(backends.ctypes, "CDLL", lambda name: None)
    assert backends._may_have_gpu(tmp_path)


def test_a_network_works_one_batch_ahead():
    """Answers come in order; the next batch runs while one is used; what fails is raised at its batch."""
    begun = {n: threading.Event() for n in range(4)}

    def run(n: int) -> int:
        begun[n].set()
        if n == 3:
            raise InputError("no more")
        return n * n

    given = answers(run, iter(range(4)))
    for n in range(3):
        assert next(given) == n * n
        assert begun[n + 1].wait(5)
    with pytest.raises(InputError, match="no more"):
        next(given)
    assert list(answers(run, [])) == []


def decided(bundle: str, answer: np.ndarray) -> np.ndarray:
    """Labels of every pixel; of the valve points the cell of every point."""
    if bundle == LANDMARK_BUNDLE:
        return answer.reshape(*answer.shape[:2], -1).argmax(-1)
    classes = 4 if bundle == SHORT_AXIS_BUNDLE else 5
    return answer.reshape(len(answer), -1, classes, *answer.shape[2:]).argmax(2)


@pytest.mark.parametrize("backend", [needs(name) for name in LIGHT])
@pytest.mark.parametrize("bundle", SHIPPED)
def test_every_shipped_network_answers_as_torch_does(bundle, backend):
    """In float32, with the weights of model.pt, for every number and size of slices."""
    pytest.importorskip("torch")
    theirs, ours = (
        open_network(NetworkChoice(bundle, RunsOn("cpu", name)), bfloat16=False).predictor
        for name in ("torch", backend)
    )
    channels, rows, columns = SHIPPED[bundle]
    random = np.random.default_rng(3)
    earlier = []
    for shape in ((1, channels, rows, columns), (3, channels, columns, rows)):
        slices = random.random(shape, np.float32)
        expected, found = theirs(slices), ours(slices)
        assert found.dtype == np.float32 and found.shape == expected.shape
        assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())
        labels = [decided(bundle, values) for values in (found, expected)]
        assert (labels[0] == labels[1]).mean() >= 0.9999
        earlier.append((found, found.copy()))
    assert all(np.array_equal(kept, copy) for kept, copy in earlier)


def test_files_of_shipped_networks_fit_their_records():
    for bundle in map(bundle_path, SHIPPED):
        assert onnx_problem(bundle) == "" and onnx_path(bundle).stat().st_size < 10e6


def test_a_file_of_other_weights_is_not_run(random_bundle, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(random_bundle, folder)
    assert onnx_problem(folder) == ""
    weights, file = folder / "models" / "model.pt", folder / "models" / FILE
    weights.write_bytes(weights.read_bytes() + b" ")
    assert "was made of other weights" in onnx_problem(folder)
    file.write_bytes(file.read_bytes()[:-1])
    assert "not the one of its record" in onnx_problem(folder)
    with pytest.raises(InputError, match="cineheart bundles export mine"):
        open_network(NetworkChoice(str(folder), RunsOn("cpu", "openvino")))
    file.unlink()
    assert "has no model.onnx" in onnx_problem(folder)


@pytest.mark.parametrize("backend", [needs(name) for name in LIGHT])
def test_a_broken_backend_is_not_passed_over(random_bundle, monkeypatch, backend):
    monkeypatch.setattr(backends, "is_installed", lambda name: True)
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(InputError, match="cannot be loaded"):
        opened = open_network(NetworkChoice(str(random_bundle), RunsOn("cpu", backend)))
        opened.predictor(np.zeros((1, 6, 16, 16), np.float32))


@pytest.mark.parametrize("backend", [needs(name) for name in LIGHT])
def test_a_network_that_cannot_be_run(backend, tmp_path, monkeypatch):
    folder = tmp_path / "broken"
    shutil.copytree(bundle_path(INITIALIZATION_BUNDLE), folder)
    (folder / "models" / FILE).write_bytes(b"no network")
    monkeypatch.setattr("CardiacLib.networks.opened.onnx_problem", lambda bundle: "")
    with pytest.raises(InputError, match="cannot run this network"):
        opened = open_network(NetworkChoice(str(folder), RunsOn("cpu", backend)))
        opened.predictor(np.zeros((1, 1, 16, 16), np.float32))


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_openvino_takes_as_many_threads_as_it_is_given_and_calls_nobody(monkeypatch):
    monkeypatch.setattr("CardiacLib.networks.backends.openvino_backend.processor_threads", lambda: 1)
    predictor = OpenVinoPredictor(onnx_path(bundle_path(INITIALIZATION_BUNDLE)).read_bytes())
    predictor(np.zeros((1, 1, 32, 32), np.float32))
    compiled = predictor._requests[0].get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert not [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module]
    with pytest.raises(InputError, match="OpenVINO finds no device 'npu7'"):
        OpenVinoPredictor(b"", "npu7")(np.zeros((1, 1, 32, 32), np.float32))


def test_threads_are_those_of_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert device.processor_threads() == 3
    for said in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert device.processor_threads() >= 1


def test_the_command_line_knows_the_backend(tmp_path, capsys):
    import nibabel

    image = tmp_path / "image.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((32, 32, 4), np.float32), np.diag([1.5, 1.5, 8.0, 1.0])), image)
    words = ["segment", str(image), "-o", str(tmp_path / "out"), "--no-scene", "--device", "cpu", "--json"]
    assert main([*words, "--backend", "onnx"]) == 2
    assert "No backend 'onnx'; choose one of auto, openvino, onnxruntime, torch" in capsys.readouterr().err
