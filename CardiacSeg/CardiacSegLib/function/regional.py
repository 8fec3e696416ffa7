"""Wall thickness, thickening and strain of the LV by segment and over the cycle, from the contours of the slices."""

from dataclasses import dataclass

import numpy as np

from CardiacLib.aha import APEX_SEGMENT, SEGMENT_NAMES
from CardiacLib.geometry import spacing_of
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.values import job_value

from .rings import DIRECTIONS, WIDEST_GAP, Ring, longest_run, measure_ring
from .segments import (
    LEVELS,
    base_direction,
    levels_of_slices,
    segments_of_directions,
    septum_directions,
    turning_to_anterior,
)

LAYERS = ("endo", "mid", "epi")
"""Contours whose length gives circumferential strain."""
CUT_WALL = 2 / 3
"""Of the neighbour's thickness: a basal wall that is thinner over WIDEST_GAP directions is cut by the valve plane.

True labels of 141 synthetic hearts at ED and ES: so are .65 of the 71 closed rings that the plane cuts (.42 at 1/2) and
.0004 of the others (0). Experts' labels of 80 patients: .60 of the most basal rings (.31), .10 of those further down
(.02); every basal segment is measured in other slices then."""
CAP_REASON = "The slices cut the apical cap along its wall: short axis gives no thickness there."


@job_value
@dataclass(frozen=True)
class Segment:
    """One of the 17 segments; None where it could not be measured, and then ``reason``.

    Attributes:
        number, name: 1 to 17 and its name.
        thickness_ed_mm, thickness_es_mm: mean wall thickness in the plane of the slices.
        thickening_percent: (ES - ED) / ED, the radial strain of the segment.
        circumferential_endo_percent, circumferential_mid_percent, circumferential_epi_percent: change of the
            contour's length within the segment from ED to ES.
        thickness_mm: of labels of one frame whose phase nobody knows.
        reason: why something is missing, else empty.
    """

    number: int
    name: str
    thickness_ed_mm: float | None = None
    thickness_es_mm: float | None = None
    thickening_percent: float | None = None
    circumferential_endo_percent: float | None = None
    circumferential_mid_percent: float | None = None
    circumferential_epi_percent: float | None = None
    thickness_mm: float | None = None
    reason: str = ""


@job_value
@dataclass(frozen=True)
class Regional:
    """The LV wall by segment and its strain over the cycle.

    Attributes:
        segments: the 17 segments in order.
        slice_levels: (K,) basal, mid or apical of each slice with a closed ring at ED, None of the others.
        circumferential_percent: (T, 3) length of the endocardial, mid-wall and epicardial contours relative to ED,
            summed over the slices that are closed at ED, ES and in the frame; NaN where no slice is.
        radial_percent: (T,) mean wall thickness relative to ED, over the same slices.
        thickness_ed_mm: mean over all slices with a closed ring at ED; None without one.
        thickness_mm: the same of labels of one frame that is not known to be at ED.
        notes: what to know about these numbers, one sentence each.
    """

    segments: tuple[Segment, ...]
    slice_levels: tuple[str | None, ...]
    circumferential_percent: np.ndarray
    radial_percent: np.ndarray
    thickness_ed_mm: float | None
    notes: tuple[str, ...] = ()
    thickness_mm: float | None = None


def measure_regions(labels: LabelMap, ed: int, es: int) -> Regional:
    """Segments and strain of a labelled cine; what cannot be measured is None or NaN, with a reason."""
    spacing = spacing_of(labels.ijk_to_lps)[:2]
    base = base_direction(labels, ed)
    towards_base = 0 if base is None else 1 if base @ labels.ijk_to_lps[:3, 2] > 0 else -1
    rings = [[measure_ring(plane, spacing) for plane in frame] for frame in labels.labels]
    rings = [_without_cut_base(frame[::towards_base])[::towards_base] for frame in rings] if towards_base else rings
    closed = np.array([[ring is not None for ring in frame] for frame in rings])
    thickness, lengths = _arrays(rings)
    circumferential, radial = _global_strain(thickness, lengths, closed, ed, es)
    mean = float(thickness[ed, closed[ed]].mean()) if closed[ed].any() else None
    turning, note = (1, "") if base is None else turning_to_anterior(labels.ijk_to_lps, base, rings)
    septum = septum_directions(rings, turning)
    reason = _missing(closed[ed], base, septum)
    if reason:
        segments = tuple(Segment(n, name, reason=reason) for n, name in enumerate(SEGMENT_NAMES, 1))
        return Regional(segments, (None,) * closed.shape[1], circumferential, radial, mean, (reason,))
    levels = levels_of_slices(closed[ed], towards_base)
    numbers = np.zeros((len(levels), DIRECTIONS), int)
    for k, level in enumerate(levels):
        if level is not None:
            numbers[k] = segments_of_directions(septum[k], turning, level)
    segments = tuple(_segment(n, numbers, closed, thickness, lengths, (ed, es)) for n in range(1, APEX_SEGMENT + 1))
    return Regional(segments, tuple(levels), circumferential, radial, mean, (note,) if note else ())


def _without_cut_base(rings: list[Ring | None]) -> list[Ring | None]:
    """Rings from apex to base without the last one where the valve plane, oblique to it, cuts into its wall.

    Such a ring is still closed, but thins at once, to less than CUT_WALL of its neighbour on one side.
    """
    held = [k for k, ring in enumerate(rings) if ring is not None]
    if len(held) < 2:
        return rings
    last, before = rings[held[-1]], rings[held[-2]]
    if longest_run(last.thickness_mm < CUT_WALL * before.thickness_mm) < WIDEST_GAP:
        return rings
    return [None if k == held[-1] else ring for k, ring in enumerate(rings)]


def _arrays(rings: list[list[Ring | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Wall thickness (T, K, N) and contour lengths (T, K, 3, N) in mm, NaN where there is no ring.

    Thickness is given at directions, lengths between them: thickness is brought to the middle of each step.
    """
    shape = (len(rings), len(rings[0]))
    thickness, lengths = np.full((*shape, DIRECTIONS), np.nan), np.full((*shape, 3, DIRECTIONS), np.nan)
    for t, frame in enumerate(rings):
        for k, ring in enumerate(frame):
            if ring is not None:
                thickness[t, k] = 0.5 * (ring.thickness_mm + np.roll(ring.thickness_mm, -1))
                lengths[t, k] = ring.lengths_mm
    return thickness, lengths


def _global_strain(thickness, lengths, closed, ed: int, es: int) -> tuple[np.ndarray, np.ndarray]:
    """Circumferential (T, 3) and radial (T,) strain in percent relative to ED."""
    circumferential, radial = np.full((len(closed), 3), np.nan), np.full(len(closed), np.nan)
    for t, now in enumerate(closed & closed[ed] & closed[es]):
        if now.any():
            around = lengths[:, now].sum(axis=(1, 3))
            circumferential[t] = 100.0 * (around[t] / around[ed] - 1.0)
            radial[t] = 100.0 * (thickness[t, now].mean() / thickness[ed, now].mean() - 1.0)
    return circumferential, radial


def _missing(closed_at_ed: np.ndarray, base, septum) -> str:
    """Why there are no segments at all; empty if there are."""
    if not closed_at_ed.any():
        return "No slice has a closed ring of myocardium at end-diastole: wall thickness cannot be measured."
    if septum is None:
        return "No slice shows the right ventricle beside the wall: the septum, and so the segments, cannot be told."
    if base is None:
        return "Only one slice holds the heart: base and apex, and so the segments, cannot be told."
    return ""


def _segment(number: int, numbers, closed, thickness, lengths, phases: tuple[int, int]) -> Segment:
    """One segment over its slices: those closed at ED and ES, or, where there is none, those closed at ED."""
    name, (ed, es) = SEGMENT_NAMES[number - 1], phases
    if number == APEX_SEGMENT:
        return Segment(number, name, reason=CAP_REASON)
    at_ed = numbers == number
    if not at_ed.any():
        return Segment(number, name, reason=f"Fewer slices than levels: none is {_level(number)}.")
    both = at_ed & closed[es][:, None]
    if ed == es:
        return Segment(number, name, float(thickness[ed][at_ed].mean()), reason="One frame: no change over the beat.")
    if not both.any():
        return Segment(
            number, name, float(thickness[ed][at_ed].mean()), reason="No slice of this level is closed at end-systole."
        )
    before, after = (float(thickness[t][both].mean()) for t in phases)
    k, n = np.nonzero(both)
    around = [lengths[t][k, :, n].sum(axis=0) for t in phases]
    change = 100.0 * (around[1] / around[0] - 1.0)
    return Segment(number, name, before, after, 100.0 * (after / before - 1.0), *(float(c) for c in change))


def _level(number: int) -> str:
    return LEVELS[min((number - 1) // 6, 2)]
