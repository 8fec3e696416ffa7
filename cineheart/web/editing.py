"""Labels and valve points edited in the views, on the frame that is shown, with one history.

Strokes are those of trame-slicer's segmentation editor, drags those of the markups. Either changes the node in the
scene, which is the proxy of a sequence: MRML saves it to the frame's own node at once, because save-changes is on.
"""

from collections.abc import Callable
from typing import Any

from trame_slicer.core import SlicerApp
from trame_slicer.segmentation import (
    BrushDiameterMode,
    SegmentationEffectErase,
    SegmentationEffectNoTool,
    SegmentationEffectPaint,
)
from undo_stack import UndoCommand, UndoStack

from CardiacLib.mrml.nodes.study_views import SLICE_VIEWS
from CardiacLib.types.labels import LV, MYO, RV, structures

from .study_scene import StudyScene

STRUCTURES = {"LV": LV, "Myocardium": MYO, "RV": RV}
"""What can be painted, as it is called on the page."""
LABELS, POINTS = "labels", "points"
MOST_UNDONE = 30
"""Edits that can be undone; each stroke keeps the labels of its frame before and after."""
Told = Callable[[str], None]
Positions = list[tuple[float, ...] | None]


class _OfShortAxis:
    """A brush that is there in the short-axis view only: labels are drawn slice by slice."""

    def _create_pipeline(self, view_node, parameter):
        if view_node.GetSingletonTag() != SLICE_VIEWS["sax"]:
            return None
        return super()._create_pipeline(view_node, parameter)

    def _create_model_node(self, name):
        node = super()._create_model_node(name)
        node.GetDisplayNode().SetVisibility3D(False)
        return node


class Paint(_OfShortAxis, SegmentationEffectPaint):
    """Add to a structure; what was another structure there is replaced."""


class Erase(_OfShortAxis, SegmentationEffectErase):
    """Take from a structure."""


TOOLS = {"points": SegmentationEffectNoTool, "paint": Paint, "erase": Erase}
"""With the first, the mouse drags valve points."""


class Editing:
    """The tools and the history of a session.

    Args:
        slicer: its scene, views and segmentation editor.
        scene: what is open.
        told: called after every edit, undone and redone ones included, with LABELS or POINTS.
    """

    def __init__(self, slicer: SlicerApp, scene: StudyScene, told: Told):
        self._editor, self._scene = slicer.segmentation_editor, scene
        self._history = _History(scene, told)
        self._editor.set_undo_stack(self._history)
        self._watched: dict[Any, tuple[int, ...]] = {}
        self._dragged_from: Positions = []

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return self._history.can_undo()

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone edit."""
        return self._history.can_redo()

    def begin(self) -> None:
        """Edit what the scene holds now; edits before can no longer be undone."""
        self._history.clear()
        if self._scene.segmentation is not None:
            self._editor.set_active_segmentation(self._scene.segmentation, self._scene.volumes["sax"])
        for node, tags in self._watched.items():
            for tag in tags:
                node.RemoveObserver(tag)
        self._watched = {node: self._watch(node) for node in self._scene.points}

    def choose(self, tool: str, structure: str, diameter_mm: float) -> None:
        """What the mouse does: one of TOOLS, for painting with one of STRUCTURES; nothing is painted without labels."""
        if self._scene.segmentation is None:
            return
        segmentation = self._scene.segmentation.GetSegmentation()
        name = structures()[STRUCTURES[structure]].name
        self._editor.set_active_segment_id(segmentation.GetSegmentIdBySegmentName(name))
        effect = self._editor.set_active_effect_type(TOOLS[tool])
        if tool != "points":
            effect.set_brush_diameter(diameter_mm, BrushDiameterMode.Absolute)

    def undo(self) -> None:
        """Show the frame of the last edit, and undo it."""
        self._history.undo()

    def redo(self) -> None:
        """Show the frame of the edit that was undone last, and do it again."""
        self._history.redo()

    def _watch(self, node) -> tuple[int, ...]:
        def start(*_) -> None:
            self._dragged_from = _positions(node)

        def end(*_) -> None:
            before, after = self._dragged_from, _positions(node)
            if before and before != after:
                self._history.push(_Drag(node, before, after))
            self._dragged_from = []

        return (
            node.AddObserver(node.PointStartInteractionEvent, start),
            node.AddObserver(node.PointEndInteractionEvent, end),
        )


class _Drag(UndoCommand):
    """Points of a list that were dragged."""

    def __init__(self, node, before: Positions, after: Positions):
        super().__init__()
        self._node, self._before, self._after = node, before, after

    def undo(self) -> None:
        _place(self._node, self._before)

    def redo(self) -> None:
        _place(self._node, self._after)


class _OfFrame(UndoCommand):
    """An edit of one frame, which is shown before the edit is undone or done again."""

    def __init__(self, command: UndoCommand, scene: StudyScene, did: Told):
        super().__init__()
        self._command, self._scene, self._frame, self._did = command, scene, scene.frame, did

    @property
    def kind(self) -> str:
        """LABELS or POINTS."""
        return POINTS if isinstance(self._command, _Drag) else LABELS

    def undo(self) -> None:
        self._scene.show_frame(self._frame)
        self._command.undo()
        self._did(self.kind)

    def redo(self) -> None:
        self._scene.show_frame(self._frame)
        self._command.redo()
        self._did(self.kind)


class _History(UndoStack):
    """Edits in the order they were made, each with its frame; says what was edited when its own state is right."""

    def __init__(self, scene: StudyScene, told: Told):
        super().__init__(undo_limit=MOST_UNDONE)
        self._scene, self._told = scene, told
        self._kinds: list[str] = []

    def push(self, command: UndoCommand) -> None:
        """Keep an edit of the frame that is shown."""
        edit = _OfFrame(command, self._scene, self._kinds.append)
        super().push(edit)
        self._told(edit.kind)

    def undo(self) -> None:
        """Undo the last edit."""
        super().undo()
        self._tell()

    def redo(self) -> None:
        """Do the edit again that was undone last."""
        super().redo()
        self._tell()

    def _tell(self) -> None:
        while self._kinds:
            self._told(self._kinds.pop())


def _positions(node) -> Positions:
    """RAS mm of each point; None of one that is missing."""
    known = (node.GetNthControlPointPositionStatus(n) == node.PositionDefined for n in _numbers(node))
    return [tuple(node.GetNthControlPointPosition(n)) if there else None for n, there in enumerate(known)]


def _place(node, positions: Positions) -> None:
    unfinished = node.StartModify()
    for n, (place, now) in enumerate(zip(positions, _positions(node), strict=True)):
        if place is not None and place != now:
            node.SetNthControlPointPosition(n, *place)
    node.EndModify(unfinished)


def _numbers(node) -> range:
    return range(node.GetNumberOfControlPoints())
