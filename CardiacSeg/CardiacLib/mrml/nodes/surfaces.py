"""Segmentations in 3D: the closed surface of every frame."""

from collections.abc import Iterator

from .sequences import sequence_of, show_selected


def surface_steps(segmentation) -> Iterator[float]:
    """Make the closed surfaces of a segmentation, one frame at each step, and show them in 3D at the end.

    A sequence's frames get theirs one by one, or only the shown frame would have any while it plays.

    Yields:
        the share of the frames that is done.
    """
    import slicer

    name = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    browser, sequence = sequence_of(segmentation)
    count = 1 if sequence is None else sequence.GetNumberOfDataNodes()
    for frame in range(count):
        node = segmentation if sequence is None else sequence.GetNthDataNode(frame)
        node.GetSegmentation().CreateRepresentation(name)
        yield (frame + 1) / count
    if sequence is not None:
        show_selected(browser)
    segmentation.GetDisplayNode().SetPreferredDisplayRepresentationName3D(name)
    segmentation.GetDisplayNode().SetVisibility3D(True)


def shown_in_3d(segmentation) -> bool:
    """Whether the segmentation has surfaces that are shown."""
    import slicer

    name = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    display = segmentation.GetDisplayNode()
    return segmentation.GetSegmentation().ContainsRepresentation(name) and bool(display and display.GetVisibility3D())


def hide_in_3d(segmentation) -> None:
    """Show it in the slice views alone."""
    segmentation.GetDisplayNode().SetVisibility3D(False)
