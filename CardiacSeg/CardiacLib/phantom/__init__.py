"""Synthetic beating biventricular study with exact truth: implicit anatomy, motion, image formation, labels, surfaces.

Heart frame (mm): x from the LV axis to the middle of the septum and the RV, y to the anterior wall, z along the LV long
axis to the base, right-handed; the origin is the LV's epicardial apex at end-diastole. ``views.heart_to_lps`` places it
in the patient. Everything that leaves the package is LPS.
"""

from .options import PhantomOptions
from .output import write_phantom
from .study import Phantom, make_phantom

__all__ = ["Phantom", "PhantomOptions", "make_phantom", "write_phantom"]
