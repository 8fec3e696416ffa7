"""Download one file over HTTP, going on where an earlier attempt stopped."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent

CHUNK = 1 << 18
TIMEOUT_SECONDS = 30


def download(url: str, target: Path, progress: Progress = silent) -> None:
    """Stream ``url`` into ``target``; what is there already counts as the beginning of the file and is not sent again.

    Whether it was that beginning only a checksum can tell, and that is the caller's.

    Raises:
        InputError: the server cannot be reached, refuses, answers with a web page, or the connection ended early; what
            came until then stays in ``target``.
    """
    start = target.stat().st_size if target.is_file() else 0
    headers = {"User-Agent": "CineHeart"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS) as reply:
            if reply.headers.get_content_type() == "text/html":
                raise InputError(f"{url}: the server answers with a web page instead of the file")
            _receive(reply, target, start if reply.status == http.client.PARTIAL_CONTENT else 0, url, progress)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is left to send: the checksum tells whether the file is whole
        raise InputError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"{url}: {reason}") from error


def _receive(reply, target: Path, start: int, url: str, progress: Progress) -> None:
    length = reply.headers.get("Content-Length")
    total = start + int(length) if length else None
    done = start
    with open(target, "ab" if start else "wb") as out:
        while chunk := reply.read(CHUNK):
            out.write(chunk)
            done += len(chunk)
            progress(done / total if total else 0.5, f"fetched {done / 1e6:.1f} MB")
    if total is not None and done < total:
        raise InputError(f"{url}: the connection ended after {done} of {total} bytes")


def checksum(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
