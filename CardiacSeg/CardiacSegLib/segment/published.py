"""Label a cine as the published bundle ``ventricular_short_axis_3label`` does, in batches and in 4-D.

What happens to the pixels is what the bundle's ``inference.json`` says: intensities of one volume are mapped to 0..1,
each slice is seen as it is stored, padded with zeros to the window of the network or covered by overlapping windows,
and the likeliest structure wins. There is no resampling, no search for the heart and no clean-up.
Source: Kerfoot et al., STACOM 2018, doi 10.1007/978-3-030-12029-0_40, and the bundle in the MONAI model zoo.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.networks.backends.predictor import Predictor
from CardiacLib.networks.opened import OpenedNetwork
from CardiacLib.progress import Progress
from CardiacLib.types.choices import NetworkChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap, likeliest
from CardiacLib.types.segmentation import Segmentation

from .slice_network import OnFrame, SliceNetwork, flipped_mean
from .statistics import joined_statistics, slice_statistics

NOTE = "Labels are the network's own, slice by slice: this bundle has no clean-up and no smoothing over frames."


class VolumeSegmenter(SliceNetwork):
    """A slice network without resampling, loaded once.

    The bundle's ``inference.json`` uses MONAI's ``SliceInferer`` on whole slices, and the first of ``QUALITIES`` is
    what it does itself.
    """

    def __init__(self, choice: NetworkChoice):
        super().__init__(choice)
        self.windows = Windows.of(self.opened)

    def _segment(self, cine: Cine, progress: Progress, on_frame: OnFrame | None) -> Segmentation:
        shape = cine.frames.shape
        # MONAI's readers give a slice as (I, J), the transpose of a frame of the cine.
        images = scale_frames(cine.frames).reshape(-1, 1, *shape[2:]).transpose(0, 1, 3, 2)
        labels = np.empty((len(images), *shape[2:]), np.uint8)
        statistics = []
        batch = self.predictor.batch
        for start in range(0, len(images), batch):
            progress(start / len(images), f"labelling frame {start // shape[1] + 1} of {shape[0]}")
            found = flipped_mean(self._logits, images[start : start + batch], self.flips)
            labels[start : start + batch] = likeliest(found).transpose(0, 2, 1)
            statistics.append(slice_statistics(found))
            if on_frame is not None:
                for frame in range(start // shape[1], min(start + batch, len(images)) // shape[1]):
                    on_frame(frame, labels[frame * shape[1] : (frame + 1) * shape[1]])
        progress(1.0, "labelled all frames")
        return Segmentation(
            labels=LabelMap.of(labels.reshape(shape), cine),
            statistics=joined_statistics(
                statistics, lambda parts: np.concatenate(parts).reshape(*shape[:2], *parts[0].shape[1:])
            ),
            notes=(NOTE,),
        )

    def _logits(self, images: np.ndarray) -> np.ndarray:
        """(N, 1, I, J) slices to (N, 4, I, J) logits."""
        return self.windows.apply(images, self.predictor)


@dataclass(frozen=True)
class Windows:
    """Windows over a slice whose logits are averaged; the arithmetic of MONAI's ``SliceInferer``.

    Attributes:
        size: rows and columns of a window; where it is not positive, those of the slice.
        overlap: part of a window that the next one covers too.
    """

    size: tuple[int, int]
    overlap: float = 0.25

    @classmethod
    def of(cls, opened: OpenedNetwork) -> "Windows":
        """As a bundle's ``inferer`` says.

        Raises:
            InputError: that is another inferer, or one with other options.
        """
        inferer = opened.setting("inferer")
        stated = dict(inferer) if isinstance(inferer, Mapping) else {}
        kind = str(stated.pop("_target_", "")).rpartition(".")[2]
        size, overlap = stated.pop("roi_size", None), stated.pop("overlap", cls.overlap)
        others = set(stated) - {"sw_batch_size", "spatial_dim"}
        two = isinstance(size, list) and len(size) == 2 and stated.get("spatial_dim", 2) == 2
        if kind != "SliceInferer" or others or not two or not isinstance(overlap, (int, float)):
            raise InputError(
                f"{opened.folder}: 'inferer' of its configuration must be a SliceInferer of MONAI with a roi_size of "
                "two numbers, without other options than overlap; it does not fit this program."
            )
        return cls(tuple(map(int, size)), float(overlap))

    def apply(self, images: np.ndarray, predictor: Predictor) -> np.ndarray:
        """Logits (N, classes, I, J) of slices (N, C, I, J); smaller ones are padded with zeros on both sides."""
        shape = images.shape[2:]
        size = tuple(own if own > 0 else n for own, n in zip(self.size, shape, strict=True))
        lacking = [max(own - n, 0) for own, n in zip(size, shape, strict=True)]
        padded = np.pad(images, [(0, 0), (0, 0), *((few // 2, few - few // 2) for few in lacking)])
        starts = [self._starts(n, own) for n, own in zip(padded.shape[2:], size, strict=True)]
        total, count = np.zeros((), np.float32), np.zeros(padded.shape[2:], np.float32)
        for corner in itertools.product(*starts):
            place = tuple(slice(start, start + own) for start, own in zip(corner, size, strict=True))
            found = predictor(padded[(..., *place)])
            if not total.ndim:
                total = np.zeros((*found.shape[:2], *padded.shape[2:]), np.float32)
            total[(..., *place)] += found
            count[place] += 1
        inside = tuple(slice(few // 2, few // 2 + n) for few, n in zip(lacking, shape, strict=True))
        return (total / count)[(..., *inside)]

    def _starts(self, length: int, size: int) -> list[int]:
        """Where the windows of one axis begin; the last one ends with the slice."""
        step = max(int(size * (1 - self.overlap)), 1)
        count = 1 + -(-max(length - size, 0) // step)
        return [min(n * step, length - size) for n in range(count)]


def scale_frames(frames: np.ndarray) -> np.ndarray:
    """Each (K, J, I) frame of float32 (T, K, J, I) mapped to 0..1 by its own least and greatest value.

    The arithmetic of MONAI's ``ScaleIntensity`` on the file of one frame; a frame of one value becomes zeros.
    """
    low, high = (extreme(frames, axis=(1, 2, 3), keepdims=True) for extreme in (np.min, np.max))
    flat = low == high
    return np.where(flat, np.float32(0), (frames - low) / np.where(flat, np.float32(1), high - low))
