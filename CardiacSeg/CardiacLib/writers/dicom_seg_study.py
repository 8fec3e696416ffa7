"""Labels that are no longer with their Cine (of a Slicer scene) as DICOM Segmentations: the study is read again."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.geometry import apply
from CardiacLib.label_grid import SAME_GRID_MM, nearest_labels
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers import read_study
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import BACKGROUND, LabelMap
from CardiacLib.types.values import job_value

from .dicom_seg import require_dicom_seg, write_dicom_seg


@job_value
@dataclass(frozen=True)
class DicomSegChoice:
    """How labels that are no longer with their Cine belong to a study.

    Attributes:
        frames: (T',) number of each labelled frame in the study; None means all, or the one at ``time_ms``.
        time_ms: time of labels of a single frame; None where it is not known.
        bundle: as of ``write_dicom_seg``.
        files: of the study, if not all below its folder are.
        same_grid: the labels' voxels must be those of the images (their axes may run the other way); else the label
            at the centre of each voxel is taken.
    """

    frames: tuple[int, ...] | None = None
    time_ms: float | None = None
    bundle: str = ""
    same_grid: bool = True
    files: tuple[str, ...] = ()


class WrittenSegmentations(NamedTuple):
    """What was written of a study.

    Attributes:
        cine: its short axis.
        labels: (T', K, J, I) on the grid of the cine.
        files: DICOM segmentation of each frame, by its number in the cine.
    """

    cine: Cine
    labels: LabelMap
    files: dict[int, Path]

    @property
    def complete(self) -> bool:
        """Whether there is one of every frame."""
        return len(self.files) == self.cine.n_frames


def write_dicom_seg_of_study(
    folder: str | Path,
    labelmap: LabelMap,
    study: str | Path,
    choice: DicomSegChoice = DicomSegChoice(),
    *,
    progress: Progress = silent,
) -> WrittenSegmentations:
    """Bring labels onto the short axis of a DICOM study and write them by ``dicom_seg.write_dicom_seg``.

    Args:
        folder: an existing folder.
        labelmap: (T', K, J, I); ``source`` is the name to call it by in messages.
        study: folder of the DICOM files.
        choice: frames, network and grid.
        progress: told the fraction done; may raise Cancelled.

    Raises:
        InputError: no DICOM study; frames that it does not have or that are not told; labels that lie elsewhere.
    """
    cine = read_study(study, progress=part(progress, 0.0, 0.4), files=choice.files).cines["sax"]
    require_dicom_seg(cine)
    numbers = _numbers(labelmap, cine, choice, study)
    on_images = labels_on_grid(labelmap, cine, choice.same_grid, study)
    if not (on_images.labels != BACKGROUND).any():
        raise InputError(f"{study}: no segment of '{labelmap.source}' lies within its short-axis images.")
    paths = write_dicom_seg(folder, on_images, cine, numbers, choice.bundle, part(progress, 0.4, 1.0))
    return WrittenSegmentations(cine, on_images, dict(zip(numbers, paths, strict=True)))


def labels_on_grid(labelmap: LabelMap, cine: Cine, same_grid: bool, study: str | Path) -> LabelMap:
    """The labels at the voxel centres of a cine's images, background beyond their own grid.

    Raises:
        InputError: ``same_grid`` is asked for, and the voxels of the labels are not those of the images.
    """
    found, apart = nearest_labels(labelmap, cine)
    if same_grid and (found.labels.size != labelmap.labels.size or apart > SAME_GRID_MM or not _covers(labelmap, cine)):
        raise InputError(
            f"{study}: its short axis does not lie where the images of '{labelmap.source}' do; choose the folder "
            "of the DICOM files that they were read from."
        )
    return LabelMap(found.labels, cine.ijk_to_lps, labelmap.times_ms, labelmap.source)


def _covers(labelmap: LabelMap, cine: Cine) -> bool:
    """Whether the grid of the labels holds the corners of the images."""
    n_k, n_j, n_i = cine.frames.shape[1:]
    corners = np.array([(i, j, k) for i in (0, n_i - 1) for j in (0, n_j - 1) for k in (0, n_k - 1)])
    index = np.rint(apply(np.linalg.inv(labelmap.ijk_to_lps) @ cine.ijk_to_lps, corners))
    return bool(((index >= 0) & (index < labelmap.labels.shape[:0:-1])).all())


def _numbers(labelmap: LabelMap, cine: Cine, choice: DicomSegChoice, study: str | Path) -> list[int]:
    """The number of each labelled frame in the cine."""
    frames, time_ms = choice.frames, choice.time_ms
    if frames is None and len(labelmap.labels) == 1 < cine.n_frames:
        if time_ms is None or cine.times_ms is None:
            raise InputError(
                f"'{labelmap.source}' is of one frame: say which of the {cine.n_frames} it shows, in the Python "
                "console (exportDicomSeg with its number as frame)."
            )
        return [int(np.abs(cine.times_ms - time_ms).argmin())]
    numbers = list(range(cine.n_frames)) if frames is None else list(frames)
    if not all(0 <= number < cine.n_frames for number in numbers):
        raise InputError(f"{study}: has frames 0 to {cine.n_frames - 1}, not {', '.join(map(str, numbers))}.")
    if len(numbers) != len(labelmap.labels):
        raise InputError(f"{study}: has {cine.n_frames} frames, '{labelmap.source}' has {len(labelmap.labels)}.")
    return numbers
