"""The valve points in all frames of a view: one picture of them side by side, and one that moves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb

from CardiacLib.types.landmarks import VALVE_COLOURS

from .pictures import caption, dark_figure
from .valves import draw_points

if TYPE_CHECKING:
    from CardiacLandmarksLib.detect.study_landmarks import ViewLandmarks

TILE_INCHES = 1.9
MOVING_INCHES = 4.2
GREYS = 200
SHADES = 10
"""Of each valve's colour, from black on: a palette made from the picture would lose the few coloured points."""
LEAST_FRAME_MS = 20
"""Browsers show frames of a shorter time more slowly."""


def write_valve_pictures(points: ViewLandmarks, folder: Path) -> tuple[Path, Path]:
    """``valves_<view>.png``, all frames side by side, and ``valves_<view>.gif``, which loops in real time.

    Crosses are what the network found in the frame by itself, dots the smooth paths; colours by valve.

    Args:
        points: of one view.
        folder: an existing folder.
    """
    paths = tuple(folder / f"valves_{points.cine.view}.{kind}" for kind in ("png", "gif"))
    _montage(points).savefig(paths[0], dpi=100, facecolor="black")
    palette = _palette()
    pictures = [_picture(points, frame).quantize(palette=palette, dither=0) for frame in range(points.cine.n_frames)]
    time_ms = max(round(points.beat_ms / len(pictures)), LEAST_FRAME_MS)
    pictures[0].save(paths[1], "GIF", save_all=True, append_images=pictures[1:], duration=time_ms, loop=0)
    return paths


def _montage(points: ViewLandmarks):
    count = points.cine.n_frames
    columns = int(np.ceil(np.sqrt(1.3 * count)))
    lines = -(-count // columns)
    figure = dark_figure(TILE_INCHES * columns, TILE_INCHES * lines)
    for frame in range(count):
        line, column = divmod(frame, columns)
        box = (column / columns, 1 - (line + 1) / lines, 1 / columns - 0.002, 1 / lines - 0.002)
        draw_points(figure.add_axes(box), points, frame)
        caption(figure.axes[-1], str(frame + 1))
    return figure


def _picture(points: ViewLandmarks, frame: int):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure = dark_figure(MOVING_INCHES, MOVING_INCHES)
    canvas = FigureCanvasAgg(figure)
    draw_points(figure.add_axes((0.0, 0.0, 1.0, 1.0)), points, frame)
    caption(figure.axes[-1], f"{points.cine.view.upper()}, frame {frame + 1} of {points.cine.n_frames}")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _palette():
    """A picture whose palette holds greys and the valves' colours."""
    from PIL import Image

    greys = np.linspace(0.0, 1.0, GREYS)[:, None] * np.ones(3)
    darker = np.arange(1, SHADES + 1)[:, None] / SHADES
    colours = [greys] + [darker * np.array(to_rgb(colour)) for colour in VALVE_COLOURS.values()]
    image = Image.new("P", (1, 1))
    image.putpalette(np.rint(255 * np.concatenate(colours)).astype(np.uint8).tobytes())
    return image
