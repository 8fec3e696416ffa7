"""Colour scale of scalars on models. It stands in the scene, so that a saved scene looks alike everywhere."""

import numpy as np

NAME = "CineHeart scale"
STOPS = ((0.10, 0.25, 0.75), (0.45, 0.70, 0.93), (0.94, 0.94, 0.92), (0.95, 0.62, 0.42), (0.80, 0.12, 0.10))
"""Red, green, blue at equal steps of the scale: blue over white to red."""


def show_scalar(display, array: str, location: int, limits: tuple[float, float] | None = None) -> None:
    """Let a model's display node colour it by one of its arrays.

    Args:
        display: vtkMRMLModelDisplayNode.
        array: its name.
        location: ``vtkAssignAttribute.POINT_DATA`` or ``CELL_DATA``.
        limits: values of the scale's ends; by default the array's own range.
    """
    import slicer

    display.SetAndObserveColorNodeID(_scale().GetID())
    display.SetActiveScalar(array, location)
    display.SetScalarVisibility(True)
    kind = slicer.vtkMRMLModelDisplayNode
    display.SetScalarRangeFlag(kind.UseDataScalarRange if limits is None else kind.UseManualScalarRange)
    if limits is not None:
        display.SetScalarRange(*limits)


def _scale():
    """The scene's colour table of this name, made if there is none."""
    import slicer

    table = slicer.mrmlScene.GetFirstNodeByName(NAME)
    if table is None:
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", NAME)
        table.SetTypeToUser()
        table.SetNumberOfColors(256)
        at = np.linspace(0, len(STOPS) - 1, 256)
        colours = np.stack([np.interp(at, range(len(STOPS)), column) for column in zip(*STOPS, strict=True)], 1)
        for number, colour in enumerate(colours):
            table.SetColor(number, str(number), *map(float, colour), 1.0)
    return table
