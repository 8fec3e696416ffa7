"""``cineheart unload``: a mesh without the pressure under which it was imaged."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from BiVMeshLib.check.quality import scaled_jacobian, signed_volumes
from BiVMeshLib.convert import WRITABLE, convert_mesh, read_mesh
from BiVMeshLib.decks import Loads
from BiVMeshLib.exporters.space import Space
from BiVMeshLib.heart.heart import Heart
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, require_output
from CardiacLib.progress import Progress, silent
from CardiacLib.types.bivmesh import BiVMesh
from cineheart.console import Answer

from .mechanics.materials import Guccione
from .mechanics.nodal import NodalSolid
from .mechanics.solid import Solid, SolidHeart, held_along
from .mechanics.unload import Unloaded, UnloadOptions, unload

MOST_TETS = {False: 60_000, True: 400_000}
"""With quadratic and with linear displacements; more would take tens of gigabytes and hours."""
FIELD = "to_imaged_mm"


@dataclass(frozen=True)
class UnloadFile:
    """What ``cineheart unload`` can be told.

    Attributes:
        lv_kpa, rv_kpa: pressures when the heart was imaged.
        stiffness_kpa: Guccione's c.
        tolerance_mm: see :class:`UnloadOptions`.
        linear: displacements with the volume averaged at the nodes, many times faster and somewhat stiffer; else
            quadratic.
        pericardium_kpa_per_mm: springs along the normal of EPI, slack without load; as in the decks.
    """

    lv_kpa: float = 1.5
    rv_kpa: float = 0.5
    stiffness_kpa: float = field(default=Guccione.c)
    tolerance_mm: float = UnloadOptions.tolerance_mm
    linear: bool = False
    pericardium_kpa_per_mm: float = field(default=Loads.epicardium_kpa_per_mm)


def unload_file(path: Path, output: Path, choice: UnloadFile, *, progress: Progress = silent) -> Answer:
    """Read a mesh, find its unloaded shape, and write that as ``output``, whose suffix tells the format.

    Raises:
        InputError: names the file.
    """
    require_output(output.parent)
    if output.suffix.lower() not in WRITABLE:
        raise InputError(f"{output.name}: is no known format; choose from {', '.join(WRITABLE)}.")
    for name, value in (("--pressure", choice.lv_kpa), ("--stiffness", choice.stiffness_kpa)):
        if not value > 0:
            raise InputError(f"{name} {value:g}: must be more than 0 kPa.")
    for name, value, unit in (
        ("--rv-pressure", choice.rv_kpa, "kPa"),
        ("--pericardium", choice.pericardium_kpa_per_mm, "kPa/mm"),
    ):
        if not value >= 0:
            raise InputError(f"{name} {value:g}: must not be less than 0 {unit}.")
    mesh = read_mesh(path)
    try:
        found, shape = unload_mesh(mesh, choice, progress=progress)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    with atomic_directory(output.parent) as folder:
        convert_mesh(found, folder, output.name)
        written = sorted(entry.name for entry in folder.iterdir())
    volumes = {
        f"{name.removeprefix('ENDO_').lower()}_pool_{when}_ml": round(values[name], 2)
        for when, values in (("unloaded", shape.unloaded_ml), ("imaged", shape.inflated_ml))
        for name in values
    }
    facts = {
        "tetrahedra": len(found.tets),
        "pressure_steps": len(shape.way.shares),
        "pressure_steps_halved": shape.way.halved,
        "newton_iterations": shape.way.iterations,
        "corrections": len(shape.errors_mm) - 1,
        "greatest_error_mm": shape.errors_mm[-1],
        **volumes,
        "scaled_jacobian_min": float(scaled_jacobian(found.nodes, found.tets).min()),
        "files": written,
    }
    return Answer(facts, found.notes)


def unload_mesh(mesh: BiVMesh, choice: UnloadFile, *, progress: Progress = silent) -> tuple[BiVMesh, Unloaded]:
    """The unloaded mesh, LPS mm, with node field ``to_imaged_mm`` and its fibres; and how it was found.

    Raises:
        InputError: the mesh is too large or has no fibres, or no such shape was found.
    """
    most = MOST_TETS[choice.linear]
    if len(mesh.tets) > most:
        raise InputError(
            f"has {len(mesh.tets)} tetrahedra, more than the {most} that can be unloaded in reasonable time; make a "
            "coarser mesh with --tets 20000, or unload with --linear, which is faster and somewhat stiffer."
        )
    linear = replace(mesh, middles=None)
    heart = Heart(linear, Space())
    imaged = held_along(SolidHeart(heart.to_skfem(), heart.fibres), choice.pericardium_kpa_per_mm)
    pressures = {"ENDO_LV": choice.lv_kpa, "ENDO_RV": choice.rv_kpa}
    solid = NodalSolid if choice.linear else Solid
    options = UnloadOptions(Guccione(c=choice.stiffness_kpa), choice.tolerance_mm, solid=solid)
    shape = unload(imaged, {name: pressures[name] for name in imaged.endocardia}, options, progress=progress)
    nodes = shape.heart.mesh.p.T.copy()
    if signed_volumes(nodes, mesh.tets).min() <= 0:
        raise InputError("its unloaded shape has tetrahedra that are inside out; choose a lower pressure.")
    fields = dict(zip(("fibre", "sheet", "normal"), np.moveaxis(shape.heart.axes, 2, 0), strict=True))
    notes = [*mesh.notes, _note(choice, shape)]
    if mesh.middles is not None:
        notes.append("The unloaded mesh is linear: its edges have no middle nodes.")
    found = replace(
        linear,
        nodes=nodes,
        quality=None,
        notes=tuple(notes),
        cell_fields=mesh.cell_fields | fields,
        point_fields=mesh.point_fields | {FIELD: shape.inflation},
    )
    return found, shape


def _note(choice: UnloadFile, shape: Unloaded) -> str:
    return (
        f"Unloaded from {choice.lv_kpa:g} kPa (LV) and {choice.rv_kpa:g} kPa (RV) with a published stiffness of "
        f"{choice.stiffness_kpa:g} kPa, not the patient's, and springs of {choice.pericardium_kpa_per_mm:g} kPa/mm for "
        f"the pericardium; inflated again it is within {shape.errors_mm[-1]:.3f} mm "
        "of the mesh that was read."
    )
