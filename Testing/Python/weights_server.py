"""A local server of one file of weights that can break off, hold on, ignore ranges or answer with a web page."""

import contextlib
import http.server
import threading
from collections.abc import Iterator


class Server(http.server.ThreadingHTTPServer):
    """Serves one file under any path; ``requests`` are the ranges that were asked for.

    ``break_after`` bytes of an answer the connection ends, unless it is to ``hold``: then it stays open until the
    event is set.
    """

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.break_after, self.ranges, self.page = content, None, True, False
        self.hold: threading.Event | None = None
        self.requests: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}/model.pt"

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        """Serve within the block."""
        with self:
            threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
            try:
                yield self
            finally:
                if self.hold is not None:
                    self.hold.set()
                self.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.requests.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start >= len(server.content):
            self.send_error(416)
            return
        body = b"<html></html>" if server.page else server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "text/html" if server.page else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.break_after])
        if server.hold is not None:
            server.hold.wait(60)

    def log_message(self, *_):
        """Quiet."""
