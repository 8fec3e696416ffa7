"""Read NRRD files with pynrrd: volumes, Slicer's volume sequences (``.seq.nrrd``), segmentations (``.seg.nrrd``).

Not with SimpleITK: the axis of frames or layers may stand first or last, and it drops frame times. Source of what
the fields mean: teem.sourceforge.net/nrrd/format.html and Slicer's Sequences and Segmentations documentation.
"""

import re
import zlib
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.file_grid import FileGrid
from CardiacLib.geometry import with_square_axes

from .axes import NO_SIZE
from .raw import PLAUSIBLE_BEAT_MS, RawImage, even_times_ms

TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
COLOURS = {"rgb-color", "rgba-color", "3-color", "4-color", "complex", "3-vector", "covariant-vector"}
TIME_UNIT_MS = {"s": 1000.0, "sec": 1000.0, "second": 1000.0, "seconds": 1000.0, "ms": 1.0, "msec": 1.0}


def read_nrrd(path: str | Path) -> RawImage:
    """Read a 3-D NRRD, or a 4-D one whose extra axis (frames; for ``.seg.nrrd`` layers) is first or last.

    Raises:
        InputError: not NRRD, truncated, 2-D, colour voxels, or an unknown space or encoding.
    """
    from nrrd.errors import NRRDError

    path = Path(path)
    try:
        with open(path, "rb") as stream:
            header = _header(stream, path)
            vectors, frame_axis, frame_step = _axes(header, path)
            matrix, notes = _lps_matrix(header, vectors, path)
            array = _voxels(header, stream, path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except KeyError as error:
        raise InputError(f"{path}: the NRRD header has no {error}; export the file again.") from error
    except (NRRDError, ValueError, IndexError) as error:
        raise InputError(f"{path}: the NRRD header is damaged ({error}); export the file again.") from error
    if array.ndim == 3:
        array = array[None]
    elif frame_axis == 0:
        # The fastest axis of the file is the last of the array.
        array = np.moveaxis(array, -1, 0)
    segments = _segments(header)
    # Layers of a segmentation are no frames.
    times, time_notes = (np.zeros(len(array)), ()) if segments else _times(header, frame_axis, frame_step, len(array))
    grid = FileGrid(sized=_has_size(header, frame_axis))
    notes += time_notes if grid.sized else (NO_SIZE, *time_notes)
    return RawImage(np.ascontiguousarray(array), matrix, times, notes, segments, grid)


def _header(stream, path: Path) -> dict:
    """Fields and key/value pairs of a volume or cine; the stream stands at the data afterwards."""
    import nrrd

    if stream.read(4) != b"NRRD":
        raise InputError(f"{path}: is not an NRRD file; check the name or export it again.")
    stream.seek(0)
    # Lines are handed over as text, because pynrrd drops the letters of names that are not ASCII.
    header = nrrd.read_header(line.decode("utf-8", errors="replace") for line in iter(stream.readline, b""))
    n_axes = len(header["sizes"])
    if n_axes < 3:
        raise InputError(f"{path}: is a 2-D image without position in space; a cine or volume (3-D or 4-D) is needed.")
    if n_axes > 4 or COLOURS.intersection(kind.lower() for kind in header.get("kinds", ())):
        raise InputError(f"{path}: has colour, vector or more than four-dimensional voxels; save a grey-value image.")
    return header


def _voxels(header: dict, stream, path: Path) -> np.ndarray:
    """Voxels, slowest axis first."""
    import nrrd

    try:
        array = nrrd.read_data(header, stream, str(path), index_order="C")
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise InputError(f"{path}: its data file '{name}' is missing (or it is a list of files).") from error
    except KeyError as error:
        raise InputError(f"{path}: voxels of type {error} cannot be read; save a grey-value image.") from error
    except (nrrd.errors.NRRDError, EOFError, OSError, ValueError, zlib.error) as error:
        raise InputError(
            f"{path}: the file is truncated, damaged or packed in an unknown way ({error}); "
            "copy it again or save it with gzip or raw encoding."
        ) from error
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _axes(header: dict, path: Path) -> tuple[np.ndarray, int | None, float | None]:
    """(3, 3) LPS or RAS step of each spatial axis as columns, the frame axis, and its step if the file has one."""
    n_axes = len(header["sizes"])
    if "space directions" not in header:
        spacings = np.abs(header.get("spacings", np.full(n_axes, np.nan)))
        first = header.get("kinds", [""])[0].lower() in ("list", "time")
        frame = None if n_axes == 3 else 0 if first else 3
        spatial = [np.nan_to_num(s, nan=1.0) for a, s in enumerate(spacings) if a != frame]
        return np.diag(spatial), frame, None if frame is None else float(spacings[frame])
    # Axes without direction are None or NaN, by the version of pynrrd.
    vectors = [None if v is None or np.isnan(v).all() else v for v in header["space directions"]]
    if len(vectors) != n_axes:
        raise InputError(f"{path}: the NRRD header has {len(vectors)} space directions for {n_axes} axes.")
    step = None
    if n_axes == 4 and all(v is not None and len(v) == 4 for v in vectors):
        # ITK writes time as a fourth dimension of space.
        step = abs(float(vectors[3][3]))
        vectors = [v[:3] for v in vectors[:3]] + [None]
    missing = [axis for axis, v in enumerate(vectors) if v is None]
    if len(missing) != n_axes - 3 or missing not in ([], [0], [n_axes - 1]):
        raise InputError(f"{path}: needs three spatial axes and at most one of frames, first or last.")
    matrix = np.array([v for v in vectors if v is not None], float).T
    if matrix.shape != (3, 3) or abs(np.linalg.det(matrix)) < 1e-9:
        raise InputError(f"{path}: the space directions of the NRRD header are not usable.")
    return matrix, missing[0] if missing else None, step


def _has_size(header: dict, frame_axis: int | None) -> bool:
    """Whether the header gives the voxel size along every spatial axis, by directions or by spacings."""
    spacings = header.get("spacings", np.full(len(header["sizes"]), np.nan))
    return "space directions" in header or bool(
        np.isfinite([s for a, s in enumerate(spacings) if a != frame_axis]).all()
    )


def _lps_matrix(header: dict, vectors: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    space = header.get("space", "").lower().removesuffix("-time")
    oriented = space or "space dimension" in header
    if (space or "lps") not in TO_LPS:
        raise InputError(f"{path}: NRRD space '{space}' is not an anatomical frame; save the file as LPS or RAS.")
    origin = header.get("space origin", np.zeros(3))[:3]
    matrix = np.vstack([np.column_stack([vectors, origin]), [0, 0, 0, 1]])
    matrix, notes = with_square_axes(np.diag([*TO_LPS[space or "lps"], 1]) @ matrix)
    return matrix, notes if oriented else ("the header has no orientation", *notes)


def _times(
    header: dict, axis: int | None, step: float | None, n_frames: int
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(T,) frame times in ms from the index values of a Slicer sequence or MultiVolume, else from the axis step."""
    if axis is None or n_frames == 1:
        return np.zeros(n_frames), ()
    text = header.get(f"axis {axis} index values") or header.get("MultiVolume.FrameLabels") or ""
    try:
        values = np.array([float(v) for v in text.replace(",", " ").split()])
    except ValueError:
        values = np.zeros(0)
    units = header.get("units", ())
    unit_name = units[axis] if len(units) > axis else header.get("MultiVolume.FrameIdentifyingDICOMTagUnits", "")
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


def _segments(header: dict) -> tuple[dict[str, str], ...]:
    """Facts of each segment of a ``.seg.nrrd``: Name, LabelValue, Layer, Tags, ID."""
    segments: dict[int, dict[str, str]] = {}
    for key, value in header.items():
        match = re.fullmatch(r"Segment(\d+)_(\w+)", key)
        if match:
            segments.setdefault(int(match.group(1)), {})[match.group(2)] = value
    return tuple(segments[number] for number in sorted(segments))
