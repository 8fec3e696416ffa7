"""How much accuracy a network loses when the same patients come in another arrangement, contrast or resolution.

Every change makes a cine and its truth that some scanner or converter could have written of the same patient. Where
pixels move, the index-to-LPS matrix moves with them, so each tissue keeps its place in the patient.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from CardiacLib.metrics import dice
from CardiacLib.progress import Progress, silent
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.segmentation import STRUCTURES
from CardiacSegLib.segment.segmenter import Segmenter

from .evaluation import PHASES, Case

MAX_DROP = 0.015
"""A change passes if it lowers the mean Dice by no more than this."""
BIAS_RATIO = 4.0
"""Brightness in one corner of the field over that in the opposite one."""
LARGER_FIELD = 1.3
"""Side of the larger field of view over that of the original."""


@dataclass(frozen=True)
class Change:
    """A change of the input.

    Attributes:
        name, description: for the tables.
        apply: maps a cine and its truth; the truth may stay on the grid it was drawn on.
        order: of the splines that take labels found on other pixels back to those of the truth, see ``on_grid_of``.
    """

    name: str
    description: str
    apply: Callable[[Cine, LabelMap], tuple[Cine, LabelMap]]
    order: int = 3


@dataclass(frozen=True)
class RobustnessRow:
    """Dice of one structure of one patient at one phase after a change, and before it."""

    change: str
    patient: str
    group: str
    phase: str
    structure: str
    dice: float
    unchanged_dice: float


def robustness(cases: list[Case], segmenter: Segmenter, progress: Progress = silent) -> list[RobustnessRow]:
    """Segment every evaluated patient again after each of :data:`CHANGES`."""
    rows = []
    for done, (change, case) in enumerate((change, case) for change in CHANGES for case in cases):
        progress(done / (len(CHANGES) * len(cases)), f"{change.name}: {case.patient.name}")
        cine, true = change.apply(case.patient.cine, case.patient.true)
        found = on_grid_of(true, segmenter.segment(cine).labels, change.order)
        before = {(row.structure, row.phase): row.dice for row in case.rows}
        for t, phase in enumerate(PHASES):
            for name, label in STRUCTURES.items():
                value = dice(found[t] == label, true.labels[t] == label)
                who = case.patient.name, case.patient.group
                rows.append(RobustnessRow(change.name, *who, phase, name, value, before[name, phase]))
    progress(1.0, "changes evaluated")
    return rows


def robustness_summary(rows: list[RobustnessRow]) -> dict[str, object]:
    """Per change: mean Dice, how much lower it is than unchanged (overall, per structure, worst patient), passed."""
    table = []
    for change in CHANGES:
        chosen = [row for row in rows if row.change == change.name]
        patients = sorted({row.patient for row in chosen})
        per_patient = [_drop([row for row in chosen if row.patient == patient]) for patient in patients]
        drop = _drop(chosen)
        table.append(
            {
                "change": change.name,
                "description": change.description,
                "mean_dice": float(np.mean([row.dice for row in chosen])),
                "drop": drop,
                "structure_drop": {s: _drop([row for row in chosen if row.structure == s]) for s in STRUCTURES},
                "worst_patient_drop": max(per_patient),
                "worst_patient": patients[int(np.argmax(per_patient))],
                "passed": drop <= MAX_DROP,
            }
        )
    return {"max_drop": MAX_DROP, "patients": len({row.patient for row in rows}), "table": table}


def _drop(rows: list[RobustnessRow]) -> float:
    return float(np.mean([row.unchanged_dice - row.dice for row in rows]))


def on_grid_of(true: LabelMap, found: LabelMap, order: int = 3) -> np.ndarray:
    """Labels of ``found`` at the voxels of ``true``, uint8 (T, K, J, I); both have the same slices.

    On other pixels each label's mask is approximated in its slice by B-splines of an order (the mask's pixels as
    coefficients) and the greatest wins. Order 0, the nearest pixel, keeps the staircase of coarse pixels; order 3
    smooths it, as the experts' contours are smooth.
    """
    if found.labels.shape == true.labels.shape and np.allclose(found.ijk_to_lps, true.ijk_to_lps):
        return found.labels
    index = (np.linalg.inv(found.ijk_to_lps) @ true.ijk_to_lps)[1::-1]
    matrix, offset = index[:, 1::-1], index[:, 3]
    values = np.array([0, *STRUCTURES.values()], np.uint8)
    out = np.empty(true.labels.shape, np.uint8)
    for t, k in np.ndindex(out.shape[:2]):
        amount = [
            ndimage.affine_transform(
                (found.labels[t, k] == value).astype(np.float32), matrix, offset, out.shape[2:],
                order=order, mode="nearest", prefilter=False,
            )
            for value in values
        ]  # fmt: skip
        out[t, k] = values[np.argmax(amount, axis=0)]
    return out


def rearranged(cine: Cine, true: LabelMap, transpose: bool = False, flip: str = "") -> tuple[Cine, LabelMap]:
    """The same voxels in another order: rows and columns exchanged, then the axes in ``flip`` (k, j, i) reversed."""
    frames, labels, matrix = cine.frames, true.labels, cine.ijk_to_lps.copy()
    if transpose:
        frames, labels = frames.swapaxes(2, 3), labels.swapaxes(2, 3)
        matrix = matrix[:, [1, 0, 2, 3]]
    for name in flip:
        axis, column = 1 + "kji".index(name), "ijk".index(name)
        frames, labels = np.flip(frames, axis), np.flip(labels, axis)
        matrix[:3, 3] += matrix[:3, column] * (frames.shape[axis] - 1)
        matrix[:3, column] *= -1.0
    return _pair(cine, np.ascontiguousarray(frames), true, np.ascontiguousarray(labels), matrix)


def with_gamma(cine: Cine, true: LabelMap, gamma: float) -> tuple[Cine, LabelMap]:
    """Intensities, scaled to 0..1 between the lowest and the highest of the cine, to the power ``gamma``."""
    low, high = float(cine.frames.min()), float(cine.frames.max())
    span = max(high - low, 1e-6)
    return cine.with_changes(frames=low + span * ((cine.frames - low) / span) ** gamma), true


def with_bias_field(cine: Cine, true: LabelMap) -> tuple[Cine, LabelMap]:
    """Brightness that grows exponentially from the first corner of every slice to the opposite one, as near a coil."""
    along_j, along_i = (np.linspace(-0.5, 0.5, n) for n in cine.frames.shape[2:])
    field = BIAS_RATIO ** (0.5 * (along_j[:, None] + along_i[None, :]))
    low = float(cine.frames.min())
    return cine.with_changes(frames=low + (cine.frames - low) * field), true


def coarser(cine: Cine, true: LabelMap) -> tuple[Cine, LabelMap]:
    """Pixels of twice the side, each the mean of four; the truth stays on the grid it was drawn on."""
    t, k, j, i = cine.frames.shape
    # An odd last row or column is repeated, so that none is lost.
    frames = np.pad(cine.frames, ((0, 0), (0, 0), (0, j % 2), (0, i % 2)), mode="edge")
    frames = frames.reshape(t, k, (j + 1) // 2, 2, (i + 1) // 2, 2).mean(axis=(3, 5))
    step = np.eye(4)
    step[[0, 1], [0, 1]] = 2.0
    step[:2, 3] = 0.5
    return cine.with_changes(frames=frames, ijk_to_lps=cine.ijk_to_lps @ step), true


def larger_field(cine: Cine, true: LabelMap, mode: str) -> tuple[Cine, LabelMap]:
    """Rows and columns added on all sides until the field is 30 % larger along both; ``mode`` as of ``numpy.pad``."""
    margins = [(0, 0), (0, 0)] + [(round(n * (LARGER_FIELD - 1) / 2),) * 2 for n in cine.frames.shape[2:]]
    fill = {"constant_values": cine.frames.min()} if mode == "constant" else {}
    frames = np.pad(cine.frames, margins, mode=mode, **fill)
    matrix = cine.ijk_to_lps.copy()
    matrix[:3, 3] -= matrix[:3, :2] @ (margins[3][0], margins[2][0])
    return _pair(cine, frames, true, np.pad(true.labels, margins), matrix)


def _pair(cine: Cine, frames, true: LabelMap, labels, matrix) -> tuple[Cine, LabelMap]:
    return cine.with_changes(frames=frames, ijk_to_lps=matrix), LabelMap(labels, matrix, true.times_ms, true.source)


CHANGES = (
    Change("rotated 90°", "rows become columns", lambda c, t: rearranged(c, t, True, "j")),
    Change("rotated 180°", "rows and columns reversed", lambda c, t: rearranged(c, t, flip="ji")),
    Change("rotated 270°", "columns become rows", lambda c, t: rearranged(c, t, True, "i")),
    Change("flipped", "columns reversed", lambda c, t: rearranged(c, t, flip="i")),
    Change("slice order reversed", "apex first becomes base first", lambda c, t: rearranged(c, t, flip="k")),
    Change("gamma 0.6", "intensities, lowest to highest as 0..1, to the power 0.6", lambda c, t: with_gamma(c, t, 0.6)),
    Change("gamma 1.6", "the same to the power 1.6", lambda c, t: with_gamma(c, t, 1.6)),
    Change("bias field", "exponential, fourfold from one corner of the field to the opposite", with_bias_field),
    Change("2x coarser pixels", "means of 2 x 2 pixels; labels smoothed back to the original pixels", coarser),
    Change("2x coarser pixels, nearest", "the same, but labels keep the shape of the coarse pixels", coarser, order=0),
    Change(
        "field 30 % larger, air",
        "the lowest intensity all round, as if air were beyond the original field",
        lambda c, t: larger_field(c, t, "constant"),
    ),
    Change(
        "field 30 % larger, mirrored",
        "the image mirrored at its borders, as if more body were beyond them",
        lambda c, t: larger_field(c, t, "reflect"),
    ),
)
"""What the network has to bear. More of the patient cannot be had for a larger field: it is replaced in two ways."""
