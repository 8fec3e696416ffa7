"""Slice propagation: one labelled slice carried to base and apex, for a myocardium that is consistent in 3-D.

After Zheng, Delingette, Duchateau, Ayache, "3D Consistent Biventricular Myocardial Segmentation Using Deep Learning for
Mesh Generation", arXiv 1803.11080.
"""

from .stacks import Propagation, PropagationOptions, SlicePropagation

__all__ = ["Propagation", "PropagationOptions", "SlicePropagation"]
