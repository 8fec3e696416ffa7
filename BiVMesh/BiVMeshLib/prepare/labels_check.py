"""Check and clean the labels of one frame and put them in apex-to-base order."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from CardiacLib import geometry
from CardiacLib.errors import InputError
from CardiacLib.label_axes import trend
from CardiacLib.types.label_order import require_order
from CardiacLib.types.labels import LV, MYO, RV, RV_WALL, largest_piece

NAMES = {LV: "LV pool", MYO: "LV myocardium", RV: "RV pool", RV_WALL: "RV wall"}
MIN_SLICES, MIN_RV_SLICES = 3, 2
MIN_RV_SHARE = 0.5
"""Least RV area of the base slice, as a share of the next lower slice's: a smaller section is the RV's closing roof."""
MIN_RING = 0.7
"""Least fraction of the LV pool's contour that myocardium must touch in a slice that may carry the base."""


@dataclass(frozen=True)
class LabelStack:
    """Cleaned structures of one frame, slice 0 at the apex.

    Attributes:
        lv, lv_epi, rv, wall: bool (K, J, I): LV pool; LV pool and myocardium; RV pool; everything with the
            labelled RV wall (None where the labels have none).
        given: uint8 (K, J, I) the labels before they were cleaned.
        ijk_to_lps: float64 (4, 4) of these arrays (the slice order may differ from the input's).
        base: index of the slice that carries the base plane.
        notes: what was cleaned or decided.
        shifts: float64 (K, 3) LPS mm by which each slice is moved in its plane.
    """

    lv: np.ndarray
    lv_epi: np.ndarray
    rv: np.ndarray
    wall: np.ndarray | None
    given: np.ndarray
    ijk_to_lps: np.ndarray
    base: int
    notes: tuple[str, ...]
    shifts: np.ndarray

    @property
    def has_rv(self) -> bool:
        return bool(self.rv.any())

    def to_lps(self, i, j, k) -> np.ndarray:
        """(..., 3) LPS mm of voxel indices, which may be fractions within a slice."""
        places = geometry.apply(self.ijk_to_lps, np.stack(np.broadcast_arrays(i, j, k), axis=-1))
        return places + self.shifts[k]


def check_labels(
    labels_kji: np.ndarray, ijk_to_lps: np.ndarray, apex_first: bool | None = None, base_slice: int | None = None
) -> LabelStack:
    """Validate, clean slice by slice and order from apex to base.

    Args:
        labels_kji: (K, J, I) of 0 background, 1 LV pool, 2 LV myocardium, 3 RV pool, 4 RV wall.
        ijk_to_lps: (4, 4) voxel index (i, j, k) to LPS mm.
        apex_first: the slice order where it is known, as from another frame; else the sections' taper decides.
        base_slice: k of the slice that carries the base, where it is known; else the labels decide.

    Raises:
        InputError: the labels cannot give a mesh; one sentence says why.
    """
    labels, matrix = validated(labels_kji, ijk_to_lps)
    require_order(labels[None], "The labels")
    notes: list[str] = []
    if apex_first is None:
        apex_first = _decided_apex_first(labels, notes)
    given, matrix = (labels, matrix) if apex_first else reversed_slices(labels, matrix)
    labels = _without_strays(_without_islands(given, notes), notes)
    lv, lv_epi = labels == LV, _filled_body(labels, notes)
    rv = _filled_rv(labels == RV, lv_epi, notes)
    _require_slices(lv, rv)
    _require_margin(labels)
    if not rv.any():
        notes.append("The labels have no RV pool: this is a mesh of the left ventricle alone.")
    wall = (labels > 0) | lv_epi if (labels == RV_WALL).any() else None
    if base_slice is None:
        base = _base_slice(lv, lv_epi & ~lv, rv, notes)
    else:
        base = base_slice if apex_first else len(lv) - 1 - base_slice
    return LabelStack(
        lv=lv,
        lv_epi=lv_epi,
        rv=rv,
        wall=wall,
        given=given,
        ijk_to_lps=matrix,
        base=base,
        notes=tuple(notes),
        shifts=np.zeros((len(lv), 3)),
    )


def validated(labels_kji: np.ndarray, ijk_to_lps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels (K, J, I) and matrix (4, 4) float64; InputError where they cannot be those of one frame of a heart."""
    labels, matrix = np.asarray(labels_kji), np.asarray(ijk_to_lps, np.float64)
    if labels.ndim != 3 or 0 in labels.shape:
        raise InputError(f"A mesh needs the labels of one frame, (K, J, I); got an array of shape {labels.shape}.")
    if labels.dtype != np.uint8:
        raise InputError(f"Labels must be uint8 codes 0 to 4, got {labels.dtype}; convert the image to labels first.")
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise InputError("The labels' index-to-LPS matrix must be an invertible 4x4 matrix.")
    unknown = sorted(int(v) for v in np.unique(labels) if v > RV_WALL)
    if unknown:
        raise InputError(f"Unknown label values {unknown}; use 1 LV pool, 2 LV myocardium, 3 RV pool, 4 RV wall.")
    for value in (LV, MYO):
        if not (labels == value).any():
            raise InputError(
                f"The labels contain no {NAMES[value]} (label {value}), which a mesh needs; check the label values."
            )
    return labels, matrix


def _taper(labels) -> float:
    """Share of the largest section by which the sections widen from the first to the last slice.

    Only the pools count: networks draw rings of myocardium round the atria and the aorta. The mean of two trends:
    over the slices with LV pool, and over those with both pools, which a half slice at the base does not mislead.
    """
    lv, rv = (labels == LV).any((1, 2)), (labels == RV).any((1, 2))
    area = ((labels == LV) | (labels == RV)).sum((1, 2)) / labels[0].size
    trends = []
    for used in (np.flatnonzero(lv), np.flatnonzero(lv & rv)):
        if len(used) > 1:
            trends.append(trend(used, area[used] / area[used].max()) * len(used))
    return float(np.mean(trends)) if trends else 0.0


def _decided_apex_first(labels, notes) -> bool:
    """Whether the heart widens with k: sections through both ventricles taper to the apex."""
    trend = _taper(labels)
    if abs(trend) < 0.15:
        notes.append("The sections hardly taper, so the decision which end is the apex is uncertain.")
    order = "apex" if trend >= 0 else "base"
    notes.append(f"Slice order: {order} first (decided from the taper of the sections).")
    return trend >= 0


def reversed_slices(stack: np.ndarray, ijk_to_lps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slices (..., K, J, I) in the other order, a view, and the matrix that keeps every voxel in its place."""
    flipped = ijk_to_lps.copy()
    flipped[:3, 3] += ijk_to_lps[:3, 2] * (stack.shape[-3] - 1)
    flipped[:3, 2] *= -1
    return stack[..., ::-1, :, :], flipped


def _without_islands(labels, notes) -> np.ndarray:
    """In every slice keep the largest piece of the LV pool, of the RV pool and of the whole LV."""
    clean = labels.copy()
    removed = {LV: 0, MYO: 0, RV: 0}
    for k, section in enumerate(labels):
        for value, parts in ((LV, (LV,)), (MYO, (LV, MYO)), (RV, (RV,))):
            mask = np.isin(clean[k], parts)
            drop = mask & ~largest_piece(mask)
            removed[value] += int(drop.sum())
            clean[k][drop] = MYO if value == LV and (section == MYO).any() else 0
    for value, count in removed.items():
        if count:
            notes.append(f"{NAMES[value]}: {count} voxels in separate pieces were removed.")
    return clean


def _without_strays(labels, notes) -> np.ndarray:
    """Drop sections that do not lie over their neighbour: going out from its largest section, a structure ends there.

    Myocardium over the most basal LV pool is dropped too; it is no part of the ventricle's wall.
    """
    clean = labels.copy()
    for value, parts in ((LV, (LV, MYO)), (RV, (RV,))):
        mask = np.isin(labels, parts)
        start = int((labels == value).sum((1, 2)).argmax())
        for order in (range(start + 1, len(mask)), range(start - 1, -1, -1)):
            last = mask[start]
            for k in order:
                if not (mask[k] & ndimage.binary_dilation(last, iterations=2)).any():
                    clean[k][mask[k]] = 0
                elif mask[k].any():
                    last = mask[k]
    top = int(np.flatnonzero((clean == LV).any((1, 2)))[-1])
    clean[top + 1 :][clean[top + 1 :] == MYO] = 0
    dropped = int(((labels > 0) & (clean == 0)).sum())
    if dropped:
        notes.append(f"{dropped} voxels in sections that do not continue the ventricles were removed.")
    return clean


def _filled_rv(rv, lv_epi, notes) -> np.ndarray:
    """RV pool with holes filled: muscle that stands alone in a section is a papillary muscle, counted as pool."""
    filled = np.stack([ndimage.binary_fill_holes(section) for section in rv]) & ~lv_epi
    holes = int((filled & ~rv).sum())
    if holes:
        notes.append(f"RV pool: {holes} voxels of holes were filled.")
    return filled | rv


def _filled_body(labels, notes) -> np.ndarray:
    """LV pool and myocardium with holes filled; a slice of myocardium without pool stays as it is."""
    body = (labels == LV) | (labels == MYO)
    filled = np.stack([ndimage.binary_fill_holes(section) for section in body])
    holes = int((filled & ~body).sum())
    if holes:
        notes.append(f"LV myocardium: {holes} voxels of holes were filled.")
    return filled


def _require_slices(lv, rv) -> None:
    for mask, name, need in ((lv, "LV pool", MIN_SLICES), (rv, "RV pool", MIN_RV_SLICES)):
        count = int(mask.any((1, 2)).sum())
        if count < need and (count or name == "LV pool"):
            raise InputError(
                f"The {name} is labelled in {count} slices; a mesh needs at least {need}: use images that cover it."
            )


def _require_margin(labels) -> None:
    for value, name in NAMES.items():
        mask = labels == value
        if mask[:, [0, -1]].any() or mask[:, :, [0, -1]].any():
            raise InputError(f"The {name} touches the border of the image; use images that show the whole heart.")


def _ring_fraction(pool: np.ndarray, muscle: np.ndarray) -> float:
    """Fraction of the pixels just outside the pool that are muscle."""
    ring = ndimage.binary_dilation(pool) & ~pool
    return float(muscle[ring].mean())


def _base_slice(lv, muscle, rv, notes) -> int:
    """The most basal slice with LV pool, RV pool (if any) and myocardium all round the LV pool."""
    has_rv = rv.any()
    lowest = int(np.flatnonzero(lv.any((1, 2)))[0])
    rv_area = rv.sum((1, 2))
    wide = [k == 0 or rv_area[k] >= MIN_RV_SHARE * rv_area[k - 1] for k in range(len(rv))]
    present = [k for k in range(len(lv)) if lv[k].any() and ((rv[k].any() and wide[k]) or not has_rv)]
    closed = [k for k in present if k >= lowest + 2 and _ring_fraction(lv[k], muscle[k]) >= MIN_RING]
    if not closed:
        raise InputError(
            "No slice near the base shows the LV pool inside a closed ring of myocardium"
            + (" with the RV pool beside it" if has_rv else "")
            + "; check the labels."
        )
    base = closed[-1]
    above = int(lv[base + 1 :].any((1, 2)).sum())
    if above:
        notes.append(
            f"The base is {above} slice(s) below the most basal slice with LV pool: above it the "
            + ("RV pool ends or closes, or the " if has_rv else "")
            + "ring of myocardium is open."
        )
    return base
