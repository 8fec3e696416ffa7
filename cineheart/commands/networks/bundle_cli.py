"""Command line: ``cineheart bundles list | fetch | import | export | clear``."""

from pathlib import Path
from typing import Annotated

import typer

from cineheart.cli_options import Trust
from cineheart.console import Console, Json

bundles = typer.Typer(help="Networks as MONAI bundles.", no_args_is_help=True)
BundleName = Annotated[str, typer.Argument(metavar="NAME", help="As 'cineheart bundles list' shows it.")]


@bundles.command("list")
def list_bundles(as_json: Json = False) -> int:
    """The networks, whether their weights are here, and the licence of the weights."""
    from cineheart.commands.networks.bundle_commands import describe_bundles

    with Console("cineheart bundles", as_json) as console:
        console.finish(describe_bundles())
    return 0


@bundles.command("fetch")
def fetch_bundle(name: BundleName, as_json: Json = False) -> int:
    """Download the published weights of a network; a broken download goes on where it stopped."""
    from cineheart.commands.networks.bundle_commands import fetch_bundle

    with Console("cineheart bundles fetch", as_json) as console:
        console.finish(fetch_bundle(name, progress=console.progress))
    return 0


@bundles.command("import")
def import_bundle(
    name: BundleName,
    file: Annotated[Path, typer.Argument(help="Weights: .pt, TorchScript .ts, or the zip of a MONAI bundle.")],
    trust: Trust = False,
    as_json: Json = False,
) -> int:
    """Take the weights of a network from a file, once they fit it."""
    from cineheart.commands.networks.bundle_commands import import_bundle

    with Console("cineheart bundles import", as_json) as console:
        console.finish(import_bundle(name, file, trust=trust))
    return 0


@bundles.command("export")
def export_bundle(
    bundle: Annotated[str, typer.Argument(help="Name or folder.")], trust: Trust = False, as_json: Json = False
) -> int:
    """Write a network's model.onnx of its model.pt, for OpenVINO and ONNX Runtime; needs the extra 'train'."""
    from cineheart.commands.networks.bundle_commands import export_bundle

    with Console("cineheart bundles export", as_json) as console:
        console.finish(export_bundle(bundle, trust=trust))
    return 0


@bundles.command("clear")
def clear_bundle(name: BundleName, as_json: Json = False) -> int:
    """Remove fetched or imported weights of a network, or with the name 'compiled' what OpenVINO compiled of all."""
    from cineheart.commands.networks.bundle_commands import clear_bundle

    with Console("cineheart bundles clear", as_json) as console:
        console.finish(clear_bundle(name))
    return 0
