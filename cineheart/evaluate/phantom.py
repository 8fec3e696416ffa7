"""What ``cineheart evaluate`` says about the synthetic heart: measurements from its images against the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from CardiacLandmarksLib.pipeline import find_landmarks
from CardiacLib.aha import APEX_SEGMENT
from CardiacLib.phantom import Phantom, PhantomOptions, make_phantom
from CardiacLib.phantom.truth import lv_radii_below_base
from CardiacLib.types.choices import LANDMARK_BUNDLE, LandmarkChoice, NetworkChoice
from CardiacSegLib import Function, measure, open_segmenter
from CardiacSegLib.function.regional import LAYERS

from . import Section
from .tables import number, table

TITLE = "Synthetic heart"
OPTIONS = PhantomOptions()
VOLUME_PERCENT, EF_POINTS, THICKNESS_MM, STRAIN_POINTS = 5.0, 2.0, 0.5, 2.0
"""Goals."""
WAYS = ("images alone", "with valve points")
THICKNESS, STRAIN = (
    ("thickness_ed_mm", "thickness_es_mm"),
    tuple(f"circumferential_{layer}_percent" for layer in LAYERS),
)
"""Attributes of a segment."""
LAYER_NAMES = ("endocardial", "mid-wall", "epicardial")


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        name: with its unit.
        truth: None where ``found`` is a difference already.
        found: in the order of WAYS; None where it could not be measured.
        limit: largest error that is asked for, None if nothing is.
    """

    name: str
    truth: float | None
    found: tuple[float | None, ...]
    limit: float | None

    def kept(self) -> list[bool]:
        """Whether each way keeps the limit."""
        errors = [None if value is None else abs(value - (self.truth or 0.0)) for value in self.found]
        return [self.limit is None or (error is not None and error <= self.limit) for error in errors]


def phantom_section(network: NetworkChoice) -> Section:
    """The synthetic heart of ``cineheart phantom``, labelled from its images, without and with its valve points."""
    phantom = make_phantom(OPTIONS)
    segmenter, cine = open_segmenter(network), phantom.cines["sax"]
    valves = find_landmarks(phantom.cines, LandmarkChoice(NetworkChoice(LANDMARK_BUNDLE, network.runs_on)))
    answers = [segmenter.segment(cine, landmarks=points) for points in (None, valves.landmarks(cine))]
    functions = [measure(found.labels, cine=cine, cut=found.cut) for found in answers]
    rows = [*volume_rows(phantom, functions), *segment_rows(phantom, functions), *global_rows(phantom, functions)]
    text = [
        f"`cineheart phantom` ({OPTIONS.n_frames} frames, slices {OPTIONS.slice_spacing_mm:g} mm apart), from its "
        "images, against its analytic shapes (measured in its true labels: Testing/Python/test_regional.py). Images of "
        "this kind are in the training data. Beyond the limit: bold.\n",
        table(["measurement", "true", *WAYS, "limit"], [_cells(row) for row in rows]),
    ]
    facts = {row.name: {"true": row.truth, "found": list(row.found), "limit": row.limit} for row in rows}
    return Section("phantom", TITLE, facts, "\n".join(text))


def volume_rows(phantom: Phantom, functions: Sequence[Function]) -> list[Row]:
    """Volumes, ejection fractions and mass."""
    truth, rows = phantom.summary(), []
    for side in ("lv", "rv"):
        for attribute, name in (("edv_ml", "EDV, ml"), ("esv_ml", "ESV, ml"), ("ef_percent", "EF, %")):
            true = truth[f"{side}_{attribute}"]
            limit = EF_POINTS if attribute == "ef_percent" else VOLUME_PERCENT / 100 * true
            found = tuple(getattr(getattr(function, side), attribute) for function in functions)
            rows.append(Row(f"{side.upper()} {name}", true, found, limit))
    return [*rows, Row("LV mass, g", truth["lv_mass_g"], tuple(f.myocardium.mass_g for f in functions), None)]


def segment_rows(phantom: Phantom, functions: Sequence[Function]) -> list[Row]:
    """Mean and worst error of wall thickness and circumferential strain over the segments 1 to 16."""
    errors = [segment_errors(phantom, function) for function in functions]
    names = [f"wall thickness at {phase}, mm" for phase in ("ED", "ES")]
    names += [f"{name} circumferential strain, points" for name in LAYER_NAMES]
    rows = []
    for attribute, name in zip(THICKNESS + STRAIN, names, strict=True):
        limit = THICKNESS_MM if attribute in THICKNESS else STRAIN_POINTS
        rows.append(Row(f"{name}: mean error", None, tuple(_mean(e[attribute]) for e in errors), limit))
        rows.append(Row(f"{name}: worst segment", None, tuple(_worst(e[attribute]) for e in errors), limit))
    return rows


def segment_errors(phantom: Phantom, function: Function) -> dict[str, np.ndarray]:
    """Found minus true thickness in mm and strain in points of each segment, by attribute, each (16,).

    True is the mean over the slices that the segment was measured in, where the base does not cut them. NaN where it
    was not measured.
    """
    if function.regional is None:
        return {attribute: np.full(APEX_SEGMENT - 1, np.nan) for attribute in THICKNESS + STRAIN}
    segments = function.regional.segments[: APEX_SEGMENT - 1]
    true = [_true_values(phantom, function.regional.slice_levels, segment.name.split()[0]) for segment in segments]
    found = [[getattr(segment, attribute) for segment in segments] for attribute in THICKNESS + STRAIN]
    return dict(zip(THICKNESS + STRAIN, np.array(found, float) - np.array(true).T, strict=True))


def _true_values(phantom: Phantom, levels: Sequence[str | None], level: str) -> list[float]:
    """True values of a segment's attributes, THICKNESS + STRAIN, at a level of the slices."""
    radii = _radii(phantom, [name == level for name in levels])
    if not radii.size:
        return [np.nan] * len(THICKNESS + STRAIN)
    return [*(radii[..., 1] - radii[..., 0]).mean(1), *_strain(radii)]


def global_rows(phantom: Phantom, functions: Sequence[Function]) -> list[Row]:
    """Circumferential and radial strain of the whole wall, ED to ES; true in the slices that the base never cuts."""
    radii = _radii(phantom, [True] * len(phantom.slice_heights()))
    radii = radii[:, (radii[..., 0] > 0).all(0)]
    thick = (radii[..., 1] - radii[..., 0]).mean(1)
    true = [*_strain(radii), 100.0 * (thick[1] / thick[0] - 1.0)]
    names = [*(f"global circumferential strain, {name}, %" for name in LAYER_NAMES), "global radial strain, %"]
    found = np.array([_global_strain(function) for function in functions]).T
    values = [tuple(float(v) if np.isfinite(v) else None for v in row) for row in found]
    return [Row(*row, STRAIN_POINTS) for row in zip(names, map(float, true), values, strict=True)]


def _radii(phantom: Phantom, chosen: Sequence[bool]) -> np.ndarray:
    """(ED and ES, slice, 2) true radii of the chosen slices that no base cuts."""
    shapes = [phantom.motion.shapes[t] for t in (phantom.ed, phantom.es)]
    return lv_radii_below_base(shapes, phantom.slice_heights()[np.array(chosen)])


def _strain(radii: np.ndarray) -> np.ndarray:
    """(3,) change in percent of the endocardial, mid-wall and epicardial contours, of (phase, slice, 2) radii."""
    lengths = np.stack([radii[..., 0], radii.mean(-1), radii[..., 1]], -1).sum(1)
    return 100.0 * (lengths[1] / lengths[0] - 1.0)


def _global_strain(function: Function) -> np.ndarray:
    """(4,) circumferential and radial strain at ES in percent, NaN where not measured."""
    if function.regional is None:
        return np.full(4, np.nan)
    return np.array(
        [*function.regional.circumferential_percent[function.es], function.regional.radial_percent[function.es]]
    )


def _mean(errors: np.ndarray) -> float | None:
    return float(np.nanmean(errors)) if np.isfinite(errors).any() else None


def _worst(errors: np.ndarray) -> float | None:
    """The error farthest from nought; None where a segment was not measured."""
    return float(errors[np.abs(errors).argmax()]) if np.isfinite(errors).all() else None


def _cells(row: Row) -> list[str]:
    signed = row.truth is None
    digits = 2 if " mm:" in row.name else 1
    shown = [number(value, digits, signed) for value in row.found]
    shown = [text if kept else f"**{text}**" for text, kept in zip(shown, row.kept(), strict=True)]
    return [row.name, number(row.truth, digits), *shown, number(row.limit, digits)]
