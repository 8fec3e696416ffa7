"""The views of a study side by side: short axis, 2CH, 3CH and 4CH, each in a slice view of its own.

All are at the frame that the study's sequence browser plays. Without a window nothing here does anything.
"""

import numpy as np

from CardiacLib.types.landmarks import LANDMARK_VIEWS, valve_points

from .cines import VIEW_ATTRIBUTE, ijk_to_lps_of
from .frames import swap_frame, world_transform
from .hierarchy import Nodes
from .sequences import sequence_of
from .views import has_window, show_volume

SLICE_VIEWS = {"sax": "Red", "2ch": "CineHeart2CH", "3ch": "CineHeart3CH", "4ch": "CineHeart4CH"}
"""View of a study to the name of its slice view; the short axis keeps the one that Slicer starts with."""
LAYOUT = 5280
"""Number of the layout; Slicer's own are below 1000."""
_LOOK = {"sax": ("SAX", "#F34A33"), "2ch": ("2CH", "#6EB04B"), "3ch": ("3CH", "#EDD54C"), "4ch": ("4CH", "#4B8EDD")}
"""Label and colour of the bar above a slice view."""


def show_study(volumes: Nodes) -> None:
    """Show the views of a study side by side, and the controls that play them; views that are shown already stay.

    Args:
        volumes: volume node by view; without a long-axis view, the short axis is shown in the layout that there is.
    """
    if not has_window():
        return
    shown = {view: volumes[view] for view in SLICE_VIEWS if view in volumes}
    if set(shown) <= {"sax"}:
        for volume in shown.values():
            show_volume(volume)
    else:
        _set_layout()
        for view in SLICE_VIEWS:
            _show_in(view, shown.get(view))
    for volume in shown.values():
        show_playback(sequence_of(volume)[0])


def show_playback(browser) -> None:
    """Show the toolbar that plays a sequence browser; ``browser`` may be None."""
    import slicer

    if browser is not None and has_window():
        slicer.modules.sequences.showSequenceBrowser(browser)


def show_points(lists: Nodes) -> None:
    """Show the point list of each valve in the views of its points only, and in 3D.

    Args:
        lists: point list by valve.
    """
    import slicer

    if not has_window() or any(_slice_logic(view) is None for view in SLICE_VIEWS):
        return
    scene = slicer.mrmlScene
    count = scene.GetNumberOfNodesByClass("vtkMRMLViewNode")
    in_3d = [scene.GetNthNodeByClass(number, "vtkMRMLViewNode") for number in range(count)]
    for valve, points in lists.items():
        views = {LANDMARK_VIEWS[number] for number in valve_points(valve)}
        nodes = [*in_3d, *(_slice_logic(view).GetSliceNode() for view in sorted(views))]
        display = points.GetDisplayNode()
        display.RemoveAllViewNodeIDs()
        for node in nodes:
            display.AddViewNodeID(node.GetID())


def show_only_in(node, view: str) -> None:
    """Show a node in the slice view of one view of the study only, where the views are shown side by side."""
    logic = _slice_logic(view) if has_window() else None
    if logic is not None:
        display = node.GetDisplayNode()
        display.RemoveAllViewNodeIDs()
        display.AddViewNodeID(logic.GetSliceNode().GetID())
        display.SetVisibility(True)


def study_volumes(volume) -> Nodes:
    """The volumes of the study that a volume is a view of, by view: what plays in its sequence browser."""
    import vtk

    browser, _ = sequence_of(volume)
    if browser is None:
        return {volume.GetAttribute(VIEW_ATTRIBUTE): volume}
    proxies = vtk.vtkCollection()
    browser.GetAllProxyNodes(proxies)
    nodes = [proxies.GetItemAsObject(number) for number in range(proxies.GetNumberOfItems())]
    volumes = [node for node in nodes if node.IsA("vtkMRMLScalarVolumeNode")]
    return {node.GetAttribute(VIEW_ATTRIBUTE): node for node in reversed(volumes)}


def _set_layout() -> None:
    import slicer

    manager = slicer.app.layoutManager()
    node = manager.layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(LAYOUT):
        node.AddLayoutDescription(LAYOUT, _description())
    manager.setLayout(LAYOUT)


def _description() -> str:
    """The layout as XML: two rows of two slice views."""

    def item(view: str) -> str:
        label, colour = _LOOK[view]
        return (
            f'<item><view class="vtkMRMLSliceNode" singletontag="{SLICE_VIEWS[view]}">'
            '<property name="orientation" action="default">Axial</property>'
            f'<property name="viewlabel" action="default">{label}</property>'
            f'<property name="viewcolor" action="default">{colour}</property></view></item>'
        )

    rows = [item("sax") + item("2ch"), item("3ch") + item("4ch")]
    cells = "".join(f'<item><layout type="horizontal">{row}</layout></item>' for row in rows)
    return f'<layout type="vertical" split="true">{cells}</layout>'


def _show_in(view: str, volume) -> None:
    show_in(_slice_logic(view), volume)


def show_in(logic, volume) -> None:
    """Show a volume, or None, in the view of a slice logic, in the plane of its slices; what is shown already stays."""
    composite = logic.GetSliceCompositeNode()
    composite.SetLinkedControl(False)  # each view has a plane of its own
    if volume is None:
        composite.SetBackgroundVolumeID(None)
    elif composite.GetBackgroundVolumeID() != volume.GetID():
        composite.SetBackgroundVolumeID(volume.GetID())
        _turn_to_images(logic.GetSliceNode(), volume)
        logic.FitSliceToAll()
        logic.SnapSliceOffsetToIJK()


def _turn_to_images(node, volume) -> None:
    """Lay a slice view into the plane of a volume's slices, columns to the right and rows downwards as they were taken.

    Slicer's own turn to the volume takes the nearest of its three planes, of a short axis often a long-axis one.
    """
    matrix = world_transform(volume) @ swap_frame(ijk_to_lps_of(volume))
    shape = np.array(volume.GetImageData().GetDimensions())
    right, down = matrix[:3, 0], matrix[:3, 1]
    centre = (matrix @ [*(shape - 1) / 2, 1])[:3]
    node.SetSliceToRASByNTP(*np.cross(down, right), *right, *centre, 0)


def _slice_logic(view: str):
    import slicer

    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(SLICE_VIEWS[view])
