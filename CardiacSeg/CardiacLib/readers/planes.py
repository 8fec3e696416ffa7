"""A plane: the cine of one slice position before it is stacked, and how planes are grouped by geometry."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from CardiacLib.types.patient import Patient

PARALLEL_DEGREES = 1.0
"""Planes whose normals differ by less belong to one stack (rescans after a pause differ by tenths of a degree)."""
SAME_POSITION = 0.4
"""Planes that lie this close, in slice thicknesses, are one slice taken twice: slices of a stack hardly overlap."""
SAME_SLICE = 0.75
"""The same between planes of two acquisitions of a stack, which may have been breathed apart."""
SAME_BREATH_MM = 1.0
"""Slices of another series that lie so close replace the first ones; others do not fit among them."""


@dataclass(frozen=True, eq=False)
class Plane:
    """All frames of one slice position from one acquisition; pixels are loaded when asked for.

    Attributes:
        matrix: (4, 4) LPS; columns i, j in mm per pixel, third column the unit normal i x j.
        shape: (J, I).
        times_ms: (T,), not decreasing; where the files tell no times (``timed`` is False) numbers in the order of time.
        beat_ms: RR interval, None where the files do not say.
        load: returns float32 (T, J, I).
        thickness_mm: slice thickness, which is the extent of a single slice along k.
        name: for messages: series, description, folder or file.
        keys: names by which a user may refer to this plane in ``views``.
        hint: text that may name a view (description, file and folder name).
        technique: what kind of image it is; only planes of one technique are stacked.
        acquired: sorts acquisitions of the same plane by time.
        acquisition: the same for planes that were taken in one go, empty where the files do not tell.
        order: what the frames are ordered by where that is no trigger time: their times are then not exact.
        notes: what was assumed, one sentence each.
        patient: facts of the patient.
        fault: why these images are no cine of one heart beat, empty if they are.
        last_resort: though they have a fault, they may be a view that their name speaks of, if there is no other.
        sized: whether the file gives the size of its pixels.
        files: (T,) path and number in a multi-frame file (else None) of every frame; empty if not DICOM.
    """

    matrix: np.ndarray
    shape: tuple[int, int]
    times_ms: np.ndarray
    beat_ms: float | None
    load: Callable[[], np.ndarray]
    name: str
    thickness_mm: float = 1.0
    keys: tuple[str, ...] = ()
    hint: str = ""
    technique: str = ""
    acquired: tuple = ()
    acquisition: tuple = ()
    order: str = ""
    notes: tuple[str, ...] = ()
    patient: Patient = Patient()
    fault: str = ""
    last_resort: bool = False
    timed: bool = True
    sized: bool = True
    files: tuple[tuple[str, int | None], ...] = ()

    @property
    def n_frames(self) -> int:
        return len(self.times_ms)

    @property
    def normal(self) -> np.ndarray:
        return self.matrix[:3, 2]

    @property
    def center(self) -> np.ndarray:
        """(3,) LPS middle of the plane."""
        j, i = self.shape
        return (self.matrix @ [(i - 1) / 2, (j - 1) / 2, 0.0, 1.0])[:3]

    def beat_or_estimate_ms(self) -> float:
        """RR interval, else the time from the first frame to one step past the last."""
        if self.beat_ms:
            return self.beat_ms
        if self.n_frames < 2:
            return 0.0
        return float((self.times_ms[-1] - self.times_ms[0]) * self.n_frames / (self.n_frames - 1))


def plane_matrix(position, row_direction, column_direction, spacing_ij) -> np.ndarray:
    """Matrix of a plane from DICOM's position, direction of increasing i, of increasing j, and mm along i, j.

    The normal is exact; the in-plane axes are made orthogonal by the smallest change (text numbers are rounded).
    """
    row = np.asarray(row_direction, float) / np.linalg.norm(row_direction)
    column = np.asarray(column_direction, float) / np.linalg.norm(column_direction)
    skew = float(row @ column) / 2.0
    row, column = row - skew * column, column - skew * row
    row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
    matrix = np.eye(4)
    matrix[:3, 0] = row * spacing_ij[0]
    matrix[:3, 1] = column * spacing_ij[1]
    matrix[:3, 2] = np.cross(row, column)
    matrix[:3, 3] = position
    return matrix


def parallel_groups(planes: list[Plane]) -> list[list[Plane]]:
    """Groups of parallel planes of the same technique, each sorted along the first plane's normal."""
    limit = np.cos(np.radians(PARALLEL_DEGREES))
    groups: list[list[Plane]] = []
    for plane in planes:
        for group in groups:
            if group[0].technique == plane.technique and abs(float(group[0].normal @ plane.normal)) > limit:
                group.append(plane)
                break
        else:
            groups.append([plane])
    return [sorted(group, key=lambda p, first=group[0]: offset_along(p, first.normal)) for group in groups]


def offset_along(plane: Plane, normal: np.ndarray) -> float:
    """Position of the plane's middle along a normal, mm. The middle, so that slightly tilted planes compare well."""
    return float(normal @ plane.center)


def without_repeats(group: list[Plane]) -> tuple[list[Plane], list[str]]:
    """One plane per position: of planes acquired twice the last complete one; and why the others are left out.

    Of a stack acquired twice, one acquisition stays as a whole: slices of two breath-holds do not fit together.
    """
    group, left_out = _one_acquisition(group)
    normal = group[0].normal
    positions: list[list[Plane]] = []
    for plane in group:
        if positions and _apart(positions[-1][0], plane, normal) < SAME_POSITION:
            positions[-1].append(plane)
        else:
            positions.append([plane])
    kept = []
    for repeats in positions:
        most = max(plane.n_frames for plane in repeats)
        best = max((p for p in repeats if p.n_frames >= most), key=lambda p: p.acquired)
        kept.append(best)
        left_out += [
            f"{p.name}: the same plane as {best.name}, which is {_why(p.n_frames < best.n_frames)}"
            for p in repeats
            if p is not best
        ]
    return kept, left_out


def _why(more_complete: bool) -> str:
    return "more complete" if more_complete else "the last complete acquisition"


def _apart(first: Plane, second: Plane, normal: np.ndarray) -> float:
    """Distance of two planes in slice thicknesses."""
    distance = abs(offset_along(first, normal) - offset_along(second, normal))
    return distance / max(min(first.thickness_mm, second.thickness_mm), 1e-6)


def _one_acquisition(group: list[Plane]) -> tuple[list[Plane], list[str]]:
    """Planes without those of stacks that another acquisition repeats, and which these are."""
    stacks: dict[tuple, list[Plane]] = {}
    for plane in group:
        if plane.acquisition:
            stacks.setdefault(plane.acquisition, []).append(plane)
    most = max(plane.n_frames for plane in group)

    def worth(stack: list[Plane]) -> tuple:
        return sum(plane.n_frames == most for plane in stack), max(plane.acquired for plane in stack)

    accepted: list[list[Plane]] = []
    dropped: dict[int, Plane] = {}
    left_out = []
    for stack in sorted((s for s in stacks.values() if len(s) > 1), key=worth, reverse=True):
        for better in accepted:
            again = _taken_again(stack, better)
            if len(again) > 1:
                dropped |= {id(plane): plane for plane in again}
                why = _why(worth(stack)[0] < worth(better)[0])
                left_out.append(f"{again[0].name}: {len(again)} planes taken again in {better[0].name}, which is {why}")
                break
        accepted.append([plane for plane in stack if id(plane) not in dropped])
    return [plane for plane in group if id(plane) not in dropped], left_out


def _taken_again(stack: list[Plane], better: list[Plane]) -> list[Plane]:
    """The planes of a stack that another repeats; none if single slices were scanned again in a series of their own."""
    normal = better[0].normal
    nearest = [min(better, key=lambda other: _apart(plane, other, normal)) for plane in stack]
    again = [(p, other) for p, other in zip(stack, nearest, strict=True) if _apart(p, other, normal) < SAME_SLICE]
    away = [abs(offset_along(plane, normal) - offset_along(other, normal)) for plane, other in again]
    if stack[0].acquisition[0] != better[0].acquisition[0] and max(away, default=0.0) < SAME_BREATH_MM:
        return []
    return [plane for plane, _ in again]
