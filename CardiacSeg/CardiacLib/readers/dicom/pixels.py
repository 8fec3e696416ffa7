"""Load pixels of DICOM frames: rescaled, bright for much signal, no padding; a multi-frame file is decoded once."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

from .headers import FrameHeader, reason_of
from .log import warnings_to_log


@dataclass(frozen=True, eq=False)
class _Stored:
    """Values of a file as they are stored, (N, J, I) or (J, I).

    ``padding`` marks pixels that are no signal (None: there are none). ``rescaled``: slope and intercept were applied
    by the decoder.
    """

    values: np.ndarray
    padding: np.ndarray | None = None
    rescaled: bool = False


class PixelLoader:
    """Loads frames of one study; remembers the last multi-frame file, which several planes share.

    Args:
        inverted: the study's frames that are stored as MONOCHROME1 (white is little signal).
    """

    def __init__(self, inverted: list[FrameHeader] | None = None):
        self._path: Path | None = None
        self._file: _Stored | None = None
        self._inverted = inverted or []
        self._white: float | None = None

    def load(self, frames: list[FrameHeader]) -> np.ndarray:
        """Pixels of the frames of one plane, float32 (T, J, I), rescaled by slope and intercept.

        MONOCHROME1 is turned over; pixels that the header calls padding are as dark as the darkest others.

        Raises:
            InputError: truncated pixel data, pixels that contradict their header, or a compression that nothing
                installed decodes.
        """
        out = np.empty((len(frames), *frames[0].shape), np.float32)
        outside = np.zeros(out.shape, bool)
        for number, frame in enumerate(frames):
            stored = self._stored(frame)
            if stored.values.shape != frame.shape:
                raise InputError(f"{frame.path}: pixel data of shape {stored.values.shape} instead of {frame.shape}.")
            slope, intercept = (1.0, 0.0) if stored.rescaled else frame.scaling
            values = self._white_of_study() - stored.values if frame.inverted else stored.values
            out[number] = values * np.float32(slope) + np.float32(intercept)
            if stored.padding is not None:
                outside[number] = stored.padding
        if outside.any():
            out[outside] = 0.0 if outside.all() else out[~outside].min()
        return out

    def digest(self, frame: FrameHeader) -> bytes:
        """The same for equal pixels."""
        stored = self._stored(frame)
        scaling = (1.0, 0.0) if stored.rescaled else frame.scaling
        return hashlib.sha256(repr((scaling, frame.inverted)).encode() + stored.values.tobytes()).digest()

    def _white_of_study(self) -> float:
        """What inverted values are taken from: the largest number of so many bits as the study's pixels need."""
        if self._white is None:
            most = max(self._signal(self._stored(frame)) for frame in self._inverted)
            self._white = 2.0 ** np.ceil(np.log2(max(most, 1.0) + 1.0)) - 1.0
        return self._white

    @staticmethod
    def _signal(stored: _Stored) -> float:
        """The largest stored value that is no padding."""
        values = stored.values if stored.padding is None else stored.values[~stored.padding]
        return float(values.max()) if values.size else 0.0

    def _stored(self, frame: FrameHeader) -> _Stored:
        """One frame's stored values."""
        if frame.index is None:
            return _decode(frame)
        if frame.path != self._path:
            self._file = _decode(frame)
            self._path = frame.path
        pixels = self._file.values if self._file.values.ndim == 3 else self._file.values[None]
        if frame.index >= len(pixels):
            raise InputError(f"{frame.path}: has {len(pixels)} of at least {frame.index + 1} frames; export it again.")
        padding = None if self._file.padding is None else self._file.padding.reshape(pixels.shape)[frame.index]
        return _Stored(pixels[frame.index], padding, self._file.rescaled)


def _decode(frame: FrameHeader) -> _Stored:
    import pydicom

    try:
        with warnings_to_log(frame.path):
            dataset = pydicom.dcmread(frame.path, force=True)
            syntax = getattr(dataset.file_meta, "TransferSyntaxUID", None)
            padding = _padding(dataset)
            if syntax is None:
                dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            elif syntax.is_compressed and not _can_decode(syntax):
                values = _decode_with_itk(frame, syntax)
                return _Stored(values, _within(values, padding, frame.scaling), rescaled=True)
            values = dataset.pixel_array
            words = _words(dataset, values.shape)
    except InputError:
        raise
    except Exception as error:
        # pydicom raises many kinds here; for the user all of them mean that the pixel data are not whole.
        raise InputError(
            f"{frame.path}: the pixel data are truncated or damaged ({reason_of(error)}); copy or export it again."
        ) from error
    words = values if words is None else words
    outside = _within(words, padding)
    _require_bits(words if outside is None else words[~outside], dataset, frame.path)
    return _Stored(values, outside)


def _words(dataset, shape: tuple[int, ...]) -> np.ndarray | None:
    """All bits of uncompressed pixels, of which pydicom gives only those that the header calls stored."""
    size = int(dataset.BitsAllocated) // 8
    if dataset.file_meta.TransferSyntaxUID.is_compressed or size not in (1, 2, 4):
        return None
    kind = "i" if int(dataset.get("PixelRepresentation") or 0) else "u"
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    return np.frombuffer(dataset.PixelData, f"{order}{kind}{size}", int(np.prod(shape))).reshape(shape)


def _within(values: np.ndarray, span: tuple[float, float] | None, scaling=(1.0, 0.0)) -> np.ndarray | None:
    """Where values lie in a span of stored values, None for nowhere."""
    if span is None:
        return None
    low, high = sorted(value * scaling[0] + scaling[1] for value in span)
    inside = (values >= low) & (values <= high)
    return inside if inside.any() else None


def _padding(dataset) -> tuple[float, float] | None:
    """Least and largest stored value of padding: PixelPaddingValue to PixelPaddingRangeLimit."""
    values = [dataset.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    try:
        numbers = [int(value) for value in values if value not in (None, "", b"")]
    except (TypeError, ValueError):
        return None
    if values[0] in (None, "", b""):
        return None
    # The value representation of these elements is often written wrongly: the bits count.
    size = 1 << int(dataset.get("BitsAllocated") or 16)
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    numbers = [(n + size // 2) % size - size // 2 if signed else n % size for n in numbers]
    return float(min(numbers)), float(max(numbers))


def _require_bits(words: np.ndarray, dataset, path: Path) -> None:
    """Raise InputError if pixels do not fit into Bits Stored, unless overlays lie in the bits above them."""
    bits = int(dataset.get("BitsStored") or dataset.get("BitsAllocated") or 16)
    if not words.size or words.dtype.kind not in "iu" or bits >= words.dtype.itemsize * 8:
        return
    # Of tags, not of elements: those are decoded when they are asked for.
    if any(tag.group >> 8 == 0x60 and tag.element == 0x0102 and dataset[tag].value for tag in dataset.keys()):  # noqa: SIM118
        return
    # A negative number has its upper bits set, or cleared.
    low, high = (-(1 << (bits - 1)) if words.dtype.kind == "i" else 0), (1 << bits) - 1
    if words.min() < low or words.max() > high:
        raise InputError(
            f"{path}: BitsStored says {bits} bits, but its pixels go from {words.min()} to {words.max()}; which of "
            "them is right cannot be told, export the images again."
        )


def _can_decode(syntax) -> bool:
    try:
        from pydicom.pixels import get_decoder
    except ImportError:  # pydicom 2, as Slicer 5.10 brings it: SimpleITK's decoders serve
        return False
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _decode_with_itk(frame: FrameHeader, syntax) -> np.ndarray:
    """Pixels by SimpleITK, which brings decoders of its own and rescales by itself; classic files only."""
    import SimpleITK as sitk

    reason = InputError(
        f"{frame.path}: is compressed ({syntax.name}) and no decoder is installed; "
        "run 'pip install python-gdcm' or export the study uncompressed."
    )
    if frame.index is not None:
        raise reason
    try:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(frame.path), imageIO="GDCMImageIO"))
    except RuntimeError as error:
        raise reason from error
    return array[0] if array.ndim == 3 else array
