"""A segmentation of the scene as DICOM Segmentations of the study that it was made from."""

from pathlib import Path

import numpy as np

from ..cine import Cine
from ..dicom_seg import DICOM_SEG_NAMES, require_dicom_seg, write_dicom_seg
from ..errors import InputError
from ..files import atomic_directory
from ..labels import LabelMap
from ..readers import read_study
from .frames import swap_frame, to_vtk_image, to_vtk_matrix
from .segmentations import labels_from_node
from .sequences import sequence_of


def export_dicom_seg(
    segmentation, study: str | Path, folder: str | Path, frame: str | int = "all", bundle: str = ""
) -> list[Path]:
    """Write a segmentation node as DICOM SEG: ``segmentation.dcm``, or ``segmentation_dicom/`` of several frames.

    The segments are brought onto the grid of the study's short-axis images.

    Args:
        segmentation: of one frame, or the proxy of a segmentation sequence with as many frames as the study.
        study: folder of the DICOM files.
        folder: for the results; made if it is not there. Earlier ones in it are replaced.
        frame: ``all``, ``shown`` (of a sequence), or the number from 0 of the frame that a single segmentation shows.
        bundle: the network, if nobody has edited the segments; else they are marked as semi-automatic.

    Returns:
        the files.

    Raises:
        InputError: no DICOM study, no frame number for a segmentation of one frame, or it lies beside the images.
    """
    cine = read_study(study).cines["sax"]
    require_dicom_seg(cine)
    browser, sequence = sequence_of(segmentation)
    labelmap = labels_from_node(segmentation, _reference_volume(cine))
    if not labelmap.labels.any():
        raise InputError(f"{study}: no segment of '{segmentation.GetName()}' lies within its short-axis images.")
    if sequence is None:
        if frame in ("all", "shown") and cine.n_frames > 1:
            raise InputError(f"'{segmentation.GetName()}' is of one frame: say which of the {cine.n_frames} it shows.")
        numbers = [0 if cine.n_frames == 1 else int(frame)]
    elif frame == "all":
        numbers = list(range(cine.n_frames))
    else:
        numbers = [browser.GetSelectedItemNumber() if frame == "shown" else int(frame)]
        labelmap = LabelMap(labelmap.labels[numbers], labelmap.ijk_to_lps, labelmap.times_ms[numbers])
    if not all(0 <= number < cine.n_frames for number in numbers):
        raise InputError(f"{study}: has frames 0 to {cine.n_frames - 1}, not {frame}.")
    folder = Path(folder)
    with atomic_directory(folder, replace=DICOM_SEG_NAMES) as work:
        written = [path.relative_to(work) for path in write_dicom_seg(work, labelmap, cine, numbers, bundle)]
    return [folder / path for path in written]


def _reference_volume(cine: Cine):
    """A volume node with the grid of a cine, outside the scene."""
    import slicer

    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(cine.source)
    node.SetAndObserveImageData(to_vtk_image(np.zeros(cine.frames.shape[1:], np.uint8)))
    node.SetIJKToRASMatrix(to_vtk_matrix(swap_frame(cine.ijk_to_lps)))
    return node
