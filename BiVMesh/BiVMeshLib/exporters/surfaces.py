"""Boundary patches as surface files, one per patch: STL (binary), PLY and OBJ (text); closed blood pools.

The header says SPACE=LPS, which is what 3D Slicer looks for.
"""

from pathlib import Path

import numpy as np

from CardiacLib.types.bivmesh import BiVMesh

from .closed_pools import closed_pools
from .common import patch_names
from .space import Space
from .text import rows, text_file
from .vtk import write_surface

STL_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")])


def write_stl(mesh: BiVMesh, folder: Path) -> None:
    """Write ``stl/EPI.stl`` and so on: outward unit normals, float32."""
    for name, nodes, triangles in _patches(mesh, folder / "stl"):
        write_stl_file(folder / "stl" / f"{name}.stl", nodes, triangles)


def write_pools(mesh: BiVMesh, folder: Path) -> None:
    """Write the closed blood pools: ``pools/LV_POOL.vtp`` with ids of wall, caps and lid; STL, whole and by face."""
    folder = folder / "pools"
    folder.mkdir()
    for pool in closed_pools(mesh):
        faces = {"patch": pool.faces, "ModelFaceID": pool.faces}
        write_surface(folder / f"{pool.name}.vtp", pool.nodes, pool.triangles, {}, faces, pool.ids())
        write_stl_file(folder / f"{pool.name}.stl", pool.nodes, pool.triangles)
        for name, number in pool.ids().items():
            write_stl_file(folder / f"{pool.name}_{name}.stl", pool.nodes, pool.triangles[pool.faces == number])


def write_stl_file(path: Path, nodes: np.ndarray, triangles: np.ndarray, space: Space | None = None) -> None:
    """Write one binary STL with the file's name in its header; ``space``: of the nodes, by default LPS mm."""
    space = space or Space()
    corners = nodes[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facets = np.zeros(len(triangles), STL_FACET)
    facets["normal"] = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    facets["corners"] = corners
    head = f"SPACE={space.frame} UNITS={space.units} {_plain(path.stem)[:48]}".encode("ascii").ljust(80)
    path.write_bytes(head + np.array(len(facets), "<u4").tobytes() + facets.tobytes())


def write_ply(mesh: BiVMesh, folder: Path) -> None:
    """Write ``ply/EPI.ply`` and so on, float64."""
    for name, nodes, triangles in _patches(mesh, folder / "ply"):
        write_ply_file(folder / "ply" / f"{name}.ply", nodes, triangles)


def write_ply_file(path: Path, nodes: np.ndarray, triangles: np.ndarray, space: Space | None = None) -> None:
    """Write one PLY in text; ``space``: of the nodes, by default LPS mm."""
    space = space or Space()
    with text_file(path) as out:
        out.write(
            f"ply\nformat ascii 1.0\ncomment SPACE={space.frame}\ncomment {_plain(path.stem)}. {space.sentence()}\n"
        )
        out.write(f"element vertex {len(nodes)}\n" + "".join(f"property double {axis}\n" for axis in "xyz"))
        out.write(f"element face {len(triangles)}\nproperty list uchar int vertex_indices\nend_header\n")
        out.write(rows("%.9f %.9f %.9f\n", nodes) + rows("3 %d %d %d\n", triangles))


def write_obj(mesh: BiVMesh, folder: Path) -> None:
    """Write ``obj/EPI.obj`` and so on, one named object each."""
    for name, nodes, triangles in _patches(mesh, folder / "obj"):
        write_obj_file(folder / "obj" / f"{name}.obj", nodes, triangles)


def write_obj_file(path: Path, nodes: np.ndarray, triangles: np.ndarray, space: Space | None = None) -> None:
    """Write one OBJ; ``space``: of the nodes, by default LPS mm."""
    space = space or Space()
    with text_file(path) as out:
        out.write(f"# SPACE={space.frame}\n# {space.sentence()}\no {_plain(path.stem)}\n")
        out.write(rows("v %.9f %.9f %.9f\n", nodes) + rows("f %d %d %d\n", triangles + 1))


def _plain(name: str) -> str:
    """The name in ASCII, as the formats demand."""
    return name.encode("ascii", "replace").decode("ascii")


def _patches(mesh: BiVMesh, folder: Path):
    """Name, (N', 3) nodes and (F', 3) triangles of each patch, numbered by itself; ``folder`` is made."""
    folder.mkdir()
    for name, number in patch_names(mesh).items():
        used, local = np.unique(mesh.triangles[mesh.patches == number], return_inverse=True)
        yield name, mesh.nodes[used], local.reshape(-1, 3)
