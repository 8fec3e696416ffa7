"""Command line: ``cineheart convert | unload | surfaces``."""

from pathlib import Path
from typing import Annotated

import typer

from CardiacLib.errors import InputError
from cineheart.cli_options import LabelOrder, Output
from cineheart.console import Console, Json

fem = typer.Typer(no_args_is_help=True)
FORMATS = ".vtu, .msh, .xdmf, .feb, .inp, .pts, .vtp, .stl, .ply, .obj"
"""Those of ``BiVMeshLib.convert.WRITABLE``, which is not imported before it is needed."""


@fem.command()
def convert(
    mesh: Annotated[
        Path, typer.Argument(help="Mesh (.vtu, .msh, .xdmf, .inp, .feb, .pts, .elem) or folder of results.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help=f"File, whose ending is the format: {FORMATS}. Folder of a deck.")
    ],
    units: Annotated[str | None, typer.Option(help="mm, cm, m or um; by default mm, of .pts um.")] = None,
    frame: Annotated[
        str, typer.Option(help="LPS, RAS, or HEART: apex at the origin, long axis z, septum at -x.")
    ] = "LPS",
    part: Annotated[
        list[str] | None,
        typer.Option(help="Only this region (LV_MYO ...), of a surface format only this patch (EPI ...); repeatable."),
    ] = None,
    tissue: Annotated[
        Path | None,
        typer.Option(help="Label map on any grid (infarct, fibrosis): value and share of every tetrahedron as fields."),
    ] = None,
    deck: Annotated[
        str | None, typer.Option(help="Complete input of a solver: febio, opencarp, svmultiphysics, abaqus or pulse.")
    ] = None,
    curve: Annotated[
        Path | None, typer.Option(help="Of a deck: CSV with time_s, lv_kpa, rv_kpa, tension_kpa; else a filled beat.")
    ] = None,
    fibres: Annotated[bool, typer.Option(help="Write fibres and the other fields too.")] = True,
    as_json: Json = False,
) -> int:
    """A mesh in another format, in other units or another frame, whole or a part of it."""
    from BiVMeshLib.convert import Conversion
    from cineheart.fem.convert import convert_file, deck_of_file

    if deck is None and curve is not None:
        raise InputError("--curve belongs to a solver's deck; add --deck, or leave it out.")
    if deck is not None and (units or part or tissue or frame.upper() != "LPS" or not fibres):
        raise InputError("A deck has units, frame and parts of its own; leave out --units, --frame, --part, --tissue.")
    with Console("cineheart convert", as_json) as console:
        if deck is not None:
            answer = deck_of_file(mesh, output, deck, curve)
        else:
            answer = convert_file(mesh, output, Conversion(units, frame, tuple(part or ()), fibres), tissue)
        console.finish(answer.with_facts(output=str(output)))
    return 0


@fem.command()
def unload(
    mesh: Annotated[Path, typer.Argument(help="Mesh with fibres, as convert reads it; best a coarse one.")],
    output: Annotated[Path, typer.Option("--output", "-o", help=f"File, whose ending is the format: {FORMATS}.")],
    pressure: Annotated[float, typer.Option(help="Of the LV when the heart was imaged, kPa.")] = 1.5,
    rv_pressure: Annotated[float, typer.Option(help="Of the RV, kPa.")] = 0.5,
    stiffness: Annotated[float, typer.Option(help="Guccione's c of the muscle, kPa.")] = 2.0,
    pericardium: Annotated[float, typer.Option(help="Springs along the epicardium's normal, kPa/mm; 0: none.")] = 0.1,
    tolerance: Annotated[float, typer.Option(min=1e-4, help="Greatest distance from the imaged mesh, mm.")] = 0.05,
    linear: Annotated[bool, typer.Option("--linear", help="Linear displacements: faster, somewhat stiffer.")] = False,
    as_json: Json = False,
) -> int:
    """The unloaded shape that the pressures inflate to the mesh, by inverse iteration; needs scikit-fem."""
    from importlib.util import find_spec

    if find_spec("skfem") is None:
        raise InputError("The unloaded shape is found with scikit-fem, which is not installed; pip install scikit-fem.")
    from cineheart.fem.unloaded import UnloadFile, unload_file

    with Console("cineheart unload", as_json) as console:
        choice = UnloadFile(pressure, rv_pressure, stiffness, tolerance, linear, pericardium)
        answer = unload_file(mesh, output, choice, progress=console.progress)
        console.finish(answer.with_facts(output=str(output)))
    return 0


@fem.command()
def surfaces(
    labels: Annotated[Path, typer.Argument(help="Label map: NIfTI, NRRD or .seg.nrrd.")],
    output: Output,
    frame: Annotated[str, typer.Option(help="ed, es, or a frame number from 0.")] = "ed",
    label_order: LabelOrder = "auto",
    as_json: Json = False,
) -> int:
    """Plain closed surfaces of the labelled structures by marching cubes, voxel steps and all; no mesh."""
    from cineheart.commands.label_surfaces import surfaces_of_labels

    with Console("cineheart surfaces", as_json) as console:
        answer = surfaces_of_labels(labels, output, frame=frame, order=label_order)
        console.finish(answer.with_facts(output=str(output)))
    return 0
