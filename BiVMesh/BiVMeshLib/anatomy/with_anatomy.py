"""Fibres, ventricular coordinates and AHA segments put onto a finished mesh."""

from dataclasses import replace

import numpy as np

from BiVMeshLib.check.quality import MeshError
from CardiacLib import geometry
from CardiacLib.progress import Progress, silent
from CardiacLib.types.bivmesh import BiVMesh
from CardiacLib.types.mesh_options import MeshOptions
from CardiacLib.types.mesh_quality import MeshFibres

from .aha import aha_segments
from .coordinates import make_coordinates
from .fibres import Fibres, make_fibres
from .potentials import Potentials, solve_potentials


def with_anatomy(
    mesh: BiVMesh,
    options: MeshOptions,
    *,
    progress: Progress = silent,
    towards_anterior: np.ndarray = geometry.FORWARD_AND_UP,
) -> BiVMesh:
    """The mesh with ``cell_fields``, ``point_fields``, ``quality.fibres`` and notes for what ``options`` asks for.

    Args:
        towards_anterior: (3,) LPS, from ``CardiacLib.geometry.towards_anterior`` of the labels' file.

    Raises:
        MeshError: a potential could not be solved on this mesh.
        Cancelled: from ``progress``.
    """
    if not (options.fibres or options.coordinates):
        return mesh
    progress(0.0, "Solving potentials across and along the wall")
    try:
        potentials = solve_potentials(mesh)
        progress(0.5, "Fibres and coordinates")
        mesh = _with_fibres(mesh, potentials, options) if options.fibres else mesh
        return _with_coordinates(mesh, potentials, towards_anterior) if options.coordinates else mesh
    except ArithmeticError as error:
        raise MeshError(
            f"Fibres and coordinates cannot be computed on this mesh ({error}); choose another edge length, or leave "
            "them out."
        ) from error


def _with_fibres(mesh: BiVMesh, potentials: Potentials, options: MeshOptions) -> BiVMesh:
    fibres = make_fibres(mesh, potentials, options.fibre_angles)
    report = MeshFibres(fibre_orthonormality_error=orthonormality_error(fibres), repaired_fibre_frames=fibres.repaired)
    quality = mesh.quality and replace(mesh.quality, fibres=report)
    fields = {"fibre": fibres.fibre, "sheet": fibres.sheet, "normal": fibres.normal}
    return replace(mesh, quality=quality, cell_fields=mesh.cell_fields | fields)


def _with_coordinates(mesh: BiVMesh, potentials: Potentials, towards_anterior: np.ndarray) -> BiVMesh:
    found, notes = make_coordinates(mesh, potentials, towards_anterior), list(mesh.notes)
    cells, points = {}, {"transmural": found.transmural, "apicobasal": found.apicobasal}
    points["transventricular"] = found.transventricular
    if found.rotational is None:
        notes.append("Without insertions of an RV there is no rotational coordinate and there are no AHA segments.")
    else:
        points["rotational"] = found.rotational
        cells["aha"] = aha_segments(mesh, found, potentials.axis)
    if found.mirrored:
        notes.append(
            "The heart is a mirror image of a normal one in its image's frame: check the orientation in the header. "
            "AHA segments take anterior as the header says."
        )
    return replace(
        mesh, notes=tuple(notes), cell_fields=mesh.cell_fields | cells, point_fields=mesh.point_fields | points
    )


def orthonormality_error(fibres: Fibres) -> float:
    """Largest deviation of any tet's (fibre, sheet, normal) from an orthonormal frame; not finite if one is not."""
    frames = np.stack([fibres.fibre, fibres.sheet, fibres.normal], axis=1)
    return float(np.abs(frames @ frames.transpose(0, 2, 1) - np.eye(3)).max())
