"""The size of the tetrahedra where none is asked for: finer for a thin wall.

One size for the whole mesh. Most tetrahedra of a thin wall touch its surface, and those are the less regular ones.
"""

import numpy as np

from CardiacLib.types.mesh_options import EDGE_MM

from .heart_shape import Shape

LEAST_MM = 1.2
"""Least edge that is chosen: a third of the volume of EDGE_MM."""
ACROSS = 2.5
"""Edges that the mean wall shall hold: from there on the mean scaled Jacobian is 0.785 or more (0.76 with 2)."""


def edge_for(shape: Shape) -> tuple[float, float]:
    """Mean edge of the tetrahedra for a shape, and the mean thickness of its wall, mm."""
    thickness = mean_thickness(shape)
    return float(np.clip(thickness / ACROSS, LEAST_MM, EDGE_MM)), thickness


def mean_thickness(shape: Shape) -> float:
    """Mean thickness of the myocardium in mm: twice its volume over the area of its walls, both under the base.

    The area is the volume within one voxel of the surface over that layer's thickness.
    """
    field = shape.myocardium()
    h = field.spacing
    under = field.values[field.origin[2] + h * np.arange(len(field.values)) < 0]
    volume = float(np.clip(0.5 - under / h, 0.0, 1.0).sum()) * h**3
    area = int((np.abs(under) < h).sum()) * h**2 / 2.0
    return 2.0 * volume / area
