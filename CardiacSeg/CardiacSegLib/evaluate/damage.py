"""Damage done on purpose to images and to labels, to see what quality control makes of it.

Damaged images go through the network, whose labels are judged with its probabilities. Damaged labels are judged as
labels that a person handed in: by rules alone. The truth stays where it was in both.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, RV, LabelMap

WHITE = 99.0
"""Percentile of a cine's intensities that counts as white."""


@dataclass(frozen=True)
class ImageDamage:
    """One way to spoil a cine; ``change`` takes its frames, float32 (T, K, J, I), and random numbers."""

    name: str
    change: Callable[[np.ndarray, np.random.Generator], np.ndarray]

    def of(self, cine: Cine, seed: int = 0) -> Cine:
        """The spoilt cine on the same grid; the same seed gives the same voxels."""
        frames = self.change(cine.frames.astype(np.float32), np.random.default_rng(seed))
        return cine.with_changes(frames=frames.astype(np.float32))


@dataclass(frozen=True)
class LabelDamage:
    """One way to spoil labels; ``change`` takes uint8 (T, K, J, I) and the spacing along k, j, i in mm."""

    name: str
    change: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def of(self, labels: LabelMap) -> LabelMap:
        """The spoilt labels on the same grid."""
        spacing = np.linalg.norm(labels.ijk_to_lps[:3, :3], axis=0)[::-1]
        return replace(labels, labels=self.change(labels.labels.copy(), spacing))


def noisy(frames: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """Noise of two channels as in magnitude images, ``share`` of white."""
    level = share * _white(frames)
    real, imaginary = (rng.normal(0.0, level, frames.shape) for _ in range(2))
    return np.hypot(frames + real, imaginary)


def blurred(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian of 2.5 pixels within the slices."""
    return ndimage.gaussian_filter(frames, (0, 0, 2.5, 2.5))


def inverted(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blood dark, muscle bright."""
    return np.clip(_white(frames) - frames, 0.0, None)


def like_a_map(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast nearly flattened on a high base, as of a T1 map."""
    smooth = ndimage.gaussian_filter(frames, (0, 0, 1.2, 1.2))
    return 600.0 + 900.0 * np.clip(smooth / _white(frames), 0.0, 1.0) ** 0.3 + rng.normal(0.0, 40.0, frames.shape)


def ghosts(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image again, nearly as bright, a fifth of the field further along the rows."""
    return 0.6 * frames + 0.4 * np.roll(frames, round(frames.shape[3] / 5), 3)


def cut_in_half(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nothing beyond the middle of the columns."""
    spoilt = frames.copy()
    spoilt[..., frames.shape[3] // 2 :] = 0.0
    return spoilt


def shuffled(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two of three slices show another slice, taken at random: files in the wrong order. The truth stays."""
    spoilt, places = frames.copy(), np.arange(frames.shape[1])
    moved = places[places % 3 != 0]
    spoilt[:, moved] = frames[:, rng.permutation(moved)]
    return spoilt


def half_lost(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every second slice holds noise only."""
    spoilt = frames.copy()
    spoilt[:, 1::2] = np.abs(rng.normal(0.0, 0.05 * _white(frames), spoilt[:, 1::2].shape))
    return spoilt


def shifted(labels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """All of it 10 mm along the columns."""
    return _moved(labels, round(10.0 / spacing[2]))


def one_slice_shifted(labels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Every third slice 15 mm along the columns."""
    labels[:, ::3] = _moved(labels[:, ::3], round(15.0 / spacing[2]))
    return labels


def eroded(labels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Every structure loses the 3 mm next to its border within the slice."""
    kept = np.zeros_like(labels)
    for value in np.unique(labels[labels > 0]):
        for section, out in zip(_sections(labels == value), _sections(kept), strict=True):
            out[ndimage.distance_transform_edt(section, spacing[1:]) > 3.0] = value
    return kept


def middle_lost(labels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """The two slices in the middle of the heart have none."""
    held = np.flatnonzero((labels > 0).any((0, 2, 3)))
    if held.size:
        middle = held[len(held) // 2]
        labels[:, max(middle - 1, 0) : middle + 1] = 0
    return labels


def third_lost(labels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """The third of the heart's slices at the end with the larger areas, the base, has none."""
    held = np.flatnonzero((labels > 0).any((0, 2, 3)))
    if held.size:
        areas = (labels[:, held] > 0).sum((0, 2, 3))
        count = max(len(held) // 3, 1)
        labels[:, held[:count] if areas[:count].sum() >= areas[-count:].sum() else held[-count:]] = 0
    return labels


def swapped(labels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """LV and RV pools take each other's place."""
    lv, rv = labels == LV, labels == RV
    labels[lv], labels[rv] = RV, LV
    return labels


def half_a_beat_off(labels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Every frame has the labels of the frame half the beat later; one frame alone stays as it is."""
    return np.roll(labels, len(labels) // 2, axis=0)


def one_side_only(labels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """What lies beyond the middle of the labelled columns is gone."""
    held = np.flatnonzero((labels > 0).any((0, 1, 2)))
    if held.size:
        labels[..., held.mean().round().astype(int) :] = 0
    return labels


IMAGE_DAMAGES = (
    ImageDamage("noise 12 %", lambda frames, rng: noisy(frames, rng, 0.12)),
    ImageDamage("noise 25 %", lambda frames, rng: noisy(frames, rng, 0.25)),
    ImageDamage("blurred", blurred),
    ImageDamage("inverted", inverted),
    ImageDamage("as a T1 map", like_a_map),
    ImageDamage("ghosts", ghosts),
    ImageDamage("cut in half", cut_in_half),
    ImageDamage("slices out of order", shuffled),
    ImageDamage("every second slice lost", half_lost),
)
LABEL_DAMAGES = (
    LabelDamage("labels shifted 10 mm", shifted),
    LabelDamage("every third slice shifted", one_slice_shifted),
    LabelDamage("labels eroded 3 mm", eroded),
    LabelDamage("two middle slices empty", middle_lost),
    LabelDamage("basal third empty", third_lost),
    LabelDamage("LV and RV swapped", swapped),
    LabelDamage("labels of another frame", half_a_beat_off),
    LabelDamage("half of the labels gone", one_side_only),
)


def _white(frames: np.ndarray) -> float:
    return max(float(np.percentile(frames, WHITE)), 1e-6)


def _moved(labels: np.ndarray, columns: int) -> np.ndarray:
    moved = np.zeros_like(labels)
    moved[..., columns:] = labels[..., : labels.shape[-1] - columns]
    return moved


def _sections(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, *array.shape[2:])
