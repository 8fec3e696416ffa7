"""``cineheart view``: the browser app of a folder."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from CardiacLib.errors import InputError


def view(
    folder: Annotated[Path, typer.Argument(help="Only studies and results below it can be opened.")] = Path(),
    host: Annotated[str, typer.Option(help="Address to listen at; with another than the default, a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    sessions: Annotated[int, typer.Option(min=1, max=100, help="That may be open at the same time.")] = 10,
    upload_mb: Annotated[int, typer.Option(min=1, help="Largest file that may be sent, also unpacked.")] = 2048,
) -> int:
    """Open, play, segment and mesh studies in a browser."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one that holds studies or results.")
    if find_spec("trame_slicer") is None:
        raise InputError("The browser app is not installed; pip install 'cineheart[web]'.")
    from cineheart.web.serve import serve
    from cineheart.web.sessions import ServerOptions
    from cineheart.web.uploads import UploadLimits

    limits = UploadLimits(file_bytes=upload_mb << 20, session_bytes=2 * upload_mb << 20)
    serve(folder, ServerOptions(host=host, port=port, sessions=sessions, limits=limits), typer.echo)
    return 0
