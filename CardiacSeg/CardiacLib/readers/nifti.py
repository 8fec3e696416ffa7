"""Read NIfTI-1 and NIfTI-2 files (``.nii``, ``.nii.gz``) with nibabel; RAS, the frame of NIfTI, becomes LPS here.

Not with SimpleITK, which refuses the many files whose direction cosines are not quite orthonormal. Headers are
read without nibabel's silent repairs, so that every repair is told.
"""

import gzip
import io
import math
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.file_grid import FileGrid
from CardiacLib.geometry import (
    SQUARE_TOLERANCE,
    apply,
    direction_of,
    matrix_from,
    orthonormality_error,
    spacing_of,
    with_square_axes,
)

from .axes import NO_SIZE
from .raw import RawImage, even_times_ms

SPACE_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
TIME_UNIT_MS = {8: 1000.0, 16: 1.0, 24: 0.001}
SCANNER = 1
"""Code of the frame that ITK takes from the sform although there is a qform."""
SAME_PLACE_MM = 0.05
"""sform and qform agree where they put no corner of the image farther apart."""
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nifti(path: str | Path) -> RawImage:
    """Read a 3-D or 4-D NIfTI file.

    Returns:
        The image; directions are the orthonormal frame nearest to the header's.

    Raises:
        InputError: not NIfTI, truncated, 2-D, vector or colour voxels.
    """
    with ThreadPoolExecutor(1) as thread:  # unpacking and the import take as long
        unpacked = thread.submit(_content, Path(path))
        from nibabel.spatialimages import HeaderDataError
    content = unpacked.result()
    header = _header(content, path)
    try:
        array = _voxels(header, content, path)
        matrix, notes = _lps_matrix(header)
    except InputError:
        raise
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: the NIfTI header is damaged ({error}); export the file again.") from error
    time_unit = TIME_UNIT_MS.get(int(header["xyzt_units"]) & 56)
    times, time_notes = even_times_ms(len(array), float(header["pixdim"][4]), time_unit, float(header["toffset"]))
    grid = FileGrid(sized=NO_SIZE not in notes)
    return RawImage(array, matrix, times, notes + time_notes, grid=grid)


def _content(path: Path) -> bytes:
    """The unpacked file; by its first bytes, because packed files named .nii and plain ones named .nii.gz occur."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the compressed file is truncated or damaged; copy or export it again.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error


def _header(content: bytes, path):
    """nibabel's header of either version and byte order."""
    import nibabel as nib

    if nib.Nifti2Header.may_contain_header(content):
        header = nib.Nifti2Header(content[:540], check=False)
    elif nib.AnalyzeHeader.may_contain_header(content):
        header = nib.Nifti1Header(content[:348], check=False)
    else:
        raise InputError(f"{path}: is not a NIfTI file; check the name or export it again.")
    if header["magic"].item() not in (b"n+1", b"n+2"):
        raise InputError(f"{path}: is an ANALYZE or .hdr/.img pair; save it as one .nii or .nii.gz file.")
    return header


def _voxels(header, content: bytes, path) -> np.ndarray:
    """(T, K, J, I) voxels after the file's rescaling, in the file's type if it has none."""
    shape = _shape(header["dim"].tolist(), path)
    try:
        dtype = header.get_data_dtype()
    except KeyError:
        dtype = np.dtype("V1")
    if dtype.kind not in "uif":
        raise InputError(f"{path}: voxels of NIfTI type {header['datatype']} (colour or complex) cannot be read.")
    needed = header.get_data_offset() + math.prod(shape) * dtype.itemsize
    if len(content) < needed:
        raise InputError(f"{path}: the file is truncated ({len(content)} of {needed} bytes); copy or export it again.")
    array = header.data_from_fileobj(io.BytesIO(content)).reshape(shape, order="F").T
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _shape(dim: list[int], path) -> tuple[int, int, int, int]:
    n = dim[0]
    if not 1 <= n <= 7 or min(dim[1 : n + 1]) < 1:
        raise InputError(f"{path}: the NIfTI header has no usable dimensions; export it again.")
    if n < 3:
        raise InputError(f"{path}: is a 2-D image without position in space; a cine or volume (3-D or 4-D) is needed.")
    if n > 4 and max(dim[5 : n + 1]) > 1:
        raise InputError(f"{path}: has {n} dimensions (vector voxels); save a grey-value 3-D or 4-D image.")
    return (*dim[1:4], dim[4] if n > 3 else 1)


def _lps_matrix(header) -> tuple[np.ndarray, tuple[str, ...]]:
    """Index-to-LPS matrix with orthogonal axes: sform if usable, else qform, else the bare spacing.

    Where both are coded and differ, the one that ITK, and so Slicer, takes: the sform if its code is that of the
    scanner and its axes are perpendicular, else the qform (itkNiftiImageIO.cxx, SetImageIOOrientationFromNIfTI).
    """
    notes: list[str] = []
    spacing = np.abs(header["pixdim"][1:4].astype(float))
    affine, _ = header.get_sform(coded=True)
    usable = affine is not None and abs(np.linalg.det(affine[:3, :3])) > 1e-9
    known = np.isfinite(spacing) & (spacing > 0)
    if not known.all():
        notes.append("the header has no voxel size along some axis: that of the sform is used" if usable else NO_SIZE)
        spacing = np.where(known, spacing, spacing_of(affine) if usable else 1.0)
    if usable:
        true = affine
        if not np.allclose(spacing_of(affine), spacing, rtol=0.01):
            notes.append("the sform scales differ from the voxel size of the header: the voxel size is used")
            affine = matrix_from(affine[:3, 3], direction_of(affine), spacing)
        if header["qform_code"] > 0:
            qform = _qform(header, spacing)
            if _apart_mm(affine, qform, header["dim"][1:4]) > SAME_PLACE_MM:
                affine, note = _as_itk(true, qform, affine, int(header["sform_code"]))
                notes.append(note)
    elif header["qform_code"] > 0:
        affine = _qform(header, spacing)
    else:
        # Without any orientation ITK (and so Slicer) takes the index axes for LPS; do the same.
        affine = RAS_TO_LPS @ np.diag([*spacing, 1.0])
        notes.append("the header has no orientation")
    matrix = RAS_TO_LPS @ affine
    matrix[:3] *= SPACE_UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    matrix, square_notes = with_square_axes(matrix)
    return matrix, (*notes, *square_notes)


def _qform(header, spacing: np.ndarray) -> np.ndarray:
    header["pixdim"][:4] = [-1.0 if header["pixdim"][0] < 0 else 1.0, *spacing]
    return header.get_qform()


def _apart_mm(first: np.ndarray, second: np.ndarray, dim) -> float:
    """Greatest distance between the places that two affines give a corner of the image."""
    corners = np.array(np.meshgrid(*([0, max(int(n) - 1, 0)] for n in dim))).reshape(3, -1).T
    return float(np.linalg.norm(apply(first, corners) - apply(second, corners), axis=1).max())


def _as_itk(sform: np.ndarray, qform: np.ndarray, sized: np.ndarray, code: int) -> tuple[np.ndarray, str]:
    """The matrix that ITK takes of two that differ, and a note; ``sized``: the sform with the header's voxel size."""
    plain = orthonormality_error(direction_of(sform)) < SQUARE_TOLERANCE and np.allclose(sform, sized, rtol=0.01)
    taken = "sform" if code == SCANNER and plain else "qform"
    note = f"sform and qform put the image in different places: the {taken} is used, as ITK and Slicer do"
    return (sized if taken == "sform" else qform), note
