"""What the decks put on the heart: pressures and active tension over time, a passive law, springs."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

COLUMNS = ("time_s", "lv_kpa", "rv_kpa", "tension_kpa")
NOT_RUN = "Written by CineHeart, not run here: research use only. Material and pressures are not the patient's."
"""What every deck says of itself."""


def filling_and_contraction() -> np.ndarray:
    """(3, 4) COLUMNS: filling to 1 kPa, then 15 kPa and a tension of 60 kPa as in Problem 3 of Land et al. 2015."""
    return np.array([[0.0, 0.0, 0.0, 0.0], [0.2, 1.0, 0.3, 0.0], [0.4, 15.0, 4.0, 60.0]])


@dataclass(frozen=True)
class Guccione:
    """Constants of the law of Guccione et al. 1991 (doi 10.1115/1.2894084) in kPa.

    W = c/2 (exp Q - 1), Q = bf Eff^2 + bt (Ess^2 + Enn^2 + 2 Esn^2) + 2 bfs (Efs^2 + Efn^2); default: Problem 3 of
    Land et al. 2015 (doi 10.1098/rspa.2015.0641). ``bulk`` makes it nearly incompressible.
    """

    c: float = 2.0
    bf: float = 8.0
    bt: float = 2.0
    bfs: float = 4.0
    bulk: float = 200.0


@dataclass(frozen=True)
class Loads:
    """Loads of a deck.

    Attributes:
        curve: (T, 4) COLUMNS, time from 0 and rising.
        law: passive material, of the solvers that have Guccione's.
        epicardium_kpa_per_mm: springs along the normal of EPI, for the pericardium, where the solver has them: 0.1
            kPa/mm is 1e5 Pa/m, the order of Pfaller et al. 2019 (doi 10.1007/s10237-018-1098-4).
    """

    curve: np.ndarray = field(default_factory=filling_and_contraction)
    law: Guccione = Guccione()
    epicardium_kpa_per_mm: float = 0.1

    @property
    def end(self) -> float:
        """Of the curve, seconds."""
        return float(self.curve[-1, 0])

    def passive(self) -> np.ndarray:
        """(T', 4) the curve up to where tension begins."""
        active = np.flatnonzero(self.curve[:, 3] > 0)
        return self.curve[: active[0]] if len(active) else self.curve


def read_loads(path: Path) -> Loads:
    """Loads of a CSV with the columns ``time_s, lv_kpa, rv_kpa, tension_kpa``.

    Raises:
        InputError: no such file, another header, or times that do not rise from 0.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, skipinitialspace=True))
        curve = np.array([[float(row[name]) for name in COLUMNS] for row in rows])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: give a CSV of numbers with the columns {', '.join(COLUMNS)} ({error}).") from error
    if len(curve) < 2 or curve[0, 0] != 0 or not (np.diff(curve[:, 0]) > 0).all() or not np.isfinite(curve).all():
        raise InputError(f"{path}: needs two or more rows of finite numbers whose times begin at 0 and rise.")
    if (curve[0, 1:] != 0).any() or (curve[:, 3] < 0).any():
        raise InputError(f"{path}: pressures and tension must be 0 at time 0, and tension nowhere negative.")
    return Loads(curve)
