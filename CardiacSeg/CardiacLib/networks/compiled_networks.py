"""Networks as OpenVINO compiled them, kept in the cache folder: compiling one takes longer.

A file holds the SHA-256 of what follows, and what OpenVINO exported. Its name says what it was made of: the network,
the version of OpenVINO, the device and the precision.
"""

import hashlib
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory

from .bundles import cache_folder

FOLDER = "compiled"
KEPT = 8
"""Files that stay, those used last; one is about twice as large as the weights."""
DIGEST = hashlib.sha256().digest_size


def compiled_file(*facts: str) -> Path:
    """Where a network is kept that was compiled under these circumstances."""
    made_of = hashlib.sha256("\n".join(facts).encode())
    return cache_folder() / FOLDER / f"{made_of.hexdigest()[:32]}.bin"


def read_compiled(file: Path) -> bytes | None:
    """What OpenVINO had exported; None if there is none, or none that is whole."""
    try:
        content = file.read_bytes()
        file.touch()
    except OSError:
        return None
    exported = content[DIGEST:]
    return exported if hashlib.sha256(exported).digest() == content[:DIGEST] else None


def keep_compiled(file: Path, exported: bytes) -> None:
    """Put into the cache what OpenVINO exported, and remove what was not used for longest.

    A cache folder that cannot be written to stays as it is: the network is then converted anew next time.
    """
    try:
        with atomic_directory(file.parent) as work:
            (work / file.name).write_bytes(hashlib.sha256(exported).digest() + exported)
    except (InputError, OSError):
        return
    for old in sorted(file.parent.glob("*.bin"), key=_last_used)[:-KEPT]:
        old.unlink(missing_ok=True)


def _last_used(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another process has removed it
        return 0.0


def clear_compiled() -> int:
    """Remove all compiled networks from the cache; return the bytes freed."""
    files = list((cache_folder() / FOLDER).glob("*.bin"))
    freed = sum(file.stat().st_size for file in files)
    for file in files:
        file.unlink(missing_ok=True)
    return freed
