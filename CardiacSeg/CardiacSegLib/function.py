"""Ventricular function from labels of every frame.

Definitions: Schulz-Menger et al., JCMR 2020, doi 10.1186/s12968-020-00610-6. Volume of a structure is the sum of its
voxels times the distance between slice centres (gap included); papillary muscles belong to the cavity.
"""

from dataclasses import asdict, dataclass

import numpy as np

from CardiacLib.labels import LV, MYO, RV, LabelMap

MYOCARDIAL_DENSITY_G_PER_ML = 1.05


@dataclass(frozen=True)
class Function:
    """Volumes over the cycle and what follows from them.

    Attributes:
        times_ms: (T,) frame times.
        lv_ml, rv_ml, myo_ml: (T,) volumes in ml.
        ed, es: frame indices of end-diastole and end-systole; equal if there is only one frame.
        lv_edv_ml ... rv_ef_percent: None where they cannot be had (one frame, or the structure is absent at ED).
        lv_mass_g: of the myocardium at ED; None where there is none.
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

    def to_dict(self) -> dict[str, object]:
        """Plain Python values, ready for JSON."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}

    def rows(self) -> list[dict[str, float | int]]:
        """One row per frame, ready for CSV."""
        columns = (self.times_ms, self.lv_ml, self.myo_ml, self.rv_ml)
        names = ("time_ms", "lv_ml", "myocardium_ml", "rv_ml")
        return [
            {"frame": t} | {n: round(float(c[t]), 3) for n, c in zip(names, columns, strict=True)}
            for t in range(len(self.times_ms))
        ]


def end_frames(volume_ml: np.ndarray) -> tuple[int, int]:
    """Frames of the largest and the smallest volume of a periodic (T,) curve.

    The curve smoothed over three frames tells the neighbourhood, so that a single outlier elsewhere is ignored; in
    it the frame itself is that of the extreme volume.
    """
    smooth = (np.roll(volume_ml, 1) + 2.0 * volume_ml + np.roll(volume_ml, -1)) / 4.0
    near_ed, near_es = ((np.arange(-1, 2) + extreme(smooth)) % len(volume_ml) for extreme in (np.argmax, np.argmin))
    return int(near_ed[np.argmax(volume_ml[near_ed])]), int(near_es[np.argmin(volume_ml[near_es])])


def measure(labels: LabelMap, heart_rate_bpm: float | None = None) -> Function:
    """Volumes, ED, ES, EF and mass of a labelled cine.

    Args:
        labels: labels of all frames of one heart beat.
        heart_rate_bpm: kept for the report.
    """
    lv, myo, rv = (labels.volume_ml(label) for label in (LV, MYO, RV))
    ed, es = end_frames(lv if lv.any() else rv)
    return Function(
        labels.times_ms,
        lv,
        rv,
        myo,
        ed,
        es,
        *_ejection(lv, ed, es),
        *_ejection(rv, ed, es),
        lv_mass_g=float(myo[ed] * MYOCARDIAL_DENSITY_G_PER_ML) if myo[ed] > 0 else None,
        heart_rate_bpm=heart_rate_bpm,
    )


def _ejection(volume_ml: np.ndarray, ed: int, es: int) -> tuple[float | None, ...]:
    """EDV, ESV, SV in ml and EF in percent."""
    edv, esv = float(volume_ml[ed]), float(volume_ml[es])
    if edv <= 0:
        return None, None, None, None
    if ed == es:
        return edv, None, None, None
    return edv, esv, edv - esv, 100.0 * (edv - esv) / edv
