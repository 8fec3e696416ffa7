"""Ventricular function from labels of every frame.

Definitions: Schulz-Menger et al., JCMR 2020, doi 10.1186/s12968-020-00610-6. Volume of a structure is the sum of its
voxels times the distance between slice centres (gap included); papillary muscles belong to the cavity, as the networks
draw it, unless asked otherwise.
"""

from dataclasses import asdict, dataclass, fields

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.segmentation import ValveCut

from .curves import LEAST_FRAMES, Filling, beat_ms, end_frames, filling
from .papillary import papillary_to_myocardium
from .regional import LAYERS, Regional, measure_regions
from .segments import base_direction
from .shape import body_surface_m2, sphericity

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
INDEXED = {
    "lv_edv_ml": "lv_edv_index_ml_per_m2",
    "lv_esv_ml": "lv_esv_index_ml_per_m2",
    "lv_sv_ml": "lv_sv_index_ml_per_m2",
    "lv_cardiac_output_l_per_min": "lv_cardiac_index_l_per_min_per_m2",
    "lv_mass_g": "lv_mass_index_g_per_m2",
    "lv_mass_es_g": "lv_mass_es_index_g_per_m2",
    "rv_edv_ml": "rv_edv_index_ml_per_m2",
    "rv_esv_ml": "rv_esv_index_ml_per_m2",
    "rv_sv_ml": "rv_sv_index_ml_per_m2",
    "rv_cardiac_output_l_per_min": "rv_cardiac_index_l_per_min_per_m2",
}
"""Measurement to its key when divided by body surface area."""
CURVES = (
    "times_ms", "lv_ml", "rv_ml", "myo_ml", "lv_rate_ml_per_s", "rv_rate_ml_per_s", "circumferential_endo_percent",
    "circumferential_mid_percent", "circumferential_epi_percent", "radial_percent",
)  # fmt: skip
"""Keys of ``Function.to_dict()`` that hold one value per frame."""


@dataclass(frozen=True)
class Function:
    """Volumes over the cycle and what follows from them.

    Attributes:
        times_ms: (T,) frame times.
        lv_ml, rv_ml, myo_ml: (T,) volumes in ml.
        ed, es: frame indices of end-diastole and end-systole; equal if there is only one frame.
        lv_edv_ml ... rv_ef_percent: None where they cannot be had (one frame, or the structure is absent at ED).
        lv_mass_g: of the myocardium at ED; None where there is none.
        heart_rate_bpm: as given, else from the frame times if they can be those of one beat, else None.
        lv_mass_es_g: of the myocardium at ES.
        lv_cardiac_output_l_per_min, rv_cardiac_output_l_per_min: stroke volume times heart rate.
        body_surface_m2: None where height or weight is unknown.
        lv_filling, rv_filling: filling rates; None with too few frames.
        lv_sphericity_ed, lv_sphericity_es: diameter across over length of the LV cavity.
        papillary: cavity or myocardium, where volumes and mass count the LV's papillary muscles and trabeculae.
        regional: wall thickness, thickening and strain; None where there is no LV wall.
        notes: why something is missing or where it comes from, one sentence each.
    """

    times_ms: np.ndarray
    lv_ml: np.ndarray
    rv_ml: np.ndarray
    myo_ml: np.ndarray
    ed: int
    es: int
    lv_edv_ml: float | None
    lv_esv_ml: float | None
    lv_sv_ml: float | None
    lv_ef_percent: float | None
    rv_edv_ml: float | None
    rv_esv_ml: float | None
    rv_sv_ml: float | None
    rv_ef_percent: float | None
    lv_mass_g: float | None
    heart_rate_bpm: float | None
    lv_mass_es_g: float | None
    lv_cardiac_output_l_per_min: float | None
    rv_cardiac_output_l_per_min: float | None
    body_surface_m2: float | None
    lv_filling: Filling | None
    rv_filling: Filling | None
    lv_sphericity_ed: float | None
    lv_sphericity_es: float | None
    papillary: str
    regional: Regional | None
    notes: tuple[str, ...] = ()

    def indexed(self) -> dict[str, float | None]:
        """Volumes, output and mass per body surface area, by the keys of INDEXED; None where that is unknown."""
        area = self.body_surface_m2
        values = {index: getattr(self, name) for name, index in INDEXED.items()}
        return {index: value / area if value is not None and area else None for index, value in values.items()}

    def to_dict(self) -> dict[str, object]:
        """Plain Python values, ready for JSON: one flat level, and ``segments`` as a list."""
        nested = ("lv_filling", "rv_filling", "regional", "notes")
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in nested}
        plain |= self.indexed() | _rates("lv", self.lv_filling) | _rates("rv", self.rv_filling)
        plain |= _strains(self.regional, self.es)
        return {k: _plain(v) for k, v in plain.items()} | {"measurement_notes": list(self.notes)}

    def rows(self) -> list[dict[str, float | int | None]]:
        """One row per frame, ready for CSV; empty cells where a curve could not be had."""
        values = self.to_dict()
        names = {"times_ms": "time_ms", "myo_ml": "myocardium_ml"}
        chosen = {names.get(key, key): values[key] for key in _CSV_ORDER if values[key] is not None}
        return [
            {"frame": t} | {name: None if curve[t] is None else round(curve[t], 3) for name, curve in chosen.items()}
            for t in range(len(self.times_ms))
        ]

    def segment_rows(self) -> list[dict[str, object]]:
        """One row per AHA segment, ready for CSV; none where there is no LV wall."""
        rows = [] if self.regional is None else [asdict(segment) for segment in self.regional.segments]
        return [
            {"segment": row.pop("number")} | {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
            for row in rows
        ]


_CSV_ORDER = ("times_ms", "lv_ml", "myo_ml", "rv_ml", *CURVES[4:])


def measure(
    labels: LabelMap,
    heart_rate_bpm: float | None = None,
    height_m: float | None = None,
    weight_kg: float | None = None,
    papillary: str = "cavity",
    cine: Cine | None = None,
    cut: ValveCut | None = None,
) -> Function:
    """Everything that labels of one heart beat say about the function of the ventricles.

    Args:
        labels: labels of all frames of one heart beat.
        heart_rate_bpm: from the study; None takes it from the frame times, which then cover one beat.
        height_m, weight_kg: of the patient, for values per body surface area.
        papillary: ``cavity``, or ``myocardium`` to count papillary muscles and trabeculae there in volumes and mass;
            contours, and so wall thickness, strain and sphericity, stay the same.
        cine: the images of the labels; needed for ``papillary="myocardium"``.
        cut: volumes of the same labels where these end at the valve planes; they replace the counts of whole voxels.

    Raises:
        InputError: ``papillary`` is neither, or its cine is missing or on another grid.
    """
    counted = _counted(labels, papillary, cine)
    lv, myo, rv = (_volume(label, labels, counted, cut) for label in (LV, MYO, RV))
    ed, es = end_frames(lv if lv.any() else rv)
    beat = beat_ms(labels.times_ms)
    rate = heart_rate_bpm or (60000.0 / beat if beat else None)
    area = body_surface_m2(height_m, weight_kg)
    left, right = _ejection(lv, ed, es), _ejection(rv, ed, es)
    regional = measure_regions(labels, ed, es) if lv.any() and myo.any() else None
    round_ed, round_es = _sphericities(labels, ed, es)
    return Function(
        labels.times_ms,
        lv,
        rv,
        myo,
        ed,
        es,
        *left,
        *right,
        lv_mass_g=_mass(myo[ed]),
        heart_rate_bpm=rate,
        lv_mass_es_g=_mass(myo[es]) if es != ed else None,
        lv_cardiac_output_l_per_min=_output(left[2], rate),
        rv_cardiac_output_l_per_min=_output(right[2], rate),
        body_surface_m2=area,
        lv_filling=filling(lv, beat, ed, es),
        rv_filling=filling(rv, beat, *end_frames(rv)),
        lv_sphericity_ed=round_ed,
        lv_sphericity_es=round_es,
        papillary=papillary,
        regional=regional,
        notes=_notes(labels, heart_rate_bpm, beat, area, regional, papillary),
    )


def _counted(labels: LabelMap, papillary: str, cine: Cine | None) -> LabelMap:
    """The labels of which volumes are taken."""
    if papillary == "cavity":
        return labels
    if papillary != "myocardium":
        raise InputError(f"Papillary muscles belong to '{papillary}': use cavity or myocardium.")
    if cine is None:
        raise InputError("Counting papillary muscles as myocardium needs the images: give the cine of the labels.")
    return papillary_to_myocardium(labels, cine)


def _volume(label: int, labels: LabelMap, counted: LabelMap, cut: ValveCut | None) -> np.ndarray:
    """(T,) ml; papillary muscles change the volumes below the valve planes by as much as the whole ones."""
    if cut is None:
        return counted.volume_ml(label)
    below = {LV: cut.lv_ml, MYO: cut.myo_ml, RV: cut.rv_ml}[label]
    return below + counted.volume_ml(label) - labels.volume_ml(label)


def _ejection(volume_ml: np.ndarray, ed: int, es: int) -> tuple[float | None, ...]:
    """EDV, ESV, SV in ml and EF in percent."""
    edv, esv = float(volume_ml[ed]), float(volume_ml[es])
    if edv <= 0:
        return None, None, None, None
    if ed == es:
        return edv, None, None, None
    return edv, esv, edv - esv, 100.0 * (edv - esv) / edv


def _mass(myocardium_ml: float) -> float | None:
    return float(myocardium_ml * MYOCARDIAL_DENSITY_G_PER_ML) if myocardium_ml > 0 else None


def _output(stroke_ml: float | None, rate: float | None) -> float | None:
    return None if stroke_ml is None or rate is None else stroke_ml * rate / 1000.0


def _sphericities(labels: LabelMap, ed: int, es: int) -> tuple[float | None, float | None]:
    base = base_direction(labels, ed)
    if base is None:
        return None, None
    towards_base = 1 if base @ labels.ijk_to_lps[:3, 2] > 0 else -1
    return sphericity(labels, ed, towards_base), sphericity(labels, es, towards_base) if es != ed else None


def _notes(labels: LabelMap, given_rate, beat, area, regional: Regional | None, papillary: str) -> tuple[str, ...]:
    notes = list(regional.notes) if regional is not None else ["There is no LV wall: no thickness and no strain."]
    n_frames = len(labels.times_ms)
    if papillary == "myocardium":
        notes.append(
            "Papillary muscles and trabeculae, told by their signal, count as myocardium in volumes and mass; "
            "fast flow and valve leaflets near the base can look like them."
        )
    if n_frames > 1 and not given_rate:
        notes.append(
            "The heart rate is taken from the frame times: the file gives none."
            if beat
            else "There is no heart rate, and the frame times cannot be those of one beat: no cardiac output, no rates."
        )
    if 1 < n_frames < LEAST_FRAMES:
        notes.append(f"{n_frames} frames are too few for filling rates; they take {LEAST_FRAMES}.")
    if area is None:
        notes.append("Height or weight is unknown: nothing is indexed by body surface area.")
    return tuple(notes)


def _rates(side: str, found: Filling | None) -> dict[str, object]:
    names = {
        f"{side}_rate_ml_per_s": "rate_ml_per_s",
        f"{side}_peak_ejection_rate_ml_per_s": "peak_ejection_ml_per_s",
        f"{side}_peak_filling_rate_ml_per_s": "peak_filling_ml_per_s",
        f"{side}_time_to_peak_ejection_ms": "time_to_peak_ejection_ms",
        f"{side}_time_to_peak_filling_ms": "time_to_peak_filling_ms",
    }
    return {key: None if found is None else getattr(found, name) for key, name in names.items()}


def _strains(regional: Regional | None, es: int) -> dict[str, object]:
    """Strain curves, their values at ES as ``lv_global_...``, mean and largest thickness, and the segments."""
    found: dict[str, object] = {}
    for column, layer in enumerate(LAYERS):
        curve = None if regional is None else regional.circumferential_percent[:, column]
        found[f"circumferential_{layer}_percent"] = curve
        found[f"lv_global_circumferential_{layer}_percent"] = _strain_at(curve, es)
    radial = None if regional is None else regional.radial_percent
    found |= {"radial_percent": radial, "lv_global_radial_percent": _strain_at(radial, es)}
    thick = [] if regional is None else [s.thickness_ed_mm for s in regional.segments if s.thickness_ed_mm is not None]
    found["lv_wall_thickness_ed_mm"] = None if regional is None else regional.thickness_ed_mm
    found["lv_largest_wall_thickness_ed_mm"] = max(thick, default=None)
    found["segments"] = None if regional is None else [asdict(segment) for segment in regional.segments]
    return found


def _strain_at(curve: np.ndarray | None, es: int) -> float | None:
    return None if curve is None or len(curve) < 2 or not np.isfinite(curve[es]) else float(curve[es])


def _plain(value):
    """Arrays as lists, NaN as None."""
    if isinstance(value, np.ndarray):
        return [None if not np.isfinite(v) else float(v) for v in value]
    return value
