"""Lines of a lid in the plane of its opening: its border, and one line for each valve, wherever the rings are.

A lid is a collar from the rim of the endocardium to a border, and what lies within the border. The border follows the
rim, a little inside it, but goes round every ring: where a ring reaches beyond the rim the border lies outside and
above the base plane, so that the lid does not lie upon itself. Lines of valves keep apart from the border and from
each other; where two rings overlap the first one goes before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .openings import to_segments, within
from .unfold import lengths

GAP_MM, LIFT_MM = 1.5, 1.5
"""Between two lines of a lid, and height of the border over the base plane where it lies on or beyond the rim."""
CELL = 0.8
"""Of the grid on which outlines are found, over the gap."""
LEAST_STEP = 0.2
"""Least distance of two of the border's nodes, over the mean one."""


@dataclass(frozen=True)
class Outlines:
    """Lines of a lid, counterclockwise.

    Attributes:
        border: (P, 2) mm in the plane.
        beside: (R,) lengths along it, one for each node of the rim.
        valves: for each ring its line (P, 2); None where it lies beside the opening.
    """

    border: np.ndarray
    beside: np.ndarray
    valves: tuple[np.ndarray | None, ...]


def outlines(rim: np.ndarray, rings: Sequence[np.ndarray], gap: float) -> Outlines:
    """The lines of a lid.

    Args:
        rim: (R, 2) mm, counterclockwise.
        rings: (P, 2) mm each; the first ones go before the others where they overlap.
        gap: between lines, mm.

    Raises:
        ValueError: nothing of the opening is as far from the rim as that.
    """
    near = [ring for ring in rings if within(rim, ring).any() or within(ring, rim).any()]
    grid = _Grid([rim, *near], gap)
    whole = grid.distance(rim) + gap
    far = {id(ring): grid.distance(ring) for ring in near}
    for ring in near:
        whole = np.minimum(whole, far[id(ring)] - gap)
    border = grid.outline(whole)
    if border is None:
        raise ValueError("The opening is too narrow for a lid with rings.")
    lines: list[np.ndarray | None] = []
    taken = np.full_like(whole, np.inf)
    for ring in rings:
        if id(ring) not in far:
            lines.append(None)
            continue
        own = np.maximum(np.maximum(far[id(ring)], whole + gap), gap - taken)
        lines.append(grid.outline(own))
        taken = np.minimum(taken, far[id(ring)])
    return Outlines(border, _beside(border, rim), tuple(lines))


def lift(rim: np.ndarray, places: np.ndarray, gap: float, lift: float) -> np.ndarray:
    """(P,) least heights of places (P, 2): 0 up to ``gap`` inside the rim, from there to the rim up to ``lift``."""
    far = signed_distance(rim, places)
    return lift * np.clip(far / gap + 1.0, 0.0, 1.0)


def signed_distance(polygon: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(P,) mm from a closed line (R, 2), negative within it."""
    far = to_segments(polygon, np.roll(polygon, -1, axis=0), places)[0]
    return np.where(within(polygon, places), -far, far)


def evenly(curve: np.ndarray, count: int, start: np.ndarray) -> np.ndarray:
    """(count,) lengths at equal distances along a closed curve (P, 2), from where it is nearest to ``start`` (2,)."""
    return _along(curve, start[None])[0] + np.arange(count) / count * lengths(curve)[-1]


class _Grid:
    """Points over all lines with a margin."""

    def __init__(self, lines: Sequence[np.ndarray], gap: float):
        self.step, every = CELL * gap, np.concatenate(lines)
        self.low = every.min(0) - 3 * gap
        self.shape = tuple(int(n) for n in np.ceil((every.max(0) + 3 * gap - self.low) / self.step) + 1)
        self.places = self.low + self.step * np.stack(np.indices(self.shape), axis=-1).reshape(-1, 2)

    def distance(self, polygon: np.ndarray) -> np.ndarray:
        return signed_distance(polygon, self.places).reshape(self.shape)

    def outline(self, values: np.ndarray) -> np.ndarray | None:
        """(P, 2) the largest closed line at zero of what is negative inside, counterclockwise; None without any."""
        from skimage.measure import find_contours

        loops = [self.low + self.step * loop[:-1] for loop in find_contours(values, 0.0) if (loop[0] == loop[-1]).all()]
        if not loops:
            return None
        sizes = [_doubled(loop) for loop in loops]
        largest = int(np.abs(sizes).argmax())
        found = loops[largest] if sizes[largest] > 0 else loops[largest][::-1]
        return found[np.linalg.norm(found - np.roll(found, 1, axis=0), axis=1) > 1e-9 * self.step]


def _beside(curve: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """(R,) for each node of the rim a length along a closed curve, near to it and in the rim's order."""
    length, count = lengths(curve)[-1], len(rim)
    at = _along(curve, rim)
    turns = np.round((at - np.roll(at, 1)) / length)
    turns[0] = 0.0
    at = at - length * np.cumsum(turns)  # no jump of more than half the curve
    doubled = np.concatenate([at - length, at, at + length])
    up, down = np.maximum.accumulate(doubled), np.minimum.accumulate(doubled[::-1])[::-1]
    ordered = (0.5 * (up + down))[count : 2 * count]
    step, least = np.diff(np.append(ordered, ordered[0] + length)), LEAST_STEP * length / count
    step = np.maximum(step, least)
    step *= length / step.sum()
    free = ordered[0] + np.append(0.0, np.cumsum(step)[:-1])
    return free + np.mean(ordered - free)


def _along(curve: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(P,) length along a closed curve to the point that is nearest to each place."""
    after = np.roll(curve, -1, axis=0)
    side = to_segments(curve, after, places)[1]
    way = after[side] - curve[side]
    share = ((places - curve[side]) * way).sum(1) / np.maximum((way**2).sum(1), 1e-30)
    return lengths(curve)[side] + np.clip(share, 0.0, 1.0) * np.linalg.norm(way, axis=1)


def _doubled(loop: np.ndarray) -> float:
    x, y = loop.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())
