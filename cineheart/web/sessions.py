"""The sessions of a server: for each browser page one process with a scene of its own, and one private folder.

MRML holds one scene a process, and the state of trame is one a server, so two sessions in one process would mix.
"""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from CardiacLib.errors import InputError

from .uploads import UploadLimits

KEY_VARIABLE = "CINEHEART_SESSION_KEY"
KEY_HEADER = "X-CineHeart-Session"
PORT_FILE, UPLOADS, OUTPUT = "port", "uploads", "output"
START_S = 60.0
"""In which a session's process must listen."""


@dataclass(frozen=True)
class ServerOptions:
    """Of ``cineheart view``.

    Attributes:
        host: address to listen at; anything but a loopback address needs a token.
        port: 0 takes a free one.
        sessions: that may run at the same time.
        idle_s: after which a session without a page ends.
        limits: of what is sent.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    sessions: int = 10
    idle_s: int = 60
    limits: UploadLimits = field(default_factory=UploadLimits)


@dataclass
class Session:
    """One process, reached at a loopback port by its key only, and its folder."""

    folder: Path
    key: str
    process: asyncio.subprocess.Process
    port: int = 0


@dataclass
class Sessions:
    """All that run.

    Attributes:
        root: folder whose studies may be opened.
        options: of the server.
    """

    root: Path
    options: ServerOptions
    running: dict[str, Session] = field(default_factory=dict)
    _watching: set[asyncio.Task] = field(default_factory=set)
    _starting: int = 0

    async def start(self) -> str:
        """Start a session and return its name, which nobody can guess.

        Raises:
            InputError: as many run as may.
            RuntimeError: its process did not listen in time.
        """
        if len(self.running) + self._starting >= self.options.sessions:
            raise InputError(f"{self.options.sessions} sessions run already; close a page and try again in a minute.")
        self._starting += 1
        try:
            session = await self._start_process()
        finally:
            self._starting -= 1
        name = secrets.token_urlsafe(24)
        self.running[name] = session
        watch = asyncio.create_task(self._watch(name, session))
        self._watching.add(watch)
        watch.add_done_callback(self._watching.discard)
        return name

    async def close(self) -> None:
        """End every session and remove its folder."""
        for session in list(self.running.values()):
            _end(session)
        if self._watching:
            await asyncio.wait(list(self._watching), timeout=10)
        for session in self.running.values():
            shutil.rmtree(session.folder, ignore_errors=True)

    async def _start_process(self) -> Session:
        folder = Path(tempfile.mkdtemp(prefix="cineheart-session-"))  # mode 0700
        for name in (UPLOADS, OUTPUT, "tmp"):
            (folder / name).mkdir(mode=0o700)
        key = secrets.token_urlsafe(32)
        command = [sys.executable, "-m", "cineheart.web.session", str(self.root), str(folder), str(self.options.idle_s)]
        # What the process and its workers leave behind lies in its own folder too.
        environment = os.environ | {KEY_VARIABLE: key, "TMPDIR": str(folder / "tmp")}
        try:
            process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
            session = Session(folder, key, process)
            await self._listening(session)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return session

    async def _listening(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + START_S
        while loop.time() < end and session.process.returncode is None:
            if (session.folder / PORT_FILE).is_file():
                session.port = int((session.folder / PORT_FILE).read_text())
                return
            await asyncio.sleep(0.05)
        _end(session)
        await session.process.wait()
        raise RuntimeError(f"The process of a session did not start (exit code {session.process.returncode}).")

    async def _watch(self, name: str, session: Session) -> None:
        await session.process.wait()
        self.running.pop(name, None)
        shutil.rmtree(session.folder, ignore_errors=True)


def _end(session: Session) -> None:
    if session.process.returncode is None:
        session.process.terminate()
