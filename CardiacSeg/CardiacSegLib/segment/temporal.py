"""Make the network's probabilities of a whole cardiac cycle consistent over time.

The network sees a frame and its opposite in the cycle, no others. Two things flicker: pixels on faint borders, and
whole slices at the base and the apex, which the network now takes for ventricle and now for atrium. Pixels follow a
parabola through five frames where the image does not change (one that keeps end-systole as it is; motion is left
alone). Slices are decided over the cycle: through-plane motion takes a slice out of a ventricle and back once
per beat, so its absence is one interval.
"""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from CardiacLib.types.labels import likeliest

FULL_CYCLE = 6
"""Fewer frames are no cycle (ED and ES, single images): the network's answer stands."""
PARABOLA = (-3 / 35, 12 / 35, 17 / 35, 12 / 35, -3 / 35)
"""Of five values in equal steps, their weights in the middle of the parabola fitted to them (Savitzky and Golay,
Analytical Chemistry 1964, doi 10.1021/ac60214a047)."""
SAME_IMAGE = 0.06
"""Change of the image, of its 1st..99th percentile range, at which smoothing over that step has fallen to 1/e."""
BLUR = 1.5
"""Standard deviation in network pixels of the Gaussian over which the image's change is taken."""
REACH = 4
"""Network pixels by which a ventricle may shift from slice to slice (breath holds) besides tapering."""
SUPPORTED = 8.0
"""Pixels below which a slice says nothing of the structure."""
SURE_BACKGROUND = 0.9
"""Probability of background above which a pixel needs no smoothing."""
SURE_ABSENCE = 0.01
"""Probability below which a class counts as absent when logarithms are smoothed. Less lets single noisy frames outweigh
the others (0.001), more pulls at the extremes (0.03: LVEF of the hearts below .9 points too low)."""
STRUCTURES = {"left ventricle": (1, 2), "right ventricle": (3,)}
"""Channels of what comes and goes together."""
HALF_FULL = 0.3
"""Part of the largest pool area that a slice must have to tell base from apex."""
LEAST_OWN_WEIGHT = 1 / 3
"""Of a frame in which the network missed a slice that is there, against the well supported ones before and after it."""
WELL_SUPPORTED = 0.75
"""Evidence from which a frame is one of those."""
SMOOTHED = "Faint borders were smoothed over neighbouring frames where the image does not change."
FAINT = 0.1
"""Probability that is no sign of presence."""
COVERED = {"base": (0.45, 0.20), "apex": (0.20, 0.12)}
"""Coverage at which presence is undecided, where the network is unsure, and the distance from it to certainty.

At the base, coverage is of the area in the slice below: in the experts' labels of the 80 training patients the last
basal slice of the LV never covers less than 0.55 of its neighbour. Towards the apex, where ventricles taper, it is of
the slice's own greatest area over the cycle. What lies beside the neighbour (an atrium taken for the other ventricle)
lowers coverage by the part of the whole that it makes.
"""
COVERED_SURELY = 0.15
"""Coverage at which presence is undecided where the network is sure, at both ends: a slice through the valve plane
holds part of a ventricle. This and the next were set by the phantom and one clinical study."""
UNSURE, SURE = 0.75, 0.90
"""Probability of the labelled pixels up to which the network is unsure, and from which it is sure. Their median tells
whether a slice holds a structure, as much of a small section is border; their mean whether it is drawn well."""


def smooth_over_time(probabilities: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Smooth the logarithms of the probabilities over five frames of the cycle where the image stays the same.

    Each becomes the middle of the parabola fitted to it and two frames on either side, which keeps maxima and minima.
    With a mean over the neighbours, of a quarter of the weight each, the LVEF of eight synthetic hearts that no network
    was trained with was 1.3 points too low, with this .7, without any smoothing .5; their volumes jump less than with
    the mean.

    Args:
        probabilities: float32 (T, C, H, W) of one slice.
        images: float32 (T, H, W) of that slice, 0..1.

    Returns:
        float32 (T, C, H, W). Pixels that the network is sure of in all frames stay as they are.
    """
    change = np.roll(images, -1, 0) - images
    change = ndimage.gaussian_filter(np.abs(ndimage.gaussian_filter(change, (0, BLUR / 2, BLUR / 2))), (0, BLUR, BLUR))
    greatest = ndimage.maximum_filter1d(change, 4, axis=0, mode="wrap")  # of the four steps between the five frames
    unsure = (probabilities.max(1) < SURE).any(0)
    still = np.exp(-((greatest[:, unsure] / SAME_IMAGE) ** 2))[:, None]
    logs = np.log(np.maximum(probabilities[:, :, unsure], SURE_ABSENCE))
    found = np.exp(logs + still * (ndimage.correlate1d(logs, PARABOLA, axis=0, mode="wrap") - logs))
    smooth = probabilities.copy()
    smooth[:, :, unsure] = found / found.sum(1, keepdims=True)
    return smooth


def cyclic_presence(evidence: np.ndarray) -> np.ndarray:
    """Frames in which a slice holds a structure: everywhere but in one interval of the cycle, which may be empty.

    The best of all such intervals is taken; a change of state costs as much as a run of frames of a twelfth of the
    cycle, so that shorter runs do not count.

    Args:
        evidence: (T,) -1 surely absent to 1 surely present.
    """
    frames = len(evidence)
    change = 2.0 * max(frames / 12.0, 1.1)
    twice = np.concatenate([[0.0], np.cumsum(np.concatenate([evidence, evidence]))])
    best, present = evidence.sum(), np.ones(frames, bool)
    if -evidence.sum() > best:
        best, present = -evidence.sum(), np.zeros(frames, bool)
    for start in range(frames):
        for length in range(1, frames):
            score = evidence.sum() - 2.0 * (twice[start + length] - twice[start]) - change
            if score > best:
                best, present = score, np.ones(frames, bool)
                present[np.arange(start, start + length) % frames] = False
    return present


def settle(probabilities: np.ndarray, images: np.ndarray) -> tuple[str, ...]:
    """Make the probabilities of a whole cycle consistent, in place; what was decided against the network.

    Args:
        probabilities: float32 (T, K, 4, H, W); shorter than a cycle, they stay as they are.
        images: float32 (T, K, H, W), the same pixels, 0..1.
    """
    box = _heart_box(probabilities)
    if len(probabilities) < FULL_CYCLE or box is None:
        return ()
    heart = probabilities[..., box[0], box[1]]
    for k in range(heart.shape[1]):
        heart[:, k] = smooth_over_time(heart[:, k], images[:, k, box[0], box[1]])
    return (SMOOTHED, *(note for name in STRUCTURES for note in _settle_structure(heart, name)))


def _heart_box(probabilities: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of (T, K, 4, H, W) outside which everything is surely background; None if there is nothing."""
    somewhere = (probabilities[:, :, 0] < SURE_BACKGROUND).any((0, 1))
    if not somewhere.any():
        return None
    return tuple(slice(held[0], held[-1] + 1) for held in (np.flatnonzero(somewhere.any(axis)) for axis in (1, 0)))


def _settle_structure(probabilities: np.ndarray, name: str) -> Iterator[str]:
    """Decide for each slice, from the middle outwards, in which frames it holds a structure; changes in place."""
    channels = list(STRUCTURES[name])
    area = probabilities[:, :, channels].sum((2, 3, 4)).mean(0)
    order = _ends((probabilities[:, :, (1, 3)] > 0.5).sum((0, 2, 3, 4)) / len(probabilities))
    if order is None:
        return
    middle = int(area.argmax())
    for step, end in order.items():
        inner = _mask(probabilities[:, middle], channels)
        for k in range(middle + step, probabilities.shape[1] if step > 0 else -1, step):
            found = probabilities[:, k].copy()
            inner, changes = _settle_slice(found, channels, inner, end)
            if changes is None:
                continue
            probabilities[:, k] = found
            if any(frames.any() for frames in changes.values()):
                yield _note(name, k, changes)


def _settle_slice(
    found: np.ndarray, channels: list[int], inner: np.ndarray, end: str
) -> tuple[np.ndarray, dict[str, np.ndarray] | None]:
    """Decide one slice in all frames; changes ``found`` (T, 4, H, W) in place.

    Args:
        inner: bool (T, H, W) the structure in the neighbouring slice towards the middle.

    Returns:
        bool (T, H, W) the structure in this slice, and what was done: word to the frames in which it was, bool (T,);
        None if ``found`` stays as it was.
    """
    near = ndimage.maximum_filter(inner.view(np.uint8), (1, 2 * REACH + 1, 2 * REACH + 1))
    here = found[:, channels].sum(1)
    here[here < FAINT] = 0.0
    inside, everywhere = (here * near).sum((1, 2)), here.sum((1, 2))
    covered = inside * inside / np.maximum(everywhere, 1.0)
    before = _mask(found, channels)
    if end == "apex" and covered.max() < SUPPORTED:
        return before, None
    full = inner.sum((1, 2)) if end == "base" else covered.max()
    shown, (undecided, certain) = covered / np.maximum(full, SUPPORTED), COVERED[end]

    def evidence(sureness: np.ndarray) -> np.ndarray:
        return np.clip((shown - undecided - sureness * (COVERED_SURELY - undecided)) / certain, -1.0, 1.0)

    sections = [values[held] if held.any() else np.zeros(1) for values, held in zip(here, before, strict=True)]
    core, whole = (
        np.interp([of(values) for values in sections], (UNSURE, SURE), (0.0, 1.0)) for of in (np.median, np.mean)
    )
    present = cyclic_presence(evidence(core))
    for t in np.flatnonzero(~present):
        found[t, 0] += found[t, channels].sum(0)
        found[t, channels] = 0.0
    faint = _complete(found, np.maximum(evidence(whole), 2.0 * whole - 1.0), present)
    if present.all() and not faint.any():
        return before, None
    after = _mask(found, channels)
    held_before, held_after = (mask.sum((1, 2)) >= SUPPORTED for mask in (before, after))
    added, removed = held_after & ~held_before, held_before & ~held_after
    return after, {"added": added, "removed": removed, "completed": faint & ~added & ~removed}


def _complete(found: np.ndarray, evidence: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Draw faint frames partly from the well supported ones before and after them, in place; (T,) which frames."""
    supported = present & (evidence >= WELL_SUPPORTED)
    faint = present & ~supported & supported.any()
    own = np.clip((1.0 + evidence) / 2.0, LEAST_OWN_WEIGHT, 1.0)
    for t in np.flatnonzero(faint):
        found[t] = own[t] * found[t] + (1.0 - own[t]) * _between(found, t, np.flatnonzero(supported))
    return faint


def _between(found: np.ndarray, t: int, sure: np.ndarray) -> np.ndarray:
    """Probabilities at frame ``t`` interpolated between the nearest of ``sure`` before and after it in the cycle."""
    frames = len(found)
    back, ahead = ((t - sure) % frames).min(), ((sure - t) % frames).min()
    return (ahead * found[(t - back) % frames] + back * found[(t + ahead) % frames]) / (back + ahead)


def _mask(found: np.ndarray, channels: list[int]) -> np.ndarray:
    """Where one of the channels is the likeliest, bool (T, H, W)."""
    return np.isin(likeliest(found), channels)


def _ends(pool_area: np.ndarray) -> dict[int, str] | None:
    """Which way along the slices leads to the base and which to the apex; None where the pools do not tell.

    Args:
        pool_area: (K,) mean area of both blood pools, which shrink from the base to the apex.
    """
    held = np.flatnonzero(pool_area > HALF_FULL * pool_area.max())
    if len(held) < 3 or pool_area.max() < SUPPORTED:
        return None
    slope = np.polyfit(held, pool_area[held], 1)[0]
    return {-1: "apex", 1: "base"} if slope > 0 else {-1: "base", 1: "apex"}


def _note(name: str, k: int, changes: dict[str, np.ndarray]) -> str:
    words = [
        f"{said} in {frames.sum()} frame{'s' if frames.sum() > 1 else ''}"
        for said, frames in changes.items()
        if frames.any()
    ]
    return f"Slice {k + 1}: the {name} was {' and '.join(words)} to agree with the rest of the cycle."
