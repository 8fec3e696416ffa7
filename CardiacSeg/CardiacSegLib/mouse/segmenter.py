"""Label the whole cine of a small animal, slice by slice, as the published framework does, in batches."""

import numpy as np

from CardiacLib.networks.bundles import bundle_metadata
from CardiacLib.progress import Progress
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap, likeliest
from CardiacLib.types.segmentation import Segmentation
from CardiacSegLib.segment.slice_network import OnFrame, SliceNetwork, flipped_mean
from CardiacSegLib.segment.statistics import joined_statistics, slice_statistics

from .greys import normalised
from .islands import without_islands

WINDOW = 256
"""Side of the images that the network was made for: smaller ones are padded, larger ones covered by such windows."""
PIXEL_MM = (0.05, 0.16)
"""Pixels for which the weights are meant; others are labelled, with a note."""
NOTE = "Labels are those of {name}, slice by slice, without islands."


class MouseSegmenter(SliceNetwork):
    """A network of single slices with the classes background, LV myocardium, LV pool; loaded once."""

    def _segment(self, cine: Cine, progress: Progress, on_frame: OnFrame | None) -> Segmentation:
        count = cine.n_frames
        labels = np.empty(cine.frames.shape, np.uint8)
        statistics = []
        for t in range(count):
            progress(t / count, f"labelling frame {t + 1} of {count}")
            parts = []
            images = normalised(cine.frames[t])[:, None]
            for k in range(0, len(images), self.predictor.batch):
                parts.append(_of_labels(self._probabilities(images[k : k + self.predictor.batch])))
            found = np.concatenate(parts)
            labels[t] = likeliest(found)
            statistics.append(slice_statistics(found))
            if on_frame is not None:
                on_frame(t, labels[t])
        labels = np.stack([without_islands(frame) for frame in labels])
        progress(1.0, "labelled all frames")
        return Segmentation(
            labels=LabelMap.of(labels, cine),
            statistics=joined_statistics(statistics),
            notes=(NOTE.format(name=self.opened.name), *self._warning(), *_size_notes(cine)),
        )

    def _warning(self) -> tuple[str, ...]:
        """What the bundle's metadata warn of."""
        warning = bundle_metadata(self.opened.folder).get("warning")
        return (str(warning),) if warning else ()

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        """(N, 1, J, I) images of any size to (N, 3, J, I) probabilities; where windows overlap, their mean."""
        rows, columns = images.shape[-2:]
        tall, wide = max(rows, WINDOW), max(columns, WINDOW)
        padded = np.pad(images, ((0, 0), (0, 0), (0, tall - rows), (0, wide - columns)))
        found = np.zeros((len(images), 3, tall, wide), np.float32)
        seen = np.zeros((tall, wide), np.float32)
        for row in starts(tall):
            for column in starts(wide):
                window = np.s_[row : row + WINDOW, column : column + WINDOW]
                found[(..., *window)] += flipped_mean(self.predictor, padded[(..., *window)], self.flips)
                seen[window] += 1
        return (found / seen)[..., :rows, :columns]


def starts(side: int) -> list[int]:
    """Where windows begin that cover a side of at least WINDOW pixels, as evenly as may be."""
    count = -(-side // WINDOW)
    return sorted({round(n * (side - WINDOW) / max(count - 1, 1)) for n in range(count)})


def _of_labels(classes: np.ndarray) -> np.ndarray:
    """(N, 3, J, I) probabilities of the network's classes as (N, 4, J, I) of background, LV, myocardium and RV."""
    return np.stack([classes[:, 0], classes[:, 2], classes[:, 1], np.zeros_like(classes[:, 0])], 1)


def _size_notes(cine: Cine) -> tuple[str, ...]:
    pixel = float(cine.spacing[:2].max())
    if not cine.grid.sized or PIXEL_MM[0] <= pixel <= PIXEL_MM[1]:
        return ()
    return (
        f"Pixels of {pixel:.2f} mm are not those that the network learned from "
        f"({PIXEL_MM[0]:g} to {PIXEL_MM[1]:g} mm): look at the labels.",
    )
