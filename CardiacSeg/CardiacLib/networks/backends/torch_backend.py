"""Networks run by PyTorch: on GPUs, and where a network is there as a state dictionary only."""

from pathlib import Path

import numpy as np
import torch

from CardiacLib.networks.bundles import load_network, read_config
from CardiacLib.networks.device import choose_device, supports_bfloat16
from CardiacLib.networks.plain_convolutions import with_plain_convolutions

CPU_BATCH = 4
"""On the processor torch loses by larger batches, to page faults of the memory allocator."""
GPU_BATCH = 16


def open_torch(bundle: Path, device: str, *, trust: bool = False, bfloat16: bool = True) -> "TorchPredictor":
    """The network of a bundle's ``model.pt``.

    Args:
        bundle: folder.
        device: torch device name.
        trust: let the configuration of a foreign bundle run code.
        bfloat16: numbers of three digits are enough.

    Raises:
        InputError: configuration, weights or device cannot be used.
    """
    config = read_config(bundle, "inference", trust)
    place = choose_device(device)
    return TorchPredictor(load_network(bundle, config, place), place, bfloat16=bfloat16)


class TorchPredictor:
    """A network run by torch, in bfloat16 where that is native and allowed; see ``Predictor``.

    Args:
        network: torch module in evaluation mode, on ``device``, that takes slices of any height and width.
        device: torch device.
        bfloat16: numbers of three digits are enough.
    """

    name = "torch"

    def __init__(self, network: torch.nn.Module, device: torch.device, *, bfloat16: bool = True):
        self._network, self._place = with_plain_convolutions(network), device
        self.device, self.batch = str(device), CPU_BATCH if device.type == "cpu" else GPU_BATCH
        self._bfloat16 = bfloat16

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """See ``Predictor``."""
        given = torch.from_numpy(np.ascontiguousarray(inputs, np.float32)).to(self._place)
        half = self._bfloat16 and supports_bfloat16(self._place)
        with torch.inference_mode(), torch.autocast(self._place.type, torch.bfloat16, enabled=half):
            return self._network(given).float().cpu().numpy()
