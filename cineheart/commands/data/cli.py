"""Command line: ``cineheart data check | convert | join | four-chamber``."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from CardiacLib.errors import InputError
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
def join(
    sources: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders, manifests, data lists or NPZ.")],
    manifest: Annotated[Path, typer.Option("--output", "-o", help="The manifest.")] = Path("cases.csv"),
    split: Annotated[Path | None, typer.Option(help="CSV (subject, split) of who else is held out.")] = None,
    uncertain: Annotated[
        list[str] | None, typer.Option(help="CENTRE=MM: borders of a set that draws by another convention.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Several data sets as one manifest, each subject with its split."""
    from .join import join_data

    with Console("cineheart data join", as_json, lines=True) as console:
        console.finish(join_data(sources, manifest, split, _distances(uncertain or [])))
    return 0


def _distances(said: list[str]) -> dict[str, float]:
    found = {}
    for text in said:
        name, _, mm = text.rpartition("=")
        try:
            found[name] = float(mm)
        except ValueError:
            found[name] = -1.0
        if not name or not 0 < found[name] < 100:
            raise InputError(f"--uncertain '{text}' is not CENTRE=MM, as scd_segnet=2.")
    return found


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


@data.command("four-chamber")
def four_chamber(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Four-chamber frames: images, lv_masks, points.csv.")],
    archive: Annotated[Path, typer.Option("--output", "-o", help="The NPZ to write.")],
    hearts: Annotated[int, typer.Option(min=1, help="Synthetic hearts, with exact labels.")] = 60,
    as_json: Json = False,
) -> int:
    """Training data of cineheart_lax_labels: real frames with the LV pool drawn, and labelled synthetic ones."""
    from CardiacLandmarksLib.train.labelled_frames import write_labelled_frames
    from CardiacLib.files import require_output
    from cineheart.console import Answer

    with Console("cineheart data four-chamber", as_json, lines=True) as console:
        require_output(archive.parent)
        count = write_labelled_frames(source, archive, hearts, console.progress)
        console.finish(Answer({"frames": count, "archive": str(archive)}))
    return 0
