"""fenicsx-pulse: a Python script on DOLFINx (https://finsberg.github.io/fenicsx-pulse). m, Pa."""

from pathlib import Path

from BiVMeshLib.exporters import write_vtu
from BiVMeshLib.exporters.common import patch_names
from BiVMeshLib.exporters.text import text_file
from CardiacLib.types.bivmesh import BiVMesh

from .loads import COLUMNS, NOT_RUN, Loads

SCRIPT = '''"""{about}

Needs fenicsx-pulse, DOLFINx and cineheart[fem]: mpirun -n 4 python heart.py
"""

import cineheart
import dolfinx
import numpy as np
import pulse
from mpi4py import MPI

heart = cineheart.load_heart("mesh.vtu", units="m").to_dolfinx(MPI.COMM_WORLD)
mesh = heart.mesh
patches = {{name: (number, 2) for name, number in heart.markers.items() if number < 10}}
geometry = pulse.Geometry(mesh=mesh, facet_tags=heart.facet_tags, markers=patches, metadata={{"quadrature_degree": 4}})


def constant(unit):
    """A value in a unit, which changes over the steps."""
    return pulse.Variable(dolfinx.fem.Constant(mesh, dolfinx.default_scalar_type(0.0)), unit)


tension, pressures = constant("kPa"), {{name: constant("kPa") for name in {endo}}}
material = pulse.HolzapfelOgden(f0=heart.f0, s0=heart.s0, **pulse.HolzapfelOgden.transversely_isotropic_parameters())
model = pulse.CardiacModel(
    material=material,
    active=pulse.ActiveStress(heart.f0, activation=tension),
    compressibility=pulse.compressibility.Incompressible(),
)
springs = pulse.Variable(dolfinx.fem.Constant(mesh, dolfinx.default_scalar_type({springs:.6g})), "Pa / m")
conditions = pulse.BoundaryConditions(
    neumann=tuple(pulse.NeumannBC(traction=p, marker=patches[name][0]) for name, p in pressures.items()),
    robin=(pulse.RobinBC(value=springs, marker=patches["EPI"][0]),),
)
parameters = {{"base_bc": pulse.BaseBC.fixed}}
problem = pulse.StaticProblem(model=model, geometry=geometry, bcs=conditions, parameters=parameters)

# Columns: {columns}
curve = np.array({curve})
times = np.linspace(0.0, curve[-1, 0], 81)
with dolfinx.io.VTXWriter(mesh.comm, "displacement.bp", [problem.u], engine="BP4") as writer:
    for time in times:
        lv, rv, active = (np.interp(time, curve[:, 0], curve[:, n]) for n in (1, 2, 3))
        for name, value in zip(pressures, (lv, rv), strict=False):
            pressures[name].assign(value)
        tension.assign(active)
        problem.solve()
        writer.write(time)
'''


def write_pulse_deck(mesh: BiVMesh, folder: Path, loads: Loads) -> None:
    """Write ``heart.py`` and ``mesh.vtu``: Holzapfel-Ogden with active stress, pressures, springs, held base."""
    write_vtu(mesh, folder / "mesh.vtu")
    endo = tuple(name for name in ("ENDO_LV", "ENDO_RV") if name in patch_names(mesh))
    with text_file(folder / "heart.py") as out:
        out.write(
            SCRIPT.format(
                about=NOT_RUN,
                endo=endo,
                springs=loads.epicardium_kpa_per_mm * 1e6,
                columns=", ".join(COLUMNS),
                curve=loads.curve.tolist(),
            )
        )
