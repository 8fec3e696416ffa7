"""Labels of a short-axis stack by the initialization network, each slice by itself, and where the heart lies in it."""

import numpy as np
from scipy import ndimage

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent
from CardiacLib.types.cine import Cine

from .isotropic import SIDE, SPACING
from .propagate import Initializer

SCOUTS = 3
"""Slices round the middle of the stack in which the heart is looked for."""
CANDIDATES = 2
"""Places, beside the middle of the image, that are looked at closely."""
CENTRED_MM = 60.0
"""Standard deviation of the distance of hearts from the middle of the image; scanners are set so."""
MOTION_MM = 20.0
"""Standard deviation over which the motion round a place is averaged."""


def label_slices(
    initializer: Initializer, shown: np.ndarray, frame: int, cine: Cine, progress: Progress = silent
) -> np.ndarray:
    """The initialization network's labels of every slice of a frame, each by itself, uint8 (K, J, I).

    Args:
        initializer: the network.
        shown: float32 (T, K, J, I), the normalised frames of ``cine``.
        frame: of these, to label.
        cine: whose geometry and source are meant.
        progress: called with the fraction done.

    Raises:
        InputError: no heart is found in the middle slices.
    """
    sizes = shown.shape[2:]
    shape = tuple(round(n * s / SPACING) for n, s in zip(sizes, cine.spacing[1::-1], strict=True))
    small = np.stack([resized(section, shape) for section in shown[frame]])
    low = max(len(small) // 2 - SCOUTS // 2, 0)
    middle = slice(low, low + SCOUTS)
    centre = find_heart(initializer, small[middle], resized(local_motion(shown[:, middle], cine), shape))
    if centre is None:
        raise InputError(
            f"{cine.source or 'The cine'}: the initialization network finds no heart in the middle slices; give labels."
        )
    progress(0.4, "heart found")
    window = window_round(centre, shape)
    found = np.zeros(small.shape, np.uint8)
    found[(slice(None), *window)] = initializer(small[(slice(None), *window)]).labels
    progress(1.0, "slices labelled")
    return np.stack([resized(section, sizes, order=0) for section in found])


def local_motion(shown: np.ndarray, cine: Cine) -> np.ndarray:
    """How much moves round a pixel, float32 (J, I), 1 where most does; 1 everywhere in a single frame.

    Args:
        shown: float32 (T, Z, J, I), slices of a normalised cine.
        cine: they are of.
    """
    if len(shown) < 2:
        return np.ones(shown.shape[2:], np.float32)
    motion = ndimage.gaussian_filter(shown.std(0).mean(0), MOTION_MM / cine.spacing[1::-1])
    return motion / max(float(motion.max()), 1e-6)


def find_heart(initializer: Initializer, middle: np.ndarray, motion: np.ndarray) -> np.ndarray | None:
    """Row and column of the heart's middle; None if nothing looks like one.

    The network was trained in windows round hearts and takes other round things of the whole field for hearts too. So
    the likeliest pieces, and the middle of the image, are looked at again as windows.

    Args:
        initializer: the network.
        middle: float32 (Z, H, W), normalised slices of SPACING round the middle of the stack.
        motion: (H, W) of :func:`local_motion`.
    """
    shape = middle.shape[1:]
    centres, likeness, _ = heart_pieces(initializer(middle).labels, motion)
    candidates = [(np.array(shape) - 1) / 2, *centres[np.argsort(-likeness)[:CANDIDATES]]]
    best, centre = 0.0, None
    for candidate in candidates:
        window = window_round(candidate, shape)
        labels = np.zeros(middle.shape, np.uint8)
        labels[(slice(None), *window)] = initializer(middle[(slice(None), *window)]).labels
        _, likeness, boxes = heart_pieces(labels, motion)
        if len(likeness) and likeness.max() > best:
            best, centre = float(likeness.max()), boxes[likeness.argmax()]
    return centre


def heart_pieces(labels: np.ndarray, motion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Connected pieces of labelled slices (Z, H, W): centroids (n, 2), likeness to a heart (n,), box middles (n, 2).

    A heart has LV pool and myocardium in like parts and an RV pool, lies near the middle of the image, and moves.
    """
    pieces, count = ndimage.label((labels > 0).any(0))
    if not count:
        return np.zeros((0, 2)), np.zeros(0), np.zeros((0, 2))
    numbers = np.arange(1, count + 1)
    left, rv = np.zeros(count), np.zeros(count)
    for section in labels:
        lv, muscle, pool = (ndimage.sum_labels(section == value, pieces, numbers) for value in (1, 2, 3))
        left += np.minimum(lv, muscle)
        rv += pool
    centres = np.array(ndimage.center_of_mass(pieces > 0, pieces, numbers))
    away = np.linalg.norm(centres - (np.array(labels.shape[1:]) - 1) / 2, axis=1) * SPACING
    likeness = (left + 0.5 * np.minimum(rv, left)) * np.exp(-0.5 * (away / CENTRED_MM) ** 2)
    likeness *= motion[tuple(np.round(centres).astype(int).T)]
    boxes = np.array([[(s.start + s.stop - 1) / 2 for s in box] for box in ndimage.find_objects(pieces)])
    return centres, likeness, boxes


def window_round(centre: np.ndarray, shape: tuple[int, int]) -> tuple[slice, slice]:
    """SIDE voxels round a place, within a slice of ``shape``."""
    starts = [int(np.clip(round(c - SIDE / 2), 0, max(n - SIDE, 0))) for c, n in zip(centre, shape, strict=True)]
    return tuple(slice(start, min(start + SIDE, n)) for start, n in zip(starts, shape, strict=True))


def resized(section: np.ndarray, shape: tuple[int, int], order: int = 1) -> np.ndarray:
    """A slice on ``shape`` pixels over the same field, first pixel centre on first pixel centre."""
    scale = [(n - 1) / max(m - 1, 1) for n, m in zip(section.shape, shape, strict=True)]
    where = np.meshgrid(*(np.arange(m) * s for m, s in zip(shape, scale, strict=True)), indexing="ij")
    return ndimage.map_coordinates(section, np.stack(where), order=order, mode="nearest")
