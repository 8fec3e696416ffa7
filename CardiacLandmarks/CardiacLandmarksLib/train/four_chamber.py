"""The real four-chamber frames: images, derived mitral points with their trust, tricuspid points read by eye.

Neither their view nor the absence of the other views' points is taught by them: as they are the only real images in
training, a network would learn that what looks real is a four-chamber view.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.landmarks import LANDMARK_NAMES

from .examples import CANVAS, PRESENT, UNKNOWN, UNKNOWN_VIEW, Cutouts, Examples, to_bytes

PIXEL_MM = 1.15
"""Side of a pixel that is taken for these images, which state none: it makes the median LV cavity 92 mm long."""
VALIDATION_EVERY, VALIDATION_REMAINDER = 5, 1
"""Patients whose number leaves this remainder are for validation and never trained on."""
MITRAL = (LANDMARK_NAMES.index("mitral septal 4CH"), LANDMARK_NAMES.index("mitral free wall 4CH"))
TRICUSPID = (LANDMARK_NAMES.index("tricuspid septal"), LANDMARK_NAMES.index("tricuspid free wall"))
DOUBT_CHECKED, DOUBT_FAIR, DOUBT_UNCHECKED, DOUBT_POOR = 0.02, 0.1, 0.3, 0.6
"""Probability that a point is wrong: judged right by eye, read with fair confidence, derived and never looked at, and
derived where the mask's shape makes its corners doubtful. Of the derived points looked at, 30 % were wrong."""


@dataclass(frozen=True)
class FourChamberFrames:
    """Frames of one split: names ``files`` (N), ``examples`` (N), ``read`` (N,) whether someone looked at them."""

    files: tuple[str, ...]
    examples: Examples
    read: np.ndarray

    def where(self, chosen: np.ndarray) -> "FourChamberFrames":
        """The frames where a boolean (N,) is true."""
        files = tuple(file for file, wanted in zip(self.files, chosen, strict=True) if wanted)
        return FourChamberFrames(files, self.examples.where(chosen), self.read[chosen])


def is_validation(file: str) -> bool:
    """Whether a frame (``ch4_<patient>_<frame>.jpg``) belongs to a validation patient."""
    return int(file.split("_")[1]) % VALIDATION_EVERY == VALIDATION_REMAINDER


def read_four_chamber(root: str | Path, validation: bool) -> FourChamberFrames:
    """The frames of one split.

    Args:
        root: folder with ``images/``, ``points.csv`` and ``tricuspid_points.csv``.
        validation: which split.

    Raises:
        InputError: the folder holds no such data.
    """
    root = Path(root)
    for name in ("points.csv", "tricuspid_points.csv"):
        if not (root / name).is_file():
            raise InputError(f"{root}: there is no {name}; give the folder of the four-chamber frames.")
    read = {row["file"]: row for row in _rows(root / "tricuspid_points.csv")}
    files, parts, was_read = [], [], []
    for row in _rows(root / "points.csv"):
        seen = read.get(row["file"])
        if is_validation(row["file"]) != validation:
            continue
        files.append(row["file"])
        was_read.append(seen is not None)
        parts.append(_example(root / "images" / row["file"], row, seen))
    return FourChamberFrames(tuple(files), Examples.join(parts), np.array(was_read))


def read_cutouts(root: str | Path, frames: FourChamberFrames) -> Cutouts:
    """Frames with the apex and the hand-drawn LV cavity, to cut hearts out of them.

    Args:
        root: folder of :func:`read_four_chamber`, with ``lv_masks/`` as well.
        frames: of that folder.

    Raises:
        InputError: a mask or an apex is missing.
    """
    root = Path(root)
    rows = {row["file"]: row for row in _rows(root / "points.csv")}
    cover = np.zeros((len(frames.files), CANVAS, CANVAS), np.uint8)
    apex = np.empty((len(frames.files), 2), np.float32)
    for n, file in enumerate(frames.files):
        row = rows[file]
        if "apex_y" not in row:
            raise InputError(f"{root / 'points.csv'}: there is no column apex_y; mixed images need the apex.")
        apex[n] = float(row["apex_y"]), float(row["apex_x"])
        mask = _grey(root / "lv_masks" / file)
        cover[n, : mask.shape[0], : mask.shape[1]] = np.where(mask < 128, 255, 0)
    return Cutouts(frames.examples, apex, cover)


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _example(path: Path, mitral: dict[str, str], seen: dict[str, str] | None) -> Examples:
    image = _grey(path)
    count = len(LANDMARK_NAMES)
    points = np.full((1, count, 2), np.nan, np.float32)
    state = np.full((1, count), UNKNOWN, np.uint8)
    doubt = np.zeros((1, count), np.float32)

    def put(which, row, names, doubts):
        points[0, which] = [[float(row[f"{name}_y"]), float(row[f"{name}_x"])] for name in names]
        state[0, which], doubt[0, which] = PRESENT, doubts

    if seen is None or seen["mitral_ok"] == "1":
        trusted = DOUBT_UNCHECKED if _looks_right(mitral) else DOUBT_POOR
        put(MITRAL, mitral, ("septal", "lateral"), trusted if seen is None else DOUBT_CHECKED)
    if seen is not None and int(seen["conf"]) >= 1:
        put(TRICUSPID, seen, ("ts", "tf"), DOUBT_CHECKED if seen["conf"] == "2" else DOUBT_FAIR)
    return Examples(
        images=to_bytes(image)[None],
        points=points,
        state=state,
        doubt=doubt,
        view=np.full(1, UNKNOWN_VIEW, np.uint8),
        pixel_mm=np.full(1, PIXEL_MM, np.float32),
        size=np.array([image.shape], np.int32),
    )


def _looks_right(row: dict[str, str]) -> bool:
    return float(row["perp"]) > 0.6 and float(row["far"]) > 1.2 and float(row["side_conf"]) > 0.15


def _grey(path: Path) -> np.ndarray:
    """Grey image (rows, columns), float32."""
    from PIL import Image

    if not path.is_file():
        raise InputError(f"{path}: there is no such image; the folder of the four-chamber frames is not complete.")
    image = np.asarray(Image.open(path).convert("L"), np.float32)
    if max(image.shape) > CANVAS:
        raise InputError(f"{path}: is larger than {CANVAS} pixels; these frames have 246 x 246.")
    return image
