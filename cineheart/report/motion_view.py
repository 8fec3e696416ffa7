"""The moving mesh as an animated picture."""

import base64
import io

import numpy as np

from CardiacLib.types.bivmesh import ALL_PATCH_RGB, ALL_PATCHES, MovingMesh
from CardiacLib.types.times import beat_ms

from .mesh_view import colours_of, cut_open, draw, heart_frame
from .pictures import Picture

BACKGROUND = "#f4f5f7"
COLOURS = 96
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
    source = "data:image/gif;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture("The biventricular mesh over the cardiac cycle, from the front and cut open", source=source)


def motion_frames(moving: MovingMesh):
    """(frame, PIL image) one after the other; the cut runs through the same tetrahedra in all of them."""
    mesh = moving.mesh
    right, front, up = heart_frame(mesh)
    outside = (mesh.triangles, colours_of(mesh.patches, ALL_PATCHES, ALL_PATCH_RGB))
    views = (("From the front", outside), ("Cut open", cut_open(mesh, front)))
    axes = np.column_stack([right, front, up])
    along = mesh.nodes @ axes
    middle = axes @ (along.max(0) + along.min(0)) / 2
    reach = (along.max(0) - along.min(0)).max() / 2 * 1.05
    for t in range(0, len(moving), -(-len(moving) // MOST_FRAMES)):
        when = f"frame {t + 1}" if moving.times_ms is None else f"{moving.times_ms[t]:.0f} ms"
        yield t, _picture(moving.nodes(t) - middle, views, (right, up), reach, when)


def _picture(nodes, views, directions, reach: float, when: str):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(7.0, 3.7), dpi=90, facecolor=BACKGROUND)
    canvas = FigureCanvasAgg(figure)
    for number, (name, (triangles, colours)) in enumerate(views):
        axes = figure.add_axes((number / len(views), 0.0, 1 / len(views), 0.93))
        draw(axes, nodes, triangles, colours, *directions)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_axis_off()
        axes.set_title(f"{name}, {when}", fontsize=9, color="#555d66", pad=2)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(COLOURS)
