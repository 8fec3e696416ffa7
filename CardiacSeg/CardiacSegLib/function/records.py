"""What is measured of the ventricles over one heart beat, and its JSON and CSV documents (Docs/Function.md)."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from CardiacLib.types.choices import ByHand
from CardiacLib.types.values import job_value

from .curves import Filling
from .regional import LAYERS, Regional

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
EJECTION = ("edv_ml", "esv_ml", "sv_ml", "ef_percent")
"""Attributes of a ventricle, and with ``lv_`` and ``rv_`` before them keys of ``Function.to_dict()``."""


@job_value
@dataclass(frozen=True, kw_only=True)
class Ventricle:
    """One ventricle over the cycle.

    Attributes:
        volume_ml: (T,) of its blood pool.
        edv_ml, esv_ml, sv_ml, ef_percent: None where they cannot be had (one frame, or no ventricle at ED); of one
            frame the volume of its phase, where that is known.
        cardiac_output_l_per_min: stroke volume times heart rate; None where one of them is unknown.
        filling: filling rates; None with too few frames or without times.
    """

    volume_ml: np.ndarray
    edv_ml: float | None
    esv_ml: float | None
    sv_ml: float | None
    ef_percent: float | None
    cardiac_output_l_per_min: float | None
    filling: Filling | None


@job_value
@dataclass(frozen=True, kw_only=True)
class Myocardium:
    """The LV wall over the cycle.

    Attributes:
        volume_ml: (T,).
        mass_g, mass_es_g: at ED and at ES; None where there is none. Of one frame that of its phase, ``mass_g`` where
            nobody knows that.
    """

    volume_ml: np.ndarray
    mass_g: float | None
    mass_es_g: float | None


@job_value
@dataclass(frozen=True, kw_only=True)
class Function:
    """Volumes over the cycle and what follows from them.

    Attributes:
        times_ms: (T,) frame times; None where the files give none.
        ed, es: frame indices of end-diastole and end-systole; equal if there is only one frame, whatever its phase.
        lv, rv: the ventricles.
        myocardium: of the LV.
        heart_rate_bpm: as given, else from the frame times if they can be those of one beat, else None.
        body_surface_m2: None where height or weight is unknown.
        lv_sphericity_ed, lv_sphericity_es: diameter across over length of the LV cavity.
        papillary: cavity or myocardium, where volumes and mass count the LV's papillary muscles and trabeculae.
        regional: wall thickness, thickening and strain; None where there is no LV wall.
        species: as of :mod:`CardiacLib.species`; of an animal the document has microlitres and milligrams too.
        by_hand: what a person set.
        notes: why something is missing or where it comes from, one sentence each.
    """

    times_ms: np.ndarray | None
    ed: int
    es: int
    lv: Ventricle
    rv: Ventricle
    myocardium: Myocardium
    heart_rate_bpm: float | None
    body_surface_m2: float | None
    lv_sphericity_ed: float | None
    lv_sphericity_es: float | None
    papillary: str
    regional: Regional | None
    species: str = "human"
    by_hand: ByHand = field(default_factory=ByHand)
    notes: tuple[str, ...] = ()

    if not TYPE_CHECKING:  # a name that does not exist stays an error of types

        def __getattr__(self, name: str) -> float | None:
            """Single numbers by their name in ``measurements.json`` too: ``function.lv_ef_percent``."""
            if "lv" in self.__dict__ and name in (numbers := self._numbers()):
                return numbers[name]
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def n_frames(self) -> int:
        return len(self.lv.volume_ml)

    def indexed(self) -> dict[str, float | None]:
        """Volumes, output and mass per body surface area, by the keys of INDEXED; None where that is unknown."""
        area, known = self.body_surface_m2, self._numbers()
        values = {index: known[name] for name, index in INDEXED.items()}
        return {index: value / area if value is not None and area else None for index, value in values.items()}

    def to_dict(self) -> dict[str, object]:
        """Plain Python values, ready for JSON: one flat level, and ``segments`` as a list."""
        plain: dict[str, object] = {
            "times_ms": self.times_ms,
            "lv_ml": self.lv.volume_ml,
            "rv_ml": self.rv.volume_ml,
            "myo_ml": self.myocardium.volume_ml,
            "ed_frame_index": self.ed if self.n_frames > 1 or self.by_hand.phase == "ed" else None,
            "es_frame_index": self.es if self.n_frames > 1 or self.by_hand.phase == "es" else None,
        }
        plain |= self._numbers() | {"papillary": self.papillary} | self.indexed()
        plain |= _rates("lv", self.lv.filling) | _rates("rv", self.rv.filling) | _strains(self.regional, self.es)
        plain |= self._small_numbers()
        plain["by_hand"] = self.by_hand.to_dict()
        return {k: _plain(v) for k, v in plain.items()} | {"measurement_notes": list(self.notes)}

    def _numbers(self) -> dict[str, float | None]:
        """The single numbers of the document, in its order."""
        numbers = {}
        for side, ventricle in (("lv", self.lv), ("rv", self.rv)):
            numbers |= {f"{side}_{name}": getattr(ventricle, name) for name in EJECTION}
            numbers[f"{side}_volume_ml"] = self._volume_of_one_frame(ventricle)
        return numbers | {
            "lv_mass_g": self.myocardium.mass_g,
            "heart_rate_bpm": self.heart_rate_bpm,
            "lv_mass_es_g": self.myocardium.mass_es_g,
            "lv_cardiac_output_l_per_min": self.lv.cardiac_output_l_per_min,
            "rv_cardiac_output_l_per_min": self.rv.cardiac_output_l_per_min,
            "body_surface_m2": self.body_surface_m2,
            "lv_sphericity_ed": self.lv_sphericity_ed,
            "lv_sphericity_es": self.lv_sphericity_es,
        }

    def _small_numbers(self) -> dict[str, object]:
        """Of an animal: species, LV volumes in microlitres, mass in mg, output in ml/min."""
        if self.species == "human":
            return {}
        small = {f"lv_{name.removesuffix('_ml')}_ul": getattr(self.lv, name) for name in EJECTION[:3]}
        small |= {"lv_mass_mg": self.myocardium.mass_g, "lv_mass_es_mg": self.myocardium.mass_es_g}
        small["lv_volume_ul"] = self._volume_of_one_frame(self.lv)
        small["lv_cardiac_output_ml_per_min"] = self.lv.cardiac_output_l_per_min
        found: dict[str, object] = {"species": self.species, "lv_ul": self.lv.volume_ml * 1000.0}
        return found | {name: None if value is None else 1000.0 * value for name, value in small.items()}

    def _volume_of_one_frame(self, ventricle: Ventricle) -> float | None:
        """None of several frames, whose volumes are the curve."""
        volume = float(ventricle.volume_ml[0])
        return volume if self.n_frames == 1 and volume > 0 else None

    def rows(self) -> list[dict[str, float | int | None]]:
        """One row per frame, ready for CSV; empty cells where a curve could not be had."""
        values = self.to_dict()
        names = {"times_ms": "time_ms", "myo_ml": "myocardium_ml"}
        told = [key for key in _CSV_ORDER if key == "times_ms" or values[key] is not None]
        chosen = {names.get(key, key): values[key] or [None] * self.n_frames for key in told}
        digits = 3 if self.species == "human" else 6
        return [
            {"frame_index": t}
            | {name: None if curve[t] is None else round(curve[t], digits) for name, curve in chosen.items()}
            for t in range(self.n_frames)
        ]

    def segment_rows(self) -> list[dict[str, object]]:
        """One row per AHA segment, ready for CSV; none where there is no LV wall."""
        rows = [] if self.regional is None else [asdict(segment) for segment in self.regional.segments]
        return [
            {"segment": row.pop("number")} | {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
            for row in rows
        ]


_CSV_ORDER = ("times_ms", "lv_ml", "myo_ml", "rv_ml", *CURVES[4:])


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
    found["lv_wall_thickness_mm"] = None if regional is None else regional.thickness_mm
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
