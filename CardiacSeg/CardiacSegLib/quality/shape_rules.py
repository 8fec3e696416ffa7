"""Rules on the shape of the labels. Every threshold has its reason in Docs/QualityControl.md.

"Experts" below are the ED and ES labels of the 80 ACDC training patients (1462 labelled slices): what they never do, a
segmentation should not do either.
"""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.segmentation import STRUCTURES

from .flags import Cycle, Flag, flag_at

SECOND_PIECE = 0.05
"""Share of a structure's area in a slice from which a second piece counts. Experts: at most 0.017."""
SMALL_MM2 = 20.0
"""Pieces smaller than this are the noise of a contour."""
RV_DISTANCE_MM = 5.0
"""Between RV and LV in one slice. Experts: less than 3 mm."""
OPEN_RING, OPEN_RING_AT_BASE = 0.10, 0.50
"""Share of the LV pool's outline without myocardium. Experts: 0, and at most 0.16 in the most basal slice."""
OPEN_MM = 10.0
"""Length of outline without myocardium that is needed as well: the pool of the last apical slice is a few pixels."""
BORDER, BORDER_MM = 0.10, 10.0
"""Share and length of a structure's outline on the border of the image from which a part of it is held for lost.
Experts: 0. Of labels in cropped images, muscle with less was right."""
AREA_LEAP, LEAPS = 0.25, 2
"""Area of LV and wall in a slice off the middle of those beside it, over the largest of the frame; and the number of
such slices in a frame from which the order of the slices is doubted. Experts: at most 0.25, none. Network's labels of
images of four hospitals: in 3 of 193 hearts one, never two; with two of three slices exchanged, two in 30 of 52."""
FEWEST_SLICES = 6
"""With LV at end-diastole (quality control of ukbb_cardiac, Bai et al., JCMR 2018). Experts: at least 6."""
APEX_AREA = 0.45
"""LV pool in the apical end slice of the stack over that of its largest slice, at ED. Experts: at most 0.42."""
NAMES = {LV: "LV pool", MYO: "LV myocardium", RV: "RV pool"}
_LABELS = tuple(STRUCTURES.values())
CODES = {label: name for name, label in STRUCTURES.items()}
"""Label to the name that flags give."""


class Heart:
    """Labels cut down to what is labelled, with what several rules need.

    Attributes:
        labels: uint8 (T, K, J', I') with a border of background.
        area: (T, K, 3) mm2 of LV, myocardium and RV.
        pixel_mm: along j and i.
        base_first: whether slice 0 is at the base. The labelled area falls towards the apex (true of every expert, of a
            stack that covers the ventricles).
        ed: frame of end-diastole.
        cycle: number of frames, and which are end-diastole and end-systole.
        border_mm: (T, K, 3) length of the outline of LV, myocardium and RV on the border of the image.
        names: of the structures that are drawn in this species, by label.

    Args:
        labels: at the size of a human heart, which the limits of the rules are of.
        ed, es: frames.
        structures: labels that are drawn.
    """

    def __init__(self, labels: LabelMap, ed: int, es: int, structures: tuple[int, ...] = (LV, MYO, RV)):
        self.names = {label: NAMES[label] for label in structures}
        everything = labels.labels
        self.ed, self.cycle = ed, Cycle({ed, es}, len(everything))
        self.pixel_mm = tuple(np.linalg.norm(labels.ijk_to_lps[:3, :2], axis=0)[::-1])
        heart = everything > 0
        rows, columns = everything[:, :, [0, -1]], everything[..., [0, -1]]
        ends = ((rows, self.pixel_mm[1]), (columns, self.pixel_mm[0]))
        self.border_mm = sum(np.stack([(e == n).sum((2, 3)) for n in _LABELS], -1) * mm for e, mm in ends)
        rows, columns = (np.flatnonzero(heart.any((0, 1, axis))) for axis in (3, 2))
        if rows.size:
            everything = everything[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        self.labels = np.pad(everything, ((0, 0), (0, 0), (1, 1), (1, 1)))
        counts = np.stack([(everything == label).sum((2, 3)) for label in _LABELS], -1)
        self.area = counts * (self.pixel_mm[0] * self.pixel_mm[1])
        profile = counts.sum((0, 2))
        labelled = np.flatnonzero(profile)
        self.base_first = labelled.size < 2 or np.polyfit(labelled, profile[labelled], 1)[0] <= 0

    def flag(self, code: str, severity: str, finding: str, where, *, of: tuple[str, ...] = ()) -> Iterator[Flag]:
        """One flag if the finding is anywhere; ``where`` gives (frame, slice) pairs, ``of`` the structures."""
        where = list(where)
        if where:
            frames, slices = zip(*where, strict=True)
            yield flag_at(code, severity, finding, self.cycle, frames=frames, slices=slices).about(*of)

    def basal_slice(self, label: int) -> np.ndarray:
        """(T,) slice nearest to the base that has a structure; -1 in frames without it."""
        has = self.area[..., _LABELS.index(label)] > 0
        first = has.argmax(1) if self.base_first else has.shape[1] - 1 - has[:, ::-1].argmax(1)
        return np.where(has.any(1), first, -1)

    def slices(self, *labels: int) -> Iterator[tuple[int, int, np.ndarray]]:
        """Frame, slice and labels (J', I') of every slice that has all of these structures."""
        present = self.area[..., [_LABELS.index(label) for label in labels]].all(-1)
        for t, k in np.argwhere(present):
            yield t, k, self.labels[t, k]


def shape_flags(heart: Heart) -> Iterator[Flag]:
    """All findings of the rules of this file."""
    for rule in RULES:
        yield from rule(heart)


def heart_absent(heart: Heart) -> Iterator[Flag]:
    """A structure is nowhere in a frame."""
    for label, name in heart.names.items():
        frames = np.flatnonzero(~heart.area[..., _LABELS.index(label)].any(1))
        if frames.size:
            flag = flag_at("heart_absent", "serious", f"No {name}", heart.cycle, frames=frames)
            yield flag.about(CODES[label])


def missing_slice(heart: Heart) -> Iterator[Flag]:
    """A structure is absent from a slice and present on both sides of it."""
    for label, name in heart.names.items():
        has = heart.area[..., _LABELS.index(label)] > 0
        before, after = (np.logical_or.accumulate(a, 1) for a in (has, has[:, ::-1]))
        gap = ~has & before & after[:, ::-1]
        finding = f"The {name} is missing between labelled slices"
        yield from heart.flag("missing_slice", "serious", finding, np.argwhere(gap), of=(CODES[label],))


def several_components(heart: Heart) -> Iterator[Flag]:
    """A structure lies in several pieces within one slice (pixels touch by edge or corner)."""
    pixel = heart.pixel_mm[0] * heart.pixel_mm[1]
    for label, name in heart.names.items():
        where = []
        for t, k, labels in heart.slices(label):
            components, count = ndimage.label(labels == label, np.ones((3, 3)))
            if count > 1:
                areas = np.sort(np.bincount(components.ravel())[1:]) * pixel
                if areas[-2] > max(SECOND_PIECE * areas.sum(), SMALL_MM2):
                    where.append((t, k))
        finding = f"The {name} is in several pieces"
        yield from heart.flag("several_components", "warning", finding, where, of=(CODES[label],))


def rv_inside_lv(heart: Heart) -> Iterator[Flag]:
    """RV within the outline of the LV."""
    where = []
    for t, k, labels in heart.slices(RV):
        left = ndimage.binary_fill_holes((labels == LV) | (labels == MYO))
        inside = np.count_nonzero(left & (labels == RV)) * heart.pixel_mm[0] * heart.pixel_mm[1]
        if inside > SMALL_MM2:
            where.append((t, k))
    yield from heart.flag("rv_inside_lv", "warning", "RV pool lies inside the LV", where)


def rv_apart(heart: Heart) -> Iterator[Flag]:
    """The RV does not reach the septum. In the most basal slice with myocardium the outflow tracts may part them."""
    where, basal = [], heart.basal_slice(MYO)
    for t, k, labels in heart.slices(MYO, RV):
        left, right = (labels == LV) | (labels == MYO), labels == RV
        if k != basal[t] and not (ndimage.binary_dilation(left, np.ones((3, 3))) & right).any():
            distance = ndimage.distance_transform_edt(~left, sampling=heart.pixel_mm)
            if distance[right].min() > RV_DISTANCE_MM:
                where.append((t, k))
    finding = f"The RV is more than {RV_DISTANCE_MM:.0f} mm from the septum"
    yield from heart.flag("rv_apart", "warning", finding, where, of=("RV",))


def open_ring(heart: Heart) -> Iterator[Flag]:
    """The LV pool borders on background or RV instead of myocardium.

    In the most basal slice with LV the outflow tract has no muscle on one side, so that half may be open there.
    """
    pool, left = heart.labels == LV, (heart.labels == LV) | (heart.labels == MYO)
    outline, bare = _outline_mm(heart, pool, pool), _outline_mm(heart, pool, left)
    at_base = np.arange(outline.shape[1]) == heart.basal_slice(LV)[:, None]
    limit = np.where(at_base, OPEN_RING_AT_BASE, OPEN_RING)
    yield from heart.flag(
        "open_ring",
        "warning",
        "The myocardium does not enclose the LV pool",
        np.argwhere((bare > limit * outline) & (bare > OPEN_MM)),
        of=("LV", "MYO"),
    )


def _outline_mm(heart: Heart, mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(T, K) length of a mask's outline, where nothing of the other mask is beyond it."""
    length = np.zeros(mask.shape[:2])
    for axis, step in ((2, heart.pixel_mm[1]), (3, heart.pixel_mm[0])):  # an edge between rows is a column wide
        for way in (1, -1):
            length += (mask & ~np.roll(other, way, axis)).sum((2, 3)) * step
    return length


def image_border(heart: Heart) -> Iterator[Flag]:
    """A structure lies on the border of the image: with a large part of its outline, or just touches it."""
    for n, label in enumerate(_LABELS):
        on_border = heart.border_mm[..., n]
        if on_border.any():
            mask = heart.labels == label
            lost = (on_border > BORDER * _outline_mm(heart, mask, mask)) & (on_border > BORDER_MM)
            of = (CODES[label],)
            finding = f"The {NAMES[label]} is cut off by the border of the image"
            yield from heart.flag("image_border", "serious", finding, np.argwhere(lost), of=of)
            finding = f"The {NAMES[label]} touches the border of the image"
            yield from heart.flag("image_border", "warning", finding, np.argwhere((on_border > 0) & ~lost), of=of)


def area_leap(heart: Heart) -> Iterator[Flag]:
    """The area of the LV with its wall leaps from slice to slice: one is labelled wrong, or they are out of order.

    The most basal slice and the one below it are left out: there the valve plane cuts, and the area falls at once.
    """
    area = heart.area[..., :2].sum(-1)[:, :: 1 if heart.base_first else -1]
    if area.shape[1] < 3:
        return
    before, here, after = area[:, :-2], area[:, 1:-1], area[:, 2:]
    inside = (np.cumsum(area > 0, axis=1)[:, :-2] > 1) & (before > 0) & (here > 0) & (after > 0)
    leaps = np.zeros(area.shape, bool)
    leaps[:, 1:-1] = inside & (np.abs(here - (before + after) / 2) > AREA_LEAP * area.max(1, keepdims=True))
    leaps = leaps[:, :: 1 if heart.base_first else -1]
    many = leaps.sum(1, keepdims=True) >= LEAPS
    finding = (
        "The area of the LV with its wall leaps between neighbouring slices: their order, or the labels, may be wrong"
    )
    yield from heart.flag("area_leap", "serious", finding, np.argwhere(leaps & many))
    finding = "The area of the LV with its wall does not fit the slices on both sides"
    yield from heart.flag("area_leap", "warning", finding, np.argwhere(leaps & ~many), of=("LV", "MYO"))


def stack_end(heart: Heart) -> Iterator[Flag]:
    """At end-diastole the LV reaches an end of the stack: there may be more of it outside."""
    pool = heart.area[heart.ed, :, 0]
    if len(pool) < 2 or not pool.any():
        return
    base, apex = (0, len(pool) - 1) if heart.base_first else (len(pool) - 1, 0)
    share = pool / pool.max()
    if share[apex] > APEX_AREA:
        finding = f"The stack may end before the apex: its last slice has {share[apex]:.0%} of the largest LV pool area"
        yield from heart.flag("stack_end", "warning", finding, [(heart.ed, apex)])
    if share[base] > 0:
        finding = "The LV reaches the basal end of the stack: the base may be cut off"
        yield from heart.flag("stack_end", "note", finding, [(heart.ed, base)])


def too_few_slices(heart: Heart) -> Iterator[Flag]:
    """The LV lies in so few slices that its volume is rough."""
    count = np.count_nonzero(heart.area[heart.ed, :, 0])
    if 0 < count < FEWEST_SLICES:
        yield Flag("too_few_slices", "warning", f"The LV lies in only {count} slices at end-diastole.", (heart.ed,))


RULES = (
    heart_absent,
    missing_slice,
    several_components,
    rv_inside_lv,
    rv_apart,
    open_ring,
    image_border,
    area_leap,
    stack_end,
    too_few_slices,
)
