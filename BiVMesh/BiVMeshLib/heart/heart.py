"""A mesh as what a finite-element user takes home: arrays by name, and the objects of their own packages."""

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from BiVMeshLib.convert import read_mesh
from BiVMeshLib.exporters.common import patch_names, region_names
from BiVMeshLib.exporters.space import Space, placed, space_of
from BiVMeshLib.tetra.quadratic import Elements, elements
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import BiVMesh

from .dolfinx_mesh import DolfinxHeart, dolfinx_heart


@dataclass(frozen=True)
class Heart:
    """A tagged mesh of both ventricles in units and frame of choice.

    Attributes:
        mesh: nodes, tets, regions, triangles, patches, fields, in ``space``.
        space: its units and frame, and the map from LPS in mm.
    """

    mesh: BiVMesh
    space: Space

    @cached_property
    def elements(self) -> Elements:
        """Nodes (N, 3), tets (M, 4 or 10), triangles (F, 3 or 6) as the element order has them."""
        return elements(self.mesh)

    @property
    def order(self) -> int:
        """1 for linear tetrahedra, 2 for quadratic ones."""
        return self.elements.order

    @property
    def patches(self) -> dict[str, np.ndarray]:
        """Triangles (F, 3 or 6) of each patch by name, node numbers from 0, outwards."""
        made = self.elements.triangles
        return {name: made[self.mesh.patches == number] for name, number in patch_names(self.mesh).items()}

    @property
    def regions(self) -> dict[str, np.ndarray]:
        """Numbers of the tets of each region by name."""
        return {name: np.flatnonzero(self.mesh.regions == number) for name, number in region_names(self.mesh).items()}

    @property
    def fibres(self) -> np.ndarray:
        """(M, 3, 3) per tet, columns fibre, sheet, normal: unit vectors of the frame.

        Raises:
            InputError: the mesh has no fibres.
        """
        names = ("fibre", "sheet", "normal")
        missing = [name for name in names if name not in self.mesh.cell_fields]
        if missing:
            raise InputError(f"The mesh has no {', '.join(missing)} directions; make it with fibres.")
        return np.stack([self.mesh.cell_fields[name] for name in names], axis=2)

    def to_meshio(self) -> Any:
        """``meshio.Mesh`` of tets and boundary triangles, with cell data ``tag`` and the names as cell sets."""
        meshio = _package("meshio")
        made, mesh = self.elements, self.mesh
        kinds = ("tetra", "triangle") if made.order == 1 else ("tetra10", "triangle6")
        none = np.empty(0, np.int64)
        sets = {name: [tets, none] for name, tets in self.regions.items()}
        sets |= {name: [none, np.flatnonzero(mesh.patches == n)] for name, n in patch_names(mesh).items()}
        return meshio.Mesh(
            made.nodes,
            [(kinds[0], made.tets), (kinds[1], made.triangles)],
            point_data=made.point_fields,
            cell_data={"tag": [mesh.regions, mesh.patches]},
            cell_sets=sets,
        )

    def to_pyvista(self) -> Any:
        """``pyvista.UnstructuredGrid`` of the tets with all fields and ``region``."""
        pyvista = _package("pyvista")
        made = self.elements
        grid = pyvista.UnstructuredGrid({10 if made.order == 1 else 24: made.tets}, made.nodes)
        grid.cell_data["region"] = self.mesh.regions
        for name, values in self.mesh.cell_fields.items():
            grid.cell_data[name] = values
        for name, values in made.point_fields.items():
            grid.point_data[name] = values
        return grid

    def to_skfem(self) -> Any:
        """``skfem.MeshTet`` (``MeshTet2`` of a quadratic mesh) with boundaries and subdomains by name."""
        skfem = _package("skfem")
        made = self.elements
        kind = skfem.MeshTet if made.order == 1 else skfem.MeshTet2
        mesh = kind(np.ascontiguousarray(made.nodes.T), np.ascontiguousarray(made.tets.T))
        size = mesh.nvertices
        keys, order = _facet_keys(mesh.facets.T, size)
        boundaries = {}
        for name, triangles in self.patches.items():
            wanted = np.sort(_keys(triangles[:, :3], size))
            boundaries[name] = order[np.searchsorted(keys, wanted)].astype(np.int32)
        return mesh.with_boundaries(boundaries).with_subdomains(
            {name: tets.astype(np.int32) for name, tets in self.regions.items()}
        )

    def to_dolfinx(self, comm: Any) -> DolfinxHeart:
        """Mesh, cell and facet tags, and f0, s0, n0 of DOLFINx 0.8 or newer.

        Args:
            comm: communicator of mpi4py; every process has loaded the same file.
        """
        return dolfinx_heart(self.mesh, self.elements, comm)


def _keys(triangles: np.ndarray, size: int) -> np.ndarray:
    low, middle, high = np.sort(triangles, axis=1).astype(np.int64).T
    return (low * size + middle) * size + high


def _facet_keys(facets: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    keys = _keys(facets[:, :3], size)
    order = np.argsort(keys)
    return keys[order], order


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        known = {"skfem": "scikit-fem"}.get(name, name)
        raise InputError(f"This needs {known}, which is not installed: pip install {known}.") from error


def load_heart(path: str | Path, units: str = "mm", frame: str = "LPS") -> Heart:
    """Load a mesh that CineHeart wrote: ``.vtu``, ``.msh``, ``.xdmf``, ``.inp``, ``.feb``, ``.pts``, or its folder.

    Args:
        path: file or folder of results.
        units: of the coordinates: mm, cm, m or um.
        frame: LPS, RAS, or HEART (apex at the origin, long axis z, septum at -x).

    Raises:
        InputError: the file is missing, cannot be read or is no heart, or there is no such unit or frame.

    Example:
        >>> from BiVMeshLib.exporters import write_vtu
        >>> nodes, tets = np.vstack([np.zeros(3), np.eye(3)]), np.array([[0, 1, 2, 3]])
        >>> faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
        >>> patches = np.array([1, 1, 1, 4], np.int32)
        >>> write_vtu(BiVMesh(nodes, tets, np.array([11], np.int32), faces, patches), "mesh.vtu")
        >>> heart = load_heart("mesh.vtu", units="m", frame="RAS")
        >>> heart.elements.nodes.max(), heart.patches["BASE"], heart.regions
        (np.float64(0.001), array([[1, 2, 3]]), {'LV_MYO': array([0])})
    """
    mesh = read_mesh(path)
    space = space_of(mesh, units, frame)
    return Heart(placed(mesh, space.to_file()), space)
