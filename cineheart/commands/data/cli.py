"""Command line: ``cineheart data check | convert``."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from cineheart.cli_options import LabelOrder, Output
from cineheart.console import Console, Json

data = typer.Typer(help="Labelled data sets for training and evaluation.", no_args_is_help=True)
Source = Annotated[Path, typer.Argument(metavar="DIR", help="Folder, manifest, MONAI data list or NPZ.")]
View = Annotated[str | None, typer.Option(help="Only cases of this view: sax, 2ch, 3ch, 4ch.")]


class Form(str, Enum):
    """What cases can be written as."""

    npz = "npz"
    pairs = "pairs"


@data.command()
def check(
    source: Source,
    manifest: Annotated[Path | None, typer.Option("--output", "-o", help="The manifest; by default cases.csv.")] = None,
    label_order: LabelOrder = "auto",
    as_json: Json = False,
) -> int:
    """What is there, what does not fit and why, which volumes look wrong; writes a manifest of the cases."""
    from .check import check_data

    with Console("cineheart data check", as_json, lines=True) as console:
        answer = check_data(source, manifest or Path("cases.csv"), label_order, progress=console.progress)
        console.finish(answer)
    return 0


@data.command()
def convert(
    source: Source,
    output: Output,
    to: Annotated[Form, typer.Option(help="npz: slices, as networks of slices train on; pairs: NIfTI files.")],
    size: Annotated[int | None, typer.Option(min=16, help="Side of an NPZ's slices, by default the largest.")] = None,
    view: View = None,
    label_order: LabelOrder = "auto",
    as_json: Json = False,
) -> int:
    """The same cases as an NPZ of slices, or as images and labels in two folders with a manifest."""
    from .convert import ConvertOptions, convert_data

    with Console("cineheart data convert", as_json, lines=True) as console:
        options = ConvertOptions(to.value, size, view, label_order)
        console.finish(convert_data(source, output, options, progress=console.progress))
    return 0
