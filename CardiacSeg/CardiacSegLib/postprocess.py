"""Clean-up of one frame's labels in 3-D."""

import numpy as np
from scipy import ndimage

from CardiacLib.labels import LV, MYO, RV


def clean_frame(labels: np.ndarray) -> np.ndarray:
    """Keep one heart: the main component of each structure, and of those what is connected with one another.

    Slices count as neighbours where their in-plane masks overlap, so true apical and basal slices stay.

    Args:
        labels: uint8 (K, J, I).
    """
    cleaned = np.zeros_like(labels)
    for label in (LV, MYO, RV):
        cleaned[main_component(labels == label)] = label
    cleaned[~main_component(cleaned > 0)] = 0
    return cleaned


def main_component(mask: np.ndarray) -> np.ndarray:
    """The component of a (K, J, I) mask that is largest through the slices; the mask itself if it has only one.

    Components are compared by the sum over slices of the square root of their area: a ventricle goes through many
    slices, what is mistaken for one (stomach, liver) may be larger but lies in few. Voxels touch within a slice by
    edge or corner, across slices by face.
    """
    structure = ndimage.generate_binary_structure(3, 1)
    structure[1] = True
    components, count = ndimage.label(mask, structure)
    if count < 2:
        return mask
    areas = np.stack([np.bincount(section.ravel(), minlength=count + 1) for section in components])
    return components == 1 + np.argmax(np.sqrt(areas).sum(0)[1:])
