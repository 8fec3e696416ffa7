"""Read one cine: an image file, a DICOM file, or a DICOM folder that holds one stack."""

from pathlib import Path

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, part, silent
from CardiacLib.readers.dicom.dicom_planes import read_dicom_planes
from CardiacLib.types.cine import Cine

from .images import cine_of, list_files, read_raw, require_frames
from .planes import parallel_groups, without_repeats
from .stacking import stack


def read_image(path: str | Path, view: str = "sax", progress: Progress = silent) -> Cine:
    """Read one file (3-D or 4-D NIfTI, NRRD, ``.seq.nrrd``, DICOM) or a DICOM folder with one stack or plane.

    Slices stay in the file's order; of DICOM they are sorted along the normal i x j.

    Raises:
        InputError: unreadable, 2-D, another modality, a folder with planes of several orientations, channels or
            patients instead of frames, or a long-axis file whose frames lie on the axis of slices.

    Example:
        >>> import numpy as np
        >>> from CardiacLib.writers.images import write_cine
        >>> frames = np.arange(120.0).reshape(2, 3, 4, 5)
        >>> write_cine("sax.nii.gz", Cine(frames, np.diag([1.5, 1.5, 8.0, 1.0]), times_ms=np.array([0.0, 500.0])))
        >>> cine = read_image("sax.nii.gz")
        >>> cine.frames.shape, cine.view, cine.times_ms.tolist()
        ((2, 3, 4, 5), 'sax', [0.0, 500.0])
    """
    path = Path(path)
    files = list_files(path)
    if not path.is_dir() and (files.images or files.pictures):
        return _in_view(path, view)
    planes, left_out, _ = read_dicom_planes(files.others, part(progress, 0.0, 0.4))
    if not planes and path.is_dir() and len(files.images) == 1:
        return _in_view(files.images[0], view)
    if not planes:
        raise InputError(f"{path}: is no DICOM, NIfTI or NRRD image{': ' + left_out[0] if left_out else ''}.")
    groups = parallel_groups([p for p in planes if not p.fault]) or parallel_groups(planes)
    if len(groups) > 1:
        raise InputError(
            f"{path}: holds planes of {len(groups)} orientations; give the folder of one stack, or read it as a study."
        )
    kept, repeats = without_repeats(groups[0])
    cine = stack(kept, view, str(path), part(progress, 0.4, 1.0))
    return cine.with_changes(notes=(*cine.notes, *left_out, *repeats))


def _in_view(path: Path, view: str) -> Cine:
    cine = cine_of(read_raw(path), view, path)
    require_frames(cine, view)
    return cine
