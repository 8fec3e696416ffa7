"""Label values of other data sets in CineHeart's order, and how another order is told from the labels themselves."""

import re
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

from .labels import BACKGROUND, LV, MYO, RV, RV_WALL

ACDC = "rv,myo,lv"
ORDERS = {"auto": "lv,myo,rv,rvwall", "cineheart": "lv,myo,rv,rvwall", "acdc": ACDC}
"""What the values 1, 2, 3, ... stand for; ``-`` for values that do not occur."""
NAMES = {"lv": LV, "myo": MYO, "rv": RV, "rvwall": RV_WALL, "-": BACKGROUND}
LABEL_FILE = re.compile(r"patient\d+_frame\d+_gt\.nii(\.gz)?$")
RINGED = 0.7
"""Share of a pool's outline, over all slices, that the myocardium covers."""
BARE = 0.45
"""And below which what should be the pool is not enclosed by what should be the myocardium."""
MOST_FRAMES = 3
"""Frames that are looked at."""


def is_acdc_labels(path: str | Path) -> bool:
    """Whether a file is an expert label map within an ACDC patient folder, by its name and the Info.cfg beside it."""
    path = Path(path)
    return bool(LABEL_FILE.match(path.name)) and (path.parent / "Info.cfg").is_file()


def in_order(labels: np.ndarray, order: str, path: str | Path) -> np.ndarray:
    """Label values of another order in CineHeart's.

    Args:
        labels: uint8, any shape.
        order: auto or cineheart (1 LV pool, 2 LV myocardium, 3 RV pool, 4 RV wall); acdc (1 RV pool, 2 LV myocardium,
            3 LV pool); or what the values 1, 2, ... stand for, as ``myo,lv,rv`` or ``lv,myo,-,rv``; or a map from
            values to names, as ``1=LV,2=MYO,3=RV`` or ``200=LV``.
        path: names the file in the message.

    Raises:
        InputError: the order is not known, or values occur that it does not name.
    """
    meant = _meanings(order)
    values = np.full(256, 255, np.uint8)
    values[0] = BACKGROUND
    for value, name in meant.items():
        values[value] = NAMES[name]
    mapped = values[labels]
    if (mapped == 255).any():
        lost = ", ".join(str(v) for v in np.unique(labels[mapped == 255]))
        raise InputError(f"{path}: holds the value {lost}, which the label order '{order}' does not name.")
    return mapped


def _meanings(order: str) -> dict[int, str]:
    """Value to name of an order in any of its forms."""
    parts = [part.strip().lower() for part in ORDERS.get(order, order).split(",")]
    if any("=" in part for part in parts):
        pairs = [part.partition("=")[::2] for part in parts]
        known = all(value.strip().isdigit() and 0 < int(value) < 255 for value, _ in pairs)
        found = [(int(value), name.strip()) for value, name in pairs] if known else []
        fits = known and len(dict(found)) == len(found)
    else:
        found = [(value, part) for value, part in enumerate(parts, 1) if part != "-"]
        fits = len(parts) <= RV_WALL
    names = [name for _, name in found]
    if not (fits and set(names) <= set(NAMES) - {"-"} and len(names) == len(set(names))):
        raise InputError(
            f"Label order '{order}' is not known; choose {', '.join(ORDERS)}, or say what 1, 2, 3 stand for: "
            "myo,lv,rv or 1=MYO,2=LV,3=RV."
        )
    return dict(found)


def require_order(labels: np.ndarray, where: str) -> None:
    """Raise InputError, naming the option that reads them, where the rings show that labels are in another order.

    In every slice the myocardium surrounds the LV pool. Where value 2 does not surround value 1, but one value another,
    these are the myocardium and the LV pool. A value 4 without any 3 is the RV pool of orders that leave 3 out.

    Args:
        labels: uint8 (T, K, J, I), 0 to 4.
        where: names them in the message.
    """
    drawn = np.flatnonzero(labels.any((1, 2, 3)))[:MOST_FRAMES]
    found = None if not len(drawn) else _other_order(labels[drawn])
    if found is None:
        return
    order, reason = found
    option = next((name for name, values in ORDERS.items() if values == order), order)
    raise InputError(f"{where}: its labels are in another order ({reason}): read them with --label-order {option}.")


def _other_order(labels: np.ndarray) -> tuple[str, str] | None:
    values = [value for value in (LV, MYO, RV) if (labels == value).any()]
    if (labels == RV_WALL).any() and RV not in values and {LV, MYO} <= set(values):
        return "lv,myo,-,rv", "they have value 4, the RV wall, without value 3, the RV pool"
    if len(values) < 2 or _enclosed(labels, LV, MYO) >= BARE:
        return None
    pairs = [(pool, muscle) for pool in values for muscle in values if pool != muscle]
    shares = {pair: _enclosed(labels, *pair) for pair in pairs}
    pool, muscle = max(shares, key=shares.__getitem__)
    if shares[pool, muscle] < RINGED:
        return None
    parts = ["rv" if value in values else "-" for value in (LV, MYO, RV)]
    parts[pool - 1], parts[muscle - 1] = "lv", "myo"
    while parts[-1] == "-":
        parts.pop()
    return ",".join(parts), f"value {muscle} surrounds value {pool}, as myocardium does the LV pool"


def _enclosed(labels: np.ndarray, pool: int, muscle: int) -> float:
    """Share of the pixels just outside a structure, its holes filled, that are of another; 0 without the structure."""
    from scipy import ndimage

    outside = covered = 0
    for section in labels.reshape(-1, *labels.shape[2:]):
        mask = section == pool
        if mask.any() and (section == muscle).any():
            filled = ndimage.binary_fill_holes(mask)
            ring = ndimage.binary_dilation(filled) & ~filled
            outside += int(ring.sum())
            covered += int((ring & (section == muscle)).sum())
    return covered / outside if outside else 0.0
