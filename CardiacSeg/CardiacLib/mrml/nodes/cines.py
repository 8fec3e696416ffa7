"""Cines as volumes and volume sequences of the MRML scene, and back."""

import json
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.readers.axes import slices_last
from CardiacLib.types.cine import VIEWS, Cine
from CardiacLib.types.patient import Patient

from .frames import from_vtk_image, swap_frame, to_array, to_vtk_image, to_vtk_matrix, world_transform
from .host import plain_host
from .sequences import add_browser, add_sequence, sequence_of, times_of

VIEW_ATTRIBUTE = "CineHeart.view"
BODY_ATTRIBUTE = "CineHeart.body"
"""JSON of what a measurement needs to know of the patient; nothing that identifies him."""
BODY_FACTS = ("heart_rate_bpm", "height_m", "weight_kg", "sex", "age")
COLOUR_COMPONENTS = 4
"""A volume with more components than a colour with opacity holds the frames of a cine in them."""
MULTI_VOLUME_ATTRIBUTE = "MultiVolume.FrameLabels"
"""What Slicer's MultiVolumeImporter leaves on its nodes."""
LOAD_AS_CINE = "Load it as a cine: press 'Load cine study' in Cardiac Segmentation and choose its folder."


def cine_to_scene(cine: Cine, name: str, browser=None):
    """Put a cine into the scene.

    Args:
        cine: what to show.
        name: of the volume; the sequence and a new browser are named after it.
        browser: a study's sequence browser to join; None makes a new one.

    Returns:
        (browser, volume): the volume is the proxy of the cine's sequence. A cine of one frame becomes a plain
        volume, and ``browser`` is returned as it came.
    """
    import slicer

    plain_host()
    volume, kind = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name), _pixel_type(cine)
    _fill(volume, cine, 0, kind)
    if cine.n_frames > 1:
        browser = add_browser(f"{name} browser") if browser is None else browser
        add_sequence(volume, cine, _volumes(cine, name, kind), browser)
    _set_display(volume, cine)
    return browser, volume


def cine_from_node(volume) -> Cine:
    """The Cine that a volume node shows: every frame where the volume is the proxy of a sequence.

    Linear parent transforms are applied. Slices that lie along another axis of the volume come to lie along k, as they
    do where a file is read. The inverse of :func:`cine_to_scene`.

    Raises:
        InputError: the volume is empty, has colour components, is under a non-linear transform, or its sequence's
            frames do not share one grid.
    """
    plain_host()
    name = volume.GetName()
    _, sequence = sequence_of(volume)
    if sequence is None:
        nodes, times = [volume], np.zeros(1)
    else:
        nodes = [sequence.GetNthDataNode(item) for item in range(sequence.GetNumberOfDataNodes())]
        times = times_of(sequence)
    frames = [_array(node, name) for node in nodes]
    matrices = [ijk_to_lps_of(node) for node in nodes]
    if any(
        f.shape != frames[0].shape or not np.allclose(m, matrices[0], atol=1e-4)
        for f, m in zip(frames, matrices, strict=True)
    ):
        raise InputError(f"The frames of '{name}' do not share one grid; resample the sequence first.")
    view = nodes[0].GetAttribute(VIEW_ATTRIBUTE)
    matrix = swap_frame(world_transform(volume) @ swap_frame(matrices[0]))
    array, matrix, grid, note = slices_last(np.stack(frames).astype(np.float32), matrix)
    return Cine(
        frames=np.ascontiguousarray(array),
        ijk_to_lps=matrix,
        times_ms=times,
        view=view if view in VIEWS else "other",
        source=name,
        notes=(note,) if note else (),
        patient=body_facts(volume),
        grid=grid,
    )


def first_of_view(view: str):
    """The first volume of the scene that was read as a view; None if there is none."""
    import slicer

    scene = slicer.mrmlScene
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        volume = scene.GetNthNodeByClass(number, "vtkMRMLScalarVolumeNode")
        if volume.GetAttribute(VIEW_ATTRIBUTE) == view:
            return volume
    return None


def require_all_frames(volume) -> None:
    """Raise InputError where a volume shows one frame of a file that holds several.

    Slicer reads a 4-D NIfTI as a plain volume, of which only the first frame arrives.
    """
    storage = volume.GetStorageNode()
    path = storage.GetFileName() if storage is not None and sequence_of(volume)[1] is None else None
    if not path or not Path(path).is_file():
        return
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError:  # another kind of file, which holds what is shown
        return
    if reader.GetDimension() == 4 and reader.GetSize()[3] > 1:
        raise InputError(
            f"Volume '{volume.GetName()}' shows only the first of the {reader.GetSize()[3]} frames of its file. "
            f"{LOAD_AS_CINE} To label this frame alone choose the frame that is shown."
        )


def shown_frame(volume) -> Cine:
    """The same of the frame alone that a volume shows now."""
    cine, (browser, _) = cine_from_node(volume), sequence_of(volume)
    shown = 0 if browser is None else browser.GetSelectedItemNumber()
    return cine.only([shown])


def body_facts(volume) -> Patient:
    """Heart rate, height, weight, sex and age of the patient, as far as the study that a volume came from gave them.

    They are kept on the volume node by :func:`cine_to_scene`, under the names of ``Patient``.
    """
    _, sequence = sequence_of(volume)
    node = volume if sequence is None else sequence.GetNthDataNode(0)
    stated = node.GetAttribute(BODY_ATTRIBUTE)
    return Patient(**json.loads(stated)) if stated else Patient()


def ijk_to_lps_of(volume) -> np.ndarray:
    """(4, 4) index-to-LPS matrix of a volume node, its parent transforms left out."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return swap_frame(to_array(matrix))


def _volumes(cine: Cine, name: str, kind: type):
    """One volume node per frame, outside the scene; the caller copies each before asking for the next."""
    import slicer

    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    for frame in range(cine.n_frames):
        _fill(node, cine, frame, kind)
        yield node


def _fill(volume, cine: Cine, frame: int, kind: type) -> None:
    volume.SetAndObserveImageData(to_vtk_image(cine.frames[frame].astype(kind)))
    volume.SetIJKToRASMatrix(to_vtk_matrix(swap_frame(cine.ijk_to_lps)))
    volume.SetAttribute(VIEW_ATTRIBUTE, cine.view)
    known = cine.patient.known()
    body = {name: known[name] for name in BODY_FACTS if known.get(name)}
    if body:
        volume.SetAttribute(BODY_ATTRIBUTE, json.dumps(body))


def _pixel_type(cine: Cine) -> type:
    """int16 where it holds every value exactly (as DICOM does): half the size in memory and on disk."""
    fits = all((frame.astype(np.int16) == frame).all() for frame in cine.frames.clip(-32768, 32767))
    return np.int16 if fits else np.float32


def _set_display(volume, cine: Cine) -> None:
    volume.CreateDefaultDisplayNodes()
    low, high = np.percentile(cine.frames[0], [0.5, 99.5])
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)  # one window for all frames: no flicker while playing
    display.SetWindowLevelMinMax(float(low), float(max(high, low + 1e-3)))


def _array(volume, name: str) -> np.ndarray:
    image = volume.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise InputError(f"Volume '{name}' has no image data; load or select another volume.")
    count = image.GetNumberOfScalarComponents()
    if count > COLOUR_COMPONENTS or volume.GetAttribute(MULTI_VOLUME_ATTRIBUTE):
        raise InputError(f"Volume '{name}' holds {count} frames in one volume. {LOAD_AS_CINE}")
    if count != 1:
        raise InputError(f"Volume '{name}' has {count} components, as a colour image; a cine has one.")
    return from_vtk_image(image)
