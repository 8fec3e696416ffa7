"""The interface of what runs a network."""

from typing import Protocol

import numpy as np


class Predictor(Protocol):
    """A network that is loaded, whatever runs it.

    Attributes:
        name: of the backend, one of BACKENDS but ``auto``.
        device: that it runs on: ``cpu``, ``gpu`` (OpenVINO's), or a torch device name.
        batch: slices at a time with which it is fastest per slice; a caller whose memory is short may make it smaller.
    """

    name: str
    device: str
    batch: int

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """The network's answer, float32, for instance logits (N, classes, H, W) of slices (N, C, H, W), float32."""
        ...
