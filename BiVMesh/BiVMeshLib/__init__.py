"""From short-axis labels to a tagged tetrahedral mesh of both ventricles. numpy and scipy only."""

from .options import FibreOptions, MeshOptions
from .pipeline import build_mesh
from .quality import MeshError

__all__ = ["FibreOptions", "MeshError", "MeshOptions", "build_mesh"]
