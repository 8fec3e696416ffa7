"""Atomic outputs: everything is written beside its target and renamed at the end, so a target is whole or absent."""

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

LEAST_FREE_BYTES = 1 << 20
"""Less room on a disk is none: no command begins."""
FULL_BYTES = 1 << 16
"""A disk with less room left after writing may have lost the end of a file."""
LONGEST_NAME = 64
"""Characters of a name that was made of a header."""
RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}
"""No file of Windows can be called so."""
RANDOM = 8
"""Characters that ``tempfile`` appends to a prefix."""
FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)


def require_output(path: str | Path) -> None:
    """Check that results can be written into a folder, which need not exist yet; nothing stays there.

    Raises:
        InputError: it is a file or lies below one, cannot be written, or its disk is full.
    """
    path = Path(path)
    place = path
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        what = "is a file" if place == path else f"cannot be made, because {place} is a file"
        raise InputError(f"{path}: {what}; choose a folder for the results.")
    try:
        # The results are written beside their folder before they are moved into it.
        for folder in {place, _beside(path) if path.parent.is_dir() else place}:
            os.rmdir(tempfile.mkdtemp(prefix=f".{path.name[:32]}-", dir=folder))
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); choose another folder for the results."
        ) from error
    if free < LEAST_FREE_BYTES:
        raise InputError(f"{path}: its disk is full ({free / 1e6:.1f} MB free); make room or choose another folder.")


def _beside(target: Path) -> Path:
    """The folder on the disk of ``target`` that unfinished results lie in: beside it, or in it where it is a disk."""
    return target if os.path.ismount(target) else target.parent


def disk_problem(error: BaseException) -> str:
    """One sentence where an error says that a disk is full or may not be written; empty for all other errors."""
    if not isinstance(error, OSError) or error.errno not in (*FULL, *REFUSED):
        return ""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in FULL:
        return f"{where}the disk is full; make room or choose another folder."
    return f"{where}cannot be written ({error.strerror})."


@contextmanager
def atomic_directory(target: str | Path, replace: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield a temporary folder whose files are moved into ``target`` when the block succeeds.

    ``target`` may hold other files, which stay; entries of the same name are replaced, and so are the
    names in ``replace`` (results of an earlier run that this one does not write again). On any error
    nothing in ``target`` changes and the temporary folder is removed.

    Raises:
        InputError: ``target`` cannot be written, or the disk became full; writers that do not say so are noticed too.
    """
    target = Path(target)
    require_output(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = unfinished_folder(target)
    try:
        with _noticing_a_full_disk(work, target):
            yield work
        target.mkdir(exist_ok=True)
        for name in replace:
            _remove(target / name)
        for entry in sorted(work.iterdir()):
            _remove(target / entry.name)
            os.replace(entry, target / entry.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def unfinished_folder(target: Path) -> Path:
    """A new hidden folder on the disk of ``target``, in which its files are made before they are moved."""
    return Path(tempfile.mkdtemp(prefix=_unfinished(target.name), dir=_beside(target)))


def remove_unfinished(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed processes left of the entries ``names`` of ``folder``; nothing may be at work on them."""
    prefixes = {_unfinished(name) for name in names}
    for place in folder.iterdir() if folder.is_dir() else ():
        if place.name[:-RANDOM] in prefixes:
            shutil.rmtree(place, ignore_errors=True)


def _unfinished(name: str) -> str:
    return f".{name[:200]}-"


@contextmanager
def atomic_file(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that replaces it when the block succeeds; else nothing changes.

    Raises:
        InputError: the folder of ``target`` cannot be written, or its disk became full.
    """
    target = Path(target)
    require_output(target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_name(f".{target.name}.part")
    try:
        with _noticing_a_full_disk(work.parent, target):
            yield work
        os.replace(work, target)
    finally:
        work.unlink(missing_ok=True)


def write_json(path: str | Path, value) -> None:
    """Write JSON through a temporary file; NaN is refused because JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write text (UTF-8) through a temporary file."""
    path = Path(path)
    work = path.with_name(f".{path.name}.part")
    work.write_text(text, encoding="utf-8")
    os.replace(work, path)


@contextmanager
def _noticing_a_full_disk(work: Path, target: Path) -> Iterator[None]:
    """Make one sentence of whatever a writer does when the disk is full, be it nothing."""
    full = f"{target}: the disk is full; make room or choose another folder."
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) in FULL or shutil.disk_usage(work).free < FULL_BYTES:
            raise InputError(full) from error
        raise
    if shutil.disk_usage(work).free < FULL_BYTES:
        raise InputError(full)


def safe_name(text: str, otherwise: str = "study") -> str:
    """A text of a header as a name that files and nodes of a scene can have on every system.

    Letters (of any script), digits, spaces and ``. , ( ) + -`` stay; everything else becomes ``_``.

    Example:
        >>> safe_name("A&B-01 <study>"), safe_name("../x"), safe_name(" .. ")
        ('A_B-01 _study_', '_x', 'study')
    """
    name = re.sub(r"[^\w .,()+-]+", "_", text).strip(" .")[:LONGEST_NAME].strip(" .")
    return f"{name}_" if name.upper().split(".")[0] in RESERVED else name or otherwise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
