"""What every CineHeart module shares: types, geometry, readers, metrics, training tools, phantom.

Pure Python; only ``CardiacLib.mrml`` imports slicer. Library geometry is LPS in mm.
"""

from .errors import Cancelled, InputError
from .types.cine import VIEWS, Cine
from .types.labels import LabelMap
from .types.landmarks import LANDMARK_NAMES, Landmarks

__version__ = "0.1.0"

__all__ = ["LANDMARK_NAMES", "VIEWS", "Cancelled", "Cine", "InputError", "LabelMap", "Landmarks"]
