"""Abaqus/Standard: a job of passive filling (Abaqus Keywords Guide). mm, N, MPa, s."""

from pathlib import Path

import numpy as np

from BiVMeshLib.exporters.abaqus import FACE_OPPOSITE, write_inp
from BiVMeshLib.exporters.common import patch_names, tet_of_triangle
from BiVMeshLib.exporters.text import rows, text_file
from CardiacLib.types.bivmesh import PATCHES, BiVMesh

from .loads import NOT_RUN, Guccione, Loads

MPA = 1e-3
PRESSURES = {"ENDO_LV": 1, "ENDO_RV": 2}


def write_abaqus_deck(mesh: BiVMesh, folder: Path, loads: Loads) -> None:
    """Write ``job.inp`` and the ``mesh.inp`` that it includes: Guccione's law, pressures, base held, springs on EPI.

    The pressures go up to where the curve's tension begins: active stress is a user subroutine of Abaqus.
    """
    write_inp(mesh, folder)
    curve = loads.passive()
    step = f"{curve[-1, 0] / 20:.6g}, {curve[-1, 0]:.6g}, {curve[-1, 0] / 1e5:.6g}, {curve[-1, 0] / 10:.6g}"
    with text_file(folder / "job.inp") as out:
        out.write(f"** {NOT_RUN}\n** Passive filling; tension needs a user subroutine. mm, N, MPa, s.\n")
        out.write("*INCLUDE, INPUT=mesh.inp\n" + _material(loads.law))
        out.write("*SOLID SECTION, ELSET=HEART, MATERIAL=MYOCARDIUM, ORIENTATION=FIBRES\n")
        out.write("*FOUNDATION\n" + _springs(mesh, loads.epicardium_kpa_per_mm * MPA))
        names = [name for name in PRESSURES if name in patch_names(mesh)]
        for name in names:
            out.write(f"*AMPLITUDE, NAME=P_{name}\n")
            out.write("".join(f"{t:.6g}, {p * MPA:.6g}\n" for t, p in curve[:, [0, PRESSURES[name]]]))
        out.write("*BOUNDARY\nBASE_NODES, 1, 3\n")
        out.write(f"*STEP, NAME=FILLING, NLGEOM=YES, INC=1000\n*STATIC\n{step}\n")
        for name in names:
            out.write(f"*DSLOAD, AMPLITUDE=P_{name}\n{name}, P, 1.\n")
        out.write("*OUTPUT, FIELD\n*NODE OUTPUT\nU\n*ELEMENT OUTPUT\nS, LE\n*END STEP\n")


def _material(law: Guccione) -> str:
    """Fung's orthotropic form sums b_ijkl E_ij E_kl over all indices, so that a shear strain counts four times.

    Data: b1111, b1122, b2222, b1133, b2233, b3333, b1212, b1313; b2323, c, D with D = 2 / bulk modulus.
    """
    b = f"{law.bf:.6g}, 0., {law.bt:.6g}, 0., 0., {law.bt:.6g}, {law.bfs / 2:.6g}, {law.bfs / 2:.6g}"
    rest = f"{law.bt / 2:.6g}, {law.c * MPA:.6g}, {2 / (law.bulk * MPA):.6g}"
    return f"*MATERIAL, NAME=MYOCARDIUM\n*ANISOTROPIC HYPERELASTIC, FUNG-ORTHOTROPIC\n{b}\n{rest}\n"


def _springs(mesh: BiVMesh, stiffness: float) -> str:
    """A foundation on the element faces of EPI, MPa/mm."""
    owners, opposite = tet_of_triangle(mesh)
    chosen = mesh.patches == PATCHES["EPI"]
    return rows(f"%d, F%d, {stiffness:.9f}\n", owners[chosen] + 1, np.asarray(FACE_OPPOSITE[opposite[chosen]]))
