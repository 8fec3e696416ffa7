"""Choose the compute device."""

from CardiacLib.errors import InputError
from CardiacLib.types.choices import AUTO


def choose_device(name: str = AUTO):
    """torch.device for ``auto`` (CUDA, then MPS, then CPU) or for an explicit name such as ``cpu`` or ``cuda:1``.

    Raises:
        InputError: the device does not exist here.
    """
    import torch

    if name == AUTO:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"Device '{name}' cannot be used on this machine; choose 'auto' or 'cpu'.") from error
    return device


def supports_bfloat16(device) -> bool:
    """Whether bfloat16 arithmetic is native, and so faster than float32, on a torch device."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
