"""Zip archives of images: unpacked into a folder for as long as they are read."""

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from CardiacLib.errors import InputError

LARGEST_BYTES = 16 << 30
"""An archive that claims to hold more is refused."""


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive by name."""
    return path.is_file() and path.suffix.lower() == ".zip"


@contextmanager
def unzipped(path: Path) -> Iterator[Path]:
    """A folder with the files of an archive, removed afterwards.

    The archive's own paths are never written to, so none can lead out: files lie in numbered folders, one for each
    folder of the archive.

    Raises:
        InputError: it is damaged, encrypted, empty or too large.
    """
    with tempfile.TemporaryDirectory() as work:
        try:
            with zipfile.ZipFile(path) as archive:
                members = [m for m in archive.infolist() if not m.is_dir() and not _hidden(m.filename)]
                size = sum(m.file_size for m in members)
                if not members:
                    raise InputError(f"{path}: the zip holds no files; give one of images.")
                if size > LARGEST_BYTES:
                    raise InputError(f"{path}: the zip would hold {size / 1e9:.0f} GB; give the images of one study.")
                folders = {parent: f"{n:04d}" for n, parent in enumerate(dict.fromkeys(map(_parent, members)))}
                for member in members:
                    target = Path(work, folders[_parent(member)], Path(member.filename).name)
                    target.parent.mkdir(exist_ok=True)
                    with archive.open(member) as packed, open(target, "wb") as out:
                        shutil.copyfileobj(packed, out)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise InputError(f"{path}: the zip cannot be unpacked ({error}); save or copy it again.") from error
        yield Path(work)


def _parent(member: zipfile.ZipInfo) -> str:
    return str(Path(member.filename).parent)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) and part != ".." for part in Path(name).parts)
