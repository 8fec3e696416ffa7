"""Label slices of any view as nnU-Net's 2-D networks do: the whole slice at one pixel size, in a square window.

Of each frame: the box of what is not zero, holes filled; in-plane resampling to the median pixel of the training data
(cubic splines; labels as one-hot masks, linear); z-score over the volume; padding with zeros or cropping to a square.
The inverse undoes each step in turn, so that labels lie on the grid of the image. After the open M&Ms-2 system of
Galati and Zuluaga on nnU-Net (Isensee et al., Nature Methods 2021, doi 10.1038/s41592-020-01008-z).
"""

from dataclasses import dataclass

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.networks.bundles import bundle_document
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import NetworkChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, RV, LabelMap, largest_piece
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.segmentation import Segmentation

from .postprocess import clean_frame
from .slice_network import OnFrame, SliceNetwork, flipped_mean
from .statistics import joined_statistics, slice_statistics

PREPROCESSING = "preprocessing"
"""Document of a bundle's ``configs`` with ``pixel_mm``, as the training measured it, and ``upright``: whether images
are turned as :meth:`Pose.upright` says, before the training too."""


@dataclass(frozen=True)
class Pose:
    """How slices (K, J, I) are turned for a network that is never shown mirrored images: it tells ventricles by side.

    Attributes:
        transposed: rows and columns change places, first.
        flipped: whether rows, and columns, then run the other way.
    """

    transposed: bool = False
    flipped: tuple[bool, bool] = (False, False)

    @classmethod
    def upright(cls, cine: Cine) -> "Pose":
        """The pose in which columns run to the patient's left and rows to the back, as far as they can.

        Scanners and converters store four-chamber views in any of eight poses.
        """
        along_columns, along_rows = cine.ijk_to_lps[:3, :2].T / cine.spacing[:2, None]
        as_it_is = abs(along_columns[0]) + abs(along_rows[1])
        transposed = abs(along_rows[0]) + abs(along_columns[1]) > as_it_is
        if transposed:
            along_columns, along_rows = along_rows, along_columns
        return cls(bool(transposed), (bool(along_rows[1] < 0), bool(along_columns[0] < 0)))

    def spacing(self, cine: Cine) -> np.ndarray:
        """(3,) mm along columns, rows and slices as they are shown."""
        return cine.spacing[[1, 0, 2]] if self.transposed else cine.spacing

    def shown(self, stack: np.ndarray) -> np.ndarray:
        """Slices as the network sees them."""
        return self._flipped(stack.swapaxes(-1, -2) if self.transposed else stack)

    def stored(self, stack: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`shown`."""
        stack = self._flipped(stack)
        return stack.swapaxes(-1, -2) if self.transposed else stack

    def _flipped(self, stack: np.ndarray) -> np.ndarray:
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return stack[..., rows, columns]


@dataclass(frozen=True)
class SliceWindow:
    """Where the slices of one frame lie in the network's window.

    Attributes:
        shape: (K, J, I) of the frame.
        box: slices, rows and columns of it that are kept.
        resampled: rows and columns of the box at the network's pixel size.
        side: of the window in pixels.
    """

    shape: tuple[int, int, int]
    box: tuple[slice, slice, slice]
    resampled: tuple[int, int]
    side: int

    @classmethod
    def of(cls, frame: np.ndarray, spacing: np.ndarray, pixel_mm: float, side: int) -> "SliceWindow":
        """The window of a frame (K, J, I) whose voxel centres are ``spacing`` (3,) mm apart along i, j, k."""
        box = filled_box(frame)
        resampled = [
            max(1, round((part.stop - part.start) * float(mm) / pixel_mm))
            for part, mm in zip(box[1:], spacing[1::-1], strict=True)
        ]
        return cls(tuple(frame.shape), box, (resampled[0], resampled[1]), side)

    def images(self, frame: np.ndarray) -> np.ndarray:
        """The frame (K, J, I) as the network sees it: float32 (k, side, side), mean 0 and SD 1 within the box."""
        cut = frame[self.box].astype(np.float32)
        spread = float(cut.std())
        scaled = (cut - cut.mean()) / (spread if spread > 0 else 1.0)
        return self._fitted(np.stack([_resized(section, self.resampled, 3) for section in scaled]))

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Labels (K, J, I) in the window, uint8 (k, side, side); 255 stays."""
        cut = labels[self.box]
        return self._fitted(np.stack([_resized_labels(section, self.resampled) for section in cut]))

    def inverse(self, probabilities: np.ndarray) -> np.ndarray:
        """The likeliest labels, uint8 (K, J, I), of probabilities (k, classes, side, side) in the window.

        What the window does not show is background.
        """
        rows, columns = (_overlap(n, self.side) for n in self.resampled)
        whole = np.zeros((*probabilities.shape[:2], *self.resampled), np.float32)
        whole[:, 0] = 1.0
        whole[:, :, rows[0], columns[0]] = probabilities[:, :, rows[1], columns[1]]
        shape = tuple(part.stop - part.start for part in self.box[1:])
        labels = np.zeros(self.shape, np.uint8)
        labels[self.box] = [
            np.stack([_resized(channel, shape, 1) for channel in section]).argmax(0) for section in whole
        ]
        return labels

    def _fitted(self, stack: np.ndarray) -> np.ndarray:
        """Padded with zeros or cropped to the window, centre on centre."""
        rows, columns = (_overlap(n, self.side) for n in self.resampled)
        out = np.zeros((len(stack), self.side, self.side), stack.dtype)
        out[:, rows[1], columns[1]] = stack[:, rows[0], columns[0]]
        return out


def filled_box(frame: np.ndarray) -> tuple[slice, slice, slice]:
    """Slices, rows and columns of what is not zero in a frame (K, J, I); all of them where everything is zero."""
    inside = frame != 0
    if not inside.any():
        inside = np.ones(frame.shape, bool)
    box = []
    for axis in range(3):
        where = np.flatnonzero(inside.any(tuple(a for a in range(3) if a != axis)))
        box.append(slice(int(where[0]), int(where[-1]) + 1))
    return box[0], box[1], box[2]


def _overlap(n: int, side: int) -> tuple[slice, slice]:
    """Part of n pixels, and of the window, when both have one centre."""
    length = min(n, side)
    start, target = (n - length) // 2, (side - length) // 2
    return slice(start, start + length), slice(target, target + length)


def _resized(section: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    """A slice on another number of pixels over the same field, by splines; the same array where the number is."""
    if section.shape == tuple(shape):
        return section.astype(np.float32)
    from skimage.transform import resize

    return resize(section.astype(np.float32), shape, order, mode="edge", anti_aliasing=False).astype(np.float32)


def _resized_labels(section: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if section.shape == tuple(shape):
        return section
    values = np.unique(section)
    masks = np.stack([_resized(section == value, shape, 1) for value in values])
    return values[masks.argmax(0)].astype(np.uint8)


class WholeSliceSegmenter(SliceNetwork):
    """A network of whole slices, of short-axis stacks or of four-chamber views as its ``inference.json`` says.

    Raises:
        InputError: as of :class:`~CardiacSegLib.segment.slice_network.SliceNetwork`; or the bundle was not trained, so
            that nobody knows its pixel size.
    """

    def __init__(self, choice: NetworkChoice):
        super().__init__(choice)
        self.pixel_mm = stated_pixel_mm(self.opened.folder)
        self.upright = bool(bundle_document(self.opened.folder, PREPROCESSING).get("upright"))
        self.side = int(self.opened.number("side"))
        self.view = str(self.opened.setting("view"))

    def segment(
        self,
        cine: Cine,
        *,
        landmarks: Landmarks | None = None,
        progress: Progress = silent,
        on_frame: OnFrame | None = None,
    ) -> Segmentation:
        """As of :class:`~CardiacSegLib.segment.slice_network.CineSegmenter`, of cines of the network's own view.

        Raises:
            InputError: another view; or valve points, where that is no short-axis view.
        """
        if landmarks is not None and self.view != "sax":
            raise InputError(
                f"{cine.source}: ventricles end at the planes of their valves in short-axis stacks only; leave out the "
                "valve points."
            )
        return super().segment(cine, landmarks=landmarks, progress=progress, on_frame=on_frame)

    def _require_view(self, cine: Cine) -> None:
        if cine.view not in (self.view, "other"):
            raise InputError(f"{cine.source}: is a {cine.view} view; '{self.opened.name}' labels {self.view} images.")

    def _segment(self, cine: Cine, progress: Progress, on_frame: OnFrame | None) -> Segmentation:
        labels, statistics = np.empty(cine.frames.shape, np.uint8), []
        pose = Pose.upright(cine) if self.upright else Pose()
        spacing = pose.spacing(cine)
        for t, frame in enumerate(cine.frames):
            progress(t / cine.n_frames, f"labelling frame {t + 1} of {cine.n_frames}")
            frame = pose.shown(frame)
            window = SliceWindow.of(frame, spacing, self.pixel_mm, self.side)
            found = self._probabilities(window.images(frame))
            labels[t] = pose.stored(self._clean(window.inverse(found)))
            statistics.append(slice_statistics(_all_slices(found, window)))
            if on_frame is not None:
                on_frame(t, labels[t])
        progress(1.0, "labelled all frames")
        return Segmentation(labels=LabelMap.of(labels, cine), statistics=joined_statistics(statistics))

    def _clean(self, labels: np.ndarray) -> np.ndarray:
        """One heart; in a long-axis view, where the base is open, the largest piece of each structure."""
        if self.view == "sax":
            return clean_frame(labels)
        kept = np.zeros_like(labels)
        for label in (LV, MYO, RV):
            kept[largest_piece(labels == label)] = label
        return kept

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        """Slices (k, side, side) to float32 (k, classes, side, side)."""
        inputs, batch = images[:, None], self.predictor.batch
        parts = [inputs[k : k + batch] for k in range(0, len(inputs), batch)]
        return np.concatenate([flipped_mean(self.predictor, part, self.flips) for part in parts])


def _all_slices(found: np.ndarray, window: SliceWindow) -> np.ndarray:
    """Probabilities of all slices of the frame; those without an image are background."""
    whole = np.zeros((window.shape[0], *found.shape[1:]), np.float32)
    whole[:, 0] = 1.0
    whole[window.box[0]] = found
    return whole


def stated_pixel_mm(folder) -> float:
    """Pixel side in mm that a bundle was trained at.

    Raises:
        InputError: its training did not write it down.
    """
    value = bundle_document(folder, PREPROCESSING).get("pixel_mm")
    if not isinstance(value, (int, float)) or not value > 0:
        raise InputError(f"{folder}: its configs/{PREPROCESSING}.json states no pixel_mm; train the bundle.")
    return float(value)
