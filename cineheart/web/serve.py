"""Run the server of a folder until it is interrupted."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from CardiacLib.errors import InputError
from cineheart.workers import terminated_as_interrupted

from .gateway import is_loopback, make_gateway, new_token
from .sessions import ServerOptions

TOKEN_VARIABLE = "CINEHEART_TOKEN"
"""Environment variable of a token of one's own, at least 16 characters."""
SHORTEST_TOKEN = 16
EVERY_ADDRESS = ("0.0.0.0", "::")
"""To listen at; no browser can open them."""


def serve(root: Path, options: ServerOptions, say: Callable[[str], object]) -> None:
    """Serve ``root``; its address is said, with the token where one is needed.

    Raises:
        InputError: the address cannot be listened at, or the token given is too short.
    """
    token = os.environ.pop(TOKEN_VARIABLE, "")
    if token and len(token) < SHORTEST_TOKEN:
        raise InputError(f"{TOKEN_VARIABLE}: shorter than {SHORTEST_TOKEN} characters; take a longer one.")
    if not token and not is_loopback(options.host):
        token = new_token()
    with terminated_as_interrupted(), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(root.resolve(), options, token, say))


async def _serve(root: Path, options: ServerOptions, token: str, say: Callable[[str], object]) -> None:
    runner = web.AppRunner(make_gateway(root, options, token), access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, options.host, options.port).start()
        except OSError as error:
            raise InputError(
                f"{options.host}:{options.port}: cannot be listened at ({error}); try --port 0."
            ) from error
        host = f"[{options.host}]" if ":" in options.host else options.host
        host = "localhost" if options.host in EVERY_ADDRESS else host
        address = f"http://{host}:{runner.addresses[0][1]}/"
        say(f"Open {address}{f'?token={token}' if token else ''} (end with Ctrl+C)")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
