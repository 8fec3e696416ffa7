"""Load pixels of DICOM frames, rescaled; a multi-frame file is decoded once."""

from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

from .headers import FrameHeader


class PixelLoader:
    """Loads frames of one study; remembers the last multi-frame file, which several planes share."""

    def __init__(self):
        self._path: Path | None = None
        self._frames: np.ndarray | None = None

    def load(self, frames: list[FrameHeader]) -> np.ndarray:
        """Pixels of the frames of one plane, float32 (T, J, I), rescaled by slope and intercept.

        Raises:
            InputError: truncated pixel data, or a compression that nothing installed decodes.
        """
        out = np.empty((len(frames), *frames[0].shape), np.float32)
        for number, frame in enumerate(frames):
            pixels, (slope, intercept) = self._pixels(frame)
            if pixels.shape != frame.shape:
                raise InputError(f"{frame.path}: pixel data of shape {pixels.shape} instead of {frame.shape}.")
            out[number] = pixels * np.float32(slope) + np.float32(intercept)
        return out

    def _pixels(self, frame: FrameHeader) -> tuple[np.ndarray, tuple[float, float]]:
        """One frame's stored values, and the scaling that they still need."""
        if frame.index is None:
            return _decode(frame)
        if frame.path != self._path:
            self._frames, _ = _decode(frame)
            self._path = frame.path
        pixels = self._frames if self._frames.ndim == 3 else self._frames[None]
        if frame.index >= len(pixels):
            raise InputError(f"{frame.path}: has {len(pixels)} of at least {frame.index + 1} frames; export it again.")
        return pixels[frame.index], frame.scaling


def _decode(frame: FrameHeader) -> tuple[np.ndarray, tuple[float, float]]:
    import pydicom

    try:
        dataset = pydicom.dcmread(frame.path, force=True)
        syntax = getattr(dataset.file_meta, "TransferSyntaxUID", None)
        if syntax is None:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        elif syntax.is_compressed and not _can_decode(syntax):
            return _decode_with_itk(frame, syntax), (1.0, 0.0)
        return dataset.pixel_array, frame.scaling
    except InputError:
        raise
    except Exception as error:
        # pydicom raises many kinds here; for the user all of them mean that the pixel data are not whole.
        raise InputError(
            f"{frame.path}: the pixel data are truncated or damaged; copy or export the file again."
        ) from error


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
