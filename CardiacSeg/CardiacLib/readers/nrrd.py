"""Read NRRD files: volumes, Slicer's volume sequences (``.seq.nrrd``) and segmentations (``.seg.nrrd``).

An own reader, because the axis of frames or layers may stand first or last, and the frame times and segment names
are key/value pairs that image libraries drop. Source of the format: teem.sourceforge.net/nrrd/format.html and
Slicer's Sequences and Segmentations documentation.
"""

import bz2
import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..geometry import direction_of, matrix_from, nearest_orthonormal, orthonormality_error, spacing_of
from .raw import PLAUSIBLE_BEAT_MS, RawImage, even_times_ms

DTYPES = {
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i1": ("signed char", "int8", "int8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
NAMES = {name: code for code, names in DTYPES.items() for name in names}
TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
COLOURS = ("rgb-color", "rgba-color", "3-color", "4-color", "complex", "3-vector", "covariant-vector")
TIME_UNIT_MS = {"s": 1000.0, "sec": 1000.0, "second": 1000.0, "seconds": 1000.0, "ms": 1.0, "msec": 1.0}
SQUARE_TOLERANCE = 1e-3


def read_nrrd(path: str | Path) -> RawImage:
    """Read a 3-D NRRD, or a 4-D one whose extra axis (frames; for ``.seg.nrrd`` layers) is first or last.

    Raises:
        InputError: not NRRD, truncated, 2-D, colour voxels, or an unknown space or encoding.
    """
    path = Path(path)
    fields, pairs, data = _split(path)
    try:
        return _image(fields, pairs, data, path)
    except InputError:
        raise
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: the NRRD header is damaged ({error}); export the file again.") from error


def _image(fields: dict[str, str], pairs: dict[str, str], data: bytes, path: Path) -> RawImage:
    sizes = [int(v) for v in _need(fields, "sizes", path).split()]
    if len(sizes) < 3:
        raise InputError(f"{path}: is a 2-D image without position in space; a cine or volume (3-D or 4-D) is needed.")
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()]
    if len(sizes) > 4 or any(kind in COLOURS for kind in kinds):
        raise InputError(f"{path}: has colour, vector or more than four-dimensional voxels; save a grey-value image.")
    array = _voxels(fields, data, sizes, path)
    vectors, frame_axis, frame_step = _axes(fields, len(sizes), path)
    if len(sizes) == 3:
        array = array[None]
    elif frame_axis == 0:
        # The fastest axis of the file is the last of the array.
        array = np.moveaxis(array, -1, 0)
    matrix, notes = _lps_matrix(fields, vectors, path)
    times, time_notes = _times(fields, pairs, frame_axis, frame_step, len(array))
    return RawImage(np.ascontiguousarray(array), matrix, times, notes + time_notes, _segments(pairs))


def _split(path: Path) -> tuple[dict[str, str], dict[str, str], bytes]:
    """Fields, key/value pairs and the still encoded data."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if content[:4] != b"NRRD":
        raise InputError(f"{path}: is not an NRRD file; check the name or export it again.")
    end = re.search(rb"\r?\n\r?\n", content)
    header = (content[: end.start()] if end else content).decode("utf-8", errors="replace")
    fields, pairs = {}, {}
    for line in header.splitlines()[1:]:
        if line.startswith("#"):
            continue
        key, separator, value = line.partition(":=")
        if separator:
            pairs[key] = value.replace("\\n", "\n").replace("\\\\", "\\")
            continue
        key, _, value = line.partition(":")
        fields[key.strip().lower()] = value.strip()
    detached = fields.get("data file") or fields.get("datafile")
    if detached:
        file = path.parent / detached
        if not file.is_file():
            raise InputError(f"{path}: its data file '{detached}' is missing (or it is a list of files).")
        return fields, pairs, file.read_bytes()
    return fields, pairs, content[end.end() :] if end else b""


def _need(fields: dict[str, str], key: str, path: Path) -> str:
    if key not in fields:
        raise InputError(f"{path}: the NRRD header has no '{key}'; export the file again.")
    return fields[key]


def _voxels(fields: dict[str, str], data: bytes, sizes: list[int], path: Path) -> np.ndarray:
    """Voxels, slowest axis first."""
    code = NAMES.get(_need(fields, "type", path).lower())
    if code is None:
        raise InputError(f"{path}: voxels of type '{fields['type']}' cannot be read; save a grey-value image.")
    encoding = fields.get("encoding", "raw").lower()
    count = int(np.prod(sizes))
    try:
        if encoding in ("gzip", "gz"):
            data = gzip.decompress(data)
        elif encoding in ("bzip2", "bz2"):
            data = bz2.decompress(data)
        elif encoding in ("ascii", "text", "txt"):
            return np.array(data.split(), code)[:count].reshape(sizes[::-1])
        elif encoding != "raw":
            raise InputError(f"{path}: NRRD encoding '{encoding}' is unknown; save the file with gzip or raw encoding.")
        order = ">" if fields.get("endian", "little").lower() == "big" else "<"
        array = np.frombuffer(data, np.dtype(order + code), count)
        return array.astype(array.dtype.newbyteorder("="), copy=False).reshape(sizes[::-1])
    except InputError:
        raise
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise InputError(f"{path}: the file is truncated or damaged; copy or export it again.") from error


def _vector(text: str) -> list[float] | None:
    return None if text == "none" else [float(v) for v in text.strip("()").split(",")]


def _axes(fields: dict[str, str], n_axes: int, path: Path) -> tuple[np.ndarray, int | None, float | None]:
    """(3, 3) LPS or RAS step of each spatial axis as columns, the frame axis, and its step if the file has one."""
    if "space directions" not in fields:
        spacings = [abs(float(v)) for v in fields.get("spacings", "nan " * n_axes).split()]
        frame = None if n_axes == 3 else 0 if fields.get("kinds", "").lower().startswith(("list", "time")) else 3
        spatial = [np.nan_to_num(s, nan=1.0) for a, s in enumerate(spacings) if a != frame]
        return np.diag(spatial), frame, None if frame is None else spacings[frame]
    vectors = [_vector(text) for text in re.findall(r"none|\([^)]*\)", fields["space directions"])]
    if len(vectors) != n_axes:
        raise InputError(f"{path}: the NRRD header has {len(vectors)} space directions for {n_axes} axes.")
    step = None
    if n_axes == 4 and all(v is not None and len(v) == 4 for v in vectors):
        # ITK writes time as a fourth dimension of space.
        step = abs(vectors[3][3])
        vectors = [v[:3] for v in vectors[:3]] + [None]
    missing = [axis for axis, v in enumerate(vectors) if v is None]
    if len(missing) != n_axes - 3 or missing not in ([], [0], [n_axes - 1]):
        raise InputError(f"{path}: needs three spatial axes and at most one of frames, first or last.")
    matrix = np.array([v for v in vectors if v is not None], float).T
    if matrix.shape != (3, 3) or abs(np.linalg.det(matrix)) < 1e-9:
        raise InputError(f"{path}: the space directions of the NRRD header are not usable.")
    return matrix, missing[0] if missing else None, step


def _lps_matrix(fields: dict[str, str], vectors: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    space = fields.get("space", "").lower().removesuffix("-time")
    notes = []
    if not space:
        if "space dimension" not in fields:
            notes.append("the header has no orientation")
        space = "lps"
    if space not in TO_LPS:
        raise InputError(f"{path}: NRRD space '{space}' is not an anatomical frame; save the file as LPS or RAS.")
    flip = np.diag(np.array(TO_LPS[space], float))
    origin = (_vector(fields["space origin"]) if "space origin" in fields else None) or [0.0, 0.0, 0.0]
    direction = direction_of(vectors)
    error = orthonormality_error(direction)
    if error > SQUARE_TOLERANCE:
        notes.append(f"direction cosines were not orthonormal (by {error:.2g}): the nearest orthonormal frame is used")
    matrix = matrix_from(flip @ np.array(origin[:3]), flip @ nearest_orthonormal(direction), spacing_of(vectors))
    return matrix, tuple(notes)


def _times(fields, pairs, axis: int | None, step: float | None, n_frames: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """(T,) frame times in ms from the index values of a Slicer sequence or MultiVolume, else from the axis step."""
    if axis is None or n_frames == 1:
        return np.zeros(n_frames), ()
    text = pairs.get(f"axis {axis} index values") or pairs.get("MultiVolume.FrameLabels") or ""
    try:
        values = np.array([float(v) for v in text.replace(",", " ").split()])
    except ValueError:
        values = np.zeros(0)
    units = re.findall(r'"([^"]*)"', fields.get("units", ""))
    unit_name = units[axis] if len(units) > axis else pairs.get("MultiVolume.FrameIdentifyingDICOMTagUnits", "")
    unit = TIME_UNIT_MS.get(unit_name.lower())
    if values.size != n_frames or (np.diff(values) < 0).any():
        known = 0.0 if step is None or not np.isfinite(step) else step
        return even_times_ms(n_frames, known, unit)
    span = float(values[-1] - values[0]) * n_frames / (n_frames - 1)
    low, high = PLAUSIBLE_BEAT_MS
    for scale in (unit, 1.0, 1000.0):
        if scale is not None and low <= span * scale <= high:
            return values * scale, ()
    return even_times_ms(n_frames, 0.0, unit)


def _segments(pairs: dict[str, str]) -> tuple[dict[str, str], ...]:
    """Facts of each segment of a ``.seg.nrrd``: Name, LabelValue, Layer, Tags, ID."""
    segments: dict[int, dict[str, str]] = {}
    for key, value in pairs.items():
        match = re.fullmatch(r"Segment(\d+)_(\w+)", key)
        if match:
            segments.setdefault(int(match.group(1)), {})[match.group(2)] = value
    return tuple(segments[number] for number in sorted(segments))
