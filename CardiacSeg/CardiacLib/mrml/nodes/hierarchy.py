"""Where the nodes of one study stand in Slicer's Data tree (subject hierarchy)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slicer import vtkMRMLNode

_OWNERS = {
    "vtkMRMLScalarVolumeNode": "Volumes",
    "vtkMRMLSegmentationNode": "Segmentations",
    "vtkMRMLModelNode": "Models",
    "vtkMRMLMarkupsFiducialNode": "Markups",
    "vtkMRMLTableNode": "Tables",
    "vtkMRMLPlotChartNode": "Plots",
    "vtkMRMLPlotSeriesNode": "Plots",
    "vtkMRMLSequenceNode": "Default",
    "vtkMRMLSequenceBrowserNode": "Default",
}
"""Owner plugin by node class, which the application would choose; without one an item cannot be handled there."""


Nodes = dict[str, "vtkMRMLNode"]
"""Nodes of the scene by what they are: a view, a patch, the name of a table."""


def add_study(subject: str, study: str) -> int:
    """Subject hierarchy item of a new study within a new subject.

    Control characters of a header, which XML cannot hold, become spaces; all else MRML escapes.
    """
    tree = _tree()
    subject, study = ("".join(c if c.isprintable() else " " for c in name) for name in (subject, study))
    subject_item = tree.CreateSubjectItem(tree.GetSceneItemID(), subject)
    study_item = tree.CreateStudyItem(subject_item, study)
    for item in (subject_item, study_item):
        if not tree.GetItemOwnerPluginName(item):  # in the application the DICOM plugin has taken them
            tree.SetItemOwnerPluginName(item, "Folder")
    return study_item


def add_folder(parent: int, name: str) -> int:
    """Item of a new folder below another item."""
    tree = _tree()
    item = tree.CreateFolderItem(parent, name)
    tree.SetItemOwnerPluginName(item, "Folder")
    return item


def place(node, parent: int) -> None:
    """Put a node of the scene below an item (its own item exists in the application, elsewhere it is made)."""
    tree = _tree()
    item = tree.GetItemByDataNode(node)
    if item == tree.GetInvalidItemID():
        item = tree.CreateItem(parent, node)
        tree.SetItemOwnerPluginName(item, _OWNERS[node.GetClassName()])
    tree.SetItemParent(item, parent)


def place_beside(nodes, node) -> None:
    """Put nodes that stand nowhere in particular into the folder or study of another node, if it is in one."""
    tree = _tree()
    top = (tree.GetInvalidItemID(), tree.GetSceneItemID())
    own = tree.GetItemByDataNode(node)
    parent = tree.GetInvalidItemID() if own == tree.GetInvalidItemID() else tree.GetItemParent(own)
    if parent in top:
        return
    for other in nodes:
        item = tree.GetItemByDataNode(other)
        if item == tree.GetInvalidItemID() or tree.GetItemParent(item) in top:
            place(other, parent)


def _tree():
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
