"""Accuracy by data set, structure and phase: overlap, how far out a border lies, slices missed and added at the ends.

Experts of other hospitals draw by other conventions. Dice alone does not tell whether a border is drawn elsewhere, a
slice at the base decided otherwise, or the network wrong; offset and slices do.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from CardiacLib.datasets.hearts import LabelledHeart
from CardiacLib.datasets.read import without_borders
from CardiacLib.datasets.records import NAMES, UNKNOWN
from CardiacLib.datasets.splits import domain_of
from CardiacLib.metrics import overlap, surface_distance

LARGE, SMALL = "ED", "ES"
LEAST_PIXELS = 20
"""Sections with fewer drawn or found pixels give no offset."""


@dataclass(frozen=True)
class EndSlices:
    """Slices that only one of expert and network labels, at the base and at the apex."""

    missed_base: int = 0
    added_base: int = 0
    missed_apex: int = 0
    added_apex: int = 0


@dataclass(frozen=True)
class ExternalRow:
    """One structure of one frame.

    Attributes:
        set: vendor or centre of the case.
        phase: ED or ES; of frames without one, ED where the structure is larger than half way between its smallest
            and largest volume over the frames.
        offset_mm: signed distance of the found border from the drawn one, mean over slices, positive outwards.
        offset_percent: the same in percent of the drawn section's radius.
        certain_dice: where a record distrusts its borders (``uncertain_mm``), Dice without what lies near them; else
            the same as ``dice``.
        hausdorff_mm: infinite where only one of both labels anything.
        spacing_known: whether its distances are in real mm.
        ends: slices missed and added.
    """

    set: str
    subject: str
    phase: str
    structure: str
    dice: float
    certain_dice: float
    hausdorff_mm: float
    offset_mm: float
    offset_percent: float
    spacing_known: bool
    ends: EndSlices


def external_rows(heart: LabelledHeart, found: np.ndarray) -> Iterator[ExternalRow]:
    """One row for each drawn structure of each frame in which any slice is known.

    Args:
        heart: labels of an expert, borders included.
        found: uint8 (T, K, J, I), labels of the network.
    """
    spacing = heart.cine.spacing[::-1]
    basal_first = _basal_first(heart)
    for t, record in enumerate(heart.records):
        slices = (heart.labels[t] != UNKNOWN).any((1, 2))
        if not slices.any():
            continue
        unknown = heart.labels[t][slices] == UNKNOWN
        certain = without_borders(heart.labels[t : t + 1], record, heart.cine)[0][slices] != UNKNOWN
        for name in record.structures:
            true = heart.labels[t][slices] == NAMES[name]
            seen = (found[t][slices] == NAMES[name]) & ~unknown
            offsets = list(_offsets(seen, true, spacing[1:]))
            mm, percent = np.mean(offsets, 0) if offsets else (math.nan, math.nan)
            yield ExternalRow(
                set=domain_of(record) or "not stated",
                subject=record.subject,
                phase=record.phase or _phase(heart, t, NAMES[name]),
                structure=name.upper(),
                dice=overlap(seen, true).dice,
                certain_dice=overlap(seen & certain, true & certain).dice,
                hausdorff_mm=surface_distance(seen, true, spacing).hausdorff,
                offset_mm=float(mm),
                offset_percent=float(percent),
                spacing_known=record.spacing_known,
                ends=_ends(seen.any((1, 2)), true.any((1, 2)), basal_first),
            )


def external_table(rows: Iterable[ExternalRow]) -> list[dict[str, object]]:
    """Means over volumes by set, structure and phase, ready for JSON; slices are sums.

    ``offset_mm`` is None where a spacing is nominal.
    """
    rows = list(rows)
    keys = sorted({(r.set, r.structure, r.phase) for r in rows}, key=lambda k: (k[0], _place(k[1]), k[2]))
    return [_table_row(key, [r for r in rows if (r.set, r.structure, r.phase) == key]) for key in keys]


def _table_row(key: tuple[str, str, str], rows: Sequence[ExternalRow]) -> dict[str, object]:
    worst = min(rows, key=lambda row: row.dice)
    known = all(row.spacing_known for row in rows)
    ends = {name: sum(asdict(row.ends)[name] for row in rows) for name in asdict(EndSlices())}
    return {
        "set": key[0],
        "structure": key[1],
        "phase": key[2],
        "subjects": len({row.subject for row in rows}),
        "volumes": len(rows),
        "dice": float(np.mean([row.dice for row in rows])),
        "certain_dice": float(np.mean([row.certain_dice for row in rows])),
        "worst_dice": worst.dice,
        "worst_subject": worst.subject,
        "hausdorff_mm": _mean(row.hausdorff_mm for row in rows) if known else None,
        "offset_mm": _mean(row.offset_mm for row in rows) if known else None,
        "offset_percent": _mean(row.offset_percent for row in rows),
        **ends,
    }


def _mean(values: Iterable[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else None


def _place(structure: str) -> int:
    return [name.upper() for name in NAMES].index(structure)


def _phase(heart: LabelledHeart, t: int, value: int) -> str:
    volumes = (heart.labels == value).sum((1, 2, 3))
    return LARGE if volumes[t] >= (volumes.max() + volumes.min()) / 2 else SMALL


def _basal_first(heart: LabelledHeart) -> bool:
    """Whether the first slice is nearer the base: there the sections of what is drawn are larger."""
    drawn = (heart.labels > 0) & (heart.labels != UNKNOWN)
    areas = drawn.sum((0, 2, 3))
    cut = np.flatnonzero(areas)
    if len(cut) < 2:
        return True
    third = max(len(cut) // 3, 1)
    return bool(areas[cut[:third]].mean() >= areas[cut[-third:]].mean())


def _ends(seen: np.ndarray, true: np.ndarray, basal_first: bool) -> EndSlices:
    """Of (K,) slices with the structure found and drawn; those beyond the middle of the drawn ones are apical."""
    if not true.any():
        return EndSlices(added_base=int(seen.sum()))
    basal = np.arange(len(true)) <= np.flatnonzero(true).mean()
    basal = basal if basal_first else ~basal
    missed, added = true & ~seen, seen & ~true
    counts = ((part & side).sum() for side in (basal, ~basal) for part in (missed, added))
    return EndSlices(*(int(count) for count in counts))


def _offsets(seen: np.ndarray, true: np.ndarray, spacing: np.ndarray) -> Iterator[tuple[float, float]]:
    """Signed distance, mm and percent of the radius, of each section that both label."""
    for found, drawn in zip(seen, true, strict=True):
        if min(found.sum(), drawn.sum()) >= LEAST_PIXELS:
            mm = (_outwards(found, drawn, spacing) - _outwards(drawn, found, spacing)) / 2
            yield mm, 100 * mm / math.sqrt(drawn.sum() * spacing.prod() / math.pi)


def _outwards(one: np.ndarray, other: np.ndarray, spacing: np.ndarray) -> float:
    """Mean signed distance of one border from the other's, mm, positive outside."""
    half = spacing.mean() / 2  # a border runs between pixels, the transform to the next pixel's centre
    outside, inside = (distance_transform_edt(part, spacing) - half for part in (~other, other))
    beyond = np.where(other, -inside, outside)
    within = distance_transform_edt(one, spacing)
    rim = one & (within <= spacing.min())
    around = ~one & (distance_transform_edt(~one, spacing) <= spacing.min())
    return float((beyond[rim].mean() + beyond[around].mean()) / 2)
