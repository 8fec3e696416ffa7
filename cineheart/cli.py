"""Command line: ``cineheart run | segment | mesh | phantom | train | evaluate | bundles``.

Exit codes: 0 everything asked for was written, 1 something failed on the way, 2 input that cannot be used.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from CardiacLib.errors import Cancelled, InputError

from .console import Console

app = typer.Typer(
    name="cineheart",
    help="From a cine cardiac MR study to a simulation-ready heart. Research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bundles = typer.Typer(help="Networks as MONAI bundles.", no_args_is_help=True)
app.add_typer(bundles, name="bundles")

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]
Bundle = Annotated[str, typer.Option(help="Network: name of a shipped bundle or folder of a MONAI bundle.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text and progress.")]
EdgeLength = Annotated[float | None, typer.Option(help="Mean edge of the tetrahedra in mm.")]
Scene = Annotated[bool, typer.Option(help="Write Slicer scenes (needs slicer-core outside Slicer).")]


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code; ``argv`` without the program's name, by default that of the process."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=argv, prog_name="cineheart", standalone_mode=False)
    except InputError as error:
        return _fail(str(error), 2)
    except Cancelled:
        return _fail("Cancelled before the results were complete.", 1)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("Interrupted before the results were complete; run the same command again.", 1)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _fail(error.format_message(), 2)
    return code if isinstance(code, int) else 0


def _fail(sentence: str, code: int) -> int:
    print(f"cineheart: {sentence}", file=sys.stderr)
    return code


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="DICOM folder, or folder of images.")],
    output: Output,
    bundle: Bundle = "cineheart_sax",
    device: Device = "auto",
    view: Annotated[
        list[str] | None, typer.Option(help="NAME=VIEW: set the view of a series or file (sax, 2ch, 3ch, 4ch, other).")
    ] = None,
    edge_length: EdgeLength = None,
    scene: Scene = True,
    as_json: Json = False,
) -> int:
    """One study, from images to labels, measurements, mesh, report and scene."""
    from .pipeline import RunOptions, run_study

    options = RunOptions(bundle, device, _views(view), _mesh_options(edge_length), scene)
    with Console("cineheart run", as_json) as console:
        result = run_study(study, output, options, console.progress)
        notes = (*result.study.notes, *result.notes)
        console.finish(_study_facts(result) | {"output": str(output)}, notes)
    return 0 if result.mesh is not None else 1


@app.command()
def segment(
    image: Annotated[Path, typer.Argument(help="Short-axis NIfTI, NRRD, .seq.nrrd, or DICOM folder of one stack.")],
    output: Output,
    bundle: Bundle = "cineheart_sax",
    device: Device = "auto",
    frames: Annotated[str, typer.Option(help="all; ed, es or ed,es; or one frame number from 0.")] = "all",
    scene: Scene = True,
    as_json: Json = False,
) -> int:
    """Label LV blood pool, LV myocardium and RV blood pool, and measure."""
    from .commands import segment_image

    with Console("cineheart segment", as_json) as console:
        facts = segment_image(image, output, bundle, device, frames, scene, console.progress)
        console.finish(facts | {"output": str(output)})
    return 0


@app.command()
def mesh(
    labels: Annotated[Path, typer.Argument(help="Label map: NIfTI, NRRD or .seg.nrrd.")],
    output: Output,
    frame: Annotated[str, typer.Option(help="ed, es, or a frame number counted from 0.")] = "ed",
    edge_length: EdgeLength = None,
    as_json: Json = False,
) -> int:
    """Tagged tetrahedral mesh of both ventricles from labels."""
    from .commands import mesh_labels

    with Console("cineheart mesh", as_json) as console:
        facts, notes = mesh_labels(labels, output, frame, _mesh_options(edge_length), console.progress)
        console.finish(facts | {"output": str(output)}, notes)
    return 0


@app.command()
def phantom(
    output: Output,
    seed: Annotated[int, typer.Option(help="Of noise and shifts.")] = 0,
    small: Annotated[bool, typer.Option("--small", help="Few frames and coarse pixels, for quick trials.")] = False,
    breath_hold_shift: Annotated[float, typer.Option(help="Random in-plane shift of each slice, mm.")] = 0.0,
    dicom: Annotated[bool, typer.Option("--dicom", help="DICOM, one series per slice, instead of NIfTI.")] = False,
    as_json: Json = False,
) -> int:
    """A synthetic beating heart with exact truth: images, labels, volumes, valve points, surfaces."""
    from .commands import make_phantom_study

    choices = {"seed": seed, "breath_hold_shift_mm": breath_hold_shift}
    with Console("cineheart phantom", as_json) as console:
        facts = make_phantom_study(output, choices, small, dicom, console.progress)
        console.finish(facts | {"output": str(output)})
    return 0


@app.command()
def train(
    bundle: Annotated[str, typer.Argument(help="Bundle to train.")],
    data: Annotated[Path, typer.Option(help="Folder with the training data.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="For the trained bundle, checkpoints and log.")] = Path(
        "runs"
    ),
    epochs: Annotated[int | None, typer.Option(help="Instead of the bundle's own number.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Train a bundle's network; an interrupted run goes on from its last checkpoint."""
    from .commands import train_bundle

    with Console("cineheart train", as_json) as console:
        folder = train_bundle(bundle, data, output, epochs, device, console.progress)
        console.finish({"bundle": str(folder)})
    return 0


@app.command()
def evaluate(
    bundle: Annotated[str, typer.Argument(help="Bundle to evaluate.")],
    data: Annotated[Path, typer.Option(help="Folder with the ACDC patients; only the validation split is used.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Tables and pictures.")] = Path("runs/evaluation"),
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Accuracy on held-out patients, per structure and phase; the numbers go into the bundle's model card."""
    from .evaluate import evaluate_bundle

    with Console("cineheart evaluate", as_json) as console:
        console.finish(evaluate_bundle(bundle, data, output, device, console.progress))
    return 0


@bundles.command("list")
def list_bundles(as_json: Json = False) -> int:
    """The networks that can be used here, with the licence of their weights."""
    from .commands import describe_bundles

    with Console("cineheart bundles", as_json) as console:
        console.finish(describe_bundles())
    return 0


def _mesh_options(edge_length: float | None):
    from BiVMeshLib import MeshOptions

    return MeshOptions() if edge_length is None else MeshOptions(edge_length_mm=edge_length)


def _views(pairs: list[str] | None) -> dict[str, str]:
    chosen = {}
    for pair in pairs or []:
        name, separator, view = pair.rpartition("=")
        if not separator:
            raise InputError(f"--view {pair}: write NAME=VIEW, for instance 'cine_b=2ch'.")
        chosen[name] = view
    return chosen


def _study_facts(result) -> dict[str, object]:
    from .commands import rounded

    function = result.function
    names = ("lv_edv_ml", "lv_esv_ml", "lv_ef_percent", "lv_mass_g", "rv_edv_ml", "rv_esv_ml", "rv_ef_percent")
    facts = {"views": list(result.study.cines), "ed": function.ed, "es": function.es}
    facts |= {name: rounded(getattr(function, name)) for name in names}
    if result.mesh is not None:
        facts["tetrahedra"] = len(result.mesh.tets)
    return facts | {"seconds": {k: round(v, 1) for k, v in result.seconds.items()}}


if __name__ == "__main__":
    sys.exit(main())
