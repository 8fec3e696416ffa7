"""The LV wall of one slice as a ring: sub-pixel contours, wall thickness along the centreline, contour lengths.

Thickness is measured in the plane of the slice: where the wall is oblique to it, towards the apex, this is more than
the thickness across the wall. Sources: centreline method, Sheehan et al., Circulation 1986;74:293; for the wall
thickness of short-axis cine MR, Goette et al., J Am Coll Cardiol 2001;37:808.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects, gaussian_filter, label, map_coordinates

from CardiacLib.types.labels import LV, MYO, RV

DIRECTIONS = 120
"""Points per contour, one every 3 degrees round the centre of the cavity."""
SMOOTHING_PIXELS = 0.8
"""Of the masks, before the contour is drawn where they are half full."""
HARMONICS = 12
"""Of each contour's radius over the angle: details of less than 30 degrees are pixel steps."""
WIDEST_GAP = 7
"""Directions: where the wall is missing over 21 degrees or more, the ring is not closed."""
MARGIN = 4
"""Pixels kept round the ventricle."""
CONTACT_MM = 5.0
"""Distance outside the epicardium within which the RV pool counts as lying on the septum."""
LEAST_CONTACT = 12
"""Directions: a shorter contact with the RV (36 degrees) tells no side."""


@dataclass(frozen=True)
class Ring:
    """One closed slice of the LV wall at one moment, in the plane of the slice.

    Directions n = 0..DIRECTIONS-1 start at the image's column axis (+i) and turn to its row axis (+j).

    Attributes:
        thickness_mm: (N,) wall thickness along the normal of the centreline, at the point in direction n.
        lengths_mm: (3, N) length of the endocardial, mid-wall and epicardial contour within the step n to n + 1.
        septum_rad: direction of the middle of the RV contact, None where the RV does not lie on the wall.
        insertions_rad: both ends of that contact, the second after the first in turning order; None where it is.
    """

    thickness_mm: np.ndarray
    lengths_mm: np.ndarray
    septum_rad: float | None
    insertions_rad: tuple[float, float] | None


def measure_ring(labels: np.ndarray, spacing_ij) -> Ring | None:
    """The ring of one slice (J, I) with pixels of ``spacing_ij`` mm; None without cavity or without a closed wall."""
    box = _box(labels, spacing_ij)
    if box is None:
        return None
    labels = np.pad(labels[box], MARGIN)
    cavity = _largest(labels == LV)
    whole = _largest((labels == LV) | (labels == MYO), touching=cavity)
    rows, columns = np.nonzero(cavity)
    centre = (rows.mean(), columns.mean())
    if not cavity[round(centre[0]), round(centre[1])]:
        return None  # a crescent has no centre to look from
    step = 0.5 * float(min(spacing_ij))
    reach = np.arange(0.0, float(np.max(labels.shape * np.asarray(spacing_ij)[::-1])), step)
    rays = _rays(centre, reach, spacing_ij)
    endo, epi = (_radius(mask, rays, step) for mask in (cavity, whole))
    open_wall = epi - endo < 0.5 * float(min(spacing_ij))
    if endo.min() <= 0 or longest_run(open_wall) >= WIDEST_GAP:
        return None
    thickness = _filled(epi - endo, ~open_wall)
    endo = _low_pass(endo)
    contours = [_points(radius) for radius in (endo, endo + 0.5 * _low_pass(thickness), endo + _low_pass(thickness))]
    chords = _chords(*contours)
    known = np.isfinite(chords)
    if not known.any():
        return None  # a cavity of a pixel or two has no contour
    contact = _longest_arc(_touches_right_ventricle(labels == RV, rays, epi, step))
    turn = 2.0 * np.pi / DIRECTIONS
    return Ring(
        thickness_mm=_filled(chords, known),  # a normal may pass a dent of the endocardium
        lengths_mm=np.stack([np.linalg.norm(np.roll(c, -1, axis=0) - c, axis=1) for c in contours]),
        septum_rad=None if contact is None else 0.5 * (contact[0] + contact[1]) * turn,
        insertions_rad=None if contact is None else (contact[0] * turn, contact[1] * turn),
    )


def _box(labels: np.ndarray, spacing_ij):
    """Rows and columns round the ventricle that hold all that is looked at; None without cavity."""
    if not (labels == LV).any():
        return None
    found = find_objects(((labels == LV) | (labels == MYO)).astype(np.uint8))[0]
    margins = [MARGIN + int(CONTACT_MM / spacing) for spacing in spacing_ij[::-1]]
    return tuple(slice(max(s.start - m, 0), s.stop + m) for s, m in zip(found, margins, strict=True))


def _largest(mask: np.ndarray, touching: np.ndarray | None = None) -> np.ndarray:
    """The component with most pixels, of the mask or of its overlap with ``touching``."""
    parts, _ = label(mask)
    counted = parts[mask if touching is None else mask & touching]
    return parts == np.bincount(counted).argmax()


def _rays(centre, reach: np.ndarray, spacing_ij) -> np.ndarray:
    """(2, N, R) rows and columns of the points at ``reach`` mm from the centre in each direction."""
    angle = 2.0 * np.pi * np.arange(DIRECTIONS)[:, None] / DIRECTIONS
    rows = centre[0] + reach * np.sin(angle) / spacing_ij[1]
    return np.stack([rows, centre[1] + reach * np.cos(angle) / spacing_ij[0]])


def _radius(mask: np.ndarray, rays: np.ndarray, step: float) -> np.ndarray:
    """(N,) mm to the outermost place where the smoothed mask is half full."""
    smooth = gaussian_filter(mask.astype(np.float32), SMOOTHING_PIXELS)
    amount = map_coordinates(smooth, rays, order=1, cval=0.0)
    last = amount.shape[1] - 1 - np.argmax(amount[:, ::-1] >= 0.5, axis=1)
    at = np.arange(len(amount))
    inner, outer = amount[at, last], amount[at, np.minimum(last + 1, amount.shape[1] - 1)]
    return np.where(inner >= 0.5, (last + (inner - 0.5) / np.maximum(inner - outer, 1e-6)) * step, 0.0)


def longest_run(flags: np.ndarray) -> int:
    """Length of the longest run of True round the circle."""
    if flags.all():
        return len(flags)
    arc = _arcs(flags)
    return max((stop - start for start, stop in arc), default=0)


def _arcs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Runs of True round the circle as (start, stop), stop beyond N where one passes direction 0; not all are True."""
    first = int(np.argmin(flags))
    turned = np.concatenate([[0], np.roll(flags, -first).astype(int), [0]])
    edges = np.flatnonzero(np.diff(turned))
    return [(int(a) + first, int(b) + first) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values round the circle with the unknown ones interpolated."""
    at = np.arange(len(values))
    return np.interp(at, at[known], values[known], period=len(values))


def _low_pass(values: np.ndarray) -> np.ndarray:
    parts = np.fft.rfft(values)
    parts[HARMONICS + 1 :] = 0.0
    return np.fft.irfft(parts, len(values))


def _points(radius: np.ndarray) -> np.ndarray:
    """(N, 2) mm from the centre, along i and j."""
    angle = 2.0 * np.pi * np.arange(len(radius)) / len(radius)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def _chords(endo: np.ndarray, middle: np.ndarray, epi: np.ndarray) -> np.ndarray:
    """(N,) mm between the contours (N, 2) along the normals of the centreline; infinite where one meets none."""
    tangent = np.roll(middle, -1, axis=0) - np.roll(middle, 1, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=-1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return _reach(middle, -normal, endo) + _reach(middle, normal, epi)


def _reach(start: np.ndarray, direction: np.ndarray, contour: np.ndarray) -> np.ndarray:
    """(N,) mm from each start (N, 2) along its unit direction to the closed contour (M, 2)."""
    side = np.roll(contour, -1, axis=0) - contour
    to_side = contour[None] - start[:, None]
    cross = direction[:, None, 0] * side[None, :, 1] - direction[:, None, 1] * side[None, :, 0]
    cross = np.where(np.abs(cross) < 1e-12, np.nan, cross)
    reach = (to_side[..., 0] * side[None, :, 1] - to_side[..., 1] * side[None, :, 0]) / cross
    along = (to_side[..., 0] * direction[:, None, 1] - to_side[..., 1] * direction[:, None, 0]) / cross
    met = (along >= -1e-9) & (along <= 1.0 + 1e-9) & (reach >= 0.0)
    return np.where(met, reach, np.inf).min(axis=1)


def _touches_right_ventricle(right: np.ndarray, rays: np.ndarray, epi: np.ndarray, step: float) -> np.ndarray:
    """Bool (N,): the RV pool lies within CONTACT_MM outside the epicardium in that direction."""
    inside = map_coordinates(right.astype(np.float32), rays, order=0, cval=0.0) > 0.5
    reach = np.arange(rays.shape[2]) * step
    near = (reach > epi[:, None] - 2.0 * step) & (reach < epi[:, None] + CONTACT_MM)
    return (inside & near).any(axis=1)


def _longest_arc(flags: np.ndarray) -> tuple[float, float] | None:
    """Ends of the longest run of contact, short interruptions bridged; None if it is too short or goes all round."""
    if flags.all() or not flags.any():
        return None
    bridged = flags.copy()
    for start, stop in _arcs(~flags):
        if stop - start <= WIDEST_GAP:
            bridged[np.arange(start, stop) % len(flags)] = True
    if bridged.all():
        return None
    start, stop = max(_arcs(bridged), key=lambda arc: arc[1] - arc[0])
    return (float(start), float(stop - 1)) if stop - start >= LEAST_CONTACT else None
