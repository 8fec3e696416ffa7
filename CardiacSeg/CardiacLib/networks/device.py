"""Choose the compute device, and how much of it."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from CardiacLib.errors import InputError
from CardiacLib.types.choices import AUTO

X86 = ("x86_64", "amd64", "i386", "i686")
"""What ``platform.machine`` calls processors of this kind, lower case."""


_left: list[int] = []
"""Cores that blocks of :func:`leaving_cores` leave to other processes."""


@contextmanager
def leaving_cores(count: int = 1) -> Iterator[None]:
    """Networks that are opened in the block have ``count`` threads fewer, at least one."""
    _left.append(count)
    try:
        yield
    finally:
        _left.remove(count)


def processor_threads() -> int:
    """Threads for networks that are opened now: the usable ones, without those that are left to other processes."""
    return max(usable_threads() - sum(_left), 1)


def usable_threads() -> int:
    """As many as OMP_NUM_THREADS says, else one for each core that this process may use."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdigit() and int(said) > 0:
        return int(said)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def import_torch(why: str):
    """The module torch; InputError, with ``why`` it is needed, where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise InputError(f"PyTorch is not installed, and {why}; get it with: pip install 'cineheart[gpu]'") from error
    return torch


def choose_device(name: str = AUTO):
    """torch.device for ``auto`` (CUDA, then MPS, then CPU) or for an explicit name such as ``cpu`` or ``cuda:1``.

    Raises:
        InputError: the device does not exist here, or PyTorch is not installed.
    """
    torch = import_torch(f"the device '{name}' is chosen by it")
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
    """Whether bfloat16 arithmetic is native, and so faster than float32, on a torch device.

    oneDNN also takes bfloat16 on x86 processors that only emulate it, three times slower than float32.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    emulated = platform.machine().lower() in X86 and not torch.cpu._is_avx512_bf16_supported()
    return device.type == "cpu" and not emulated and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
