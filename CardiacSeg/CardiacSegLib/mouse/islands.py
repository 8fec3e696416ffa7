"""Remove islands of labels as the published framework does, three-dimensional and one structure at a time.

Three things are added. The component that the others are compared with lies at the other structure: the component
through most slices alone may be the aorta, where a network mistakes vessels for the LV pool. No component stays beyond
a slice without the heart's: a vessel over the base may lie near the heart's centre too. And over the most basal slice
of the pool there is no myocardium: what looks like it is the wall of an atrium or of a vessel.
"""

import numpy as np
from scipy import ndimage

from CardiacLib.types.labels import BACKGROUND, LV, MYO

LEAST_VOXELS = 10
LEAST_SLICES = 2
FARTHEST = 40.0
"""Voxels, in index space, between the centre of a kept component and that of the heart's one."""
LEAST_TO_TELL = 3
"""Slices with pool, from which on its areas tell base from apex."""
WALLED = 0.5
"""Part of a pool's border, in its slices, that must be myocardium for it to be the heart's."""


def without_islands(labels: np.ndarray) -> np.ndarray:
    """Labels of one frame without islands, uint8 (K, J, I).

    Of each structure, components hold together by faces. Those of fewer than ``LEAST_VOXELS`` voxels go. The heart's is
    the one through most slices, the largest of equals, of those pools that myocardium surrounds, and of that myocardium
    that touches this pool; of all where none does. Of the others those stay that lie in ``LEAST_SLICES`` slices or
    more, whose centre is no farther than ``FARTHEST`` from that of the heart's, and that share a slice with it or lie
    in the next one. A structure of small components only keeps the largest. Last goes myocardium beyond the pool on the
    side towards which the pool gets wider.
    """
    kept = labels.copy()
    pool = labels == LV
    wall = labels == MYO
    pool_kept = _kept(pool, lambda piece: _border(piece, wall) >= WALLED)
    kept[pool & ~pool_kept] = BACKGROUND
    near = _grown(pool_kept)
    kept[wall & ~_kept(wall, lambda piece: bool((piece & near).any()))] = BACKGROUND
    over = kept[_over_base((kept == LV).sum((1, 2)))]
    over[over == MYO] = BACKGROUND
    return kept


def _over_base(areas: np.ndarray) -> slice:
    """Slices beyond the base of a pool of these areas (K,); none where the areas do not tell base from apex."""
    there = np.flatnonzero(areas)
    if len(there) < LEAST_TO_TELL:
        return slice(0, 0)
    first, last = int(there[0]), int(there[-1])
    wider = int((areas * (2 * np.arange(len(areas)) - first - last)).sum())
    return slice(last + 1, None) if wider > 0 else slice(0, first) if wider < 0 else slice(0, 0)


def _grown(mask: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(mask, np.ones((1, 3, 3), bool))


def _border(piece: np.ndarray, wall: np.ndarray) -> float:
    """Part of the border of a piece, within its slices, that is wall."""
    border = _grown(piece) & ~piece
    return float(wall[border].mean()) if border.any() else 0.0


def _kept(mask: np.ndarray, of_heart) -> np.ndarray:
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())[1:]
    numbers = np.flatnonzero(sizes >= LEAST_VOXELS) + 1
    if not numbers.size:
        return pieces == 1 + int(sizes.argmax())
    slices = {n: np.flatnonzero((pieces == n).any((1, 2))) for n in numbers}
    candidates = [n for n in numbers if of_heart(pieces == n)] or list(numbers)
    heart = max(candidates, key=lambda n: (len(slices[n]), sizes[n - 1]))
    first, last = slices[heart][0] - 1, slices[heart][-1] + 1
    centres = dict(zip(numbers, np.array(ndimage.center_of_mass(mask, pieces, numbers)), strict=True))

    def stays(n: int) -> bool:
        beside = slices[n][0] <= last and slices[n][-1] >= first
        return len(slices[n]) >= LEAST_SLICES and beside and np.linalg.norm(centres[n] - centres[heart]) <= FARTHEST

    return np.isin(pieces, [n for n in numbers if n == heart or stays(n)])
