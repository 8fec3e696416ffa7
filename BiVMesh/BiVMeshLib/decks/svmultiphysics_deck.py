"""svMultiPhysics: nonlinear structural mechanics (https://simvascular.github.io, "Cardiac mechanics"). cm, g, s."""

from pathlib import Path

import numpy as np

from BiVMeshLib.exporters.common import patch_names
from BiVMeshLib.exporters.simvascular import write_simvascular
from BiVMeshLib.exporters.text import text_file
from CardiacLib.types.bivmesh import BiVMesh

from .loads import NOT_RUN, Loads

DYN_PER_KPA = 1e4
"""dyn/cm^2 of a kPa."""
STEP_S = 1e-3
MODES = 64
HOLZAPFEL_OGDEN = {"a": 0.059, "a4f": 18.472, "a4s": 2.481, "afs": 0.216}
"""kPa: Holzapfel and Ogden 2009 (doi 10.1098/rsta.2009.0091), as of their Table 1 the fit to shear tests."""
EXPONENTS = {"b": 8.023, "b4f": 16.026, "b4s": 11.12, "bfs": 11.436, "k": 100.0}
"""Without unit; k is the steepness with which fibres cease to bear under compression."""
PRESSURES = {"ENDO_LV": 1, "ENDO_RV": 2}


def write_svmultiphysics_deck(mesh: BiVMesh, folder: Path, loads: Loads) -> None:
    """Write ``solver.xml``, ``mesh-complete/`` and the curves as ``.dat``: Holzapfel-Ogden, springs, held base."""
    write_simvascular(mesh, folder)
    names = [name for name in PRESSURES if name in patch_names(mesh)]
    for name in names:
        _curve(folder / f"{name}.dat", loads.curve[:, 0], loads.curve[:, PRESSURES[name]])
    _curve(folder / "tension.dat", loads.curve[:, 0], loads.curve[:, 3])
    stiffness = loads.epicardium_kpa_per_mm * DYN_PER_KPA * 10.0
    conditions = [
        _condition("BASE", Type="Dir", Value=0.0),
        _condition("EPI", Type="Robin", Stiffness=stiffness, Damping=0.0, Apply_along_normal_direction="true"),
        *(
            _condition(
                name,
                Type="Neu",
                Time_dependence="Unsteady",
                Temporal_values_file_path=f"{name}.dat",
                Ramp_function="false",
                Follower_pressure_load="true",
            )
            for name in names
        ),
    ]
    with text_file(folder / "solver.xml") as out:
        out.write(f'<?xml version="1.0" encoding="UTF-8" ?>\n<!-- {NOT_RUN} cm, g, s. -->\n')
        out.write('<svMultiPhysicsFile version="0.1">\n' + _general(loads.end) + _mesh(mesh) + _equation())
        out.write("".join(conditions) + "</Add_equation>\n</svMultiPhysicsFile>\n")


def _curve(path: Path, times: np.ndarray, kpa: np.ndarray) -> None:
    """Number of rows and of Fourier modes, then time and value; rows lie evenly, in dyn/cm^2."""
    even = np.linspace(times[0], times[-1], 2 * MODES + 1)
    with text_file(path) as out:
        out.write(f"{len(even)} {MODES}\n")
        out.writelines(
            f"{t:.8f} {v:.6f}\n" for t, v in zip(even, np.interp(even, times, kpa) * DYN_PER_KPA, strict=True)
        )


def _entries(**values: object) -> str:
    return "".join(f"<{name}> {value} </{name}>\n" for name, value in values.items())


def _general(end: float) -> str:
    return (
        "<GeneralSimulationParameters>\n"
        + _entries(
            Continue_previous_simulation=0,
            Number_of_spatial_dimensions=3,
            Number_of_time_steps=int(np.ceil(end / STEP_S)),
            Time_step_size=STEP_S,
            Spectral_radius_of_infinite_time_step=0.5,
            Searched_file_name_to_trigger_stop="STOP_SIM",
            Save_results_to_VTK_format=1,
            Name_prefix_of_saved_VTK_files="result",
            Increment_in_saving_VTK_files=10,
            Start_saving_after_time_step=1,
            Increment_in_saving_restart_files=100,
            Convert_BIN_to_VTK_format=0,
            Verbose=1,
            Warning=0,
            Debug=0,
        )
        + "</GeneralSimulationParameters>\n"
    )


def _mesh(mesh: BiVMesh) -> str:
    """Coordinates of the files are mm."""
    where = "mesh-complete/mesh-surfaces"
    faces = "".join(
        f'<Add_face name="{name}">\n<Face_file_path> {where}/{name}.vtp </Face_file_path>\n</Add_face>\n'
        for name in patch_names(mesh)
    )
    return (
        '<Add_mesh name="heart">\n<Mesh_file_path> mesh-complete/mesh-complete.mesh.vtu </Mesh_file_path>\n'
        + faces
        + "<Fiber_direction_file_path> mesh-complete/fibersLong.vtu </Fiber_direction_file_path>\n"
        + "<Fiber_direction_file_path> mesh-complete/fibersSheet.vtu </Fiber_direction_file_path>\n"
        + "<Mesh_scale_factor> 0.1 </Mesh_scale_factor>\n</Add_mesh>\n"
    )


def _equation() -> str:
    law = {name: f"{value * DYN_PER_KPA:.6g}" for name, value in HOLZAPFEL_OGDEN.items()}
    return (
        '<Add_equation type="ustruct">\n'
        + _entries(Coupled="true", Min_iterations=4, Max_iterations=12, Tolerance=1e-6)
        + _entries(Density=1.055, Elasticity_modulus=1e6, Poisson_ratio=0.483333)
        + '<Viscosity model="Potential">\n<Value> 1000.0 </Value>\n</Viscosity>\n'
        + '<Constitutive_model type="HolzapfelOgden-ModifiedAnisotropy">\n'
        + f"{_entries(**law, **EXPONENTS)}</Constitutive_model>\n"
        + _entries(Dilational_penalty_model="ST91", Penalty_parameter=1e7)
        + _entries(Momentum_stabilization_coefficient=1e-5, Continuity_stabilization_coefficient=1e-5)
        + '<Fiber_reinforcement_stress type="Unsteady">\n'
        + _entries(Temporal_values_file_path="tension.dat", Ramp_function="false")
        + '</Fiber_reinforcement_stress>\n<Output type="Spatial">\n'
        + _entries(Displacement="true", Velocity="true", Jacobian="true", Stress="true")
        + '</Output>\n<LS type="GMRES">\n<Linear_algebra type="fsils">\n'
        + "<Preconditioner> fsils </Preconditioner>\n</Linear_algebra>\n"
        + _entries(Tolerance=1e-6, Max_iterations=1000, Krylov_space_dimension=50)
        + "</LS>\n"
    )


def _condition(name: str, **values: object) -> str:
    return f'<Add_BC name="{name}">\n{_entries(**values)}</Add_BC>\n'
