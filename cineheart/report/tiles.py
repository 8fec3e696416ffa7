"""Grey images side by side with lines, points and captions, drawn by Pillow: for print, and without scripts."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .pictures import Picture

_GAP = 2


@dataclass(frozen=True)
class Crop:
    """What of an image is shown, and how large.

    Attributes:
        box: rows and columns of the image.
        spacing_ij: mm between columns and between rows.
        width: of the tile, pixels of the page.
    """

    box: tuple[slice, slice]
    spacing_ij: tuple[float, float]
    width: int

    @property
    def scale(self) -> np.ndarray:
        """(2,) pixels of the tile per pixel of the image, x and y: in true proportions."""
        across = self.width / (self.box[1].stop - self.box[1].start)
        return np.array([across, across * self.spacing_ij[1] / self.spacing_ij[0]])

    def place(self, xy: np.ndarray) -> np.ndarray:
        """Where points (N, 2) of the image lie in the tile; pixel centres are whole numbers in the image."""
        return (np.asarray(xy, float) - (self.box[1].start, self.box[0].start) + 0.5) * self.scale


class Tile:
    """One image of a sheet."""

    def __init__(self, image: np.ndarray, crop: Crop, window: tuple[float, float]):
        """An image (J, I) between the grey values of a window."""
        from PIL import Image, ImageDraw

        rows, columns = crop.box
        grey = as_bytes(image[rows, columns], window)
        size = np.rint(crop.scale * grey.shape[::-1]).astype(int)
        self.crop = crop
        self.picture = Image.fromarray(grey).resize(tuple(size), Image.Resampling.BICUBIC).convert("RGB")
        self._draw = ImageDraw.Draw(self.picture)

    def lines(self, lines: Iterable[np.ndarray], colour: str, width: int = 2) -> None:
        for line in lines:
            self._draw.line([tuple(xy) for xy in self.crop.place(line)], fill=colour, width=width, joint="curve")

    def dot(self, xy, colour: str, radius: float = 4.5) -> None:
        x, y = self.crop.place(np.asarray(xy)[None])[0]
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline="black")

    def cross(self, xy, colour: str, reach: float = 7.0) -> None:
        x, y = self.crop.place(np.asarray(xy)[None])[0]
        self._draw.line((x - reach, y, x + reach, y), fill=colour)
        self._draw.line((x, y - reach, x, y + reach), fill=colour)

    def caption(self, text: str) -> None:
        from PIL import ImageFont

        font = ImageFont.load_default(16)
        self._draw.text((6, 4), text, font=font, fill="white", stroke_width=2, stroke_fill="black")


def as_bytes(image: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Uint8 of grey values within a window."""
    low, high = window
    return np.rint(255 * np.clip((image - low) / (high - low), 0.0, 1.0)).astype(np.uint8)


def sheet(tiles: list[Tile], columns: int, alt: str) -> Picture:
    """Tiles line by line as one picture; a line is as high as its highest tile."""
    from PIL import Image

    lines = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(tile.picture.height for tile in line) for line in lines]
    widths = [max(line[n].picture.width for line in lines if n < len(line)) for n in range(len(lines[0]))]
    size = sum(widths) + _GAP * (len(widths) - 1), sum(heights) + _GAP * (len(heights) - 1)
    whole, top = Image.new("RGBA", size), 0  # clear between the tiles, whatever the page's colour
    for line, height in zip(lines, heights, strict=True):
        left = 0
        for tile, width in zip(line, widths, strict=False):
            at = left + (width - tile.picture.width) // 2, top + (height - tile.picture.height) // 2
            whole.paste(tile.picture, at)
            left += width + _GAP
        top += height + _GAP
    stream = io.BytesIO()
    whole.save(stream, "PNG", compress_level=2)
    return Picture(alt, source="data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii"))
