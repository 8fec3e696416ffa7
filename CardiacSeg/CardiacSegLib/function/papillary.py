"""The other convention: papillary muscles and trabeculae counted as myocardium, told by their signal in the cine.

The networks, like the experts that taught them, draw the endocardium round the cavity with its papillary muscles.
Inside it, pixels nearer to the signal of the muscle than to that of the blood of the same slice are taken for muscle:
thresholding within the endocardial contour, as Codella et al. do (Circ Cardiovasc Imaging 2012;5:137, doi
10.1161/CIRCIMAGING.111.966754).
"""

from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion

from CardiacLib.errors import InputError
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, LabelMap

BLOOD_PERCENTILE = 90
LEAST_CONTRAST = 1.5
"""Blood over muscle: below this they cannot be told apart."""
LEAST_PIXELS = 20


def papillary_to_myocardium(labels: LabelMap, cine: Cine) -> LabelMap:
    """Labels with the papillary muscles and trabeculae of the LV cavity as myocardium, for volumes and mass only.

    Slice by slice, because coil shading changes the signal over the stack: blood is the cavity's 90th percentile,
    muscle the wall's median, the threshold half way. The outermost pixels of the cavity are its blurred edge: they
    count only beside dark pixels further in. Slices without wall or contrast stay as they are.

    Raises:
        InputError: the cine is not on the grid of the labels.
    """
    if cine.frames.shape != labels.labels.shape or not np.allclose(cine.ijk_to_lps, labels.ijk_to_lps, atol=1e-3):
        raise InputError(
            f"{cine.source or 'The cine'}: is not on the grid of the labels; give the cine they were made of."
        )
    changed = labels.labels.copy()
    for plane, image in zip(changed.reshape(-1, *changed.shape[2:]), _planes(cine), strict=True):
        plane[_muscle_in_cavity(plane, image)] = MYO
    return replace(labels, labels=changed)


def _planes(cine: Cine) -> np.ndarray:
    return cine.frames.reshape(-1, *cine.frames.shape[2:])


def _muscle_in_cavity(plane: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Bool (J, I): the cavity's pixels that look like muscle."""
    cavity, wall = plane == LV, plane == MYO
    if min(cavity.sum(), wall.sum()) < LEAST_PIXELS:
        return np.zeros_like(cavity)
    blood, muscle = np.percentile(image[cavity], BLOOD_PERCENTILE), np.median(image[wall])
    if blood < LEAST_CONTRAST * muscle:
        return np.zeros_like(cavity)
    dark = cavity & (image < 0.5 * (blood + muscle))
    inner = dark & binary_erosion(cavity)
    return dark & binary_dilation(inner, np.ones((3, 3)))
