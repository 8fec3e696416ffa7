"""Training pairs of the published network: an image, and an image of the same size with one pixel set for each point.

MONAI transforms that keep both together, and the last step from that image to coordinates. Kinds and strengths are
those of the published bundle ``valve_landmarks`` 0.5.0.
"""

import numpy as np
import torch
from monai.handlers import from_engine
from monai.transforms import MapTransform, RandomizableTransform, RandSmoothDeform

from CardiacLib.errors import InputError

CODES = (10, 15, 20, 25, 30, 35, 100, 150, 200, 250)
"""Pixel value of each point, in the order of LANDMARK_NAMES."""
SEARCH_STEPS = 8


class PointsFromImaged(MapTransform):
    """Landmark images (1, H, W) to coordinates float32 (2, 10), rows and columns; (0, 0) for an absent point.

    Raises:
        InputError: a pixel holds a value that is no code.
    """

    def __call__(self, data: dict) -> dict:
        data = dict(data)
        for key in self.key_iterator(data):
            data[key] = torch.as_tensor(self._points(np.asarray(data[key])[0]))
        return data

    def _points(self, image: np.ndarray) -> np.ndarray:
        points = np.zeros((2, len(CODES)), np.float32)
        for row, column in np.argwhere(image != 0):
            code = int(image[row, column])
            if code not in CODES:
                raise InputError(f"A landmark image holds the value {code}; known are {', '.join(map(str, CODES))}.")
            points[:, CODES.index(code)] = row, column
        return points


class RandFourierDropoutd(RandomizableTransform, MapTransform):
    """Leave out random spatial frequencies, the more the higher, as an undersampled acquisition would.

    With distance 1 at the middle of an edge, a frequency stays if its distance is at most a number drawn between the
    two limits: all below ``low`` stay, none beyond ``high``.

    Args:
        keys: of images (1, H, W).
        prob: of doing it.
        low, high: the limits.
    """

    def __init__(self, keys, prob: float = 0.5, low: float = 0.1, high: float = 0.9):
        RandomizableTransform.__init__(self, prob)
        MapTransform.__init__(self, keys)
        self.low, self.high = low, high

    def __call__(self, data: dict) -> dict:
        data = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in self.key_iterator(data):
                data[key] = self._drop(torch.as_tensor(data[key]))
        return data

    def _drop(self, image: torch.Tensor) -> torch.Tensor:
        axes = [torch.fft.fftfreq(n) * 2.0 for n in image.shape[-2:]]
        distance = torch.hypot(axes[0][:, None], axes[1])
        limits = torch.as_tensor(self.R.uniform(self.low, self.high, image.shape).astype(np.float32))
        return torch.fft.ifft2(torch.fft.fft2(image) * (distance <= limits)).real


class RandPointDeformd(RandomizableTransform, MapTransform):
    """Deform image and points smoothly by the same field; points that leave the image are lost.

    Points are moved by themselves, as resampling could lose a single pixel.

    Args:
        keys: of the image and of the landmark image, (1, H, W) both, in this order.
        deform: MONAI transform that deforms an image of that size every time, with corners aligned.
        prob: of doing it.
    """

    def __init__(self, keys, deform: RandSmoothDeform, prob: float = 0.5):
        RandomizableTransform.__init__(self, prob)
        MapTransform.__init__(self, keys)
        self.deform = deform

    def set_random_state(self, seed=None, state=None) -> "RandPointDeformd":
        super().set_random_state(seed, state)
        self.deform.set_random_state(seed, state)
        return self

    def __call__(self, data: dict) -> dict:
        data = dict(data)
        self.randomize(None)
        if self._do_transform:
            image, label = self.keys
            data[image] = self.deform(data[image])
            field = self.deform.sfield().cpu().numpy() * ((np.array(data[label].shape[1:]) - 1) / 2)[:, None, None]
            data[label] = _moved(data[label], lambda point: _source(field, point))
        return data


class RandPointShiftd(RandomizableTransform, MapTransform):
    """Shift image and points by whole pixels, zeros coming in; points that leave the image are lost.

    Args:
        keys: of the image and of the landmark image, (1, H, W) both, in this order.
        prob: of doing it.
        max_shift: pixels in either direction.
    """

    def __init__(self, keys, prob: float = 0.5, max_shift: int = 8):
        RandomizableTransform.__init__(self, prob)
        MapTransform.__init__(self, keys)
        self.max_shift = max_shift

    def __call__(self, data: dict) -> dict:
        data = dict(data)
        self.randomize(None)
        if self._do_transform:
            rows, columns = self.R.randint(-self.max_shift, self.max_shift + 1, 2).tolist()
            for key in self.key_iterator(data):
                data[key] = _shifted(data[key], rows, columns)
        return data


def pairs_of_points(output) -> tuple[list, list]:
    """Found and true points (10, 2) of a validation output, for ignite's ``MeanPairwiseDistance``."""
    found, true = from_engine(["pred", "label"])(output)
    return [points.T for points in found], [points.T for points in true]


def _moved(label: torch.Tensor, place) -> torch.Tensor:
    """A landmark image (1, H, W) whose pixels went to ``place(point)``, those within the image."""
    moved = torch.zeros_like(label)
    for row, column in np.argwhere(np.asarray(label)[0] != 0):
        to = np.rint(place(np.array([row, column], float))).astype(int)
        if (to >= 0).all() and (to < label.shape[1:]).all():
            moved[0, to[0], to[1]] = label[0, row, column]
    return moved


def _source(field: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Where a point of the image is seen once every pixel p shows what was at p + field(p); field (2, H, W) pixels."""
    last = np.array(field.shape[1:]) - 1
    place = point
    for _ in range(SEARCH_STEPS):
        row, column = np.clip(np.rint(place), 0, last).astype(int)
        place = point - field[:, row, column]
    return place


def _shifted(image: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """(1, H, W) moved down and to the right, zeros where nothing was."""
    out = torch.zeros_like(image)
    height, width = image.shape[-2:]
    top, left = max(rows, 0), max(columns, 0)
    bottom, right = height + min(rows, 0), width + min(columns, 0)
    out[..., top:bottom, left:right] = image[..., top - rows : bottom - rows, left - columns : right - columns]
    return out
