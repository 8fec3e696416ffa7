"""Label maps as segmentations and segmentation sequences of the MRML scene, and back."""

from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.geometry import apply
from CardiacLib.readers.axes import slices_last
from CardiacLib.types.labels import BACKGROUND, LV, MYO, RV, LabelMap, structures

from .cines import ijk_to_lps_of
from .frames import from_vtk_image, swap_frame, to_array, to_vtk_image, to_vtk_matrix, world_transform
from .host import plain_host, private_scene, quiet
from .sequences import add_browser, add_sequence, sequence_of, times_of


def labels_to_scene(labelmap: LabelMap, name: str, browser=None, volume=None):
    """Put labels into the scene as one segmentation with the names, colours and codes of the colour table.

    Args:
        labelmap: labels of one or more frames.
        name: of the segmentation; its sequence is named after it.
        browser: the cine's sequence browser to join; None makes a new one where there are several frames.
        volume: the volume that was labelled: becomes the reference image geometry (also needed for DICOM SEG).

    Returns:
        the segmentation node; of several frames, the proxy of a segmentation sequence in the browser. Blood pools
        and myocardium are there in every frame, even where empty, so that they can be painted.
    """
    import slicer

    plain_host()
    present = {label for label in structures() if (labelmap.labels == label).any()}  # sorting them all takes longer
    labels = sorted({LV, MYO, RV} | present - {BACKGROUND})
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    _fill(node, labelmap, 0, labels)
    if len(labelmap.labels) > 1:
        browser = add_browser(f"{name} browser") if browser is None else browser
        add_sequence(node, labelmap, _segmentations(labelmap, name, labels), browser)
    node.CreateDefaultDisplayNodes()
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def labels_from_node(segmentation, volume=None) -> LabelMap:
    """The labels of a segmentation node: every frame where it is the proxy of a sequence.

    Segments are recognised by the names of the colour table (case and underscores do not matter), else by their
    SNOMED type. The grid is that of ``volume``, else the segmentation's reference geometry, else (one frame only, as in
    a file without one) the common grid of its segments. Where segments overlap, the later one in the list wins, as it
    does when Slicer exports a label map.

    Raises:
        InputError: no segment or one that stands for no structure, no grid, or a non-linear parent transform.
    """
    plain_host()
    _, sequence = sequence_of(segmentation)
    if sequence is None:
        nodes, times = [segmentation], np.zeros(1)
    else:
        nodes = [sequence.GetNthDataNode(item) for item in range(sequence.GetNumberOfDataNodes())]
        times = times_of(sequence)
    grid, shape = _grid(segmentation, volume)
    to_world = world_transform(segmentation if volume is None else volume)
    ijk_to_world = to_world @ swap_frame(grid)
    to_segmentation = np.linalg.inv(world_transform(segmentation)) @ ijk_to_world
    reference = _oriented_image(np.zeros(shape, np.uint8), to_segmentation)
    labels = np.stack([_merged(node, reference, segmentation.GetName()) for node in nodes])
    array, matrix, axes, note = slices_last(labels, swap_frame(ijk_to_world))
    notes = (note,) if note else ()
    return LabelMap(np.ascontiguousarray(array), matrix, times, segmentation.GetName(), notes, axes)


def images_of(segmentation):
    """The volume whose grid a segmentation was made on; None if it knows none, or if ``segmentation`` is None."""
    import slicer

    if segmentation is None:
        return None
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    return segmentation.GetNodeReference(role)


def save_segmentation_sequence(labelmap: LabelMap, path: str | Path) -> None:
    """Write labels of several frames as ``.seq.mrb``: a Slicer sequence of segmentations (RAS inside, as Slicer does).

    The caller gives a path that may be overwritten.

    Raises:
        InputError: the name does not end in ``.seq.mrb``, there is one frame only, or Slicer's scene holds data.
    """
    import slicer

    path = Path(path)
    if not path.name.endswith(".seq.mrb"):
        raise InputError(f"{path}: a segmentation sequence must be named .seq.mrb.")
    if len(labelmap.labels) < 2:
        raise InputError(f"{path}: one frame is no sequence; write a .seg.nrrd instead.")
    with private_scene() as scene:
        node = labels_to_scene(labelmap, path.name.removesuffix(".seq.mrb"))
        _, sequence = sequence_of(node)
        storage = slicer.vtkMRMLSequenceStorageNode()
        scene.AddNode(storage)
        storage.SetFileName(str(path))
        with quiet() as said:
            written = storage.WriteData(sequence)
    if not written:
        raise OSError(f"{path}: the segmentation sequence could not be written. {said()}")


def _segmentations(labelmap: LabelMap, name: str, labels: list[int]):
    """One segmentation node per frame, outside the scene; the caller copies each before asking for the next."""
    import slicer

    for frame in range(len(labelmap.labels)):
        node = slicer.vtkMRMLSegmentationNode()
        node.SetName(name)
        _fill(node, labelmap, frame, labels)
        yield node


def _fill(node, labelmap: LabelMap, frame: int, labels: list[int]) -> None:
    """Give a segmentation one frame: all segments share one label map on the whole grid."""
    import slicer

    array, matrix = labelmap.grid.in_file(labelmap.labels[frame], labelmap.ijk_to_lps)
    image = _oriented_image(array, swap_frame(matrix))
    segmentation = node.GetSegmentation()
    segmentation.SetConversionParameter(_geometry_parameter(), _geometry_text(image))
    binary = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    node.SetSourceRepresentationToBinaryLabelmap()
    for label in labels:
        structure = structures()[label]
        segment = slicer.vtkSegment()
        segment.SetName(structure.name)
        segment.SetColor(*(value / 255 for value in structure.rgb))
        segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), structure.terminology)
        segment.SetColorAutoGenerated(False)
        segment.SetNameAutoGenerated(False)
        segment.SetLabelValue(label)
        segment.AddRepresentation(binary, image)
        segmentation.AddSegment(segment, structure.name.replace(" ", "_"))


def _merged(node, reference, name: str) -> np.ndarray:
    """(K, J, I) uint8 labels of one segmentation node on the grid of an oriented image."""
    import slicer

    segmentation = node.GetSegmentation()
    merged = np.zeros(tuple(reversed(reference.GetDimensions())), np.uint8)
    for number in range(segmentation.GetNumberOfSegments()):
        segment_id = segmentation.GetNthSegmentID(number)
        label = _label_of(segmentation.GetSegment(segment_id), name)
        image = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(segment_id, image)
        if image.IsEmpty():
            continue
        on_grid = slicer.vtkOrientedImageData()
        resampler = slicer.vtkOrientedImageDataResample
        if not resampler.ResampleOrientedImageToReferenceOrientedImage(image, reference, on_grid):
            raise InputError(f"Segment '{segmentation.GetSegment(segment_id).GetName()}' of '{name}' has no label map.")
        merged[from_vtk_image(on_grid) != 0] = label
    return merged


def _label_of(segment, name: str) -> int:
    import vtk

    def plain(text):
        return text.strip().lower().replace("_", " ")

    for structure in structures().values():
        if structure.label != BACKGROUND and plain(structure.name) == plain(segment.GetName()):
            return structure.label
    tag = vtk.reference("")
    tag_name = segment.GetTerminologyEntryTagName()
    text = str(tag) if segment.GetTag(tag_name, tag) else ""
    for label in (LV, MYO, RV):
        if f"~{'^'.join(structures()[label].type[:2])}^" in text:
            return label
    names = ", ".join(s.name for s in structures().values() if s.label != BACKGROUND)
    raise InputError(f"Segment '{segment.GetName()}' of '{name}' is none of: {names}; rename or remove it.")


def _grid(segmentation, volume) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Index-to-LPS matrix and (K, J, I) shape, without parent transforms."""
    import slicer
    import vtk

    if segmentation.GetSegmentation().GetNumberOfSegments() == 0:
        raise InputError(f"Segmentation '{segmentation.GetName()}' has no segments.")
    if volume is not None:
        if volume.GetImageData() is None:
            raise InputError(f"Volume '{volume.GetName()}' has no image data; select another reference volume.")
        return ijk_to_lps_of(volume), tuple(reversed(volume.GetImageData().GetDimensions()))
    text = segmentation.GetSegmentation().GetConversionParameter(_geometry_parameter())
    if not text and sequence_of(segmentation)[1] is None:  # one frame's segments may not hold another frame's
        all_segments = slicer.vtkSegmentation.EXTENT_UNION_OF_SEGMENTS
        text = segmentation.GetSegmentation().DetermineCommonLabelmapGeometry(all_segments, None)
    image = slicer.vtkOrientedImageData()
    if not text or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False):
        raise InputError(f"Segmentation '{segmentation.GetName()}' has no reference geometry; select its volume.")
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    extent = image.GetExtent()
    first = np.eye(4)
    first[:3, 3] = apply(to_array(matrix), extent[::2])
    ijk_to_ras = np.column_stack([to_array(matrix)[:, :3], first[:, 3]])
    return swap_frame(ijk_to_ras), tuple(extent[a + 1] - extent[a] + 1 for a in (4, 2, 0))


def _oriented_image(labels: np.ndarray, ijk_to_ras: np.ndarray):
    import slicer

    image = to_vtk_image(labels, slicer.vtkOrientedImageData())
    image.SetImageToWorldMatrix(to_vtk_matrix(ijk_to_ras))
    return image


def _geometry_parameter() -> str:
    import slicer

    return slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()


def _geometry_text(image) -> str:
    import slicer

    return slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
