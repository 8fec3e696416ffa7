"""Files that a person has corrected: labels and valve points of a study, in place of what the networks find."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.geometry import slice_normal
from CardiacLib.label_grid import on_images
from CardiacLib.readers import read_labels
from CardiacLib.readers.labels.dicom_segmentations import SegFile, find_segmentations, read_segmentation
from CardiacLib.readers.labels.point_files import read_points
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, LabelMap
from CardiacLib.types.landmarks import LANDMARK_VIEWS, Landmarks

OFF_PLANE_MM = 20.0
"""Distance from the images of their view beyond which points are of another study."""


@dataclass(frozen=True, kw_only=True)
class CorrectedFiles:
    """Files in place of what the networks find.

    Attributes:
        labels: label maps of the short axis, see :func:`read_corrected_labels`.
        order: of the label values, as of ``read_labels``.
        landmarks: valve points, as of ``read_points``.
    """

    labels: Path | None = None
    order: str = "auto"
    landmarks: Path | None = None

    def named(self) -> dict[str, str]:
        """What was given, by kind, without folders."""
        return {kind: path.name for kind, path in (("labels", self.labels), ("landmarks", self.landmarks)) if path}


def read_corrected_labels(path: Path, cine: Cine, order: str = "auto") -> LabelMap:
    """Labels of the frames of a short axis.

    Args:
        path: a label map of all frames (empty frames are not measured), or a folder of DICOM Segmentations of one frame
            each, whose frames their images tell, else their number.
        cine: the short axis.
        order: of the label values.

    Raises:
        InputError: the labels are not on the grid of the images, not of their frames, or hold no LV.
    """
    if segmentations := find_segmentations(path) if path.is_dir() else []:
        labels = _of_segmentations(path, segmentations, cine)
    else:
        labels = on_images(read_labels(path, order), cine)
    if labels.n_frames != cine.n_frames:
        raise InputError(
            f"{path}: has labels of {labels.n_frames} frame{'s' if labels.n_frames > 1 else ''}, the short axis has "
            f"{cine.n_frames} frames; give labels of all frames, in which those that are not drawn may be empty, or "
            "measure them alone with 'cineheart measure'."
        )
    if not (labels.labels == LV).any():
        raise InputError(f"{path}: holds no left ventricle.")
    return replace(labels, times_ms=cine.times_ms, source=cine.source)


def _of_segmentations(path: Path, files: list[SegFile], cine: Cine) -> LabelMap:
    """Labels of all frames, empty where there is no file."""
    frames = _frames_of(path, files, cine)
    array, notes = np.zeros(cine.frames.shape, np.uint8), []
    for file, frame in zip(files, frames, strict=True):
        found = on_images(read_segmentation(file.path), cine)
        array[frame] = found.labels[0]
        notes += found.notes
    if len(files) < cine.n_frames:
        shown = ", ".join(str(frame + 1) for frame in frames)
        notes.append(f"Labels are drawn in {len(files)} of {cine.n_frames} frames only ({shown}, counted from 1).")
    return LabelMap(array, cine.ijk_to_lps, cine.times_ms, str(path), tuple(dict.fromkeys(notes)), cine.grid)


def _frames_of(path: Path, files: list[SegFile], cine: Cine) -> list[int]:
    """The frame of each file: that of the images it was made from; of as many files as frames in their order."""
    images = _images_of(cine)
    told = [{images[uid] for uid in file.images if uid in images} for file in files]
    if all(len(frames) == 1 for frames in told):
        numbers = [next(iter(frames)) for frames in told]
    elif len(files) == cine.n_frames:
        numbers = list(range(cine.n_frames))
    else:
        raise InputError(
            f"{path}: holds DICOM segmentations of {len(files)} frames, the short axis has {cine.n_frames}, and the "
            "images that they refer to do not tell which frames these are; give one for each frame."
        )
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{path}: holds several DICOM segmentations of one frame; leave one for each frame.")
    return numbers


def _images_of(cine: Cine) -> dict[str, int]:
    """SOPInstanceUID to frame, of the images that belong to one frame only."""
    import pydicom

    frames: dict[str, set[int]] = {}
    uids: dict[str, str] = {}
    for number, row in enumerate(cine.files):
        for file in filter(None, row):
            if file[0] not in uids:
                header = pydicom.dcmread(file[0], stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
                uids[file[0]] = str(header.get("SOPInstanceUID"))
            frames.setdefault(uids[file[0]], set()).add(number)
    return {uid: next(iter(numbers)) for uid, numbers in frames.items() if len(numbers) == 1}


def read_corrected_points(path: Path, cines: Mapping[str, Cine]) -> Landmarks:
    """Valve points of a study, checked to lie on the images of their views.

    Raises:
        InputError: no such file; points of one frame for a cine; or they lie elsewhere than the long-axis images.
    """
    landmarks = read_points(path)
    if not any(view in cines for view in LANDMARK_VIEWS):
        raise InputError(f"{path}: the study has no long-axis view that these points can belong to.")
    count = cines["sax"].n_frames
    if landmarks.n_frames < 2 <= count:
        raise InputError(
            f"{path}: has the points of one frame, the study has {count} frames; give landmarks.json, or the folder of "
            "markups with one file for each frame."
        )
    for view in dict.fromkeys(LANDMARK_VIEWS):
        own = landmarks.points[:, [v == view for v in LANDMARK_VIEWS]]
        own = own[np.isfinite(own).all(-1)]
        if view not in cines or not len(own):
            continue
        matrix = cines[view].ijk_to_lps
        off = float(np.median(np.abs((own - matrix[:3, 3]) @ slice_normal(matrix))))
        if cines[view].n_slices == 1 and off > OFF_PLANE_MM:
            raise InputError(
                f"{path}: its points of the {view.upper()} view lie {off:.0f} mm off the images of that view; give the "
                "points of this study."
            )
    return landmarks
