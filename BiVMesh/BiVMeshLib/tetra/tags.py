"""Names for the parts of a mesh: boundary patches and cell regions."""

import numpy as np

from BiVMeshLib.shape.heart_shape import Shape
from CardiacLib.types.bivmesh import PATCHES, REGIONS

from .stuffing import Stuffed


def patch_ids(mesh: Stuffed, triangles: np.ndarray) -> np.ndarray:
    """int32 (F,) PATCHES id of each boundary triangle: BASE in the base plane, else the side its nodes were cut on."""
    base = mesh.on_base[triangles].all(1)
    return np.where(base, PATCHES["BASE"], mesh.side[triangles].max(1)).astype(np.int32)


def region_ids(mesh: Stuffed, shape: Shape) -> np.ndarray:
    """int32 (M,) REGIONS id of each tet, by its centroid.

    RV_WALL lies outside the LV body and nearer to the RV pool than to the LV pool: the smoothed outer surface of the
    LV's free wall reaches beyond the LV body too. Of the rest SEPTUM is nearer to the RV pool than to the outside.
    """
    centres = mesh.points[mesh.tets].mean(1)
    regions = np.full(len(mesh.tets), REGIONS["LV_MYO"], np.int32)
    if shape.rv is None:
        return regions
    to_rv, to_lv, to_outside = shape.rv(centres), shape.lv(centres), -shape.outer(centres)
    regions[to_rv < to_outside] = REGIONS["SEPTUM"]
    regions[(shape.lv_body(centres) > 0) & (to_rv < to_lv)] = REGIONS["RV_WALL"]
    return regions
