"""Valve points as markups of the MRML scene, one point list for each valve, and back."""

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.landmarks import LANDMARK_NAMES, VALVE_COLOURS, Landmarks, valve_points

from .hierarchy import Nodes
from .host import plain_host
from .sequences import add_sequence, sequence_of, times_of

VALVE_ATTRIBUTE = "CineHeart.valve"
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
GLYPH_MM = 4.0
TEXT_SCALE = 2.5


def landmarks_to_scene(landmarks: Landmarks, name: str, browser=None) -> Nodes:
    """Put valve points into the scene: a point list for each valve that has points, in the valve's colour.

    A point that is not in a frame has the position status "missing" there; its name stays. Every list is editable and
    holds exactly the points of its valve.

    Args:
        landmarks: points of T frames.
        name: start of the nodes' names.
        browser: sequence browser to join; the lists are sequences there if T > 1. None leaves out all but the first
            frame.

    Returns:
        The point list of each valve (the proxy of its sequence), by valve.
    """
    import slicer

    plain_host()
    nodes = {}
    for valve, colour in VALVE_COLOURS.items():
        own = valve_points(valve)
        if not np.isfinite(landmarks.points[:, own]).all(2).any():
            continue
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", f"{name} {valve} valve")
        _fill(node, landmarks.points[0], valve)
        _set_display(node, colour)
        if browser is not None and len(landmarks.points) > 1:
            add_sequence(node, landmarks, _frames(landmarks, valve, node.GetName()), browser)
        nodes[valve] = node
    return nodes


def landmarks_from_nodes(nodes) -> Landmarks:
    """Valve points of point lists, every frame where they are proxies of sequences, edits included.

    The inverse of :func:`landmarks_to_scene`. Points are told by their names; parent transforms are applied.

    Args:
        nodes: one point list or several, of the same number of frames.

    Raises:
        InputError: there is no valve point in the lists, or their numbers of frames differ.
    """
    plain_host()
    frames, times, count = {}, None, 0
    for node in nodes:
        _, sequence = sequence_of(node)
        items = [node] if sequence is None else _items(sequence)
        if not count:
            count = len(items)
            times = np.zeros(1) if sequence is None else times_of(sequence)
        if len(items) != count:
            raise InputError(f"'{node.GetName()}' has {len(items)} frames, the other point lists {count}.")
        for t, item in enumerate(items):
            frames |= {(t, label): place for label, place in _places(item, node) if label in LANDMARK_NAMES}
    if not frames:
        raise InputError(f"No valve points here; name them as CineHeart does: {', '.join(LANDMARK_NAMES)}.")
    points = np.full((count, len(LANDMARK_NAMES), 3), np.nan)
    for (t, label), place in frames.items():
        points[t, LANDMARK_NAMES.index(label)] = place
    return Landmarks(points, times)


def _items(sequence) -> list:
    return [sequence.GetNthDataNode(item) for item in range(sequence.GetNumberOfDataNodes())]


def _places(item, node):
    """(name, LPS mm or NaN) of every control point of one frame, through the transforms of the node in the scene."""
    import vtk

    transform = vtk.vtkGeneralTransform()
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetTransformToWorld(transform)
    for n in range(item.GetNumberOfControlPoints()):
        known = item.GetNthControlPointPositionStatus(n) == item.PositionDefined
        place = transform.TransformPoint(item.GetNthControlPointPosition(n)) if known else np.full(3, np.nan)
        yield item.GetNthControlPointLabel(n), np.array(place) * LPS_TO_RAS


def _frames(landmarks: Landmarks, valve: str, name: str):
    """One point list per frame, outside the scene; the caller copies each before asking for the next."""
    import slicer

    for points in landmarks.points:
        node = slicer.vtkMRMLMarkupsFiducialNode()
        node.SetName(name)
        _fill(node, points, valve)
        yield node


def _fill(node, points: np.ndarray, valve: str) -> None:
    import vtk

    unfinished = node.StartModify()
    node.RemoveAllControlPoints()
    for number, n in enumerate(valve_points(valve)):
        known = bool(np.isfinite(points[n]).all())
        node.AddControlPoint(vtk.vtkVector3d(*(points[n] * LPS_TO_RAS if known else np.zeros(3))), LANDMARK_NAMES[n])
        if not known:
            node.SetNthControlPointPositionMissing(number)
    node.SetFixedNumberOfControlPoints(True)
    node.SetAttribute(VALVE_ATTRIBUTE, valve)
    node.EndModify(unfinished)


def _set_display(node, colour: tuple[float, float, float]) -> None:
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*colour)
    display.SetColor(*colour)
    display.SetUseGlyphScale(False)
    display.SetGlyphSize(GLYPH_MM)
    display.SetTextScale(TEXT_SCALE)
    display.SetPointLabelsVisibility(False)
