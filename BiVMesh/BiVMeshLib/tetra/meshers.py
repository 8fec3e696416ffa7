"""Other tetrahedral meshers behind one interface: they fill the surface of a stuffed mesh anew.

Both are optional (``pip install "cineheart[meshers]"``) and neither is for Slicer: pytetwild brings a VTK of its own.
Their meshes come as delivered, and must pass the same gate as ours.
"""

import importlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from BiVMeshLib.check.topology import boundary_faces
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.heart_shape import Shape
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import PATCHES

from .stuffing import Stuffed, positive
from .tags import patch_ids

FLAT = 0.05
"""Share of an edge within which a triangle's nodes lie in the base plane."""
ENVELOPE_MM = 0.3
"""How far fTetWild's surface, and Mmg's, may leave the given one."""

Mesher = Callable[[object, Stuffed, float], tuple[np.ndarray, np.ndarray]]
"""The imported package, a stuffed mesh and the edge length in mm to points (N, 3) and tets (M, 4)."""


def _ftetwild(package, mesh: Stuffed, edge_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """fTetWild (Hu et al., ACM Trans Graph 2020, doi 10.1145/3386569.3392385) on the surface alone; one thread.

    More threads are faster, but no longer give the same mesh each time.
    """
    used, faces = np.unique(boundary_faces(mesh.tets), return_inverse=True)
    points = mesh.points[used]
    envelope = ENVELOPE_MM / float(np.linalg.norm(np.ptp(points, axis=0)))
    with _scratch_folder():
        return package.tetrahedralize(
            points, faces.reshape(-1, 3).astype(np.int32), edge_length_abs=edge_mm, epsilon=envelope, num_threads=1
        )


@contextmanager
def _scratch_folder() -> Iterator[None]:
    """Work in a temporary folder: fTetWild leaves a file of its own in the current one."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _mmg(package, mesh: Stuffed, edge_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Mmg3d (Dapogny et al., J Comput Phys 2014, doi 10.1016/j.jcp.2014.01.005) from the stuffed tets, patches kept."""
    faces = boundary_faces(mesh.tets)
    remeshed = package.MmgMesh3D()
    remeshed.set_mesh_size(vertices=len(mesh.points), tetrahedra=len(mesh.tets), triangles=len(faces))
    remeshed.set_vertices(mesh.points)
    remeshed.set_tetrahedra(mesh.tets.astype(np.int32))
    remeshed.set_triangles(faces.astype(np.int32), patch_ids(mesh, faces))
    remeshed.remesh(hsiz=edge_mm, hausd=ENVELOPE_MM, verbose=-1)
    return remeshed.get_vertices(), remeshed.get_tetrahedra()


STUFFING = "stuffing"
"""Our own mesher, which needs no package."""
MESHERS: dict[str, tuple[str, Mesher]] = {"ftetwild": ("pytetwild", _ftetwild), "mmg": ("mmgpy", _mmg)}
"""By name the package and the call."""


def is_installed(name: str) -> bool:
    """Whether the package of one of MESHERS can be imported."""
    try:
        importlib.import_module(MESHERS[name][0])
    except ImportError:
        return False
    return True


def require_mesher(name: str) -> None:
    """Raise InputError where ``name`` is neither stuffing nor one of MESHERS whose package is installed."""
    if name == STUFFING:
        return
    if name not in MESHERS:
        raise InputError(f"Unknown mesher {name!r}: choose from {STUFFING}, {', '.join(MESHERS)}.")
    if not is_installed(name):
        raise InputError(
            f"The mesher {name} needs {MESHERS[name][0]}: install 'cineheart[meshers]' with pip, or use {STUFFING}."
        )


def remesh(name: str, mesh: Stuffed, shape: Shape, edge_mm: float) -> Stuffed:
    """Tetrahedra of the same body from another mesher.

    Args:
        name: one of MESHERS.
        mesh: what gives the surface, in the local frame.
        shape: tells the sides of the new surface.
        edge_mm: wanted mean edge.

    Raises:
        InputError: there is no such mesher, or its package is not installed.
    """
    require_mesher(name)
    package, call = MESHERS[name]
    points, tets = call(importlib.import_module(package), mesh, edge_mm)
    return with_sides(np.asarray(points, float), np.asarray(tets, np.int64), shape, edge_mm)


def with_sides(points: np.ndarray, tets: np.ndarray, shape: Shape, edge_mm: float) -> Stuffed:
    """Tets of any origin with the side of each surface node; nodes of the base's triangles are put into its plane."""
    used, tets = np.unique(tets, return_inverse=True)
    points = points[used].copy()
    tets = positive(points, tets.reshape(-1, 4))
    faces = boundary_faces(tets)
    corners = points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    upright = normal[:, 2] > 0.9 * np.linalg.norm(normal, axis=1)
    base = upright & (np.abs(corners[:, :, 2]) < FLAT * edge_mm).all(1)
    on_base, side = np.zeros(len(points), bool), np.zeros(len(points), np.int8)
    on_base[faces[base]] = True
    points[on_base, 2] = 0.0
    walls: dict[str, Field | None] = {"EPI": shape.outer, "ENDO_LV": shape.lv, "ENDO_RV": shape.rv}
    names = [name for name, field in walls.items() if field is not None]
    centres = corners.mean(1)
    nearest = np.argmin([np.abs(walls[name](centres)) for name in names], axis=0)
    of_triangle = np.array([PATCHES[name] for name in names], np.int8)[nearest]
    np.maximum.at(side, faces[~base], of_triangle[~base, None])
    return Stuffed(points=points, tets=tets, side=side, on_base=on_base, loose=np.zeros(len(points), bool))
