"""How many millilitres a volume is probably wrong by, from the probable Dice of its structure.

Two masks of V ml whose Dice is D differ in 2 V (1 - D) ml, counted on both sides. What one has too much makes up for
what it lacks elsewhere, so that the volumes differ by less: by a share of it, which is fitted per structure on patients
with experts' labels (``cineheart calibrate``) and kept with the calibration of the Dice.
"""

import numpy as np
from numpy.typing import ArrayLike

from CardiacLib.types.segmentation import STRUCTURES
from CardiacSegLib.function import Function
from CardiacSegLib.function.volumes import MYOCARDIAL_DENSITY_G_PER_ML

from .summary import QualityReport


def differing_ml(volume_ml: ArrayLike, dice: ArrayLike) -> np.ndarray:
    """Volume in which two masks of this volume and Dice differ; any shape, NaN stays NaN."""
    return 2.0 * np.asarray(volume_ml) * (1.0 - np.asarray(dice))


def ejection_deviation(volumes_ml: tuple[float, float], deviations_ml: tuple[float, float]) -> float:
    """Standard deviation of the ejection fraction in points, from those of EDV and ESV, taken to be independent."""
    (edv, esv), (ed, es) = volumes_ml, deviations_ml
    return 100.0 * float(np.hypot(es, esv / edv * ed) / edv)


def uncertainties(function: Function, report: QualityReport) -> dict[str, float]:
    """One standard deviation of volumes, EF, output and mass, by key of ``Function.to_dict()``.

    Nothing where labels came from a person, or from a network whose calibration does not say it. Errors at ED and ES
    are taken to be independent; measured coverage: Docs/QualityControl.md. What a thick slice, the choice of the base
    or the reader's own habit adds is not in it.
    """
    if report.dice is None or report.volume_share is None:
        return {}
    found: dict[str, float] = {}
    phases = function.ed, function.es
    for name, side, curve in (("LV", "lv", function.lv), ("RV", "rv", function.rv)):
        ed, es = (_deviation(curve.volume_ml, report, name, t) for t in phases)
        found |= {f"{side}_edv_ml": ed, f"{side}_volume_ml": ed}
        if curve.edv_ml is None or curve.esv_ml is None:
            continue
        stroke = float(np.hypot(ed, es))
        found |= {f"{side}_esv_ml": es, f"{side}_sv_ml": stroke}
        found[f"{side}_ef_percent"] = ejection_deviation((curve.edv_ml, curve.esv_ml), (ed, es))
        if function.heart_rate_bpm is not None:
            found[f"{side}_cardiac_output_l_per_min"] = stroke * function.heart_rate_bpm / 1000.0
    muscle = function.myocardium.volume_ml
    for key, frame in zip(("lv_mass_g", "lv_mass_es_g"), phases, strict=True):
        found[key] = MYOCARDIAL_DENSITY_G_PER_ML * _deviation(muscle, report, "MYO", frame)
    return {key: value for key, value in found.items() if np.isfinite(value)}


def _deviation(volume_ml: np.ndarray, report: QualityReport, structure: str, frame: int) -> float:
    column = list(STRUCTURES).index(structure)
    return float(report.volume_share[column] * differing_ml(volume_ml[frame], report.dice[frame, column]))
