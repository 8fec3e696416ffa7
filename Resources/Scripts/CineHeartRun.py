"""The ``cineheart`` command line inside Slicer, without a window.

    Slicer --no-main-window --python-script Resources/Scripts/CineHeartRun.py run STUDY -o DIR

Takes the same arguments as ``cineheart`` and ends Slicer with the same exit code. Works from the source tree and from
the installed extension; its Python packages must be there (open the CardiacSeg module once to install them).
"""

import sys
from pathlib import Path

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
    from cineheart.cli import main

    try:
        return main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


if __name__ == "__main__":
    exit_code = run(sys.argv[1:])
    if "slicer" in sys.modules and hasattr(sys.modules["slicer"], "app"):
        sys.modules["slicer"].util.exit(exit_code)  # the application would wait for events otherwise
    else:
        sys.exit(exit_code)
