"""What all segmenters share: a bundle's slice network, loaded once, and how a cine is given to it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.networks.backends import make_predictor
from CardiacLib.networks.bundles import bundle_path, load_network, read_config
from CardiacLib.networks.device import choose_device
from CardiacLib.progress import Progress, silent
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.segmentation import Segmentation

from .valve_plane import cut_at_valve_plane

OnFrame = Callable[[int, np.ndarray], None]

FLIPS = {"fast": ((),), "best": ((), (-1,), (-2,), (-2, -1))}
"""Axes along which the network sees the images flipped, by quality; its answers are averaged."""


class SliceNetwork:
    """A bundle's network, ready to run; subclasses say in ``_segment`` how a cine becomes its input.

    Args:
        bundle: name or folder of a MONAI bundle.
        device: ``auto`` or a torch device name.
        backend: what runs the network, ``auto`` or one of ``CardiacLib.networks.backends.BACKENDS``.
        quality: ``fast``, or ``best`` for the mean over four flips of the images, at four times the cost.

    Raises:
        InputError: bundle, weights, device, backend or quality cannot be used.
    """

    def __init__(self, bundle: str, device: str = "auto", backend: str = "auto", quality: str = "fast"):
        if quality not in FLIPS:
            raise InputError(f"No quality '{quality}'; choose one of {', '.join(FLIPS)}.")
        folder = bundle_path(bundle)
        self.config = read_config(folder, "inference")
        device = choose_device(device)
        self.predictor = make_predictor(load_network(folder, self.config, device), device, backend)
        self.flips = FLIPS[quality]

    def __call__(self, cine: Cine, progress: Progress = silent) -> LabelMap:
        return self.segment(cine, progress).labels

    def segment(
        self,
        cine: Cine,
        progress: Progress = silent,
        landmarks: Landmarks | None = None,
        on_frame: OnFrame | None = None,
    ) -> Segmentation:
        """Labels of a cine, and what the network's probabilities say about them.

        Args:
            cine: short-axis stack; any orientation, slice order, pixel size and number of slices.
            progress: called with the fraction done.
            landmarks: valve points of the same frames; the ventricles then end at their planes.
            on_frame: called with number and labels, uint8 (K, J, I), of each frame when the network has seen it, before
                anything that looks at the whole cycle.

        Raises:
            InputError: the view is a long-axis view, or the valve points are of another number of frames.
        """
        require_short_axis(cine)
        with self.predictor.running():
            found = self._segment(cine, progress, on_frame)
        if landmarks is None:
            return found
        cut = cut_at_valve_plane(found.labels, landmarks)
        return replace(found, labels=cut.labels, notes=(*found.notes, *cut.notes), cut=cut)

    def _segment(self, cine: Cine, progress: Progress, on_frame: OnFrame | None) -> Segmentation:
        """What :meth:`segment` does before the valves."""
        raise NotImplementedError


def require_short_axis(cine: Cine) -> None:
    """Raise InputError for a long-axis view."""
    if cine.view not in ("sax", "other"):
        raise InputError(f"{cine.source}: is a {cine.view} view; the network labels short-axis stacks only.")


def flipped_mean(predictor, inputs, flips=FLIPS["fast"]):
    """Probabilities (N, classes, H, W) of slices (N, C, H, W), averaged over sets of axes to flip them along.

    ``predictor`` takes such slices and gives logits.
    """
    import torch

    if flips == FLIPS["fast"]:
        return predictor(inputs).softmax(1)
    return torch.stack([predictor(inputs.flip(axes)).softmax(1).flip(axes) for axes in flips]).mean(0)
