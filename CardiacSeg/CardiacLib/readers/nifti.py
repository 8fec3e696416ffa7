"""Read NIfTI-1 and NIfTI-2 files (``.nii``, ``.nii.gz``).

An own header reader, because SimpleITK refuses the many files whose direction cosines are not quite
orthonormal. RAS, the frame of NIfTI, becomes LPS here. Source of the format: nifti1.h and nifti2.h (NIMH).
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..geometry import direction_of, matrix_from, nearest_orthonormal, orthonormality_error, spacing_of
from .raw import RawImage, even_times_ms

DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
SPACE_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
TIME_UNIT_MS = {8: 1000.0, 16: 1.0, 24: 0.001}
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
SQUARE_TOLERANCE = 1e-3
"""Entries of D^T D - 1 above this are reported; float32 headers stay below 1e-6."""


def read_nifti(path: str | Path) -> RawImage:
    """Read a 3-D or 4-D NIfTI file.

    Returns:
        The image; directions are the orthonormal frame nearest to the header's.

    Raises:
        InputError: not NIfTI, truncated, 2-D, vector or colour voxels.
    """
    content = _content(Path(path))
    header = _header(content, path)
    n_i, n_j, n_k, n_t = header["shape"]
    dtype = np.dtype(header["order"] + header["dtype"])
    needed = header["offset"] + n_i * n_j * n_k * n_t * dtype.itemsize
    if len(content) < needed:
        raise InputError(f"{path}: the file is truncated ({len(content)} of {needed} bytes); copy or export it again.")
    array = np.frombuffer(content, dtype, n_i * n_j * n_k * n_t, header["offset"]).reshape(n_t, n_k, n_j, n_i)
    slope, intercept = header["scaling"]
    if np.isfinite(slope) and slope != 0 and (slope, intercept) != (1.0, 0.0):
        array = array.astype(np.float64) * slope + intercept
    matrix, notes = _lps_matrix(header)
    times, time_notes = even_times_ms(n_t, header["pixdim"][4], header["time_unit_ms"], header["time_offset"])
    return RawImage(array.astype(array.dtype.newbyteorder("="), copy=False), matrix, times, notes + time_notes)


def _content(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            content = stream.read()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the compressed file is truncated or damaged; copy or export it again.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error


def _header(content: bytes, path) -> dict:
    """The header fields needed here, for either version and byte order."""
    for order in "<>":
        for size, magic_at, magics in ((348, 344, (b"n+1\0",)), (540, 4, (b"n+2\0",))):
            if len(content) >= size and struct.unpack_from(order + "i", content, 0)[0] == size:
                if content[magic_at : magic_at + 4] not in magics:
                    raise InputError(f"{path}: is an ANALYZE or .hdr/.img pair; save it as one .nii or .nii.gz file.")
                return _fields(content, order, size, path)
    raise InputError(f"{path}: is not a NIfTI file; check the name or export it again.")


def _fields(content: bytes, order: str, size: int, path) -> dict:
    def get(code, at):
        return struct.unpack_from(order + code, content, at)

    if size == 348:
        dim, pixdim, datatype = get("8h", 40), get("8f", 76), get("h", 70)[0]
        offset, scaling, toffset = int(get("f", 108)[0]), get("2f", 112), get("f", 136)[0]
        units, codes = content[123], get("2h", 252)
        quaternion, sform = get("6f", 256), get("12f", 280)
    else:
        dim, pixdim, datatype = get("8q", 16), get("8d", 104), get("h", 12)[0]
        offset, scaling, toffset = get("q", 168)[0], get("2d", 176), get("d", 216)[0]
        units, codes = get("i", 500)[0], get("2i", 344)
        quaternion, sform = get("6d", 352), get("12d", 400)
    shape = _shape(dim, path)
    if datatype not in DTYPES:
        raise InputError(f"{path}: voxels of NIfTI type {datatype} (colour or complex) cannot be read.")
    return {
        "order": order,
        "shape": shape,
        "dtype": DTYPES[datatype],
        "pixdim": np.array(pixdim, float),
        "offset": offset,
        "scaling": scaling,
        "time_offset": toffset,
        "space_unit_mm": SPACE_UNIT_MM.get(units & 7, 1.0),
        "time_unit_ms": TIME_UNIT_MS.get(units & 56),
        "codes": codes,
        "quaternion": np.array(quaternion, float),
        "sform": np.array(sform, float).reshape(3, 4),
    }


def _shape(dim, path) -> tuple[int, int, int, int]:
    n = dim[0]
    if not 1 <= n <= 7 or min(dim[1 : n + 1]) < 1:
        raise InputError(f"{path}: the NIfTI header has no usable dimensions; export it again.")
    if n < 3:
        raise InputError(f"{path}: is a 2-D image without position in space; a cine or volume (3-D or 4-D) is needed.")
    sizes = [*dim[1 : n + 1], 1][:4] if n == 3 else list(dim[1:5])
    if n > 4 and max(dim[5 : n + 1]) > 1:
        raise InputError(f"{path}: has {n} dimensions (vector voxels); save a grey-value 3-D or 4-D image.")
    return tuple(int(v) for v in sizes)


def _lps_matrix(header: dict) -> tuple[np.ndarray, tuple[str, ...]]:
    """Index-to-LPS matrix with orthogonal axes: sform if usable, else qform, else the bare spacing."""
    unit = header["space_unit_mm"]
    spacing = np.abs(header["pixdim"][1:4])
    notes: list[str] = []
    if not np.isfinite(spacing).all() or (spacing == 0).any():
        spacing = np.where(np.isfinite(spacing) & (spacing > 0), spacing, 1.0)
        notes.append("the header has no voxel size along some axis: 1 mm assumed")
    qform_code, sform_code = header["codes"]
    affine = header["sform"]
    if sform_code > 0 and abs(np.linalg.det(affine[:, :3])) > 1e-9:
        if not np.allclose(spacing_of(affine), spacing, rtol=0.01):
            notes.append("the sform scales differ from the voxel size of the header: the voxel size is used")
            affine = np.column_stack([direction_of(affine) * spacing, affine[:, 3]])
    elif qform_code > 0:
        affine = _qform(header["quaternion"], header["pixdim"][0], spacing)
    else:
        # Without any orientation ITK (and so Slicer) takes the index axes for LPS; do the same.
        affine = np.column_stack([RAS_TO_LPS * spacing, np.zeros(3)])
        notes.append("the header has no orientation")
    direction = direction_of(affine)
    error = orthonormality_error(direction)
    if error > SQUARE_TOLERANCE:
        notes.append(f"direction cosines were not orthonormal (by {error:.2g}): the nearest orthonormal frame is used")
    direction = RAS_TO_LPS @ nearest_orthonormal(direction)
    return matrix_from(RAS_TO_LPS @ affine[:, 3] * unit, direction, spacing_of(affine) * unit), tuple(notes)


def _qform(quaternion: np.ndarray, qfac: float, spacing: np.ndarray) -> np.ndarray:
    """(3, 4) RAS affine of nifti1.h method 2."""
    b, c, d = quaternion[:3]
    a = np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    if a < 1e-7:
        b, c, d = quaternion[:3] / np.linalg.norm(quaternion[:3])
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    rotation[:, 2] *= -1.0 if qfac < 0 else 1.0
    return np.column_stack([rotation * spacing, quaternion[3:]])
