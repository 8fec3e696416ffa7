"""Fit a :class:`Calibration` on patients whose truth is known, and keep it in the bundle."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import scipy

from CardiacLib.errors import InputError
from CardiacLib.files import write_json
from CardiacLib.types.choices import SegmentChoice
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import STRUCTURES, Segmentation
from CardiacSegLib.function import measure

from .accuracy import BAD_DICE, Detection, detection
from .confidence import FILE, Calibration, expected_dice, expected_slice_dice, logit, sigmoid, weights_sha256
from .summary import LIGHTS, judge
from .uncertainty import differing_ml, ejection_deviation

CAUGHT = 0.90
"""Share of the bad structures, as cross-validation predicts them, that the warning should catch."""
WARN_LIMITS = (BAD_DICE, 0.90)
"""A warning below the lower is its meaning; above the higher it would be of no use."""
SERIOUS_BELOW, SERIOUS_BELOW_UNLIKE = 0.75, BAD_DICE
"""Chosen on hearts of ``Docs/notes/quality.md``: the second with damaged images, the lowest limit under which 85 % of
what has a Dice below 0.75 lies; the first with images as they are, where the second calls too much serious."""
FEWEST_PATIENTS = 5


@dataclass(frozen=True)
class Samples:
    """What was expected and what was true, of N structures or slices.

    Attributes:
        patients: (N,) names; what is of one patient is never split in cross-validation.
        kinds: (N,) int: index of the structure, or 0 for slices.
        frames: (N,) int frame, so that the structures of one patient and frame can be put together.
        expected, dice: (N,) expected Dice of the probabilities, and Dice with the experts' labels.
        excess: (N,) volume found over the experts', as a share of the volume found; NaN where nothing was found.
    """

    patients: np.ndarray
    kinds: np.ndarray
    frames: np.ndarray
    expected: np.ndarray
    dice: np.ndarray
    excess: np.ndarray

    def take(self, chosen: np.ndarray) -> "Samples":
        """Some of them."""
        return Samples(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def samples_of(cases: list[tuple[str, Segmentation, LabelMap]]) -> tuple[Samples, Samples]:
    """Structures of frames, and slices of frames, of patients given by name, segmentation and true labels.

    Without those where the network sees nothing at all: there is no confidence in them, and rules report an absence.
    """
    structures, slices = [], []
    for name, segmentation, true in cases:
        counts = _counts(segmentation.labels.labels, true.labels)
        structures += _rows(name, expected_dice(segmentation.statistics), *(count.sum(1) for count in counts))
        expected = expected_slice_dice(segmentation.statistics)[..., None]
        slices += _rows(name, expected, *(count.sum(2)[..., None] for count in counts))
    return _samples(structures), _samples(slices)


def _counts(found: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, K, 3) pixels that both masks have, that were found, and that are true."""
    masks = [(found == label, true == label) for label in STRUCTURES.values()]
    sums = [[pixels.sum((2, 3)) for pixels in (a & b, a, b)] for a, b in masks]
    overlap, drawn, experts = (np.stack(column, -1) for column in zip(*sums, strict=True))
    return overlap, drawn, experts


def _rows(name: str, expected: np.ndarray, overlap: np.ndarray, drawn: np.ndarray, experts: np.ndarray):
    total = drawn + experts
    for index in np.argwhere(np.isfinite(expected) & (total > 0)):
        at = tuple(index)
        excess = (drawn[at] - experts[at]) / drawn[at] if drawn[at] else np.nan
        yield name, index[-1], index[0], expected[at], 2.0 * overlap[at] / total[at], excess


def _samples(rows) -> Samples:
    columns = list(zip(*rows, strict=True)) or [()] * 6
    kinds = (str, int, int, float, float, float)
    return Samples(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))


def fit_curve(samples: Samples, kinds: int) -> tuple[np.ndarray, float]:
    """Offset of each kind and the common slope (never negative) with the least squared error of the Dice."""
    x = logit(samples.expected)

    def error(parameters):
        return sigmoid(parameters[samples.kinds] + parameters[-1] * x) - samples.dice

    bounds = ([-20.0] * kinds + [0.0], [20.0] * (kinds + 1))
    found = scipy.optimize.least_squares(error, [0.0] * kinds + [1.0], bounds=bounds).x
    return found[:-1], float(found[-1])


def cross_validated(samples: Samples, kinds: int) -> np.ndarray:
    """(N,) probable Dice of each sample by a curve that was fitted without its patient."""
    probable = np.empty(len(samples.dice))
    for patient in np.unique(samples.patients):
        left_out = samples.patients == patient
        offsets, slope = fit_curve(samples.take(~left_out), kinds)
        probable[left_out] = sigmoid(offsets[samples.kinds[left_out]] + slope * logit(samples.expected[left_out]))
    return probable


def volume_share(samples: Samples, probable: np.ndarray) -> tuple[float, ...]:
    """Root mean square of the volume's error over the differing volume, for LV, myocardium and RV; 0 without samples.

    Args:
        samples: structures of frames.
        probable: (N,) their probable Dice, best by a curve that was fitted without their patient.
    """
    ratio = samples.excess / differing_ml(1.0, probable)
    of_kinds = [ratio[samples.kinds == kind] for kind in range(len(STRUCTURES))]
    return tuple(float(np.sqrt(np.mean(part**2))) if part.size else 0.0 for part in of_kinds)


def volume_coverage(samples: Samples, probable: np.ndarray) -> dict[str, dict[str, float]]:
    """Shares of the volumes within one and two standard deviations, each patient with a share fitted without it."""
    ratio = np.abs(samples.excess / differing_ml(1.0, probable))
    scaled = np.empty(len(ratio))
    for patient in np.unique(samples.patients):
        left_out = samples.patients == patient
        share = np.array(volume_share(samples.take(~left_out), probable[~left_out]))
        scaled[left_out] = ratio[left_out] / np.maximum(share, 1e-9)[samples.kinds[left_out]]
    groups = [scaled[samples.kinds == kind] for kind in range(len(STRUCTURES))]
    return {name: _within(group) for name, group in zip(STRUCTURES, groups, strict=True) if group.size}


def ejection_coverage(
    cases: list[tuple[str, Segmentation, LabelMap]], samples: Samples, probable: np.ndarray
) -> dict[str, dict[str, float]]:
    """As :func:`volume_coverage` of the ejection fraction, of patients given at ED and ES in this order."""
    found = {}
    for kind, (name, label) in enumerate(STRUCTURES.items()):
        scaled = []
        for patient, segmentation, true in cases:
            own, others = samples.patients == patient, samples.patients != patient
            own &= samples.kinds == kind
            if name == "MYO" or own.sum() != 2:
                continue
            share = volume_share(samples.take(others), probable[others])[kind]
            drawn, experts = (labels.volume_ml(label) for labels in (segmentation.labels, true))
            error = 100.0 * abs(drawn[1] / drawn[0] - experts[1] / experts[0])
            spread = ejection_deviation(tuple(drawn), tuple(share * differing_ml(drawn, probable[own])))
            scaled.append(error / max(spread, 1e-9))
        if scaled:
            found[f"{name} EF"] = _within(np.array(scaled))
    return found


def _within(scaled: np.ndarray) -> dict[str, float]:
    return {f"within_{limit}": round(float((scaled <= limit).mean()), 3) for limit in (1, 2)}


@dataclass(frozen=True)
class Fit:
    """A calibration, and how well it works on patients it was not fitted on (leave one patient out).

    Attributes:
        calibration: fitted on all patients.
        patients: number of them.
        uncalibrated, structures: detection of structures with Dice < 0.85 by the expected and by the probable Dice.
        means: detection of frames whose mean Dice over the structures is < 0.85.
        slices: detection of slices in which the heart's Dice is < 0.85.
        flagged, caught: share of all, and of the bad structures, below ``warn_below``.
        lights: number of patients with each traffic light, and of those with a bad structure.
        coverage: shares of the volumes of LV, MYO and RV, and of the ejection fractions, within one and two standard
            deviations of the truth.
    """

    calibration: Calibration
    patients: int
    uncalibrated: Detection
    structures: Detection
    means: Detection
    slices: Detection
    flagged: float
    caught: float | None
    lights: dict[str, dict[str, int]]
    coverage: dict[str, dict[str, float]]


def fit(cases: list[tuple[str, Segmentation, LabelMap]], species: str = "human") -> Fit:
    """Fit on patients, or animals of a species, given by name, segmentation and true labels.

    Raises:
        InputError: fewer than five patients.
    """
    structures, slices = samples_of(cases)
    patients = len(np.unique(structures.patients))
    if patients < FEWEST_PATIENTS:
        raise InputError(f"A calibration needs at least {FEWEST_PATIENTS} patients; there are {patients}.")
    probable = cross_validated(structures, len(STRUCTURES))
    warn_below = warning_limit(probable, structures.dice)
    bad = structures.dice < BAD_DICE
    return Fit(
        replace(calibrate(structures, slices, warn_below), volume_share=volume_share(structures, probable)),
        patients,
        detection(structures.expected, structures.dice),
        detection(probable, structures.dice),
        detection(*frame_means(structures, probable)),
        detection(cross_validated(slices, 1), slices.dice),
        flagged=float((probable < warn_below).mean()),
        caught=float((probable[bad] < warn_below).mean()) if bad.any() else None,
        lights=lights(cases, (structures, slices), warn_below, species),
        coverage=volume_coverage(structures, probable) | ejection_coverage(cases, structures, probable),
    )


def calibrate(structures: Samples, slices: Samples, warn_below: float) -> Calibration:
    """The calibration that fits the samples best."""
    offsets, slope = fit_curve(structures, len(STRUCTURES))
    (slice_offset,), slice_slope = fit_curve(slices, 1)
    return Calibration(
        offsets=tuple(map(float, offsets)),
        slope=slope,
        slice_offset=float(slice_offset),
        slice_slope=slice_slope,
        warn_below=warn_below,
        serious_below=SERIOUS_BELOW,
        serious_below_unlike=SERIOUS_BELOW_UNLIKE,
        calibrated=True,
    )


def lights(
    cases: list[tuple[str, Segmentation, LabelMap]], samples: tuple[Samples, Samples], warn_below: float, species: str
) -> dict[str, dict[str, int]]:
    """Patients by traffic light, each judged with a calibration that was fitted without it.

    Args:
        cases: name, segmentation and true labels.
        samples: of structures and of slices, as of :func:`samples_of`.
        warn_below: as of :class:`Calibration`.
        species: whose hearts they are.
    """
    structures, choice = samples[0], SegmentChoice(species=species)
    table = {light: {"patients": 0, "with_bad_structure": 0} for light in LIGHTS.values()}
    for name, segmentation, _ in cases:
        others = (part.take(part.patients != name) for part in samples)
        calibration = calibrate(*others, warn_below)
        function = measure(segmentation.labels, choice)
        report = judge(segmentation.labels, function, segmentation.statistics, calibration)
        table[report.light]["patients"] += 1
        table[report.light]["with_bad_structure"] += bool(
            (structures.dice[structures.patients == name] < BAD_DICE).any()
        )
    return table


def warning_limit(probable: np.ndarray, dice: np.ndarray) -> float:
    """Lowest limit, in steps of 0.01 within WARN_LIMITS, under which nine of ten bad structures lie."""
    bad = probable[dice < BAD_DICE]
    needed = np.quantile(bad, CAUGHT) if bad.size else WARN_LIMITS[0]
    return float(np.clip(np.ceil(100.0 * needed) / 100.0, *WARN_LIMITS))


def frame_means(samples: Samples, probable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the structures of each patient and frame: probable, and true Dice."""
    keys = np.array([f"{patient} {frame}" for patient, frame in zip(samples.patients, samples.frames, strict=True)])
    groups = [keys == key for key in np.unique(keys)]
    means = [[values[group].mean() for group in groups] for values in (probable, samples.dice)]
    return np.array(means[0]), np.array(means[1])


def write_calibration(found: Fit, folder: Path, data: str, note: str = "") -> None:
    """Keep a fit in a bundle, with what it was fitted on; it holds for the weights that are there now.

    ``note`` is a sentence that every report with this calibration then has.
    """
    calibration = asdict(found.calibration)
    calibration["offsets"] = dict(zip(STRUCTURES, calibration["offsets"], strict=True))
    calibration["volume_share"] = dict(zip(STRUCTURES, calibration["volume_share"], strict=True))
    del calibration["calibrated"]
    checks = {name: getattr(found, name)._asdict() for name in ("uncalibrated", "structures", "means", "slices")}
    about = {
        "about": "Probable Dice = sigmoid(offset + slope * logit(expected Dice)); made by 'cineheart calibrate'.",
        "fitted_on": data,
        "note": note,
        "patients": found.patients,
        "weights_sha256": weights_sha256(folder),
        "leave_one_patient_out": checks
        | {"flagged": found.flagged, "caught": found.caught, "lights": found.lights, "volumes": found.coverage},
    }
    write_json(folder / "configs" / FILE, calibration | about)
