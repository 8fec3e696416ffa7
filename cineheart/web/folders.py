"""What of a server's folder a session may read: files below it, and nothing that a path or a link leads out to."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from CardiacLib.errors import InputError

MOST_ENTRIES = 500
"""Of a folder that are listed."""
MOST_LINKS_SEARCHED = 100_000
"""Files of a folder that are searched for links before it is read."""


@dataclass(frozen=True)
class Entry:
    """One line of a listing.

    Attributes:
        name: of the file or folder.
        path: relative to the root, with ``/``.
        kind: ``folder``, ``result`` (a folder that ``cineheart run`` wrote, with its scene) or ``file``.
    """

    name: str
    path: str
    kind: str


def below(root: Path, relative: str) -> Path:
    """The real path of ``relative`` below ``root``.

    Raises:
        InputError: it is absolute, leads out of the root by ``..`` or by a link, or is not there.
    """
    asked = PurePosixPath(relative.replace("\\", "/"))
    if "\0" in relative or asked.is_absolute() or ".." in asked.parts or (asked.parts and ":" in asked.parts[0]):
        raise InputError(f"{relative!r}: not a path below the folder that is served; choose one from the list.")
    real_root = root.resolve()
    real = (real_root / asked).resolve()
    if real != real_root and real_root not in real.parents:
        raise InputError(f"{relative!r}: a link that leads out of the folder that is served; choose another.")
    if not real.exists():
        raise InputError(f"{relative!r}: no such file or folder; list the folder again.")
    return real


def require_inside(root: Path, path: Path) -> None:
    """Refuse a folder of which a link leads out of the root: readers follow links.

    Raises:
        InputError: there is such a link, or the folder holds too many files to look.
    """
    real_root = root.resolve()
    seen = 0
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            seen += 1
            place = Path(folder, name)
            if seen > MOST_LINKS_SEARCHED:
                raise InputError(f"{path.name}: more than {MOST_LINKS_SEARCHED} files; open the folder of one study.")
            if place.is_symlink() and real_root not in place.resolve().parents:
                raise InputError(f"{path.name}: holds a link ({name}) out of the folder that is served; copy the file.")


def listing(root: Path, relative: str) -> list[Entry]:
    """The entries of a folder below the root, folders first; hidden ones and links that lead out are left out.

    Raises:
        InputError: no such folder below the root.
    """
    folder = below(root, relative)
    if not folder.is_dir():
        raise InputError(f"{relative!r}: not a folder; open it instead.")
    entries = []
    for place in sorted(folder.iterdir(), key=lambda place: place.name.lower()):
        path = str(PurePosixPath(relative) / place.name)
        if place.name.startswith("."):
            continue
        try:
            real = below(root, path)
        except InputError:
            continue
        kind = "file" if real.is_file() else "result" if (real / "scene.mrb").is_file() else "folder"
        entries.append(Entry(place.name, path, kind))
    return sorted(entries, key=lambda entry: entry.kind == "file")[:MOST_ENTRIES]
