"""FEBio 4: a complete model (https://help.febio.org, "FEBio User's Manual", chapters 3 and 4). mm, MPa."""

from pathlib import Path

import numpy as np

from BiVMeshLib.exporters.common import patch_names, region_names
from BiVMeshLib.exporters.febio import write_axes, write_mesh_section
from BiVMeshLib.exporters.space import Space
from BiVMeshLib.exporters.text import text_file
from CardiacLib.types.bivmesh import BiVMesh

from .loads import NOT_RUN, Guccione, Loads

MPA = 1e-3
"""MPa of a kPa."""
STEPS = 200
SURFACES = {"ENDO_LV": 1, "ENDO_RV": 2}
"""Column of the load curve; the load controller has the same number."""
TENSION = 3


def write_febio_deck(mesh: BiVMesh, folder: Path, loads: Loads) -> None:
    """Write ``heart.feb``: Guccione's law with prescribed tension along the fibre, pressures, base held, EPI free."""
    regions = region_names(mesh)
    with text_file(folder / "heart.feb") as out:
        out.write(f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<!-- {Space().sentence()} MPa, s. {NOT_RUN} -->\n')
        out.write('<febio_spec version="4.0">\n<Module type="solid"/>\n' + _control(loads.end) + "<Material>\n")
        for number, name in enumerate(regions, 1):
            out.write(_material(number, name, loads.law))
        out.write("</Material>\n<Mesh>\n")
        write_mesh_section(mesh, regions, out)
        out.write("</Mesh>\n<MeshDomains>\n")
        out.writelines(f'<SolidDomain name="{name}" mat="{name}"/>\n' for name in regions)
        out.write("</MeshDomains>\n")
        write_axes(mesh, regions, out)
        out.write('<Boundary>\n<bc name="base" type="zero displacement" node_set="@surface:BASE">')
        out.write("<x_dof>1</x_dof><y_dof>1</y_dof><z_dof>1</z_dof></bc>\n</Boundary>\n<Loads>\n")
        for name, column in SURFACES.items():
            if name in patch_names(mesh):
                out.write(f'<surface_load name="{name}" type="pressure" surface="{name}">')
                out.write(f'<pressure lc="{column}">1</pressure></surface_load>\n')
        out.write("</Loads>\n<LoadData>\n")
        for column in (*SURFACES.values(), TENSION):
            out.write(_controller(column, loads.curve))
        out.write('</LoadData>\n<Output>\n<plotfile type="febio">')
        out.write('<var type="displacement"/><var type="stress"/></plotfile>\n</Output>\n</febio_spec>\n')


def _control(end: float) -> str:
    step = end / STEPS
    return (
        f"<Control>\n<analysis>STATIC</analysis>\n<time_steps>{STEPS}</time_steps>\n<step_size>{step:.6g}</step_size>\n"
        '<solver type="solid"><max_refs>25</max_refs></solver>\n'
        f'<time_stepper type="default"><max_retries>10</max_retries><opt_iter>10</opt_iter>'
        f"<dtmin>{step / 100:.6g}</dtmin><dtmax>{step:.6g}</dtmax></time_stepper>\n</Control>\n"
    )


def _material(number: int, name: str, law: Guccione) -> str:
    """Guccione's law as Fung's orthotropic one without coupling of the normal strains: c bf = E1, c bfs = 2 G12."""
    c = law.c * MPA
    values = {"E1": c * law.bf, "E2": c * law.bt, "E3": c * law.bt}
    values |= {"G12": c * law.bfs / 2, "G23": c * law.bt / 2, "G31": c * law.bfs / 2}
    values |= {"v12": 0.0, "v23": 0.0, "v31": 0.0, "c": c}
    fung = "".join(f"<{key}>{value:.6g}</{key}>" for key, value in values.items())
    return (
        f'<material id="{number}" name="{name}" type="uncoupled solid mixture">\n'
        f"<density>1e-09</density><k>{law.bulk * MPA:.6g}</k>\n"
        f'<solid type="Fung orthotropic">{fung}</solid>\n'
        f'<solid type="uncoupled prescribed uniaxial active contraction"><T0 lc="{TENSION}">1</T0></solid>\n'
        "</material>\n"
    )


def _controller(column: int, curve: np.ndarray) -> str:
    points = "".join(f"<pt>{time:.6g},{value * MPA:.6g}</pt>" for time, value in curve[:, [0, column]])
    head = f'<load_controller id="{column}" type="loadcurve"><interpolate>LINEAR</interpolate>'
    return f"{head}<points>{points}</points></load_controller>\n"
