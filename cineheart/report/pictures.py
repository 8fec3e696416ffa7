"""What the report's pictures share: windowing, cropping, contours, and figures as text for a page."""

import base64
import io
import re
from dataclasses import dataclass

import numpy as np

from CardiacLib.types.labels import LV, MYO, RV

CONTOURS = (
    ("RV endocardium", (RV,), "#ffd23f"),
    ("LV epicardium", (LV, MYO), "#3ddc84"),
    ("LV endocardium", (LV,), "#ff4d4d"),
)
"""Name, labels inside and colour of each contour; later ones are drawn over earlier ones."""
_INK = "#010203"
"""Stands for the page's text colour in SVG pictures."""


@dataclass(frozen=True)
class Picture:
    """A picture ready for the page.

    Attributes:
        alt: what it shows.
        source, svg: data URI of a PNG, or inline markup.
        frames: where each frame of the cine lies across a curve's SVG, in the units of its viewBox.
    """

    alt: str
    source: str = ""
    svg: str = ""
    frames: tuple[float, ...] = ()


def png(figure, alt: str, dpi: int = 100) -> Picture:
    """A matplotlib Figure as a PNG in the page."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    return Picture(alt, source="data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii"))


def svg(figure, alt: str) -> Picture:
    """A matplotlib Figure as inline SVG; whatever was drawn in :func:`ink` takes the page's text colour."""
    import matplotlib

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": alt}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', text, count=1)
    return Picture(alt, svg=text)


def ink() -> str:
    """Colour for lines and text that follow the page (dark on light, light on dark)."""
    return _INK


def grey_range(frames: np.ndarray) -> tuple[float, float]:
    """Window of a whole cine: 1st to 99.5th percentile, never empty."""
    low, high = np.percentile(frames, [1.0, 99.5])
    return float(low), float(max(high, low + 1e-6))


def crop_box(inside: np.ndarray, spacing_ij, margin_mm: float) -> tuple[slice, slice]:
    """Rows and columns around what is inside, with a margin; everything where nothing is.

    Args:
        inside: bool (J, I).
        spacing_ij: mm between columns and between rows.
        margin_mm: kept around on each side, as far as the image reaches.
    """
    box = []
    for axis in (0, 1):
        found = np.flatnonzero(inside.any(axis=1 - axis))
        length = inside.shape[axis]
        if found.size == 0:
            box.append(slice(0, length))
            continue
        margin = round(margin_mm / float(spacing_ij[1 - axis]))
        box.append(slice(max(found[0] - margin, 0), min(found[-1] + margin + 1, length)))
    return box[0], box[1]


def draw_contours(axes, labels: np.ndarray, box: tuple[slice, slice], width: float = 1.3) -> None:
    """Contours of labels (J, I) between pixel centres, half way, in the pixel coordinates of the whole image."""
    for _, values, colour in CONTOURS:
        draw_level(axes, np.isin(labels, values).astype(float), box, colour, width)


def draw_level(axes, amount: np.ndarray, box: tuple[slice, slice], colour: str, width: float = 1.3) -> None:
    """The 0.5 contour of one (J, I) image of 0..1, if it has one within the box."""
    rows, columns = box
    amount = amount[rows, columns]
    if amount.size and amount.min() < 0.5 < amount.max():
        x, y = np.arange(columns.start, columns.stop), np.arange(rows.start, rows.stop)
        axes.contour(x, y, amount, levels=[0.5], colors=[colour], linewidths=width)


def show(axes, image: np.ndarray, box: tuple[slice, slice], window: tuple[float, float], spacing_ij) -> None:
    """The box of an image (J, I), grey, in true proportions, without axes."""
    rows, columns = box
    extent = (columns.start - 0.5, columns.stop - 0.5, rows.stop - 0.5, rows.start - 0.5)
    axes.imshow(
        image[rows, columns], cmap="gray", vmin=window[0], vmax=window[1], extent=extent, interpolation="bilinear"
    )
    axes.set_aspect(float(spacing_ij[1] / spacing_ij[0]))
    axes.set_axis_off()


def caption(axes, text: str) -> None:
    """Small text in the upper left corner of a picture."""
    from matplotlib.patheffects import withStroke

    text = axes.text(0.025, 0.975, text, transform=axes.transAxes, color="white", fontsize=8, va="top", ha="left")
    text.set_path_effects([withStroke(linewidth=2, foreground="black")])


def dark_figure(width: float, height: float):
    """A black Figure in inches, for grey images."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="black")
