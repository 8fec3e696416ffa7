"""What a reader found in a file, and the mesh in LPS mm that it makes."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from BiVMeshLib.check.topology import boundary_faces
from BiVMeshLib.exporters.space import Space, placed
from BiVMeshLib.tetra.quadratic import mesh_edges
from BiVMeshLib.tetra.stuffing import positive
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import ALL_PATCHES, REGIONS, BiVMesh


@dataclass
class Found:
    """Content of a file, ids from 0.

    Attributes:
        nodes: (N, 3) in ``space``. tets: (M, 4 or 10), middles in the order of ``tetra.quadratic.EDGES``.
        regions: (M,) ids. triangles: (F, 3 or more) boundary, corners first. patches: (F,) ids.
        cells, points: fields by name.
        space: what the file says; None if nothing.
    """

    nodes: np.ndarray
    tets: np.ndarray
    regions: np.ndarray
    triangles: np.ndarray
    patches: np.ndarray
    cells: dict[str, np.ndarray] = field(default_factory=dict)
    points: dict[str, np.ndarray] = field(default_factory=dict)
    space: Space | None = None

    def mesh(self, path: Path) -> BiVMesh:
        """The mesh in LPS mm.

        Raises:
            InputError: the file, named by ``path``, has no tetrahedra, no regions, or no boundary with known patches.
        """
        if not len(self.tets):
            raise InputError(f"{path}: has no tetrahedra; give a volume mesh that CineHeart wrote.")
        if not np.isin(self.regions, list(REGIONS.values())).all():
            raise InputError(f"{path}: has regions other than {_table(REGIONS)}; give a mesh that CineHeart wrote.")
        if not len(self.triangles) or not np.isin(self.patches, list(ALL_PATCHES.values())).all():
            raise InputError(f"{path}: has no boundary with the patches {_table(ALL_PATCHES)}; give a mesh with them.")
        space = self.space or Space()
        notes = () if self.space else (f"{path.name} does not say its frame and units: LPS and mm are taken.",)
        used, tets = np.unique(self.tets[:, :4], return_inverse=True)
        number = np.full(len(self.nodes), -1)
        number[used] = np.arange(len(used))
        mesh = BiVMesh(
            nodes=np.asarray(self.nodes, float)[used],
            tets=tets.reshape(-1, 4).astype(np.int64),
            regions=self.regions.astype(np.int32),
            triangles=number[self.triangles[:, :3]].astype(np.int64),
            patches=self.patches.astype(np.int32),
            middles=_middles(np.asarray(self.nodes, float), self.tets, tets.reshape(-1, 4)),
            notes=notes,
            cell_fields={n: _kind(v) for n, v in self.cells.items()},
            point_fields={n: _kind(np.asarray(v)[used].squeeze()) for n, v in self.points.items()},
        )
        return placed(mesh, np.linalg.inv(space.to_file()))


def _table(names: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in names.items())


def _kind(values: np.ndarray) -> np.ndarray:
    """Whole numbers as int32, others as float64."""
    return values.astype(np.int32 if values.dtype.kind in "iu" else np.float64)


def _middles(nodes: np.ndarray, tets: np.ndarray, corners: np.ndarray) -> np.ndarray | None:
    if tets.shape[1] == 4:
        return None
    edges, of_tet = mesh_edges(corners)
    middles = np.empty((len(edges), 3))
    middles[of_tet.ravel()] = nodes[tets[:, 4:].ravel()]
    return middles


def outward(tets: np.ndarray, nodes: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Boundary triangles (F, 3) of tets in the direction that points out of them."""
    faces = boundary_faces(positive(nodes, tets[:, :4].copy()))
    size = len(nodes)

    def keys(rows):
        low, middle, high = np.sort(rows, axis=1).astype(np.int64).T
        return (low * size + middle) * size + high

    every = keys(faces)
    order = np.argsort(every)
    place = np.minimum(np.searchsorted(every[order], keys(triangles)), len(order) - 1)
    return faces[order[place]]
