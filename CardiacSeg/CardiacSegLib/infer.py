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
SCOUT_FRAMES = 3
"""Frames in which the heart is looked for."""
MARGIN = 12
"""Network pixels between the heart and the border of its window."""


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
    """A short-axis network, loaded once; call it with a cine to get a LabelMap. Arguments as of :func:`segment`.

    The network sees the heart twice: in a few frames of the whole field, to find it, and then in every frame in a
    window round it, of the size it was trained on. Its instance normalisation sees what the window holds: on the
    whole field, with more background, it draws the myocardium too thick.
    """

    def __init__(self, bundle: str = "cineheart_sax", device: str = "auto"):
        folder = bundle_path(bundle)
        parser = read_config(folder, "inference")
        self.network = load_network(folder, parser, choose_device(device))
        self.pixel_mm = float(parser.get_parsed_content("pixel_mm"))
        self.window = int(parser.get_parsed_content("window"))

    def __call__(self, cine: Cine, progress: Progress = silent) -> LabelMap:
        if cine.view not in ("sax", "other"):
            raise InputError(f"{cine.source}: is a {cine.view} view; the network labels short-axis stacks only.")
        images = normalise(cine.frames)
        # DICOM and NIfTI round the same spacing differently, and the same study must give the same voxels. Thirds of
        # a step, because no spacing that occurs (350/256, 1.4, ...) lies near such a limit.
        spacing = tuple((np.floor(cine.spacing[[1, 0]] * 1e4 + 1 / 3) / 1e4).tolist())
        chosen = np.unique(np.linspace(0, cine.n_frames - 1, SCOUT_FRAMES).round().astype(int))
        scout = label_frames(images[chosen], spacing, self.network, self.pixel_mm, part(progress, 0.0, 0.2))
        window = heart_window(scout, spacing, self.pixel_mm, self.window)
        progress(0.2, "heart found" if window else "no heart found, looking everywhere")
        labels = label_frames(images, spacing, self.network, self.pixel_mm, part(progress, 0.2, 0.95), window)
        cleaned = [clean_frame(frame) for frame in labels]
        progress(1.0, "labelled all frames")
        return LabelMap(np.stack(cleaned), cine.ijk_to_lps, cine.times_ms, cine.source)


def heart_window(
    labels: np.ndarray, spacing: tuple[float, float], pixel_mm: float, size: int
) -> tuple[slice, slice] | None:
    """Rows and columns, in network pixels, of a window round the heart; None where nothing is labelled.

    Args:
        labels: uint8 (T, K, J, I) rough labels on the grid of the cine.
        spacing: of that grid along j and i in mm.
        pixel_mm: side of a network pixel.
        size: side of the window in network pixels; grows in steps of 16 until the heart fits with a margin.
    """
    heart = np.stack([clean_frame(frame) for frame in labels]) > 0
    if not heart.any():
        return None
    shape = resampled_shape(labels.shape[2:], spacing, pixel_mm)
    window = []
    for axis, (n, mm) in enumerate(zip(shape, spacing, strict=True)):
        where = np.nonzero(heart)[2 + axis] * mm / pixel_mm
        centre = where.mean()
        reach = 2 * (max(where.max() - centre, centre - where.min()) + MARGIN)
        side = max(size, int(np.ceil(reach / 16)) * 16)
        start = min(max(round(centre - side / 2), 0), max(n - side, 0))
        window.append(slice(start, min(start + side, n)))
    return tuple(window)


def label_frames(
    images: np.ndarray,
    spacing: tuple[float, float],
    network,
    pixel_mm: float,
    progress: Progress = silent,
    window: tuple[slice, slice] | None = None,
) -> np.ndarray:
    """Network labels of every frame without clean-up, uint8 (T, K, J, I) on the grid of the images.

    Args:
        images: float32 (T, K, J, I), normalised.
        spacing: of the pixels along j and i in mm.
        network: takes (B, 3, H, W) neighbouring slices, gives (B, 4, H, W) logits.
        pixel_mm: side of a network pixel.
        progress: called for every frame.
        window: rows and columns in network pixels to look at; background outside. None for everything.
    """
    import torch

    device = next(network.parameters()).device
    shape = resampled_shape(images.shape[2:], spacing, pixel_mm)
    to_network = tuple(pixel_mm / s for s in spacing)
    to_images = tuple(s / pixel_mm for s in spacing)
    rows, columns = window or (slice(0, shape[0]), slice(0, shape[1]))
    out = np.empty(images.shape, np.uint8)
    for t, frame in enumerate(torch.from_numpy(images)):
        progress(t / len(images), f"labelling frame {t + 1} of {len(images)}")
        stack = sample_slices(frame[:, None], to_network, shape)[:, 0, rows, columns]
        size = stack.shape[1:]
        inputs = pad_to_multiple(with_neighbours(stack), 16)
        for k in range(0, len(inputs), BATCH):
            found = _probabilities(network, inputs[k : k + BATCH].to(device))[..., : size[0], : size[1]]
            probabilities = found.new_zeros(len(found), found.shape[1], *shape)
            probabilities[:, 0] = 1.0
            probabilities[:, :, rows, columns] = found
            labels = sample_slices(probabilities, to_images, images.shape[2:]).argmax(1)
            out[t, k : k + BATCH] = labels.to(torch.uint8).cpu().numpy()
    return out


def _probabilities(network, inputs):
    import torch

    device = inputs.device
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=supports_bfloat16(device)):
        logits = network(inputs)
    return logits.float().softmax(1)
