"""Rows of the table of volumes that labels of the short axis give."""

import numpy as np

from CardiacLib.types.measures.volumes import LEFT, RIGHT, VolumeRow
from CardiacLib.types.segmentation import ValveCut

from .records import Function

WHOLE, CUT = "short axis, whole slices", "short axis, cut at the valves"
VALVES = {LEFT: "mitral", RIGHT: "tricuspid"}


def label_rows(function: Function, cut: ValveCut | None = None) -> tuple[VolumeRow, ...]:
    """What is reported, of each ventricle; and where its labels end at the valves, what whole slices would give."""
    source = WHOLE if cut is None else CUT
    rows = []
    for side, ventricle in ((LEFT, function.lv), (RIGHT, function.rv)):
        if ventricle.edv_ml is None:
            continue
        muscle = f" Papillary muscles belong to the {function.papillary}." if side == LEFT else ""
        how = "Every labelled slice counts as a whole, as thick as the distance to the next."
        if cut is not None:
            how = f"Slices that the {VALVES[side]} plane crosses count by the fraction below it."
        rows.append(
            VolumeRow(
                source=source,
                ventricle=side,
                ed_ml=ventricle.edv_ml,
                es_ml=ventricle.esv_ml,
                reason=f"Reported. {how}{muscle}",
                reported=True,
            )
        )
        if cut is not None and cut.whole_ml is not None:
            rows.append(_whole(function, side, cut.whole_ml[:, 0 if side == LEFT else 2]))
    return tuple(rows)


def cut_rows(function: Function, cut: ValveCut, frames: tuple[int, int]) -> tuple[VolumeRow, ...]:
    """What the same labels would give if they ended at the valves.

    Args:
        function: with whole slices.
        cut: of ED and ES.
        frames: of the cut, which are ED and ES.
    """
    rows = []
    for side, ventricle, curve in ((LEFT, function.lv, cut.lv_ml), (RIGHT, function.rv, cut.rv_ml)):
        if ventricle.edv_ml is not None:
            ed, es = (float(curve[frame]) for frame in frames)
            rows.append(
                VolumeRow(
                    source=CUT,
                    ventricle=side,
                    ed_ml=ed,
                    es_ml=es if ventricle.esv_ml is not None else None,
                    reason=f"Slices that the {VALVES[side]} plane crosses count by the fraction below it, and the pool "
                    "is continued up to the plane (--cut-at-valves).",
                )
            )
    return tuple(rows)


def _whole(function: Function, side: str, curve: np.ndarray) -> VolumeRow:
    moves = function.ed != function.es
    return VolumeRow(
        source=WHOLE,
        ventricle=side,
        ed_ml=float(curve[function.ed]),
        es_ml=float(curve[function.es]) if moves else None,
        reason=f"Every labelled slice counts as a whole, also where the {VALVES[side]} plane crosses it.",
    )
