"""Label all frames of a short-axis cine on its own grid."""

import numpy as np

from CardiacLib.bundles import bundle_path, load_network, read_config
from CardiacLib.cine import Cine
from CardiacLib.device import choose_device, supports_bfloat16
from CardiacLib.errors import InputError
from CardiacLib.labels import LabelMap
from CardiacLib.progress import Progress, part, silent

from .postprocess import clean_frame
from .preprocess import normalise, pad_to_multiple, resampled_shape, sample_slices, with_neighbours

BATCH = 4
"""Slices per batch on the CPU: larger ones are slower there (page faults of the allocator)."""


def segment(cine: Cine, bundle: str = "cineheart_sax", device: str = "auto", progress: Progress = silent) -> LabelMap:
    """Label LV blood pool, LV myocardium and RV blood pool in every frame.

    Args:
        cine: short-axis stack; any orientation, slice order, pixel size and number of slices.
        bundle: name or folder of the network's MONAI bundle.
        device: ``auto`` or a torch device name.
        progress: called with the fraction done; may raise ``Cancelled``.

    Returns:
        Labels on the grid of the cine.

    Raises:
        InputError: the view is a long-axis view, or bundle or device cannot be used.
    """
    progress(0.0, "loading the network")
    return Segmenter(bundle, device)(cine, part(progress, 0.05, 1.0))


class Segmenter:
    """A short-axis network, loaded once; call it with a cine to get a LabelMap. Arguments as of :func:`segment`."""

    def __init__(self, bundle: str = "cineheart_sax", device: str = "auto"):
        folder = bundle_path(bundle)
        parser = read_config(folder, "inference")
        self.network = load_network(folder, parser, choose_device(device))
        self.pixel_mm = float(parser.get_parsed_content("pixel_mm"))

    def __call__(self, cine: Cine, progress: Progress = silent) -> LabelMap:
        if cine.view not in ("sax", "other"):
            raise InputError(f"{cine.source}: is a {cine.view} view; the network labels short-axis stacks only.")
        labels = label_frames(cine, self.network, self.pixel_mm, part(progress, 0.0, 0.95))
        cleaned = [clean_frame(frame) for frame in labels]
        progress(1.0, "labelled all frames")
        return LabelMap(np.stack(cleaned), cine.ijk_to_lps, cine.times_ms, cine.source)


def label_frames(cine: Cine, network, pixel_mm: float, progress: Progress = silent) -> np.ndarray:
    """Network labels of every frame without clean-up, uint8 (T, K, J, I) on the grid of the cine."""
    import torch

    device = next(network.parameters()).device
    spacing = (cine.spacing[1], cine.spacing[0])
    grid = cine.frames.shape[2:]
    shape = resampled_shape(grid, spacing, pixel_mm)
    to_network = tuple(pixel_mm / s for s in spacing)
    to_cine = tuple(s / pixel_mm for s in spacing)
    images = torch.from_numpy(normalise(cine.frames))
    out = np.empty(cine.frames.shape, np.uint8)
    for t, frame in enumerate(images):
        progress(t / len(images), f"labelling frame {t + 1} of {len(images)}")
        stack = sample_slices(frame[:, None], to_network, shape)[:, 0]
        inputs = pad_to_multiple(with_neighbours(stack), 16)
        for k in range(0, len(inputs), BATCH):
            probabilities = _probabilities(network, inputs[k : k + BATCH].to(device))[..., : shape[0], : shape[1]]
            labels = sample_slices(probabilities, to_cine, grid).argmax(1)
            out[t, k : k + BATCH] = labels.to(torch.uint8).cpu().numpy()
    return out


def _probabilities(network, inputs):
    import torch

    device = inputs.device
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
        logits = network(inputs)
    return logits.float().softmax(1)
