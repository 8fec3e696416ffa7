"""The ``cineheart`` command line inside Slicer, without a window.

    Slicer --no-main-window --python-script Resources/Scripts/CineHeartRun.py run STUDY -o DIR

Takes the same arguments as ``cineheart`` and ends Slicer with the same exit code. Works from the source tree and from
the installed extension. Python packages that are missing are named, and installed if the first argument is
``--install-packages``. Whoever runs it accepts the licences of the networks, which ``bundles list`` prints.
"""

import sys
from pathlib import Path

INSTALL = "--install-packages"
SOURCE_FOLDERS = ("", "CardiacSeg", "CardiacLandmarks", "BiVMesh")


def add_library_folders(script: Path) -> None:
    """Put the folders that hold the packages on ``sys.path``: one when installed, four in a source tree."""
    root = script.resolve().parents[2]
    for folder in SOURCE_FOLDERS:
        candidate = str(root / folder)
        if (root / folder).is_dir() and candidate not in sys.path:
            sys.path.append(candidate)


def run(arguments: list[str]) -> int:
    """Run the command line; returns its exit code, also when the command ends by ``SystemExit``."""
    add_library_folders(Path(__file__))
    install = arguments[:1] == [INSTALL]
    if "slicer" in sys.modules:
        from CardiacLib.errors import Cancelled, InputError
        from CardiacLib.mrml.panel.dependencies import command_line_requirements, ensure_dependencies

        try:
            wanted = True if install else None  # None asks once where there is a window
            ensure_dependencies("The command line", install=wanted, optional=command_line_requirements())
        except (Cancelled, InputError) as error:
            print(f"{error} Or give {INSTALL} as the first argument.", file=sys.stderr)
            return 2
    from cineheart.cli import main

    try:
        return main(arguments[install:])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


if __name__ == "__main__":
    exit_code = run(sys.argv[1:])
    if "slicer" in sys.modules and hasattr(sys.modules["slicer"], "app"):
        sys.modules["slicer"].util.exit(exit_code)  # the application would wait for events otherwise
    else:
        sys.exit(exit_code)
