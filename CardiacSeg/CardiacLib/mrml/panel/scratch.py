"""Folders for the files of one run, which hold images of a patient: only their owner may read them, and a folder that a
crash has left behind is removed at the next start.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from CardiacLib.mrml.nodes.host import in_slicer

PREFIX = "cineheart-"
LOCK = "lock"
"""File beside the folder that its process keeps open and locked as long as it lives."""


class Scratch:
    """A new folder, for its owner only.

    Args:
        kind: of the run, part of the folder's name.

    Attributes:
        path: of the folder; empty.
    """

    def __init__(self, kind: str):
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-", dir=temporary_folder()))
        self._lock = (self._folder / LOCK).open("w")
        _lock(self._lock)
        self.path = self._folder / "files"
        self.path.mkdir()

    def remove(self) -> None:
        """Remove it with all that it holds; nothing happens when it is gone."""
        self._lock.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def temporary_folder() -> Path:
    """Slicer's temporary folder, which the user can choose in its settings; elsewhere that of the system."""
    if not in_slicer():
        return Path(tempfile.gettempdir())
    import slicer

    return Path(slicer.app.temporaryPath)


def sweep() -> list[Path]:
    """Remove the folders whose process has ended without doing so; returns them."""
    left = []
    for folder in sorted(temporary_folder().glob(f"{PREFIX}*")):
        lock = folder / LOCK
        if not lock.is_file():
            continue
        with contextlib.suppress(OSError):  # it is locked, or belongs to somebody else
            with lock.open("r+") as file:
                _lock(file)
            shutil.rmtree(folder)
            left.append(folder)
    return left


def _lock(file) -> None:
    """Raise OSError where another process has the lock; it goes with the file or the process."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
