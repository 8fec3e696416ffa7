"""Which backend runs a network: by what is installed, by the device, and by what the bundle holds."""

import ctypes
import importlib.util
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.types.choices import AUTO, OPENVINO_GPU, RunsOn

NAMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "torch": "PyTorch"}
PACKAGES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "torch": "'cineheart[gpu]'"}
"""What to ask pip for."""
GPU_LIBRARIES = ("*torch_cuda*", "*torch_hip*")
"""Files of builds of PyTorch that can use a GPU."""
DRIVERS = {"win32": "nvcuda.dll", "linux": "libcuda.so.1"}
ROCM_DEVICE = Path("/dev/kfd")


@dataclass(frozen=True)
class Chosen:
    """What runs a network, and why.

    Attributes:
        backend: one of NAMES.
        device: ``cpu``, ``gpu`` or a torch device name.
        reason: half a sentence.
    """

    backend: str
    device: str
    reason: str

    def sentence(self, network: str) -> str:
        """For people; ``network`` is the name of its bundle."""
        place = "the processor" if self.device == "cpu" else f"the device {self.device}"
        return f"{network} is run by {NAMES[self.backend]} on {place}: {self.reason}"


def is_installed(backend: str) -> bool:
    """Whether a backend's package is there; it is not imported."""
    return importlib.util.find_spec(backend) is not None


def choose_backend(runs_on: RunsOn, onnx_problem: str = "") -> Chosen:
    """The backend for a network.

    ``auto`` is PyTorch where it is installed and can use a GPU, else OpenVINO, ONNX Runtime or PyTorch, the first that
    is installed. A network without ``model.onnx`` is run by PyTorch.

    Args:
        runs_on: what the user asks for.
        onnx_problem: why OpenVINO and ONNX Runtime cannot run it; empty if they can.

    Raises:
        InputError: what was asked for is not installed, not for this device, or cannot run this network.
    """
    backend, device = runs_on.backend, runs_on.device
    if backend == AUTO:
        return _automatic(device, onnx_problem)
    if not is_installed(backend):
        raise InputError(f"{NAMES[backend]} is not installed; get it with: pip install {PACKAGES[backend]}")
    if backend == "torch":
        found = torch_gpu() if device == AUTO else device
        return Chosen(backend, found or "cpu", "it was asked for")
    allowed = (AUTO, "cpu", OPENVINO_GPU) if backend == "openvino" else (AUTO, "cpu")
    if device not in allowed:
        raise InputError(
            f"{NAMES[backend]} runs networks on the processor, not on '{device}'; choose the device cpu or the "
            "backend torch."
        )
    if onnx_problem:
        raise InputError(f"{NAMES[backend]} cannot run this network: {onnx_problem}.")
    return Chosen(backend, "cpu" if device == AUTO else device, "it was asked for")


def _automatic(device: str, onnx_problem: str) -> Chosen:
    if device == OPENVINO_GPU:
        return choose_backend(RunsOn(device, "openvino"), onnx_problem)
    if device not in (AUTO, "cpu"):
        return choose_backend(RunsOn(device, "torch"))
    if device == AUTO and (gpu := torch_gpu()) is not None:
        return Chosen("torch", gpu, "PyTorch is installed and can use it")
    if onnx_problem:
        if not is_installed("torch"):
            raise InputError(f"{onnx_problem[0].upper()}{onnx_problem[1:]}; PyTorch, which could run it, is missing.")
        return Chosen("torch", "cpu", onnx_problem)
    missing: list[str] = []
    for backend, name in NAMES.items():
        if is_installed(backend):
            lacking = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
            return Chosen(backend, "cpu", lacking if missing else "it is the fastest there")
        missing.append(name)
    raise InputError("Nothing that runs networks is installed; get it with: pip install openvino")


def torch_gpu() -> str | None:
    """The GPU that PyTorch would use, ``cuda`` or ``mps``; None if there is none, or no PyTorch.

    PyTorch, which takes seconds to import, is asked only where its build and the machine leave it possible.
    """
    spec = importlib.util.find_spec("torch")
    if (
        spec is None
        or not spec.submodule_search_locations
        or not _may_have_gpu(Path(spec.submodule_search_locations[0]))
    ):
        return None
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def _may_have_gpu(package: Path) -> bool:
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if not any(next((package / "lib").glob(pattern), None) for pattern in GPU_LIBRARIES):
        return False
    try:
        ctypes.CDLL(DRIVERS.get(sys.platform, DRIVERS["linux"]))
    except OSError:
        return ROCM_DEVICE.exists()
    return True
