"""From short-axis labels to a tagged tetrahedral mesh of both ventricles. numpy and scipy only."""

from CardiacLib.types.mesh_options import FibreOptions, MeshOptions

from .check.quality import MeshError
from .pipeline import build_mesh

__all__ = ["FibreOptions", "MeshError", "MeshOptions", "build_mesh"]
