"""Sequences of one study in one sequence browser, synchronised frame by frame.

Index values are times in ms, as strings. Views are recorded in different heart beats, so a later view with as many
frames as the browser's first sequence takes that sequence's index values (frames match by phase, as the reader
matches slices), and the times that it was recorded at stay on its sequence node. Equal index values are also what
keeps Slicer from inserting copies of frames when changes are saved while browsing.
"""

import json

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.times import Timed

from .host import logic

TIMES_ATTRIBUTE = "CineHeart.times_ms"


def add_browser(name: str):
    """A new sequence browser node that plays in a loop."""
    import slicer

    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", name)
    browser.SetPlaybackLooped(True)
    browser.SetPlaybackRateFps(25)
    return browser


def add_sequence(proxy, frames: Timed, data_nodes, browser):
    """A sequence of ``data_nodes`` (one per frame, copied), synchronised in ``browser`` and shown by ``proxy``.

    Save-changes is on, so that edits of a frame stay, unless the frames cannot be matched one to one with the
    browser's own (another number of frames); recording is off.

    Args:
        proxy: node of the scene that shows the selected frame; the sequence is named after it.
        frames: what the T nodes show; says when they were recorded.
        data_nodes: iterable of T nodes; each is copied before the next is asked for, and segmentations are emptied.
        browser: the study's sequence browser node.
    """
    import slicer

    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{proxy.GetName()} sequence")
    master = browser.GetMasterSequenceNode()
    values, index_name, unit = _index(frames, master)
    sequence.SetIndexName(index_name)
    sequence.SetIndexUnit(unit)
    sequence.SetIndexTypeFromString("numeric")
    times = None if frames.times_ms is None else [float(time) for time in frames.times_ms]
    sequence.SetAttribute(TIMES_ATTRIBUTE, json.dumps(times))
    for value, node in zip(values, data_nodes, strict=True):
        sequence.SetDataNodeAtValue(node, value)
        drop_label_maps(node)
    # Seen in between, a sequence without a proxy would be given a new one, and a browser without a selected item
    # would have the first frame copied to index value 0.
    unfinished = browser.StartModify()
    browser.AddSynchronizedSequenceNode(sequence)
    browser.AddProxyNode(proxy, sequence, False)
    browser.SetSelectedItemNumber(max(browser.GetSelectedItemNumber(), 0))
    browser.SetSaveChanges(sequence, master is None or index_values(master) == values)
    browser.SetRecording(sequence, False)
    browser.SetOverwriteProxyName(sequence, False)
    browser.EndModify(unfinished)
    return sequence


def select_frame(browser, frame: int) -> None:
    """Show one frame in every proxy of a browser. Proxies' contents are replaced: fetch images and segments anew."""
    browser.SetSelectedItemNumber(frame)
    show_selected(browser)


def show_frame(proxy, frame: int) -> None:
    """Show one frame of the sequence that a node is the proxy of, with all that plays in its browser.

    A sequence with another number of frames than the browser's first one is shown at the item nearest in phase.
    """
    browser, sequence = sequence_of(proxy)
    master = browser.GetMasterSequenceNode()
    select_frame(browser, master.GetItemNumberFromIndexValue(sequence.GetNthIndexValue(frame), False))


def show_selected(browser) -> None:
    """Let every proxy of a browser show the selected frame as its sequence has it now."""
    logic("sequences").UpdateProxyNodesFromSequences(browser)


def drop_label_maps(node) -> None:
    """Empty a segmentation that goes, or all of a sequence; other nodes stay as they are.

    Left to itself, a segmentation that is deleted first clears each segment from the label map that they share: that
    takes longer than to make it.
    """
    if node.IsA("vtkMRMLSequenceNode"):
        for item in range(node.GetNumberOfDataNodes()):
            drop_label_maps(node.GetNthDataNode(item))
    elif node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        for number in range(segmentation.GetNumberOfSegments()):
            segmentation.GetNthSegment(number).RemoveAllRepresentations()


def remove_sequence(sequence, browser) -> None:
    """Remove a sequence and leave its proxy in the scene, as a node of its own with the frame that it shows."""
    import slicer

    # It leaves the browser first: a browser makes a new proxy for a sequence that has none.
    browser.RemoveSynchronizedSequenceNode(sequence.GetID())
    slicer.mrmlScene.RemoveNode(sequence)


def remove_nodes(nodes) -> None:
    """Remove nodes from the scene, each with its sequence, display and storage; those not there are passed over."""
    import slicer

    scene = slicer.mrmlScene
    for node in nodes:
        if not scene.IsNodePresent(node):
            continue
        browser, sequence = sequence_of(node)
        if sequence is not None:
            drop_label_maps(sequence)
            remove_sequence(sequence, browser)
        companions = [node.GetNthNodeReference("display", n) for n in range(node.GetNumberOfNodeReferences("display"))]
        companions.append(node.GetNodeReference("storage"))
        scene.RemoveNode(node)
        for companion in companions:
            if companion is not None and scene.IsNodePresent(companion):
                scene.RemoveNode(companion)


def sequence_of(proxy):
    """(browser, sequence) that a node is the proxy of, or (None, None)."""
    browser = logic("sequences").GetFirstBrowserNodeForProxyNode(proxy)
    return (None, None) if browser is None else (browser, browser.GetSequenceNode(proxy))


def index_values(sequence) -> list[str]:
    """The index value of every item."""
    return [sequence.GetNthIndexValue(item) for item in range(sequence.GetNumberOfDataNodes())]


def times_of(sequence) -> np.ndarray | None:
    """(T,) ms: the recorded times where they still belong to the items, else the index values.

    None of frames that came without times.

    Raises:
        InputError: the index values are not numbers.
    """
    values = index_values(sequence)
    stated = sequence.GetAttribute(TIMES_ATTRIBUTE)
    recorded = [] if stated is None else json.loads(stated)
    if recorded is None:
        return None
    if recorded and len(recorded) == len(values):
        return np.array(recorded, float)
    try:
        times = np.array([float(value) for value in values])
    except ValueError as error:
        raise InputError(f"Sequence '{sequence.GetName()}' is not indexed by numbers: {error}.") from error
    return times * (1000.0 if sequence.GetIndexUnit() == "s" else 1.0)


def _index(frames: Timed, master) -> tuple[list[str], str, str]:
    """Index values, name and unit of a new sequence in a browser whose first sequence is ``master``."""
    times = frames.times_ms
    if master is not None and master.GetNumberOfDataNodes() == frames.n_frames:
        return index_values(master), master.GetIndexName(), master.GetIndexUnit()
    if times is None or (np.diff(times) <= 0).any():  # equal times would overwrite each other's frames
        return [str(frame) for frame in range(frames.n_frames)], "frame", ""
    if master is not None and (of_master := times_of(master)) is not None:
        times = _on_cycle_of(of_master, times)
    return [repr(round(float(time), 6)) for time in times], "time", "ms"


def _on_cycle_of(master: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Times stretched from their own cycle onto the master's, so that equal phases meet."""

    def cycle(values):
        return (values[-1] - values[0]) * len(values) / max(len(values) - 1, 1)

    if cycle(master) <= 0:
        return times
    return master[0] + (times - times[0]) * cycle(master) / cycle(times)
