"""An MP4 of a cine: VP9 by OpenCV, whose FFmpeg is an LGPL build; browsers and VLC play it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

LEAST_SECONDS = 2.0
"""Players stop at the end: the beat is repeated until the video lasts so long."""
CODEC = "vp09"


def write_mp4(path: Path, pictures: Sequence[np.ndarray], durations_ms: Sequence[int]) -> int:
    """Write pictures as a video of whole heart beats.

    A video has one frame rate, so every frame is shown for the mean of the durations; the beat takes its time.

    Args:
        path: of the file, which ends with ``.mp4``.
        pictures: RGB (H, W, 3) uint8 of the frames of one beat, all of one size.
        durations_ms: of each frame.

    Returns:
        The number of beats.

    Raises:
        InputError: OpenCV is not installed or has no encoder.
    """
    cv2 = import_opencv()
    seconds = sum(durations_ms) / 1000.0
    beats = max(1, int(np.ceil(LEAST_SECONDS / seconds)))
    frames = [_even(picture)[..., ::-1].copy() for picture in pictures]
    height, width = frames[0].shape[:2]
    code = cv2.VideoWriter_fourcc(*CODEC)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, len(frames) / seconds, (width, height))
    try:
        if not writer.isOpened():
            raise InputError(f"{path}: this OpenCV cannot write VP9; install opencv-python-headless, or write a .gif.")
        for frame in frames * beats:
            writer.write(frame)
    finally:
        writer.release()
    return beats


def import_opencv():
    """The library cv2; InputError where it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise InputError("An MP4 needs OpenCV: 'pip install cineheart[video]', or write a .gif.") from error
    return cv2


def _even(picture: np.ndarray) -> np.ndarray:
    """The picture with its last row and column repeated where their number is odd: colours are kept of 2 x 2 pixels."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
