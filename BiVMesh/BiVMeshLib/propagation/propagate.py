"""Carry one labelled slice to the base and to the apex of an isotropic stack."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from CardiacLib.errors import InputError
from CardiacLib.networks.opened import open_network
from CardiacLib.progress import Progress, silent
from CardiacLib.types.choices import INITIALIZATION_BUNDLE, PROPAGATION_BUNDLE, NetworkChoice

from .answers import multiple_of, probabilities
from .isotropic import SPACING, STEP

MUSCLE = (2, 4)
"""Labels of both ventricles' myocardium."""
SAME_MM, OTHER_MM = 2.0, 6.0
"""Mean distance of outlines up to which other labels of a slice count fully, and from which on they do not count."""
LEAST = 1e-4


@dataclass(frozen=True)
class LabelledSlices:
    """Labels of an isotropic stack and how sure the network was of them.

    Attributes:
        labels: uint8 (Z, H, W), 0 to 4.
        confidence: float32 (Z,) Dice of the myocardium that the probabilities lead to expect; NaN in slices without,
            1 by definition in the slice that a propagation starts from.
    """

    labels: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What else is known of every slice, from a network or from labels.

    Attributes:
        probabilities: float32 (Z, 5, H, W) of labels 0 to 4.
        share: its part in the logarithm of the joint probability, 0 to 1, where it agrees with the propagation.
    """

    probabilities: np.ndarray
    share: float


class SliceLabeller:
    """A network that labels slices of 1.25 mm, loaded once.

    Raises:
        InputError: bundle, weights, device or backend of the choice cannot be used.
    """

    def __init__(self, choice: NetworkChoice):
        opened = open_network(choice)
        self.predictor, self.said = opened.predictor, opened.said
        self.structures = int(opened.number("network_def", "structures"))
        self.multiple = multiple_of(opened.setting("network_def", "widths"))

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """Float32 (B, S, 5, H, W) of labels 0 to 4, of inputs (B, C, H, W), H and W multiples of ``multiple``."""
        return probabilities(self.predictor(np.ascontiguousarray(inputs, np.float32)), self.structures)


class Initializer(SliceLabeller):
    """The initialization network: every slice by itself."""

    def __init__(self, choice: NetworkChoice = NetworkChoice(INITIALIZATION_BUNDLE)):
        super().__init__(choice)

    def __call__(self, images: np.ndarray) -> LabelledSlices:
        """Labels of slices (Z, H, W) in 0..1; any height and width."""
        labels, confidence = zip(*(decided(found) for found in self.each(images)), strict=True)
        return LabelledSlices(np.stack(labels), np.array(confidence, np.float32))

    def each(self, images: np.ndarray) -> np.ndarray:
        """Float32 (Z, 5, H, W) probabilities of slices (Z, H, W) in 0..1; any height and width."""
        rows, columns = images.shape[1:]
        pads = [(0, 0), (0, -rows % self.multiple), (0, -columns % self.multiple)]
        padded, batch = np.pad(images, pads)[:, None], self.predictor.batch
        parts = [self.probabilities(padded[n : n + batch])[:, 0] for n in range(0, len(padded), batch)]
        return np.concatenate(parts)[..., :rows, :columns]


class Propagator(SliceLabeller):
    """The propagation network: the next slices from a labelled one."""

    def __init__(self, choice: NetworkChoice = NetworkChoice(PROPAGATION_BUNDLE)):
        super().__init__(choice)

    def __call__(
        self,
        images: np.ndarray,
        mask: np.ndarray,
        start: int,
        base: int,
        *,
        evidence: Evidence | None = None,
        progress: Progress = silent,
    ) -> LabelledSlices:
        """Labels of all slices up to ``base``; what lies over it stays background.

        Towards the apex the work ends where nothing is labelled any more. With evidence, every slice gets the labels of
        the greatest joint probability of propagation and evidence; a slice whose evidence lies elsewhere than the
        propagated heart, because its image is poor or displaced, goes by the propagation.

        Args:
            images: (Z, H, W) in 0..1, slice 0 at the apical end, H and W multiples of ``multiple``.
            mask: (H, W) labels 0 to 4 of slice ``start``.
            start, base: slices, ``start`` not over ``base``.
            evidence: of the same slices; None for the published method, the start slice and the images alone.
            progress: called with the fraction done.

        Raises:
            InputError: the mask has no myocardium, or ``start`` lies over the base.
        """
        if not np.isin(mask, MUSCLE).any():
            raise InputError("The slice to start from has no myocardium; choose another slice or label it.")
        if not 0 <= start <= base < len(images):
            raise InputError("The slice to start from must lie between the apex and the base slice.")
        labels = np.zeros(images.shape, np.uint8)
        confidence = np.full(len(images), np.nan, np.float32)
        labels[start], confidence[start] = mask, 1.0
        up, down = start, start
        while up < base or down > 0:
            fronts = ([(up, 1)] if up < base else []) + ([(down, -1)] if down > 0 else [])
            found = self.probabilities(np.stack([self._input(images, labels, *front) for front in fronts]))
            for (place, way), answer in zip(fronts, found, strict=True):
                for n in range(1, STEP + 1):
                    z = place + way * n
                    if 0 <= z <= base:
                        labels[z], confidence[z] = decided(joint(answer[n - 1], evidence, z))
            up = min(up + STEP, base)
            down = max(down - STEP, 0)
            if not labels[down].any():
                down = 0
            progress((up - down) / max(base, 1), "propagating")
        return LabelledSlices(labels, confidence)

    def _input(self, images: np.ndarray, labels: np.ndarray, place: int, way: int) -> np.ndarray:
        """(C, H, W): the labelled slice, the next ones that way, the mask of the first."""
        ahead = np.clip(place + way * np.arange(STEP + 1), 0, len(images) - 1)
        if self.structures == 1:
            mask = np.isin(labels[place], MUSCLE)[None]
        else:
            mask = labels[place] == np.arange(1, self.structures + 1, dtype=np.uint8)[:, None, None]
        return np.concatenate([images[ahead], mask.astype(np.float32)])


def joint(probabilities: np.ndarray, evidence: Evidence | None, slice_: int) -> np.ndarray:
    """Probabilities (5, H, W) of a slice and its evidence together, weighted geometric mean."""
    if evidence is None:
        return probabilities
    other = evidence.probabilities[slice_]
    apart = outlines_apart(probabilities.argmax(0) > 0, other.argmax(0) > 0)
    share = evidence.share * float(np.clip((OTHER_MM - apart) / (OTHER_MM - SAME_MM), 0, 1))
    if not share:
        return probabilities
    both = (probabilities + LEAST) ** (1 - share) * (other + LEAST) ** share
    return both / both.sum(0)


def outlines_apart(one: np.ndarray, two: np.ndarray) -> float:
    """About the mean distance (mm) of two sections' outlines: area of their difference over their mean perimeter."""
    outlines = sum(int((mask & ~ndimage.binary_erosion(mask)).sum()) for mask in (one, two))
    return 2 * SPACING * int((one ^ two).sum()) / outlines if outlines else 0.0


def decided(probabilities: np.ndarray) -> tuple[np.ndarray, float]:
    """Labels uint8 (H, W) of a slice's probabilities (5, H, W), and the expected Dice of its myocardium."""
    labels = probabilities.argmax(0).astype(np.uint8)
    muscle = np.isin(labels, MUSCLE)
    if not muscle.any():
        return labels, np.nan
    soft = probabilities[list(MUSCLE)].sum(0)
    return labels, float(2 * soft[muscle].sum() / (soft.sum() + muscle.sum()))
