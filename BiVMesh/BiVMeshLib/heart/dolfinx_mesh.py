"""The mesh in DOLFINx 0.8 or newer, on any number of processes. Written against its API; not run in the tests."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from BiVMeshLib.exporters.common import patch_names, region_names
from BiVMeshLib.tetra.quadratic import Elements
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import BiVMesh

BASIX = [0, 1, 2, 3, 9, 8, 5, 7, 6, 4]
"""Our nodes of a ten-node tet in the order of Basix, whose edges are 2-3, 1-3, 1-2, 0-3, 0-2, 0-1."""
AXES = {"f0": "fibre", "s0": "sheet", "n0": "normal"}


@dataclass(frozen=True)
class DolfinxHeart:
    """What a form needs.

    Attributes:
        mesh: ``dolfinx.mesh.Mesh``.
        cell_tags: ``MeshTags`` of the regions. facet_tags: of the patches.
        markers: id of every region and patch by name.
        f0, s0, n0: ``dolfinx.fem.Function``, constant in each cell; None for a mesh without fibres.
    """

    mesh: Any
    cell_tags: Any
    facet_tags: Any
    markers: dict[str, int]
    f0: Any = None
    s0: Any = None
    n0: Any = None


def dolfinx_heart(mesh: BiVMesh, made: Elements, comm: Any) -> DolfinxHeart:
    """As :meth:`BiVMeshLib.heart.Heart.to_dolfinx`; ``made``: the elements of ``mesh``."""
    try:
        basix_ufl, dolfinx = importlib.import_module("basix.ufl"), importlib.import_module("dolfinx")
        importlib.import_module("dolfinx.fem")
        importlib.import_module("dolfinx.mesh")
    except ImportError as error:
        raise InputError("This needs DOLFINx 0.8 or newer: install fenics-dolfinx, which conda-forge has.") from error
    here = comm.rank == 0  # one process gives the mesh, DOLFINx deals it out
    cells = made.tets if made.order == 1 else made.tets[:, BASIX]
    count = len(cells) if here else 0
    domain = dolfinx.mesh.create_mesh(
        comm=comm,
        cells=np.ascontiguousarray(cells[:count], np.int64),
        x=np.ascontiguousarray(made.nodes[: len(made.nodes) if here else 0], np.float64),
        e=basix_ufl.element("Lagrange", "tetrahedron", made.order, shape=(3,)),
    )
    topology = domain.topology
    original = np.asarray(topology.original_cell_index)
    local = np.arange(len(original), dtype=np.int32)
    cell_tags = dolfinx.mesh.meshtags(domain, 3, local, mesh.regions[original].astype(np.int32))
    topology.create_connectivity(2, 3)
    topology.create_connectivity(2, 0)
    facets = dolfinx.mesh.exterior_facet_indices(topology)
    places = dolfinx.mesh.entities_to_geometry(domain, 2, facets)[:, :3]
    ids = patch_of(mesh, np.asarray(domain.geometry.input_global_indices)[places])
    facet_tags = dolfinx.mesh.meshtags(domain, 2, facets, ids)
    axes = {}
    space = dolfinx.fem.functionspace(domain, ("DG", 0, (3,)))
    dofs = space.dofmap.list[:, 0]
    for name, field in AXES.items():
        if field in mesh.cell_fields:
            axes[name] = dolfinx.fem.Function(space, name=name)
            axes[name].x.array.reshape(-1, 3)[dofs] = mesh.cell_fields[field][original]
    markers = {**region_names(mesh), **patch_names(mesh)}
    return DolfinxHeart(domain, cell_tags, facet_tags, markers, **axes)


def patch_of(mesh: BiVMesh, triangles: np.ndarray) -> np.ndarray:
    """(F,) int32 patch of boundary triangles (F, 3) given by node numbers in any order."""
    size = len(mesh.nodes)

    def keys(rows):
        low, middle, high = np.sort(rows, axis=1).astype(np.int64).T
        return (low * size + middle) * size + high

    known = keys(mesh.triangles)
    order = np.argsort(known)
    return mesh.patches[order[np.searchsorted(known[order], keys(triangles))]].astype(np.int32)
