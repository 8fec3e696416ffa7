"""Command line: ``cineheart gif | pdf``."""

from pathlib import Path
from typing import Annotated

import typer

from cineheart.cli_options import LabelOrder
from cineheart.console import Console, Json


def gif(
    cine: Annotated[Path, typer.Argument(help="Cine: NIfTI, NRRD, .seq.nrrd, or DICOM folder of one stack.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture, a .gif or an .mp4.")],
    labels: Annotated[Path | None, typer.Option(help="Label map of the same frames: its contours are drawn.")] = None,
    slices: Annotated[str, typer.Option(help="all, middle, or numbers from 1, separated by commas.")] = "all",
    label_order: LabelOrder = "auto",
    as_json: Json = False,
) -> int:
    """The beating heart as an animated GIF or an MP4, slices side by side, with contours if labels are given."""
    from .gif import GifOptions, write_gif

    with Console("cineheart gif", as_json) as console:
        answer = write_gif(cine, output, GifOptions(labels, slices, label_order), progress=console.progress)
        console.finish(answer)
    return 0


def pdf(
    report: Annotated[Path, typer.Argument(help="report.html of a result, or the folder that it lies in.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="By default report.pdf beside it.")] = None,
    as_json: Json = False,
) -> int:
    """A report that is there already as PDF, printed by Chromium, Chrome or Edge."""
    from .print_report import print_report

    with Console("cineheart pdf", as_json) as console:
        console.finish(print_report(report, output))
    return 0
