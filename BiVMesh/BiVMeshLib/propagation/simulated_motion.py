"""Simulated heart motion as a map of positions: contraction, healthy or infarcted, of a segmented anatomy.

The published training warps real images with the motion of one healthy and thirty infarcted simulations, thirty
instants each. Here the motion is kinematic and drawn anew for every window: the wall keeps its volume while the
cavity's radius and the ventricle's length change, the base twists against the apex, the RV free wall follows; in an
infarct a region contracts less, or moves outwards. The map is written from the moved heart back to the imaged one, as
warping an image needs it; along every ray from the LV's axis it is monotone, so nothing folds.
"""

from dataclasses import dataclass

import torch

DECAY = 16.0
"""Voxels beyond the epicardium over which the surroundings' displacement falls to a third."""
RV_REACH = 40.0
"""Voxels beyond the LV epicardium within which the RV's own contraction moves things."""


@dataclass(frozen=True)
class Anatomy:
    """What the motion needs to know of a heart, in voxels of its isotropic volume.

    Attributes:
        centres: (Z, 2) row and column of the LV's axis in every slice.
        endo, epi: (Z,) mean radii of cavity and LV, both positive.
        apex, base: slices between which the ventricle lies.
        rv_angle: direction from the LV to the RV, atan2(row, column).
    """

    centres: torch.Tensor
    endo: torch.Tensor
    epi: torch.Tensor
    apex: float
    base: float
    rv_angle: float


@dataclass(frozen=True)
class Motion:
    """One instant of one simulated heart beat.

    Attributes:
        shortening: relative change of the cavity's radius, 0.3 for a strong contraction; negative fills the heart.
        length: ventricular length over that of the imaged heart.
        twist: radians that the base turns against the apex.
        rv: strength of the RV free wall's movement towards the septum, in units of ``shortening``.
        infarct_depth: part of the contraction lost at the infarct's centre; 0 healthy, above 1 bulging.
        infarct_angle, infarct_height: centre, in radians and as a fraction of the length from the apex.
        infarct_width: standard deviation in radians; in height a third of it.
    """

    shortening: float
    length: float = 1.0
    twist: float = 0.0
    rv: float = 1.0
    infarct_depth: float = 0.0
    infarct_angle: float = 0.0
    infarct_height: float = 0.5
    infarct_width: float = 0.7


def random_motion(systolic: bool, draw: torch.Generator) -> Motion:
    """A random instant; an imaged end-systole (``systolic``) is filled, an end-diastole contracted."""
    u = torch.rand(9, generator=draw).tolist()
    phase = u[0]
    sign = -1.0 if systolic else 1.0
    return Motion(
        shortening=sign * phase * (0.12 + 0.28 * u[1]),
        length=1.0 - sign * phase * 0.18 * u[2],
        twist=sign * phase * (0.3 * u[3] - 0.05),
        rv=1.5 * u[4],
        infarct_depth=0.0 if u[5] < 1 / 3 else 0.5 + 0.7 * u[6],
        infarct_angle=6.2832 * u[7],
        infarct_height=0.15 + 0.7 * u[8],
        infarct_width=0.4 + 0.6 * u[6],
    )


def imaged_positions(moved: torch.Tensor, heart: Anatomy, motion: Motion) -> torch.Tensor:
    """Where in the imaged heart lies what has moved to ``moved``.

    Args:
        moved: (..., 3) slice, row and column in voxels.
        heart: the imaged anatomy.
        motion: the instant.

    Returns:
        (..., 3) slice, row and column, fractions, in the imaged volume.
    """
    z = heart.apex + (moved[..., 0] - heart.apex) / motion.length
    centre, endo, epi = (_along(values, z) for values in (heart.centres, heart.endo, heart.epi))
    offset = moved[..., 1:] - centre
    radius = offset.norm(dim=-1).clamp(min=1e-3)
    angle = torch.atan2(offset[..., 0], offset[..., 1])
    height = ((z - heart.apex) / max(heart.base - heart.apex, 1.0)).clamp(-0.2, 1.2)
    shortening = motion.shortening * _contracts(angle, height, motion)
    facing = torch.cos(0.5 * (angle - heart.rv_angle)).clamp(min=0.0) ** 4
    rv = motion.rv * shortening * facing
    found = _imaged_radius(radius, endo, epi, shortening, motion.length, rv)
    turned = angle - motion.twist * (height - 0.5) * torch.exp(-(radius - epi).clamp(min=0.0) / DECAY)
    direction = torch.stack([turned.sin(), turned.cos()], -1)
    return torch.cat([z[..., None], centre + direction * found[..., None]], -1)


def _imaged_radius(radius, endo, epi, shortening, length: float, rv) -> torch.Tensor:
    """The inverse of the radial map: scaled cavity, wall of constant volume, decaying surroundings, RV by ``rv``."""
    endo_moved = endo * (1 - shortening)
    wall = (epi**2 - endo**2) / length
    epi_moved = (wall + endo_moved**2).sqrt()
    in_cavity = radius * endo / endo_moved
    in_wall = ((radius**2 - endo_moved**2).clamp(min=0.0) * length + endo**2).sqrt()
    over = (radius - epi_moved).clamp(min=0.0)
    widened = rv * over * torch.exp(-((over / RV_REACH) ** 2))
    outside = radius + (epi - epi_moved) * torch.exp(-over / DECAY) + widened
    return torch.where(radius < endo_moved, in_cavity, torch.where(radius < epi_moved, in_wall, outside))


def _contracts(angle, height, motion: Motion) -> torch.Tensor:
    """Part of the full contraction at a place: 1 healthy, less in the infarct."""
    if not motion.infarct_depth:
        return torch.ones_like(angle)
    apart = torch.remainder(angle - motion.infarct_angle + torch.pi, 2 * torch.pi) - torch.pi
    across = (apart / motion.infarct_width) ** 2
    along = ((height - motion.infarct_height) / (motion.infarct_width / 3)) ** 2
    return 1 - motion.infarct_depth * torch.exp(-0.5 * (across + along))


def _along(values: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Per-slice values (Z, ...) at fractional slices ``z``, linear, the last ones beyond the ends."""
    place = z.clamp(0, len(values) - 1)
    low = place.floor().long().clamp(max=len(values) - 2)
    share = place - low
    if values.ndim > 1:
        share = share[..., None]
    return (1 - share) * values[low] + share * values[low + 1]


def anatomy_of(labels: torch.Tensor, base: int) -> Anatomy:
    """Measure a labelled isotropic volume, uint8 (Z, H, W), whose base is slice ``base``."""
    lv, body = labels == 1, (labels == 1) | (labels == 2)
    used = torch.nonzero(body.flatten(1).any(1)).flatten()
    used = used[used <= base]
    rows = torch.arange(labels.shape[1], dtype=torch.float32)
    columns = torch.arange(labels.shape[2], dtype=torch.float32)
    area = body.sum((1, 2)).float().clamp(min=1)
    centres = torch.stack([(body.sum(2) * rows).sum(1) / area, (body.sum(1) * columns).sum(1) / area], -1)
    epi = (area / torch.pi).sqrt()
    endo = (lv.sum((1, 2)) / torch.pi).sqrt()
    first, last = int(used[0]), int(used[-1])
    inside = torch.arange(len(labels)).clamp(first, last)
    centres, epi, endo = _smooth(centres[inside]), _smooth(epi[inside]), _smooth(endo[inside])
    epi = epi.clamp(min=3.0)
    right = torch.nonzero((labels[first : last + 1] == 3).any(0)).float()
    away = right.mean(0) - centres[inside].mean(0) if len(right) else torch.tensor([0.0, -1.0])
    angle = float(torch.atan2(away[0], away[1]))
    return Anatomy(centres, endo.clamp(min=1.0).minimum(epi - 1.5), epi, float(first), float(last), angle)


def _smooth(values: torch.Tensor, reach: int = 6) -> torch.Tensor:
    """Mean over ``2 reach + 1`` slices, the ends repeated."""
    flat = values if values.ndim > 1 else values[:, None]
    padded = torch.cat([flat[:1].expand(reach, -1), flat, flat[-1:].expand(reach, -1)])
    mean = padded.unfold(0, 2 * reach + 1, 1).mean(-1)
    return mean if values.ndim > 1 else mean[:, 0]
