"""Speed of the mouse network: the plain forward pass against the fast one, in one run.

Run by hand: ``python Testing/Benchmarks/bench_mouse.py [--rounds 5] [--threads 2]``. Random weights of the published
width; per image of 256 x 256, and for a cine of 200 images. Times are of the processor and of the clock.
"""

import argparse
import time

import numpy as np
import torch

from CardiacLib.networks.backends.onnxruntime_backend import OnnxRuntimePredictor
from CardiacLib.networks.backends.openvino_backend import OpenVinoPredictor
from CardiacLib.networks.backends.torch_backend import TorchPredictor
from CardiacLib.networks.onnx_export import onnx_of
from CardiacSegLib.mouse.networks.fast_skips import fast_path
from CardiacSegLib.mouse.networks.unet3plus import UNet3Plus
from CardiacSegLib.segment.slice_network import softmax

CINE_IMAGES = 200


def once(run, images) -> tuple[float, float]:
    """Seconds of clock and of processor per image."""
    clock, processor = time.perf_counter(), time.process_time()
    run(images)
    return (time.perf_counter() - clock) / len(images), (time.process_time() - processor) / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    plain = UNet3Plus().eval().requires_grad_(False)
    fast = fast_path(plain)
    device = torch.device("cpu")
    runs = {}
    for name, network in (("plain", plain), ("fast", fast)):
        runs[f"torch, {name}"] = TorchPredictor(network, device, bfloat16=False)
        content = onnx_of(network, torch.zeros(1, 1, 256, 256))
        runs[f"openvino, {name}"] = OpenVinoPredictor(content, bfloat16=False)
        runs[f"onnxruntime, {name}"] = OnnxRuntimePredictor(content)
    images = np.random.default_rng(0).random((2, 1, 256, 256), np.float32)
    answers = {name: softmax(run(images)) for name, run in runs.items()}
    times = {name: [once(run, images) for _ in range(given.rounds)] for name, run in runs.items()}
    reference = answers["torch, plain"]
    print(f"{'':20}{'ms clock':>10}{'ms proc.':>10}{'of plain':>10}{'200 images, s':>15}{'difference':>12}")
    first = min(processor for _, processor in times["torch, plain"])
    for name, found in times.items():
        clock, processor = (min(values) for values in zip(*found, strict=True))
        apart = float(np.abs(answers[name] - reference).max())
        print(
            f"{name:20}{1000 * clock:10.0f}{1000 * processor:10.0f}{first / processor:10.2f}"
            f"{CINE_IMAGES * clock:15.0f}{apart:12.1e}"
        )


if __name__ == "__main__":
    main()
