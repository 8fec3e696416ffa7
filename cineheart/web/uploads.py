"""Files that a browser sends: into a private folder, of limited size, under names that lead nowhere else."""

import os
import re
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from CardiacLib.errors import InputError

SUFFIXES = (".zip", ".nii", ".nii.gz", ".nrrd", ".dcm", ".ima")
"""Of files that may be sent. Scene files may not: a scene names other files, which MRML would read."""


@dataclass(frozen=True)
class UploadLimits:
    """How much a session may send.

    Attributes:
        file_bytes: of one file, and of what a zip archive unpacks to.
        session_bytes: of all files of a session together.
        files: number of files of a session.
    """

    file_bytes: int = 2 << 30
    session_bytes: int = 4 << 30
    files: int = 5000


def upload_name(name: str) -> str:
    """A plain file name of the name that a browser gave; a DICOM file may have none of the suffixes.

    Raises:
        InputError: nothing is left of it, or files of its kind are not taken.
    """
    plain = re.sub(r"[^\w.-]", "_", re.split(r"[/\\]", name)[-1]).lstrip(".")[:120]
    if not plain:
        raise InputError(f"{name!r}: not a file name; rename the file.")
    dicom = re.fullmatch(r"\.?[\d.]*", Path(plain).suffix)  # DICOM files are often called by numbers only
    if not (plain.lower().endswith(SUFFIXES) or dicom):
        raise InputError(f"{name}: files of this kind are not taken; send a zip, NIfTI, NRRD or DICOM file.")
    return plain


async def receive(chunks: AsyncIterator[bytes], name: str, folder: Path, limits: UploadLimits) -> Path:
    """Write what arrives into ``folder``, owner only; nothing remains of a file that is refused.

    Raises:
        InputError: its name or its size is not taken.
    """
    plain = upload_name(name)
    folder.mkdir(mode=0o700, exist_ok=True)
    sizes = [place.stat().st_size for place in folder.iterdir()]
    if len(sizes) >= limits.files:
        raise InputError(f"{name}: more than {limits.files} files in one session; send one zip.")
    room = min(limits.file_bytes, limits.session_bytes - sum(sizes))
    part = folder / f".{plain}.part"
    try:
        received = 0
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            async for chunk in chunks:
                received += len(chunk)
                if received > room:
                    raise InputError(f"{name}: larger than the {room / 1e6:.0f} MB that may be sent; send one study.")
                out.write(chunk)
        if plain.lower().endswith(".zip"):
            _require_small_zip(part, name, limits)
        os.replace(part, folder / plain)
    finally:
        part.unlink(missing_ok=True)
    return folder / plain


def _require_small_zip(path: Path, name: str, limits: UploadLimits) -> None:
    """Refuse an archive that says it unpacks to too much; Python refuses to unpack more than an archive says."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{name}: the zip cannot be read ({error}); save or copy it again.") from error
    if size > limits.file_bytes:
        raise InputError(f"{name}: unpacks to {size / 1e6:.0f} MB, more than may be sent; send one study.")
