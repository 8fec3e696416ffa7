"""A mesh, or a part of it, as one file in units and frame of choice."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from BiVMeshLib.exporters import write_vtp, write_vtu
from BiVMeshLib.exporters.abaqus import write_inp
from BiVMeshLib.exporters.carp import write_carp
from BiVMeshLib.exporters.common import tet_of_triangle
from BiVMeshLib.exporters.febio import write_feb
from BiVMeshLib.exporters.gmsh import write_msh
from BiVMeshLib.exporters.space import Form, placed, space_of
from BiVMeshLib.exporters.surfaces import write_obj_file, write_ply_file, write_stl_file
from BiVMeshLib.exporters.xdmf import write_xdmf
from BiVMeshLib.tetra.quadratic import mesh_edges
from CardiacLib.errors import InputError
from CardiacLib.types.bivmesh import ALL_PATCHES, REGIONS, BiVMesh

Writer = Callable[[BiVMesh, Path, Form], None]


@dataclass(frozen=True)
class Conversion:
    """How a mesh is converted.

    Attributes:
        units: mm, cm, m or um; None: mm, of openCARP um. frame: LPS, RAS or HEART.
        parts: names of patches for surface formats, of regions for volume formats; none: all.
        fibres: write the fields of fibres (and the others).
    """

    units: str | None = None
    frame: str = "LPS"
    parts: tuple[str, ...] = ()
    fibres: bool = True


def _carp(mesh: BiVMesh, folder: Path, form: Form) -> None:
    """Files of ``carp/`` beside each other, the mesh's by the stem."""
    write_carp(mesh, folder, form)
    for path in sorted((folder / "carp").iterdir()):
        own = path.suffix in (".pts", ".elem", ".lon")
        shutil.move(path, folder / (f"{form.stem}{path.suffix}" if own else path.name))
    (folder / "carp").rmdir()


def _surface(write: Callable[..., None], ending: str) -> Writer:
    def writer(mesh: BiVMesh, folder: Path, form: Form) -> None:
        used, corners = np.unique(mesh.triangles, return_inverse=True)
        write(folder / f"{form.stem}{ending}", mesh.nodes[used], corners.reshape(-1, 3), form.space)

    return writer


VOLUMES: dict[str, Writer] = {
    ".vtu": lambda mesh, folder, form: write_vtu(mesh, folder / f"{form.stem}.vtu", form),
    ".msh": write_msh,
    ".xdmf": write_xdmf,
    ".feb": write_feb,
    ".inp": write_inp,
    ".pts": _carp,
}
SURFACES: dict[str, Writer] = {
    ".vtp": lambda mesh, folder, form: write_vtp(mesh, folder / f"{form.stem}.vtp", form),
    ".stl": _surface(write_stl_file, ".stl"),
    ".ply": _surface(write_ply_file, ".ply"),
    ".obj": _surface(write_obj_file, ".obj"),
}
WRITABLE = (*VOLUMES, *SURFACES)
"""Suffixes that a mesh can be written as."""


def convert_mesh(mesh: BiVMesh, folder: Path, name: str, choice: Conversion | None = None) -> None:
    """Write a mesh in LPS mm as ``name`` (and what belongs to it) into a folder, which the caller makes atomic.

    Raises:
        InputError: no such format, unit, frame or part.
    """
    choice = choice or Conversion()
    stem, suffix = Path(name).stem, Path(name).suffix.lower()
    if suffix not in WRITABLE:
        raise InputError(f"{name}: is no known format; choose from {', '.join(WRITABLE)}.")
    if suffix == ".pts" and choice.units not in (None, "um"):
        raise InputError(f"{name}: openCARP's coordinates are micrometres; choose --units um or none.")
    chosen = _part(mesh, choice.parts, surface=suffix in SURFACES)
    if not choice.fibres:
        chosen = replace(chosen, cell_fields={}, point_fields={})
    space = space_of(mesh, choice.units or ("um" if suffix == ".pts" else "mm"), choice.frame)
    (VOLUMES | SURFACES)[suffix](placed(chosen, space.to_file()), folder, Form(stem, space))


def _part(mesh: BiVMesh, parts: tuple[str, ...], *, surface: bool) -> BiVMesh:
    known = ALL_PATCHES if surface else REGIONS
    unknown = [name for name in parts if name not in known]
    if unknown:
        kind = "surface" if surface else "volume"
        raise InputError(f"No part {', '.join(unknown)} of a {kind} file: choose from {', '.join(known)}.")
    if not parts:
        return mesh
    ids = [known[name] for name in parts]
    if not np.isin(ids, mesh.patches if surface else mesh.regions).all():
        raise InputError(f"The mesh has no {' or no '.join(n for n in parts if not _has(mesh, n))}; leave it out.")
    if surface:
        keep = np.isin(mesh.patches, ids)
        return replace(mesh, triangles=mesh.triangles[keep], patches=mesh.patches[keep])
    return _of_regions(mesh, np.isin(mesh.regions, ids))


def _has(mesh: BiVMesh, name: str) -> bool:
    table, ids = (ALL_PATCHES, mesh.patches) if name in ALL_PATCHES else (REGIONS, mesh.regions)
    return bool((ids == table[name]).any())


def _of_regions(mesh: BiVMesh, keep: np.ndarray) -> BiVMesh:
    """Some tets with their nodes and their share of the heart's boundary; cuts through the muscle have no patch."""
    used, tets = np.unique(mesh.tets[keep], return_inverse=True)
    number = np.full(len(mesh.nodes), -1)
    number[used] = np.arange(len(used))
    shown = keep[tet_of_triangle(mesh)[0]]
    middles = None
    if mesh.middles is not None:
        middles = mesh.middles[np.unique(mesh_edges(mesh.tets)[1][keep])]
    return replace(
        mesh,
        nodes=mesh.nodes[used],
        tets=tets.reshape(-1, 4),
        regions=mesh.regions[keep],
        triangles=number[mesh.triangles[shown]],
        patches=mesh.patches[shown],
        middles=middles,
        cell_fields={n: v[keep] for n, v in mesh.cell_fields.items()},
        point_fields={n: v[used] for n, v in mesh.point_fields.items()},
    )
