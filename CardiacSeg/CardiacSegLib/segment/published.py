"""Label a cine as the published bundle ``ventricular_short_axis_3label`` does, in batches and in 4-D.

What happens to the pixels is what the bundle's ``inference.json`` says: intensities of one volume are mapped to 0..1,
each slice is seen as it is stored, padded with zeros to the window of the network or covered by overlapping windows,
and the likeliest structure wins. There is no resampling, no search for the heart and no clean-up.
Source: Kerfoot et al., STACOM 2018, doi 10.1007/978-3-030-12029-0_40, and the bundle in the MONAI model zoo.
"""

import numpy as np

from CardiacLib.networks.bundles import config_value
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
        self.inferer = config_value(self.folder, self.config, "inferer")

    def _segment(self, cine: Cine, progress: Progress, on_frame: OnFrame | None) -> Segmentation:
        import torch

        shape = cine.frames.shape
        # MONAI's readers give a slice as (I, J), the transpose of a frame of the cine.
        images = torch.from_numpy(scale_frames(cine.frames)).flatten(0, 1)[:, None].transpose(2, 3)
        labels = np.empty((len(images), *shape[2:]), np.uint8)
        statistics = []
        batch = self.predictor.batch
        for start in range(0, len(images), batch):
            progress(start / len(images), f"labelling frame {start // shape[1] + 1} of {shape[0]}")
            found = flipped_mean(self._logits, images[start : start + batch].to(self.predictor.device), self.flips)
            labels[start : start + batch] = likeliest(found).transpose(1, 2).cpu().numpy()
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

    def _logits(self, images):
        """(N, 1, I, J) slices to (N, 4, I, J) logits, by the arithmetic of the bundle's SliceInferer."""
        from monai.inferers import sliding_window_inference

        return sliding_window_inference(
            images,
            roi_size=self.inferer.orig_roi_size,
            sw_batch_size=self.predictor.batch,
            predictor=self.predictor,
            overlap=self.inferer.overlap,
            mode=self.inferer.mode,
            padding_mode=self.inferer.padding_mode,
            cval=self.inferer.cval,
        )


def scale_frames(frames: np.ndarray) -> np.ndarray:
    """Each (K, J, I) frame of float32 (T, K, J, I) mapped to 0..1 by its own least and greatest value.

    The arithmetic of MONAI's ``ScaleIntensity`` on the file of one frame; a frame of one value becomes zeros.
    """
    low, high = (extreme(frames, axis=(1, 2, 3), keepdims=True) for extreme in (np.min, np.max))
    flat = low == high
    return np.where(flat, np.float32(0), (frames - low) / np.where(flat, np.float32(1), high - low))
