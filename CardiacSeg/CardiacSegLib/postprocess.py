"""Clean-up of one frame's labels in 3-D."""

import numpy as np
from scipy import ndimage

from CardiacLib.labels import LV, MYO, RV


def clean_frame(labels: np.ndarray) -> np.ndarray:
    """Keep one heart: the largest 3-D component of all labels, and in it the largest of each structure.

    Slices count as neighbours where their in-plane masks overlap, so true apical and basal slices stay.

    Args:
        labels: uint8 (K, J, I).
    """
    heart = largest_component(labels > 0)
    cleaned = np.zeros_like(labels)
    for label in (LV, MYO, RV):
        cleaned[largest_component((labels == label) & heart)] = label
    return cleaned


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest component of a (K, J, I) mask; voxels touch within a slice by edge or corner, across by face."""
    structure = ndimage.generate_binary_structure(3, 1)
    structure[1] = True
    components, count = ndimage.label(mask, structure)
    if count < 2:
        return mask
    return components == 1 + np.argmax(np.bincount(components.ravel())[1:])
