"""What a DICOM report measures: code, unit and place of each measurement, by its name in ``measurements.json``.

Codes are those of the context groups of DICOM PS3.16 that are not of one other modality: CID 3833 Cardiac Ejection
Fraction, CID 3835 Cardiac Volume Measurement. Those of its groups of echocardiography (CID 12202, 12203, 12300) are not
used: TAPSE there is LOINC 77903-3, by M-mode ultrasound. Motion of the valve plane has codes of CineHeart's own.
"""

from typing import NamedTuple

from CardiacLib.types.labels import LV, MYO, RV
from CardiacLib.types.measures.ranges import ABOVE, BELOW, WITHIN

OWN_SCHEME = "99CINEHEART"
"""Designator of CineHeart's own codes; private ones begin with 99."""


class Concept(NamedTuple):
    """A coded concept."""

    value: str
    scheme: str
    meaning: str


class Quantity(NamedTuple):
    """One measurement of a report.

    Attributes:
        key: in ``measurements.json`` or ``annulus.json``.
        name: its code.
        unit: in UCUM.
        site: what it is measured of.
        phase: ed, es, or empty for what is of the whole beat.
        label: segment of the segmentation that holds it; 0 for none.
    """

    key: str
    name: Concept
    unit: Concept
    site: Concept
    phase: str = ""
    label: int = 0


PHASE_NAME = Concept("246092007", "SCT", "Cardiac cycle phase")
PHASES = {"ed": Concept("416190007", "SCT", "End diastole"), "es": Concept("416430001", "SCT", "End Systole")}
PROCEDURE = Concept("241620005", "SCT", "Cardiac MRI")
COMMENT = Concept("121106", "DCM", "Comment")
NORMAL_LIMITS = (
    Concept("385524004", "SCT", "Normal Range Lower Limit"),
    Concept("371933006", "SCT", "Normal Range Upper Limit"),
)
"""CID 223 Normal Range Values."""
NORMALITY = {
    BELOW: Concept("281300000", "SCT", "Below reference range"),
    WITHIN: Concept("281301001", "SCT", "Within reference range"),
    ABOVE: Concept("281302008", "SCT", "Above reference range"),
}
"""CID 222 Normality, of 2025-07-07 and later; *Normal* and *Abnormally High* would judge the patient."""

_ML, _PERCENT = Concept("ml", "UCUM", "milliliter"), Concept("%", "UCUM", "Percent")
_G, _MM = Concept("g", "UCUM", "gram"), Concept("mm", "UCUM", "mm")
_PER_MIN, _L_PER_MIN = Concept("/min", "UCUM", "/min"), Concept("l/min", "UCUM", "l/min")
_LV, _RV = Concept("87878005", "SCT", "Left ventricle"), Concept("53085002", "SCT", "Right ventricle")
_WALL, _HEART = Concept("49848007", "SCT", "Left Ventricle Myocardium"), Concept("80891009", "SCT", "Heart")
_MITRAL, _TRICUSPID = Concept("65197004", "SCT", "Mitral Annulus"), Concept("113259005", "SCT", "Tricuspid Annulus")
_MAPSE = Concept("MAPSE", OWN_SCHEME, "Mitral annular plane systolic excursion")
_TAPSE = Concept("TAPSE", OWN_SCHEME, "Tricuspid annular plane systolic excursion")

QUANTITIES = (
    Quantity("lv_edv_ml", Concept("8821-1", "LN", "Left Ventricular ED Volume"), _ML, _LV, "ed", LV),
    Quantity("lv_esv_ml", Concept("8823-7", "LN", "Left Ventricular ES Volume"), _ML, _LV, "es", LV),
    Quantity("lv_sv_ml", Concept("90096001", "SCT", "Stroke Volume"), _ML, _LV),
    Quantity("lv_ef_percent", Concept("8811-2", "LN", "Left ventricular ejection fraction by MR"), _PERCENT, _LV),
    Quantity("lv_cardiac_output_l_per_min", Concept("82799009", "SCT", "Cardiac Output"), _L_PER_MIN, _LV),
    Quantity("lv_mass_g", Concept("122447", "DCM", "Wall Mass"), _G, _WALL, "ed", MYO),
    Quantity("rv_edv_ml", Concept("8822-9", "LN", "Right Ventricular ED Volume"), _ML, _RV, "ed", RV),
    Quantity("rv_esv_ml", Concept("8824-5", "LN", "Right Ventricular ES Volume"), _ML, _RV, "es", RV),
    Quantity("rv_sv_ml", Concept("429483009", "SCT", "RV Stroke Volume"), _ML, _RV),
    Quantity("rv_ef_percent", Concept("8818-7", "LN", "Right ventricular ejection fraction by MR"), _PERCENT, _RV),
    Quantity("rv_cardiac_output_l_per_min", Concept("428628004", "SCT", "RV Cardiac Output"), _L_PER_MIN, _RV),
    Quantity("heart_rate_bpm", Concept("8867-4", "LN", "Heart rate"), _PER_MIN, _HEART),
    Quantity("mapse_mm", _MAPSE, _MM, _MITRAL),
    Quantity("tapse_mm", _TAPSE, _MM, _TRICUSPID),
)
OF_VALVES = ("mapse_mm", "tapse_mm")
"""Measured in the long-axis views."""
OF_LABELS = tuple(q.key for q in QUANTITIES if q.site in (_LV, _RV, _WALL))
"""Measured of the labels of the short axis."""
