"""Whether the red light is right: precision and recall of what is really bad, with bootstrap intervals.

One structure of one heart is judged: it is red if a serious finding is about it, or about all structures; it is really
bad if its Dice with the expert, in the worst frame that was looked at, is below a limit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from CardiacLib.datasets.hearts import LabelledHeart
from CardiacLib.datasets.read import without_borders
from CardiacLib.datasets.records import NAMES, UNKNOWN
from CardiacLib.datasets.splits import domain_of
from CardiacLib.errors import InputError
from CardiacLib.metrics import overlap
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import STRUCTURES, SliceStatistics
from CardiacSegLib.function import measure
from CardiacSegLib.quality import Flag, QualityReport, assess
from CardiacSegLib.quality.accuracy import BAD_DICE
from CardiacSegLib.quality.summary import LIGHTS
from CardiacSegLib.segment.slice_network import CineSegmenter

from .damage import IMAGE_DAMAGES, LABEL_DAMAGES

AS_THEY_ARE, IMAGES, LABELS = "as they are", "damaged images", "damaged labels"
LIMITS = (0.75, BAD_DICE)
"""Dice below which a structure is really bad, what red is for; and bad, what amber is for."""
DAMAGED_HEARTS = 12
"""Of each set, spread evenly over it, are damaged."""
DRAWS, WITHIN = 2000, 0.95
BINS = 10
"""Of equally many structures, for the calibration error."""


@dataclass(frozen=True)
class LightRow:
    """One structure of one heart.

    Attributes:
        set, subject: where it is from.
        kind: as they are, damaged images, damaged labels.
        damage: its name; empty where there is none.
        structure: LV, MYO, RV.
        dice: with the expert, the lowest of the frames; without what is uncertain.
        probable: the lowest probable Dice of the same frames; NaN where rules alone judge.
        light: red, amber or green by the findings about this structure or about all.
        codes: of the serious findings about it.
    """

    set: str
    subject: str
    kind: str
    damage: str
    structure: str
    dice: float
    probable: float
    light: str
    codes: str


@dataclass(frozen=True)
class Found:
    """How well red finds what is bad.

    Attributes:
        count, bad, red, both: structures, bad ones, red ones, and those that are both.
        precision, recall: both over red, both over bad; None where nothing is.
        precision_range, recall_range: bootstrap interval over subjects; None like the number.
    """

    count: int
    bad: int
    red: int
    both: int
    precision: float | None
    recall: float | None
    precision_range: tuple[float, float] | None
    recall_range: tuple[float, float] | None


@dataclass(frozen=True)
class Calibrated:
    """How far the probable Dice is from the true one.

    Attributes:
        count: structures that have a probable Dice.
        probable, dice: means of both.
        error: expected calibration error: their difference in BINS of ascending probable Dice, mean of its amounts.
        error_range: bootstrap interval over subjects.
    """

    count: int
    probable: float
    dice: float
    error: float
    error_range: tuple[float, float]


def light_rows(heart: LabelledHeart, segmenter: CineSegmenter, bundle: str, damaged: bool) -> Iterator[LightRow]:
    """Rows of a heart as it is and, if asked, of every damage.

    Images are damaged in its first frame and the one most unlike it; labels are the network's, in all frames.

    Args:
        heart: labels of an expert, borders included.
        segmenter: of the bundle.
        bundle: whose calibration judges.
        damaged: whether to damage it too.
    """
    found = segmenter.segment(heart.cine)
    yield from _rows(heart, found.labels, _judged(heart, found.labels, found.statistics, bundle), (AS_THEY_ARE, ""))
    if not damaged:
        return
    for spoilt in LABEL_DAMAGES:
        labels = spoilt.of(found.labels)
        if (labels.labels != found.labels.labels).any():
            yield from _rows(heart, labels, _judged_or_refused(heart, labels, bundle), (LABELS, spoilt.name))
    frames = sorted({0, int(heart.opposite[0])})
    few = LabelledHeart(tuple(heart.records[t] for t in frames), heart.cine.only(frames), heart.labels[frames])
    for damage in IMAGE_DAMAGES:
        worse = LabelledHeart(few.records, damage.of(few.cine), few.labels)
        found = segmenter.segment(worse.cine)
        report = _judged(worse, found.labels, found.statistics, bundle)
        yield from _rows(worse, found.labels, report, (IMAGES, damage.name))


def _judged(heart: LabelledHeart, labels: LabelMap, statistics: SliceStatistics | None, bundle: str) -> QualityReport:
    return assess(labels, measure(labels), statistics, bundle, cine=heart.cine)


def _judged_or_refused(heart: LabelledHeart, labels: LabelMap, bundle: str) -> QualityReport:
    """What is refused as labels in another order counts as red."""
    try:
        return _judged(heart, labels, None, bundle)
    except InputError as error:
        return QualityReport((Flag("refused", "serious", str(error)),), None, None, False, "", 0, 0)


def _rows(heart: LabelledHeart, found: LabelMap, report: QualityReport, how: tuple[str, str]) -> Iterator[LightRow]:
    dice: dict[str, list[float]] = {}
    probable: dict[str, list[float]] = {}
    for t, record in enumerate(heart.records):
        certain = without_borders(heart.labels[t : t + 1], record, heart.cine)[0] != UNKNOWN
        for name in record.structures:
            drawn, seen = ((labels[t] == NAMES[name]) & certain for labels in (heart.labels, found.labels))
            if drawn.any() or seen.any():
                key = name.upper()
                dice.setdefault(key, []).append(overlap(seen, drawn).dice)
                told = np.nan if report.dice is None else report.dice[t, list(STRUCTURES).index(key)]
                probable.setdefault(key, []).append(float(told))
    for name, values in dice.items():
        about = [flag for flag in report.flags if not flag.structures or name in flag.structures]
        yield LightRow(
            set=domain_of(heart.record) or "not stated",
            subject=heart.record.subject,
            kind=how[0],
            damage=how[1],
            structure=name,
            dice=min(values),
            probable=min(probable[name]),
            light=LIGHTS[about[0].severity] if about else LIGHTS["note"],
            codes=" ".join(sorted({flag.code for flag in about if flag.severity == "serious"})),
        )


def chosen_for_damage(subjects: Sequence[str]) -> set[str]:
    """At most DAMAGED_HEARTS of the subjects of one set, spread evenly over their order."""
    places = np.linspace(0, len(subjects) - 1, min(DAMAGED_HEARTS, len(subjects))).round().astype(int)
    return {subjects[place] for place in places}


def found_by(rows: Sequence[LightRow], limit: float, lights: tuple[str, ...] = ("red",), *, seed: int = 0) -> Found:
    """Precision and recall of a light, or several, for structures with a Dice below a limit.

    Intervals hold WITHIN of DRAWS draws of subjects with replacement, whose rows stay together (percentile bootstrap,
    Efron 1979); draws in which nothing is bad, or nothing red, have no say in what they cannot tell.
    """
    subjects = sorted({(row.set, row.subject) for row in rows})
    counts = np.zeros((len(subjects), 3))  # bad, red, both
    for row in rows:
        bad, red = row.dice < limit, row.light in lights
        counts[subjects.index((row.set, row.subject))] += (bad, red, bad and red)
    bad, red, both = counts.sum(0)
    drawn = np.random.default_rng(seed).integers(0, max(len(subjects), 1), (DRAWS, len(subjects)))
    sums = counts[drawn].sum(1)
    return Found(
        len(rows),
        int(bad),
        int(red),
        int(both),
        _share(both, red),
        _share(both, bad),
        _interval(sums[:, 2], sums[:, 1]),
        _interval(sums[:, 2], sums[:, 0]),
    )


def calibrated(rows: Sequence[LightRow], *, seed: int = 0) -> Calibrated | None:
    """Expected calibration error of the probable Dice (Naeini et al., AAAI 2015, of probabilities); None without one.

    The lowest probable Dice of a structure is held against its lowest true one. Intervals as of :func:`found_by`; what
    chance adds to the error, most in few rows, is in them twice.
    """
    known = [row for row in rows if np.isfinite(row.probable)]
    if not known:
        return None
    probable, dice = (np.array([getattr(row, name) for row in known]) for name in ("probable", "dice"))
    places = [f"{row.set} {row.subject}" for row in known]
    own = [np.flatnonzero(np.array(places) == place) for place in sorted(set(places))]
    errors = []
    for drawn in np.random.default_rng(seed).integers(0, len(own), (DRAWS, len(own))):
        chosen = np.concatenate([own[place] for place in drawn])
        errors.append(_calibration_error(probable[chosen], dice[chosen]))
    low, high = np.quantile(errors, [(1 - WITHIN) / 2, (1 + WITHIN) / 2])
    means = float(probable.mean()), float(dice.mean())
    return Calibrated(len(known), *means, _calibration_error(probable, dice), (float(low), float(high)))


def _calibration_error(probable: np.ndarray, dice: np.ndarray) -> float:
    bins = np.array_split((probable - dice)[np.argsort(probable, kind="stable")], min(BINS, len(dice)))
    return float(sum(abs(differences.sum()) for differences in bins) / len(dice))


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _interval(parts: np.ndarray, wholes: np.ndarray) -> tuple[float, float] | None:
    valid = wholes > 0
    if not valid.any():
        return None
    low, high = np.quantile(parts[valid] / wholes[valid], [(1 - WITHIN) / 2, (1 + WITHIN) / 2])
    return float(low), float(high)
