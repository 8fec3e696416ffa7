"""The moving mesh as an animated picture."""

import io

import numpy as np

from CardiacLib.types.bivmesh import PATCH_RGB, PATCHES, MovingMesh
from CardiacLib.types.times import beat_ms

from .mesh_view import colours_of, cut_open, draw, heart_frame
from .pictures import Picture, in_page

BACKGROUND = "#f4f5f7"
COLOURS = 96
SIDE, TITLE = 315, 20
"""Pixels of a view, and of the line above it."""
SHOWN_BEAT_MS = 1000.0
"""Of a cycle without times."""
MOST_FRAMES = 25
"""A cine of more frames is shown with every second, third, ... of them."""


def motion_view(moving: MovingMesh) -> Picture:
    """The mesh over the cycle from the front and cut open, as a GIF that loops in real time."""
    pictures = [image for _, image in motion_frames(moving)]
    cycle_ms = beat_ms(moving) or SHOWN_BEAT_MS
    stream = io.BytesIO()
    pictures[0].save(
        stream,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=max(round(cycle_ms / len(pictures)), 20),
        loop=0,
    )
    source = in_page(stream.getvalue(), "image/gif")
    return Picture("The biventricular mesh over the cardiac cycle, from the front and cut open", source=source)


def motion_frames(moving: MovingMesh):
    """(frame, PIL image) one after the other; the cut runs through the same tetrahedra in all of them."""
    mesh = moving.mesh
    right, front, up = heart_frame(mesh)
    outside = (mesh.triangles, colours_of(mesh.patches, PATCHES, PATCH_RGB))
    views = (("From the front", outside), ("Cut open", cut_open(mesh, front)))
    axes = np.column_stack([right, front, up])
    along = mesh.nodes @ axes
    middle = axes @ (along.max(0) + along.min(0)) / 2
    reach = (along.max(0) - along.min(0)).max() / 2 * 1.05
    for t in range(0, len(moving), -(-len(moving) // MOST_FRAMES)):
        when = f"frame {t + 1}" if moving.times_ms is None else f"{moving.times_ms[t]:.0f} ms"
        yield t, _picture((moving.nodes(t) - middle) / reach, views, (right, up), when)


def _picture(nodes, views, directions, when: str):
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (SIDE * len(views), SIDE + TITLE), BACKGROUND)
    text, font = ImageDraw.Draw(picture), ImageFont.load_default(TITLE * 0.6)
    for number, (name, surface) in enumerate(views):
        drawn = draw(nodes, surface, directions, SIDE)
        picture.paste(drawn, (SIDE * number, TITLE), drawn)
        middle = (SIDE * (number + 0.5), TITLE / 2)
        text.text(middle, f"{name}, {when}", fill="#555d66", font=font, anchor="mm")
    return picture.quantize(COLOURS)
