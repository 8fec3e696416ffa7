"""``python -m cineheart.web.session ROOT FOLDER IDLE_S``: the process of one session (see :mod:`.sessions`).

It listens at a loopback port that it writes to ``FOLDER/port``, and answers to holders of its key only.
"""

import hmac
import os
import signal
import sys
from pathlib import Path

from aiohttp import web
from trame.app import get_server

from .app import App
from .sessions import KEY_HEADER, KEY_VARIABLE, PORT_FILE


def main(root: Path, folder: Path, idle_s: int) -> None:
    """Serve one session until no page is open for ``idle_s`` seconds, or until it is told to end."""
    key = os.environ.pop(KEY_VARIABLE)
    server = get_server("cineheart", client_type="vue3")
    App(server, root, folder)

    @web.middleware
    async def holders_only(request: web.Request, handler):
        if not hmac.compare_digest(request.headers.get(KEY_HEADER, "").encode(), key.encode()):
            raise web.HTTPForbidden()
        return await handler(request)

    @server.controller.add("on_server_bind")
    def bind(bound) -> None:
        bound.app.middlewares.append(holders_only)

    @server.controller.add("on_server_ready")
    def ready(**_) -> None:
        part = folder / f"{PORT_FILE}.part"
        part.write_text(str(server.port))
        part.replace(folder / PORT_FILE)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = {
        "host": "127.0.0.1",
        "port": 0,
        "timeout": idle_s,
        "open_browser": False,
        "show_connection_info": False,
    }
    server.start(**arguments, disable_logging=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
