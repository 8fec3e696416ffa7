"""Command line: ``cineheart mice make | check | evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from CardiacLib.networks.bundles import bundle_of_species
from CardiacLib.types.choices import AUTO, NetworkChoice, RunsOn
from cineheart.cli_options import Backend, Bundle, Device, EvaluateOutput, Output, Quality, QualityOption, Trust
from cineheart.console import Console, Json

mice = typer.Typer(help="Cines of mice in HDF5: make synthetic ones, check, evaluate.", no_args_is_help=True)
Data = Annotated[Path, typer.Option(help="Folder of HDF5 files, one per animal.")]


@mice.command("make")
def make_mice(
    output: Output,
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds, other mice.")] = 0,
    labelled_only: Annotated[
        bool, typer.Option("--labelled-only", help="ED, ES and --further frames only: enough to train on.")
    ] = False,
    further: Annotated[int, typer.Option(min=0, help="Labelled frames besides ED and ES.")] = 0,
    as_json: Json = False,
) -> int:
    """Synthetic mice, healthy and with infarcts, in the published layout."""
    from CardiacLib.datasets.mouse.phantoms import MiceOptions

    from .data import make

    with Console("cineheart mice make", as_json) as console:
        console.finish(make(output, MiceOptions(count, seed, labelled_only, further), progress=console.progress))
    return 0


@mice.command("check")
def check_mice(
    data: Annotated[Path, typer.Argument(help="Folder of HDF5 files, or one.")], as_json: Json = False
) -> int:
    """Read every animal: size, frames, labels, and what does not fit."""
    from .data import check

    with Console("cineheart mice check", as_json) as console:
        answer = check(data, progress=console.progress)
        console.finish(answer)
    return 1 if answer.facts["wrong"] else 0


@mice.command("evaluate")
def evaluate_mice(
    data: Data,
    output: EvaluateOutput = Path("runs/evaluation"),
    bundle: Bundle = None,
    pictures: Annotated[int, typer.Option(min=0, help="Animals drawn as GIF, the worst first.")] = 3,
    quality: QualityOption = Quality.fast,
    device: Device = AUTO,
    backend: Backend = AUTO,
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Dice at ED and ES, volumes and mass against the expert's, Bland-Altman per group, overlays."""
    from .evaluate import evaluate

    network = NetworkChoice(bundle or bundle_of_species("mouse"), RunsOn(device, backend), quality.value, trust)
    with Console("cineheart mice evaluate", as_json) as console:
        console.finish(evaluate(network, data, output, pictures, progress=console.progress))
    return 0
