"""A heart in the objects of other packages: meshio, pyvista, scikit-fem, DOLFINx."""

from .heart import Heart, load_heart

__all__ = ["Heart", "load_heart"]
