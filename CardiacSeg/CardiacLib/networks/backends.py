"""What runs a network: torch, or OpenVINO, which is faster on the processor.

A predictor is called with float32 slices (N, C, H, W) on its ``device`` and gives the network's float32 answer there,
logits (N, classes, H, W) for instance. Its ``batch`` is the N at which it is fastest per slice, its ``name`` the
backend's, and what calls it time and again does so within ``with predictor.running():``. Measured by
Testing/Benchmarks/bench_segment.py.
"""

import copy
import importlib.util
import sys
import warnings
from contextlib import contextmanager

from CardiacLib.errors import InputError
from CardiacLib.types.choices import AUTO, BACKENDS, require_choice

from .compiled_networks import compiled_file, keep_compiled, read_compiled
from .device import supports_bfloat16

CPU_BATCH = 4
"""On the processor torch loses by larger batches, to page faults of the memory allocator."""
OPENVINO_BATCH = 12
"""A whole frame: with every batch the requests wait for one another."""
STREAMS = 4
"""Requests of OpenVINO that run at a time, at most."""
GPU_BATCH = 16
TELEMETRY = "openvino_telemetry"


def make_predictor(network, device, backend: str = AUTO, *, bfloat16: bool = True):
    """The predictor of a network.

    Args:
        network: torch module in evaluation mode, on ``device``, that takes slices of any height and width.
        device: torch device.
        backend: one of BACKENDS; ``auto`` is OpenVINO where it is installed and the device is the CPU, else torch.
        bfloat16: compute so where that is native; False for networks whose answer needs more than its three digits.

    Raises:
        InputError: the backend is unknown, not installed, or not for this device.
    """
    require_choice(backend, BACKENDS, "backend")
    from .plain_convolutions import with_plain_convolutions  # imports torch

    network = with_plain_convolutions(network)
    installed = importlib.util.find_spec("openvino") is not None
    if backend == "torch" or (backend == AUTO and not (installed and device.type == "cpu")):
        return TorchPredictor(network, device, bfloat16)
    if not installed:
        raise InputError("OpenVINO is not installed; get it with 'pip install openvino' or choose the backend torch.")
    if device.type != "cpu":
        raise InputError(
            f"OpenVINO runs networks on the processor, not on '{device}'; choose the device cpu or the backend torch."
        )
    return OpenVinoPredictor(network, device, bfloat16)


class TorchPredictor:
    """A network run by torch, in bfloat16 where that is native and allowed."""

    name = "torch"

    def __init__(self, network, device, bfloat16: bool = True):
        self.network, self.device = network, device
        self.bfloat16 = bfloat16
        self.batch = CPU_BATCH if device.type == "cpu" else GPU_BATCH

    def __call__(self, inputs):
        import torch

        enabled = self.bfloat16 and supports_bfloat16(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=enabled):
            return self.network(inputs).float()

    @contextmanager
    def running(self):
        """Without gradients."""
        import torch

        with torch.inference_mode():
            yield


class OpenVinoPredictor:
    """A network run by OpenVINO on the processor, in bfloat16 where that is native and allowed, with as many
    threads as torch.

    The network is compiled at the first call, once for all sizes of slice. A batch is shared among as many requests at
    a time as there are threads, up to STREAMS.
    """

    name = "openvino"
    batch = OPENVINO_BATCH

    def __init__(self, network, device, bfloat16: bool = True):
        import torch

        self.network, self.device = network, device
        self.bfloat16, self.threads = bfloat16, torch.get_num_threads()
        self._compiled, self._requests = None, []

    def __call__(self, inputs):
        import torch

        if self._compiled is None:
            self._compiled = compile_network(self.network, inputs[:1], self.bfloat16, self.threads)
            streams = self._compiled.get_property("NUM_STREAMS")
            self._requests = [self._compiled.create_infer_request() for _ in range(streams)]
        parts = [part.contiguous().numpy() for part in inputs.chunk(len(self._requests))]
        running = self._requests[: len(parts)]
        for request, part in zip(running, parts, strict=True):
            request.start_async(part, share_inputs=True)
        for request in running:
            request.wait()
        return torch.cat([torch.from_numpy(request.get_output_tensor(0).data) for request in running])

    @contextmanager
    def running(self):
        """Without gradients, and with one thread of torch: its others, waiting for work, would keep cores busy."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(threads)


def compile_network(network, example, bfloat16: bool = True, threads: int = 1):
    """A torch network compiled by OpenVINO for slices of any number and size.

    What was compiled before is taken from the cache folder (:mod:`CardiacLib.networks.compiled_networks`).

    Args:
        network: torch module in evaluation mode on the CPU.
        example: float32 (1, C, H, W) input to trace it with.
        bfloat16: compute so where that is native.
        threads: for all requests together.

    Raises:
        InputError: OpenVINO cannot be loaded, or cannot run this network.
    """
    import torch

    openvino = _import_openvino()
    core = openvino.Core()
    native = bfloat16 and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if native else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": min(threads, STREAMS),
        # Pinned threads of several processes would crowd on the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    file = compiled_file(network, openvino.__version__, torch.__version__, settings["INFERENCE_PRECISION_HINT"])
    compiled = None if file is None else _imported(core, read_compiled(file), settings)
    if compiled is not None:
        return compiled
    try:
        compiled = core.compile_model(_converted(openvino, network, example), "CPU", settings)
        if file is not None:
            keep_compiled(file, compiled.export_model().getvalue())
    except Exception as error:  # OpenVINO's converters and plugins raise their own types, without a common one
        raise InputError(f"OpenVINO cannot run this network ({error}); choose the backend torch.") from error
    return compiled


def _imported(core, exported: bytes | None, settings: dict[str, str | int | bool]):
    """A network that was compiled before; None if it was not, or by an OpenVINO that this one does not understand."""
    try:
        return None if exported is None else core.import_model(exported, "CPU", settings)
    except RuntimeError:
        return None


def _converted(openvino, network, example):
    """The OpenVINO model of a torch network."""
    import torch

    if any(weights.requires_grad for weights in network.parameters()):  # what is traced as constant must not
        network = copy.deepcopy(network).requires_grad_(False)

    def answer(slices):
        return network(slices)

    with torch.no_grad(), warnings.catch_warnings():
        # Instance normalisation looks at sizes, to refuse slices of one pixel.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        # A traced function holds the weights as constants, and takes a third of the time of a traced and frozen module.
        traced = torch.jit.trace(answer, example, check_trace=False)
    return openvino.convert_model(traced, example_input=example)


def _import_openvino():
    """OpenVINO without its telemetry.

    Merely imported, OpenVINO reports its use to its makers when the package that does so is there. CineHeart calls
    nobody unasked, so that package is hidden: OpenVINO then works as if it were not installed.
    """
    sys.modules.setdefault(TELEMETRY, None)
    try:
        import openvino
    except ImportError as error:
        raise InputError(
            f"OpenVINO is installed but cannot be loaded ({error}); install it again or choose the backend torch."
        ) from error
    return openvino
