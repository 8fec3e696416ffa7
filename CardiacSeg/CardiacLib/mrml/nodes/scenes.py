"""Scene files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.files import safe_name

from .host import plain_host, quiet


def save_scene(path: str | Path) -> None:
    """Write ``slicer.mrmlScene`` with all its data as one ``.mrb`` file, over an earlier one.

    Raises:
        InputError: the name does not end in ``.mrb``.
        OSError: the file could not be written; the message holds what MRML said.
    """
    import slicer

    path = Path(path)
    if path.suffix != ".mrb":
        raise InputError(f"{path}: a scene with its data must be named .mrb.")
    plain_host()
    _make_names_safe()
    with quiet() as said, _same_folder():
        written = slicer.mrmlScene.WriteToMRB(str(path))
    if not written:
        raise OSError(f"{path}: the scene could not be written. {said()}")


def load_scene(path: str | Path) -> None:
    """Replace the content of ``slicer.mrmlScene`` by that of an ``.mrb`` file.

    Raises:
        InputError: there is no such file, or it is not a scene.
    """
    import slicer

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    plain_host()
    with quiet() as said, _same_folder():
        read = slicer.mrmlScene.ReadFromMRB(str(path), True)
    if not read:
        raise InputError(f"{path}: not a readable MRML scene bundle. {said()}")


def clear_scene() -> None:
    """Remove all of ``slicer.mrmlScene`` but its singleton nodes, such as the views."""
    import slicer

    slicer.mrmlScene.Clear(False)


def _make_names_safe() -> None:
    """Rename nodes whose names MRML would make file names of that break the XML: it escapes names, not those files."""
    import slicer

    nodes = [slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes())]
    for sequence in [node for node in nodes if node.IsA("vtkMRMLSequenceNode")]:
        nodes += [sequence.GetNthDataNode(n) for n in range(sequence.GetNumberOfDataNodes())]
    for node in nodes:
        name = node.GetName()
        if name and ("&" in name or not name.isprintable()):
            node.SetName(safe_name(name))


@contextmanager
def _same_folder() -> Iterator[None]:
    """MRML changes the working directory to its temporary folder and, when it fails, does not come back."""
    folder = os.getcwd()
    try:
        yield
    finally:
        os.chdir(folder)
