"""Clean-up of one frame's labels in 3-D."""

import numpy as np
from scipy import ndimage

from CardiacLib.types.labels import BACKGROUND, LV, MYO, RV, largest_piece

GAP = 2
"""Pixels in the plane by which parts of one ventricle are grown to see whether they touch, in a slice or the next.

Large enough for every slice of the experts' labels of the 80 training patients to stay (but for one pixel)."""
WITHIN = 0.5
"""Part of an island's border that must be ventricle for it to belong to the heart."""
HOLE = 0.25
"""Area of holes in the ring over that of its pool, above which it is no ring of the LV (drawn round an atrium)."""
WALLED = 0.25
"""Part of the border of a slice's pool that must be myocardium. In the experts' labels of the 80 training patients it
is never less than 0.82, an outflow tract included; in the network's labels of true slices 0.36, of atria up to 0.13."""
OVERLAP = 0.2
"""Part of a slice's LV that lies over the LV of the slice before; never less than 0.40 in those experts' labels."""
EIGHT = np.ones((3, 3), bool)


def clean_frame(labels: np.ndarray) -> np.ndarray:
    """Keep one heart: the main component of each ventricle, and of those what is connected with one another.

    First goes what has no wall, see :func:`is_atrium`. The LV's pool and wall count together, as the wall that closes
    the apex lies under the pool of the next slice. Slices are neighbours where their in-plane masks overlap or nearly
    do, so true apical and basal slices stay. Then each slice by itself: see :func:`clean_slice`.

    Args:
        labels: uint8 (K, J, I).
    """
    cleaned = np.zeros_like(labels)
    held = [np.flatnonzero(labels.any(axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if held[0].size:
        # Most of the field is background; one pixel of it stays round the heart, as borders are looked at.
        box = tuple(slice(max(where[0] - 1, 0), where[-1] + 2) for where in held)
        cleaned[box] = _clean_box(labels[box].copy())
    return cleaned


def _clean_box(labels: np.ndarray) -> np.ndarray:
    for section in labels:
        if is_atrium(section):
            section[np.isin(section, (LV, MYO))] = BACKGROUND
    cleaned = np.zeros_like(labels)
    for ventricle in ((LV, MYO), (RV,)):
        kept = main_component(np.isin(labels, ventricle))
        if LV in ventricle:
            kept = main_column(kept, labels == LV)
        cleaned[kept] = labels[kept]
    cleaned[~main_component(cleaned > 0)] = BACKGROUND
    for section in cleaned:
        if section.any():
            clean_slice(section)
    return cleaned


def main_column(mask: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """A (K, J, I) LV from its largest slice outwards up to where it jumps to another place (to the right atrium).

    Beyond a slice of wall alone, which closes the apex, there is no pool either.
    """
    kept = np.zeros_like(mask)
    holds_pool = (mask & pool).any((1, 2))
    areas = mask.sum((1, 2))
    largest = int(areas.argmax())
    kept[largest] = mask[largest]
    for step in (-1, 1):
        k = largest + step
        while 0 <= k < len(mask) and areas[k] and (mask[k] & mask[k - step]).sum() >= OVERLAP * areas[k]:
            if holds_pool[k] and not holds_pool[k - step]:
                break
            kept[k] = mask[k]
            k += step
    return kept


def is_atrium(section: np.ndarray) -> bool:
    """Whether the LV pool of a (J, I) slice is bare: little of its border is wall, and there is less wall than pool."""
    pool, wall = section == LV, section == MYO
    if pool.sum() <= wall.sum():
        return False
    border = ndimage.binary_dilation(pool, EIGHT) & ~pool
    return bool(wall[border].mean() < WALLED)


def clean_slice(section: np.ndarray) -> None:
    """Keep one ring, fill what ventricles enclose and drop pool that lies outside the ring, in place.

    Of separate parts of the LV, pool and wall together, the largest stays: the experts' labels of the 80 training
    patients never have two in a slice. Background inside the ring and myocardium inside the pool (papillary muscle)
    become LV pool, background inside the RV becomes RV. Islands of LV pool besides the largest stay only where
    ventricle surrounds them.

    Args:
        section: uint8 (J, I) of one slice.
    """
    box = ndimage.find_objects((section > 0).view(np.uint8))[0]
    inside = section[box]
    ring = np.isin(inside, (LV, MYO))
    inside[ring & ~largest_piece(ring, EIGHT)] = BACKGROUND
    pool = inside == LV
    islands, count = ndimage.label(pool, EIGHT)
    if count > 1:
        largest = 1 + np.argmax(np.bincount(islands.ravel())[1:])
        for island in set(range(1, count + 1)) - {largest}:
            mask = islands == island
            border = inside[ndimage.binary_dilation(mask, EIGHT) & ~mask]
            if np.isin(border, (LV, MYO)).mean() < WITHIN:
                inside[mask] = BACKGROUND
    if (inside == LV).any():
        inside[ndimage.binary_fill_holes(inside == LV)] = LV
    holes = ndimage.binary_fill_holes(np.isin(inside, (LV, MYO))) & (inside == BACKGROUND)
    if holes.sum() < HOLE * (inside == LV).sum():
        inside[holes] = LV
    inside[ndimage.binary_fill_holes(inside == RV) & (inside == BACKGROUND)] = RV


def main_component(mask: np.ndarray) -> np.ndarray:
    """The component of a (K, J, I) mask that is largest through the slices; the mask itself if it has only one.

    Components are compared by the sum over slices of the square root of their area: a ventricle goes through many
    slices, what is mistaken for one (stomach, liver) may be larger but lies in few.
    """
    structure = ndimage.generate_binary_structure(3, 1)
    structure[1] = True
    near = ndimage.maximum_filter(mask.view(np.uint8), (1, 2 * GAP + 1, 2 * GAP + 1))
    components, count = ndimage.label(near, structure)
    if count < 2:
        return mask
    components[~mask] = 0
    areas = np.stack([np.bincount(section.ravel(), minlength=count + 1) for section in components])
    return components == 1 + np.argmax(np.sqrt(areas).sum(0)[1:])
