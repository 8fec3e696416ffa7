"""Networks run by ONNX Runtime, which has wheels where OpenVINO has none."""

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.networks.device import processor_threads

BATCH = 4
ERRORS_ONLY = 3
"""Severity from which ONNX Runtime logs."""


class OnnxRuntimePredictor:
    """A network run by ONNX Runtime on the processor in float32; see ``Predictor``.

    Args:
        content: of ``model.onnx``.

    Raises:
        InputError: ONNX Runtime cannot be loaded, or cannot run this network.
    """

    name, device = "onnxruntime", "cpu"

    def __init__(self, content: bytes):
        self.batch, self.threads = BATCH, processor_threads()
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(
                f"ONNX Runtime is installed but cannot be loaded ({error}); install it again or choose another backend."
            ) from error
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of types of its own, without a common one
            raise InputError(f"ONNX Runtime cannot run this network ({error}); choose another backend.") from error
        self._input = self._session.get_inputs()[0].name

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """See ``Predictor``."""
        return self._session.run(None, {self._input: np.ascontiguousarray(inputs, np.float32)})[0]
