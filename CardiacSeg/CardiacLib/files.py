"""Atomic outputs: everything is written beside its target and renamed at the end, so a target is whole or absent."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_directory(target: str | Path, replace: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield a temporary folder whose files are moved into ``target`` when the block succeeds.

    ``target`` may hold other files, which stay; entries of the same name are replaced, and so are the
    names in ``replace`` (results of an earlier run that this one does not write again). On any error
    nothing in ``target`` changes and the temporary folder is removed.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield work
        target.mkdir(exist_ok=True)
        for name in replace:
            _remove(target / name)
        for entry in sorted(work.iterdir()):
            _remove(target / entry.name)
            os.replace(entry, target / entry.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_json(path: str | Path, value) -> None:
    """Write JSON through a temporary file; NaN is refused because JSON has none."""
    path = Path(path)
    work = path.with_name(f".{path.name}.part")
    work.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(work, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
