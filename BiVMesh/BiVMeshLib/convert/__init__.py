"""Meshes from files and back: every format that the exporters write is read, into LPS mm, and written as one file."""

from .read import READABLE, read_mesh
from .tissue import with_tissue
from .write import WRITABLE, Conversion, convert_mesh

__all__ = ["READABLE", "WRITABLE", "Conversion", "convert_mesh", "read_mesh", "with_tissue"]
