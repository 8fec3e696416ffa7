"""Small graphs of a cohort as SVG, in the page's own colours."""

from collections.abc import Sequence
from html import escape

import numpy as np

WIDE, TALL, LEFT, BOTTOM, TOP = 300, 170, 34, 34, 10


def histogram(values: Sequence[float], heading: str) -> str:
    """Bars of a measurement's values; the bins are those of Freedman and Diaconis, at most 30."""
    array = np.asarray(values, float)
    edges = np.histogram_bin_edges(array, "fd")
    if len(edges) > 31:
        edges = np.histogram_bin_edges(array, 30)
    counts, edges = np.histogram(array, edges)
    x, y = _scale(edges[0], edges[-1], LEFT, WIDE - 8), _scale(0, max(counts.max(), 1), TALL - BOTTOM, TOP)
    bars = [
        f'<rect x="{x(low):.1f}" y="{y(count):.1f}" width="{max(x(high) - x(low) - 1, 1):.1f}" '
        f'height="{y(0) - y(count):.1f}" fill="currentColor" opacity=".55"/>'
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    marks = [_text(x(value), TALL - BOTTOM + 14, f"{value:.0f}") for value in np.linspace(edges[0], edges[-1], 4)]
    marks.append(_text(LEFT - 6, TOP + 8, str(int(counts.max())), "end"))
    return _svg([*bars, _line(LEFT, y(0), WIDE - 8, y(0)), *marks, _text(WIDE / 2, TALL - 4, heading)], heading)


def bland_altman(pairs: np.ndarray, name: str) -> str:
    """Difference over mean of (N, 2) measured and reference values, with bias and limits of agreement."""
    mean, difference = pairs.mean(1), pairs[:, 0] - pairs[:, 1]
    bias, sd = difference.mean(), difference.std(ddof=1)
    limits = (bias - 1.96 * sd, bias, bias + 1.96 * sd)
    reach = 1.15 * max(np.abs([*difference, *limits]).max(), 1e-6)
    x, y = _scale(mean.min(), mean.max(), LEFT + 8, WIDE - 12), _scale(-reach, reach, TALL - BOTTOM, TOP)
    points = [
        f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="currentColor" opacity=".6"/>'
        for a, b in zip(mean, difference, strict=True)
    ]
    lines = [_line(LEFT, y(value), WIDE - 8, y(value), dashed=value != bias) for value in limits]
    marks = [_text(LEFT - 4, y(value) + 4, f"{value:.1f}", "end") for value in limits]
    marks += [_text(x(value), TALL - BOTTOM + 14, f"{value:.0f}") for value in (mean.min(), mean.max())]
    return _svg([*points, *lines, *marks, _text(WIDE / 2, TALL - 4, f"mean of {name}")], f"Bland-Altman of {name}")


def _scale(low: float, high: float, start: float, end: float):
    span = high - low or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _line(x1: float, y1: float, x2: float, y2: float, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor"{dash}/>'


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="11" fill="currentColor">{escape(text)}</text>'
    )


def _svg(parts: Sequence[str], said: str) -> str:
    return f'<svg viewBox="0 0 {WIDE} {TALL}" role="img" aria-label="{escape(said)}">{"".join(parts)}</svg>'
