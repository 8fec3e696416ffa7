"""Networks run by OpenVINO, which is the fastest on processors."""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.networks.compiled_networks import compiled_file, keep_compiled, read_compiled
from CardiacLib.networks.device import processor_threads, usable_threads

BATCH = 12
"""A whole frame: with every batch the requests wait for one another."""
STREAMS = 4
"""Requests that run at a time, at most."""
TELEMETRY = "openvino_telemetry"


class OpenVinoPredictor:
    """A network run by OpenVINO, on the processor in bfloat16 where that is native and allowed; see ``Predictor``.

    The network is compiled in a thread of its own while the caller reads and prepares its images, once for all sizes of
    slice; the first call waits for it. A batch is cut into as many parts as this process may use threads, up to
    STREAMS, and those are shared among as many requests at a time as it may use now. So the parts, and with them the
    rounding, do not depend on what runs beside.

    Args:
        content: of ``model.onnx``.
        device: ``cpu`` or ``gpu``.
        bfloat16: numbers of three digits are enough.
    """

    name = "openvino"

    def __init__(self, content: bytes, device: str = "cpu", *, bfloat16: bool = True):
        self.device, self.batch, self.threads = device, BATCH, processor_threads()
        self._parts = min(usable_threads(), STREAMS) if device == "cpu" else 1
        self._requests: list = []
        thread = ThreadPoolExecutor(1, "compile")
        self._compiling = thread.submit(compile_network, content, device, bfloat16, self.threads)
        thread.shutdown(wait=False)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """See ``Predictor``.

        Raises:
            InputError: OpenVINO cannot be loaded, or cannot run this network.
        """
        if not self._requests:
            compiled = self._compiling.result()
            streams = int(compiled.get_property("NUM_STREAMS"))
            self._requests = [compiled.create_infer_request() for _ in range(max(streams, 1))]
        parts = np.array_split(inputs, min(max(self._parts, len(self._requests)), len(inputs)))
        count = len(self._requests)
        rounds = [self._run(parts[n : n + count]) for n in range(0, len(parts), count)]
        return rounds[0] if len(rounds) == 1 else np.concatenate(rounds)

    def _run(self, parts: list[np.ndarray]) -> np.ndarray:
        """The answers to as many parts as there are requests, or fewer."""
        running = self._requests[: len(parts)]
        for request, part in zip(running, parts, strict=True):
            request.start_async(np.ascontiguousarray(part, np.float32), share_inputs=True)
        for request in running:
            request.wait()
        return np.concatenate([request.get_output_tensor(0).data for request in running])


def compile_network(content: bytes, device: str = "cpu", bfloat16: bool = True, threads: int = 1):
    """An ONNX network compiled by OpenVINO for slices of any number and size.

    What was compiled before is taken from the cache folder (:mod:`CardiacLib.networks.compiled_networks`).

    Args:
        content: of ``model.onnx``.
        device: ``cpu`` or ``gpu``.
        bfloat16: compute so where that is native.
        threads: for all requests together.

    Raises:
        InputError: OpenVINO cannot be loaded, has no such device, or cannot run this network.
    """
    openvino = _import_openvino()
    core = openvino.Core()
    place = device.upper()
    if place not in {name.split(".")[0] for name in core.available_devices}:
        raise InputError(f"OpenVINO finds no device '{device}' on this machine; choose the device cpu.")
    settings = _settings(core, place, bfloat16, threads)
    made_of = (hashlib.sha256(content).hexdigest(), openvino.__version__, place, settings["INFERENCE_PRECISION_HINT"])
    file = compiled_file(*map(str, made_of))
    compiled = _imported(core, place, read_compiled(file), settings)
    if compiled is not None:
        return compiled
    try:
        compiled = core.compile_model(core.read_model(content), place, settings)
        keep_compiled(file, compiled.export_model().getvalue())
    except Exception as error:  # OpenVINO's readers and plugins raise their own types, without a common one
        raise InputError(f"OpenVINO cannot run this network ({error}); choose another backend.") from error
    return compiled


def _settings(core, place: str, bfloat16: bool, threads: int) -> dict[str, str | int | bool]:
    if place != "CPU":
        return {"INFERENCE_PRECISION_HINT": "f16" if bfloat16 else "f32"}
    native = bfloat16 and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if native else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": min(threads, STREAMS),
        # Pinned threads of several processes would crowd on the same cores.
        "ENABLE_CPU_PINNING": False,
    }


def _imported(core, place: str, exported: bytes | None, settings: dict[str, str | int | bool]):
    """A network that was compiled before; None if it was not, or by an OpenVINO that this one does not understand."""
    try:
        return None if exported is None else core.import_model(exported, place, settings)
    except RuntimeError:
        return None


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
            f"OpenVINO is installed but cannot be loaded ({error}); install it again or choose another backend."
        ) from error
    return openvino
