"""What the LV pool of a four-chamber cine tells over the cycle: area-length volume, length, strain of its outline."""

from dataclasses import dataclass

import numpy as np

from CardiacLib.types.labels import LV, LabelMap
from CardiacLib.types.measures.volumes import LEFT, VolumeRow
from CardiacLib.types.values import job_value
from CardiacSegLib.function import end_frames

from .contour import PoolOutline, pool_outline

SOURCE = "four-chamber view, area-length"
NEAR_MM = 7.5
"""Mitral points farther than this from the corners of the pool are not confirmed by it."""
SIDES = ("mitral septal 4CH", "mitral free wall 4CH")


@job_value
@dataclass(frozen=True)
class LongAxisMeasures:
    """Curves over the frames of the four-chamber cine, NaN where a frame's pool cannot be measured.

    Attributes:
        area_mm2, length_mm, volume_ml, endocardium_mm: (T,) of the LV pool, as of ``PoolOutline``.
        corners: (T, 2, 2) row and column, in pixels, of the pool's septal and free-wall corner at the mitral valve.
        off_mm: (T, 2) distance of the two mitral points from these corners.
        ed, es: frames of the largest and the smallest volume.
    """

    area_mm2: np.ndarray
    length_mm: np.ndarray
    volume_ml: np.ndarray
    endocardium_mm: np.ndarray
    corners: np.ndarray
    off_mm: np.ndarray
    ed: int
    es: int

    @property
    def strain_percent(self) -> np.ndarray:
        """(T,) longitudinal strain of the endocardial outline, against end-diastole."""
        return 100.0 * (self.endocardium_mm / self.endocardium_mm[self.ed] - 1.0)

    @property
    def global_longitudinal_strain_percent(self) -> float | None:
        """At end-systole; None of one frame."""
        return float(self.strain_percent[self.es]) if self.ed != self.es else None

    def row(self) -> VolumeRow:
        """Of the table of volumes."""
        return VolumeRow(
            source=SOURCE,
            ventricle=LEFT,
            ed_ml=float(self.volume_ml[self.ed]),
            es_ml=float(self.volume_ml[self.es]) if self.ed != self.es else None,
            reason="8 A^2 / (3 pi L) of the LV pool in one plane, taken to be round; at the largest and the smallest "
            "volume of that view, whose breath hold is another one.",
        )

    def notes(self) -> tuple[str, ...]:
        """Of each mitral point that the corner of the pool does not confirm, one sentence."""
        told = []
        for side, name in enumerate(SIDES):
            off = self.off_mm[:, side]
            middle = float(np.nanmedian(off)) if np.isfinite(off).any() else 0.0
            if middle > NEAR_MM:
                told.append(f"{name}: the corner of the LV pool, {middle:.1f} mm away, does not confirm it.")
        return tuple(told)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        row, strain = self.row().to_dict(), self.global_longitudinal_strain_percent
        return {
            "ed_frame_index": self.ed,
            "es_frame_index": self.es,
            "lv_area_length_edv_ml": row["ed_ml"],
            "lv_area_length_esv_ml": row["es_ml"],
            "lv_area_length_ef_percent": row["ef_percent"],
            "lv_length_ed_mm": _rounded(self.length_mm[self.ed]),
            "lv_length_es_mm": _rounded(self.length_mm[self.es]),
            "lv_global_longitudinal_strain_percent": None if strain is None else _rounded(strain),
            "mitral_points_off_mm": {
                name: _rounded(np.nanmedian(off)) if np.isfinite(off).any() else None
                for name, off in zip(SIDES, self.off_mm.T, strict=True)
            },
        }

    def rows(self) -> list[dict[str, object]]:
        """One row for every frame."""
        curves = {
            "lv_area_mm2": self.area_mm2,
            "lv_length_mm": self.length_mm,
            "lv_area_length_volume_ml": self.volume_ml,
            "lv_endocardium_mm": self.endocardium_mm,
            "lv_longitudinal_strain_percent": self.strain_percent,
        }
        return [
            {"frame_index": t} | {name: _rounded(values[t]) for name, values in curves.items()}
            for t in range(len(self.area_mm2))
        ]


def measure_long_axis(labels: LabelMap, mitral: np.ndarray) -> LongAxisMeasures | None:
    """Measure the LV pool of all frames of a four-chamber view.

    Args:
        labels: of the view, one slice.
        mitral: (T, 2, 2) row and column, in pixels, of the septal and the free-wall mitral point; NaN where unknown.

    Returns:
        None where no frame can be measured, or the file has lost its voxel size.
    """
    if not labels.grid.sized:
        return None
    columns, rows = np.linalg.norm(labels.ijk_to_lps[:3, :2], axis=0)
    spacing = np.array([rows, columns])
    found = [
        pool_outline(frame[0] == LV, (rows, columns), points)
        for frame, points in zip(labels.labels, mitral, strict=True)
    ]
    if not any(found):
        return None
    volumes = _curve(found, lambda outline: outline.volume_ml)
    ed, es = end_frames(np.nan_to_num(volumes))
    corners = np.stack([np.full((2, 2), np.nan) if one is None else one.corners / spacing for one in found])
    return LongAxisMeasures(
        area_mm2=_curve(found, lambda outline: outline.area_mm2),
        length_mm=_curve(found, lambda outline: outline.length_mm),
        volume_ml=volumes,
        endocardium_mm=_curve(found, lambda outline: outline.endocardium_mm),
        corners=corners,
        off_mm=np.linalg.norm((corners - mitral) * spacing, axis=-1),
        ed=ed,
        es=es,
    )


def _curve(found: list[PoolOutline | None], of) -> np.ndarray:
    return np.array([np.nan if outline is None else of(outline) for outline in found])


def _rounded(value: float) -> float | None:
    return round(float(value), 2) if np.isfinite(value) else None
