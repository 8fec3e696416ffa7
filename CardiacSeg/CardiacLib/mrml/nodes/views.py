"""Bring a table or a chart into view; without a window only the scene's selection changes."""

from CardiacLib.errors import InputError

from .host import in_slicer, logic


def show_table(table) -> None:
    """Show a table node in a layout that has a table view."""
    import slicer

    application = _application_logic()
    application.GetSelectionNode().SetActiveTableID(table.GetID())
    application.PropagateTableSelection()
    if has_window():
        manager = slicer.app.layoutManager()
        manager.setLayout(logic("tables").GetLayoutWithTable(manager.layout))


def show_chart(chart) -> None:
    """Show a plot chart node in a layout that has a plot view."""
    if has_window():
        logic("plots").ShowChartInLayout(chart)
    application = _application_logic()
    application.GetSelectionNode().SetActivePlotChartID(chart.GetID())
    application.PropagatePlotChartSelection()


def show_volume(volume) -> None:
    """Show a volume in the slice views, turned to its planes; nothing happens without a window."""
    import slicer

    if has_window():
        slicer.util.setSliceViewerLayers(background=volume, fit=True, rotateToVolumePlane=True)


def center_3d_views() -> None:
    """Aim the 3D views at what is visible; nothing happens without a window."""
    import slicer

    if has_window():
        slicer.util.resetThreeDViews()


def edit_segmentation(segmentation, volume) -> None:
    """Open a segmentation in the Segment Editor.

    Args:
        segmentation: its node; of a sequence, the frame that is shown is edited.
        volume: its images, or None.

    Raises:
        InputError: there is no window.
    """
    import slicer

    if not has_window():
        raise InputError("The Segment Editor needs Slicer's window.")
    slicer.util.selectModule("SegmentEditor")
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    editor.setSegmentationNode(segmentation)
    if volume is not None:
        editor.setSourceVolumeNode(volume)


def has_window() -> bool:
    """Whether there is Slicer's main window to show something in."""
    import slicer

    return in_slicer() and slicer.util.mainWindow() is not None


def _application_logic():
    import slicer

    return slicer.app.applicationLogic() if in_slicer() else slicer.modules.applicationLogic
