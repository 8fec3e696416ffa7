"""Print a page as PDF by Chromium, Chrome or Edge without a window; nothing is downloaded."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.files import atomic_file, require_output

PDF_NAME = "report.pdf"
BROWSER_VARIABLE = "CINEHEART_BROWSER"
"""Environment variable that names the program where it has none of the usual names."""
PROGRAMS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge",
    "microsoft-edge-stable", "msedge",
)  # fmt: skip
_MACOS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
_WINDOWS = (r"Google\Chrome\Application\chrome.exe", r"Microsoft\Edge\Application\msedge.exe")
_WINDOWS_FOLDERS = ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")
_QUIET = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--no-pdf-header-footer",
)  # fmt: skip
SECONDS = 120.0
"""A browser that takes longer hangs."""


def require_browser() -> str:
    """Path of the browser that prints.

    Raises:
        InputError: there is none, or the environment variable names none.
    """
    if named := os.environ.get(BROWSER_VARIABLE):
        if found := shutil.which(named):
            return found
        raise InputError(f"{BROWSER_VARIABLE}={named}: is no program; name a Chromium, Chrome or Edge there.")
    usual = (found for name in PROGRAMS if (found := shutil.which(name)))
    places = (place for place in _places() if Path(place).is_file())
    if found := next(usual, None) or next(places, None):
        return found
    raise InputError(
        "A PDF needs Chromium, Google Chrome or Microsoft Edge, which print it: install one, name its program in "
        f"{BROWSER_VARIABLE}, or leave out the PDF and print report.html from any browser."
    )


def _places() -> list[str]:
    """Where installers put browsers that no search path leads to."""
    if sys.platform == "darwin":
        return list(_MACOS)
    folders = [os.environ[name] for name in _WINDOWS_FOLDERS if name in os.environ]
    return [str(Path(folder) / name) for folder in folders for name in _WINDOWS]


def write_pdf(page: Path, target: Path) -> None:
    """Print a page of HTML, as its style for paper says; ``target`` is whole or absent.

    Raises:
        InputError: see :func:`require_browser`; or the browser printed nothing.
    """
    program = require_browser()
    require_output(target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the result, not hidden: a browser that Ubuntu packs as snap sees neither /tmp nor hidden folders of a home.
    with tempfile.TemporaryDirectory(prefix="printing-", dir=target.parent, ignore_cleanup_errors=True) as folder:
        shutil.copyfile(page, Path(folder) / "report.html")
        printed = Path(folder) / PDF_NAME
        command = [
            program,
            *_QUIET,
            *_without_sandbox(),
            f"--user-data-dir={Path(folder) / 'profile'}",
            f"--print-to-pdf={printed}",
            (Path(folder) / "report.html").as_uri(),
        ]
        try:
            said = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False).stderr
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"{program}: could not print {page.name} ({error}); try another browser.") from error
        if not printed.is_file() or printed.read_bytes()[:5] != b"%PDF-":
            lines = said.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
            raise InputError(f"{program}: did not print {page.name} ({lines[-1]}); try another browser.")
        with atomic_file(target) as work:
            shutil.copyfile(printed, work)


def _without_sandbox() -> tuple[str, ...]:
    """Chromium refuses to start with a sandbox for the user root, as in containers; the page is our own."""
    return ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
