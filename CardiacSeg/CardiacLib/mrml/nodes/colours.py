"""Colour scale of scalars on models. It stands in the scene, so that a saved scene looks alike everywhere."""

import colorsys

import numpy as np

from CardiacLib.aha import APEX_SEGMENT, SEGMENT_NAMES

SEGMENTS = "CineHeart AHA segments"
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


def show_segments(display, array: str, location: int) -> None:
    """Let a model's display node colour it by AHA segments 1 to 17, each in a colour of its own, 0 in grey.

    Args:
        display: vtkMRMLModelDisplayNode.
        array: its name.
        location: ``vtkAssignAttribute.POINT_DATA`` or ``CELL_DATA``.
    """
    show_scalar(display, array, location, (0.0, float(APEX_SEGMENT)))
    display.SetAndObserveColorNodeID(_table(SEGMENTS, segment_colours(), ("none", *SEGMENT_NAMES)).GetID())


def segment_colours() -> np.ndarray:
    """(18, 3) red, green, blue of no segment and of segments 1 to 17: a hue for each wall, paler towards the apex."""
    basal, middle = ([(number / 6, *level) for number in range(6)] for level in ((0.85, 0.72), (0.6, 0.9)))
    apical = [(hue, 0.3, 1.0) for hue in (0.0, 0.25, 0.5, 0.75)]
    colours = [colorsys.hsv_to_rgb(*colour) for colour in (*basal, *middle, *apical)]
    return np.array([(0.6, 0.6, 0.6), *colours, (0.97, 0.97, 0.97)])


def _scale():
    """The scale's colour table."""
    at = np.linspace(0, len(STOPS) - 1, 256)
    colours = np.stack([np.interp(at, range(len(STOPS)), column) for column in zip(*STOPS, strict=True)], 1)
    return _table(NAME, colours, [str(number) for number in range(256)])


def _table(name: str, colours: np.ndarray, names):
    """The scene's colour table of this name, made if there is none."""
    import slicer

    table = slicer.mrmlScene.GetFirstNodeByName(name)
    if table is None:
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
        table.SetTypeToUser()
        table.SetNumberOfColors(len(colours))
        for number, (colour, text) in enumerate(zip(colours, names, strict=True)):
            table.SetColor(number, text, *map(float, colour), 1.0)
    return table
