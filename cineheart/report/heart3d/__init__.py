"""The mesh of the page that a reader can turn: glTF by VTK, shown by three.js (MIT, ``three.LICENSE``)."""

from .gltf import FIBRES, mesh_gltf

__all__ = ["FIBRES", "mesh_gltf"]
