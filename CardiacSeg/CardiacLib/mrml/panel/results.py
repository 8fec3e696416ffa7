"""One result of a panel: the nodes that belong together, what is said of them, and a new run that takes its place.

A result is remembered by its chief node (the segmentation, the point lists, the tetrahedra). So it is saved with the
scene, a panel shows it again when that node is chosen as output, and Apply updates the very same nodes. Where the chief
node is the proxy of a sequence, the sequence carries the memory: browsing replaces the attributes of a proxy.
"""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from CardiacLib.errors import InputError
from CardiacLib.mrml.nodes.hierarchy import Nodes, place_beside
from CardiacLib.mrml.nodes.sequences import (
    TIMES_ATTRIBUTE,
    drop_label_maps,
    remove_nodes,
    remove_sequence,
    sequence_of,
    show_selected,
)
from CardiacLib.mrml.translation import _

FACTS_ATTRIBUTE = "CineHeart.result"
CHIEF, INPUT, MEMBER = "CineHeart.chief", "CineHeart.input", "CineHeart.member."
"""Node references of what carries a result: to its chief node, to what it was made of, and to its other nodes."""


Facts = Mapping[str, str | int | float]
"""What is said of a result, by name: texts, frames (from 0), times."""


class Result(NamedTuple):
    """The nodes of a result by name, and what is said of them."""

    nodes: Nodes
    facts: Facts


def keep_result(chief, nodes: Nodes, facts: Facts, made_of=None) -> None:
    """Remember a result by its chief node, in place of what the node carried before.

    Args:
        chief: one of ``nodes``.
        nodes: the nodes of the result by name; other markups lists among them lead to the same result.
        facts: what is said of it.
        made_of: the volume or segmentation that it was made of.
    """
    carrier = _carrier(chief)
    for name in result_of(chief).nodes:
        carrier.RemoveNodeReferenceIDs(_role(name))
    for name, node in nodes.items():
        carrier.SetNodeReferenceID(_role(name), node.GetID())
        if node is not chief and node.IsA("vtkMRMLMarkupsNode"):
            _carrier(node).SetNodeReferenceID(CHIEF, chief.GetID())
    carrier.SetNodeReferenceID(CHIEF, chief.GetID())
    carrier.SetNodeReferenceID(INPUT, made_of.GetID() if made_of is not None else None)
    carrier.SetAttribute(FACTS_ATTRIBUTE, json.dumps({"nodes": list(nodes), "facts": dict(facts)}))
    if made_of is not None:
        place_beside(nodes.values(), made_of)


def result_of(node) -> Result:
    """The result that a node is the chief of, or leads to; empty if it carries none. ``node`` may be None."""
    carrier = _chief_carrier(node)
    stated = carrier.GetAttribute(FACTS_ATTRIBUTE) if carrier is not None else None
    if stated is None:
        return Result({}, {})
    kept = json.loads(stated)
    found = {name: carrier.GetNodeReference(_role(name)) for name in kept["nodes"]}
    return Result({name: node for name, node in found.items() if node is not None}, kept["facts"])


def last_result(made_of):
    """The chief node of the latest result that was made of a node; None if there is none."""
    import slicer

    scene = slicer.mrmlScene
    for number in reversed(range(scene.GetNumberOfNodes())):
        node = scene.GetNthNode(number)
        if made_of is not None and node.GetNodeReference(INPUT) is made_of:
            return node.GetNodeReference(CHIEF)
    return None


def measured_segmentations() -> list:
    """The segmentations of all frames that are the chief nodes of results with measures, in the scene's order."""
    import slicer

    scene = slicer.mrmlScene
    count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    nodes = [scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode") for number in range(count)]
    return [node for node in nodes if "ed" in result_of(node).facts]


def misfit(output, made_of: Iterable, one_frame: bool) -> str:
    """Why an output cannot be updated by a run; empty if it can, or if there is none.

    Args:
        output: the chosen node or None.
        made_of: the volumes or segmentations of the run.
        one_frame: whether the run gives a single frame.
    """
    browser, sequence = sequence_of(output) if output is not None else (None, None)
    if sequence is None:
        return ""
    if browser not in [sequence_of(node)[0] for node in made_of]:
        text = _("'{name}' belongs to another cine; choose to create a new output instead.")
    elif one_frame:
        text = _("'{name}' holds all frames; choose to create a new output for a single one.")
    else:
        return ""
    return text.format(name=output.GetName())


def require_fit(output, made_of: Iterable, one_frame: bool) -> None:
    """Raise InputError with the sentence of :func:`misfit`, if there is one."""
    reason = misfit(output, made_of, one_frame)
    if reason:
        raise InputError(reason)


def take_place(earlier: Nodes, made: Nodes) -> Nodes:
    """Let the nodes of an earlier result take over the content of newly made ones, by name.

    They keep their ids, names, display and place in the Data tree; sequences are refilled. New nodes that are thereby
    superfluous leave the scene, and so do nodes of the earlier result that the new one does not have. Everything that
    can fail belongs before this call: the new nodes are made first, and only then is the earlier result touched.

    Returns:
        the nodes that now hold the result, by name.
    """
    pairs = {name: (earlier[name], node) for name, node in made.items() if name in earlier}
    instead = {node.GetID(): old for old, node in pairs.values()}
    for old, node in pairs.values():
        if node.IsA("vtkMRMLPlotChartNode"):
            _take_series(old, node)
        else:
            _take_content(old, node)
    kept = dict(made) | {name: pair[0] for name, pair in pairs.items()}
    superfluous = [node for old, node in pairs.values()] + [old for name, old in earlier.items() if name not in made]
    for chart in (node for node in kept.values() if node.IsA("vtkMRMLPlotChartNode")):
        for series in _series(chart):
            table = instead.get(series.GetTableNodeID())
            if table is not None:
                series.SetAndObserveTableNodeID(table.GetID())
    gone = [node for node in superfluous if node.IsA("vtkMRMLPlotChartNode")]
    remove_nodes([series for chart in gone for series in _series(chart)])
    remove_nodes(superfluous)
    return kept


def _take_content(old, node) -> None:
    """The content of one node that is no chart, over all frames where it is the proxy of a sequence."""
    browser, sequence = sequence_of(node)
    own_browser, own = sequence_of(old)
    if own is not None and (sequence is None or own_browser is not browser):
        remove_sequence(own, own_browser)
        own = None
    if sequence is None:
        old.CopyContent(node)
    elif own is None:
        browser.AddProxyNode(old, sequence, False)
        sequence.SetName(f"{old.GetName()} sequence")
    else:
        _refill(own, sequence)
    if sequence is not None:
        show_selected(browser)


def _refill(sequence, source) -> None:
    """Give a sequence the frames of another one."""
    drop_label_maps(sequence)
    sequence.RemoveAllDataNodes()
    for item in range(source.GetNumberOfDataNodes()):
        sequence.SetDataNodeAtValue(source.GetNthDataNode(item), source.GetNthIndexValue(item))
    sequence.SetAttribute(TIMES_ATTRIBUTE, source.GetAttribute(TIMES_ATTRIBUTE))


def _take_series(old, chart) -> None:
    """Titles and curves of a chart; where the columns are the same, so are the nodes of the curves."""
    old.SetTitle(chart.GetTitle())
    old.SetXAxisTitle(chart.GetXAxisTitle())
    old.SetYAxisTitle(chart.GetYAxisTitle())
    before, now = _series(old), _series(chart)
    if [series.GetYColumnName() for series in before] == [series.GetYColumnName() for series in now]:
        for series, other in zip(before, now, strict=True):
            series.SetAndObserveTableNodeID(other.GetTableNodeID())
        return
    old.RemoveAllPlotSeriesNodeIDs()
    chart.RemoveAllPlotSeriesNodeIDs()
    for series in now:
        old.AddAndObservePlotSeriesNodeID(series.GetID())
    remove_nodes(before)


def _series(chart) -> list:
    return [chart.GetNthPlotSeriesNode(number) for number in range(chart.GetNumberOfPlotSeriesNodes())]


def _carrier(node):
    sequence = sequence_of(node)[1]
    return node if sequence is None else sequence


def _chief_carrier(node):
    if node is None:
        return None
    chief = _carrier(node).GetNodeReference(CHIEF)
    return None if chief is None else _carrier(chief)


def _role(name: str) -> str:
    return MEMBER + name.replace(" ", "_")
