"""Write labels as DICOM Segmentations (SEG) that refer to the MR images they were made from, by highdicom.

A cine has one series per slice and many phases. The standard lets one SEG refer to images of several series of a study
(Common Instance Reference module, Derivation Image of every frame), but highdicom tells the frames of a SEG by segment
and position only, and readers take a SEG for one volume: so there is one SEG per phase, all in one new series.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from CardiacLib import __version__
from CardiacLib.errors import InputError
from CardiacLib.geometry import apply, direction_of, spacing_of
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.progress import Progress, silent
from CardiacLib.readers.dicom.headers import FrameHeader, frames_of
from CardiacLib.readers.planes import plane_matrix
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import RV, LabelMap, structures

from .dicom_sources import MADE_BY, SEGMENTATION, headers_of, highdicom_for, names_as_they_are
from .dicom_values import permitted_copy

DICOM_SEG_NAMES = ("segmentation.dcm", "segmentation_dicom")
"""The file of one frame, the folder of the files of several."""
SERIES_NUMBER = 1000
"""Series number of the segmentations, beyond those of a scanner."""
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
ON_GRID_MM = 0.05
"""Pixels of an image this close to those of the labels are the same: headers are rounded text."""


def require_dicom_seg(cine: Cine) -> None:
    """Raise InputError where no SEG can be written: not read from DICOM, images without identity, or no highdicom."""
    headers_of(cine, SEGMENTATION)


def write_dicom_seg(
    folder: str | Path,
    labelmap: LabelMap,
    cine: Cine,
    frames: Sequence[int] | None = None,
    bundle: str = "",
    progress: Progress = silent,
) -> list[Path]:
    """Write one SEG per frame: ``segmentation.dcm``, or ``segmentation_dicom/frame_000.dcm`` ... of several frames.

    The grid is that of the labels, empty slices included. Segment numbers are the label values, with names, SNOMED CT
    codes and colours of the colour table; LV, myocardium and RV are always there. Every slice names the image it was
    made from; a slice that was interpolated between others names none.

    Args:
        folder: an existing folder.
        labelmap: (T', K, J, I) labels on the grid of ``cine``.
        cine: what was labelled, read from DICOM (``cine.files``).
        frames: (T',) number in ``cine`` of each labelled frame; None means that all frames are labelled.
        bundle: the network, if the labels are as it made them; empty for labels that a person may have changed,
            which are marked as semi-automatic.
        progress: told the fraction done; may raise Cancelled.

    Returns:
        the files, in the order of the frames.

    Raises:
        InputError: see :func:`require_dicom_seg`; or labels and cine do not lie on one grid.
    """
    numbers = list(range(cine.n_frames)) if frames is None else list(frames)
    headers = headers_of(cine, SEGMENTATION)
    _require_same_grid(labelmap, cine, numbers)
    places = {(path, frame.index): frame for path, image in headers.items() for frame in frames_of(image, Path(path))}
    folder = Path(folder)
    paths = [folder / DICOM_SEG_NAMES[0]]
    if len(numbers) > 1:
        folder = folder / DICOM_SEG_NAMES[1]
        folder.mkdir(exist_ok=True)
        paths = [folder / f"frame_{number:03d}.dcm" for number in numbers]
    segments = _descriptions(max(RV, int(labelmap.labels.max())), bundle)
    series = highdicom_for(SEGMENTATION).UID()
    for done, (labels, number, path) in enumerate(zip(labelmap.labels, numbers, paths, strict=True)):
        progress(done / len(paths), f"writing frame {done + 1} of {len(paths)}")
        first = next(file[0] for file in cine.files[number] if file is not None)
        template = _template(headers[first], cine.ijk_to_lps)
        dataset = _segmentation(labels, cine.ijk_to_lps, template, segments, series)
        dataset.InstanceNumber = number + 1
        which = f"{number + 1} of {cine.n_frames}" if cine.n_frames > 1 else "alone"
        when = "" if cine.times_ms is None else f", {cine.times_ms[number]:.0f} ms"
        dataset.ContentDescription = f"Frame {which}{when}"
        dataset.ContentCreatorName = ""  # must be there, may be empty
        _refer(dataset, cine, number, headers, places)
        dataset.save_as(path, enforce_file_format=True)
    return paths


def _require_same_grid(labelmap: LabelMap, cine: Cine, numbers: list[int]) -> None:
    expected = (len(numbers), *cine.frames.shape[1:])
    if labelmap.labels.shape != expected:
        raise InputError(f"{cine.source}: labels of shape {labelmap.labels.shape} instead of {expected}.")
    corners = np.array([(x, y, z, 1) for x in (0, expected[3]) for y in (0, expected[2]) for z in (0, expected[1])])
    if np.abs((labelmap.ijk_to_lps - cine.ijk_to_lps) @ corners.T).max() > 0.1:
        raise InputError(f"{cine.source}: the labels lie elsewhere than these images; give the study they are of.")


def _template(image, ijk_to_lps: np.ndarray):
    """What highdicom copies into a SEG: study, patient and frame of reference of an image, classic or multi-frame.

    Values that DICOM forbids are blank. It has the place of the labels' first slice, and so nothing of their geometry
    is replaced by that of an image, which is rounded.
    """
    from pydicom.dataset import Dataset

    plain = Dataset()
    for element in permitted_copy(image):
        if element.tag.group < 0x5200 and element.keyword != "NumberOfFrames":
            plain.add(element)
    spacing, direction = spacing_of(ijk_to_lps), direction_of(ijk_to_lps)
    plain.SOPClassUID = MR_IMAGE_STORAGE
    plain.ImageOrientationPatient = _decimals(*direction[:, 0], *direction[:, 1])
    plain.ImagePositionPatient = _decimals(*ijk_to_lps[:3, 3])
    plain.PixelSpacing = _decimals(spacing[1], spacing[0])
    plain.SliceThickness = _decimals(spacing[2])[0]
    return plain


def _decimals(*values: float) -> list:
    from pydicom.valuerep import DSfloat

    return [DSfloat(float(value), auto_format=True) for value in values]


def _segmentation(labels: np.ndarray, ijk_to_lps: np.ndarray, template, segments: list, series: str):
    """highdicom's Segmentation of one phase; ``labels`` (K, J, I)."""
    hd = highdicom_for(SEGMENTATION)
    # highdicom's volumes have slices, rows, columns as axes, and their affines count them in the same order.
    affine = ijk_to_lps[:, [2, 1, 0, 3]]
    uid = template.FrameOfReferenceUID
    with names_as_they_are():
        return hd.seg.Segmentation(
            source_images=[template],
            pixel_array=hd.Volume(labels, affine, coordinate_system="PATIENT", frame_of_reference_uid=uid),
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=segments,
            series_instance_uid=series,
            series_number=SERIES_NUMBER,
            sop_instance_uid=hd.UID(),
            **MADE_BY,
            content_label="VENTRICLES",
            series_description="CineHeart segmentation",
            omit_empty_frames=False,
        )


def _descriptions(highest: int, bundle: str) -> list:
    """Segment descriptions of the labels 1 to ``highest``."""
    from pydicom.sr.codedict import codes

    hd = highdicom_for(SEGMENTATION)
    kind = hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC
    name, version = "CineHeart", __version__
    if bundle:
        kind = hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC
        folder = bundle_path(bundle)
        name = folder.name
        version = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))["version"]
    made_by = hd.AlgorithmIdentificationSequence(name, codes.cid7162.ArtificialIntelligence, version)
    found = []
    for label in range(1, highest + 1):
        structure = structures()[label]
        category, what = (
            hd.sr.CodedConcept(code, scheme, meaning) for scheme, code, meaning in (structure.category, structure.type)
        )
        colour = hd.color.CIELabColor.from_rgb(*structure.rgb)
        found.append(
            hd.seg.SegmentDescription(label, structure.name, category, what, kind, made_by, display_color=colour)
        )
    return found


def _refer(dataset, cine: Cine, number: int, headers: dict[str, object], places: dict[tuple, FrameHeader]) -> None:
    """Name the images: per slice in the frames' derivation, all of them by series, as highdicom does for one series."""
    from pydicom.dataset import Dataset

    positions = apply(cine.ijk_to_lps, [(0, 0, k) for k in range(cine.n_slices)])
    for group in dataset.PerFrameFunctionalGroupsSequence:
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        k = int(np.linalg.norm(positions - position, axis=1).argmin())
        file = cine.files[number][k]
        group.DerivationImageSequence = []
        if file is None:
            continue
        item = _reference(headers[file[0]], [] if file[1] is None else [file[1]])
        item.SpatialLocationsPreserved = "YES" if _is_on_grid(places[file], cine, k) else "NO"
        item.PurposeOfReferenceCodeSequence = [_code("121322", "Source image for image processing operation")]
        derivation = Dataset()
        derivation.DerivationCodeSequence = [_code("113076", "Segmentation")]
        derivation.SourceImageSequence = [item]
        group.DerivationImageSequence = [derivation]
    used: dict[str, list[int]] = {}
    for path, index in filter(None, cine.files[number]):
        used.setdefault(path, []).extend([] if index is None else [index])
    dataset.SourceImageSequence = [_reference(headers[path], frames) for path, frames in used.items()]
    series: dict[str, list] = {}
    for path in used:
        series.setdefault(headers[path].SeriesInstanceUID, []).append(_reference(headers[path]))
    dataset.ReferencedSeriesSequence = [_series(uid, items) for uid, items in series.items()]


def _reference(image, frames: Sequence[int] = ()):
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    if frames:
        item.ReferencedFrameNumber = [frame + 1 for frame in sorted(frames)]
    return item


def _series(uid: str, images: list):
    from pydicom.dataset import Dataset

    item = Dataset()
    item.SeriesInstanceUID, item.ReferencedInstanceSequence = uid, images
    return item


def _code(value: str, meaning: str):
    return highdicom_for(SEGMENTATION).sr.CodedConcept(value, "DCM", meaning)


def _is_on_grid(frame: FrameHeader, cine: Cine, k: int) -> bool:
    """Whether the pixels of an image are those of slice ``k``: false where the reader resampled it in plane."""
    n_j, n_i = cine.frames.shape[2:]
    if frame.shape != (n_j, n_i):
        return False
    own = plane_matrix(frame.geometry[:3], frame.geometry[3:6], frame.geometry[6:9], frame.geometry[9:])
    corners = np.array([(i, j) for i in (0, n_i - 1) for j in (0, n_j - 1)])
    here = apply(cine.ijk_to_lps, [(i, j, k) for i, j in corners])
    return bool(np.abs(here - apply(own, [(i, j, 0) for i, j in corners])).max() < ON_GRID_MM)
