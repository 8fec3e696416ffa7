"""Writers of a BiVMesh. Coordinates are LPS in mm; where the format has a place for it the file says so."""

from .vtk import write_quality, write_vtp, write_vtu

__all__ = ["write_quality", "write_vtp", "write_vtu"]
