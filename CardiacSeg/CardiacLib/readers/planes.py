"""A plane: the cine of one slice position before it is stacked, and how planes are grouped by geometry."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from CardiacLib.types.patient import Patient

PARALLEL_DEGREES = 1.0
"""Planes whose normals differ by less belong to one stack (rescans after a pause differ by tenths of a degree)."""
SAME_POSITION_MM = 1.0


@dataclass(frozen=True, eq=False)
class Plane:
    """All frames of one slice position from one acquisition; pixels are loaded when asked for.

    Attributes:
        matrix: (4, 4) LPS; columns i, j in mm per pixel, third column the unit normal i x j.
        shape: (J, I).
        times_ms: (T,), not decreasing.
        beat_ms: RR interval, None where the files do not say.
        load: returns float32 (T, J, I).
        thickness_mm: slice thickness, which is the extent of a single slice along k.
        name: for messages: series, description, folder or file.
        keys: names by which a user may refer to this plane in ``views``.
        hint: text that may name a view (description, file and folder name).
        technique: what kind of image it is; only planes of one technique are stacked.
        acquired: sorts acquisitions of the same plane by time.
        notes: what was assumed, one sentence each.
        patient: facts of the patient.
        fault: why these images are no cine of one heart beat, empty if they are.
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
    notes: tuple[str, ...] = ()
    patient: Patient = Patient()
    fault: str = ""
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
    """One plane per position: of planes acquired twice the last complete one; and why the others are left out."""
    positions: list[list[Plane]] = []
    for plane in group:
        if positions and abs(offset_along(plane, group[0].normal) - _last_offset(positions, group)) < SAME_POSITION_MM:
            positions[-1].append(plane)
        else:
            positions.append([plane])
    kept, left_out = [], []
    for repeats in positions:
        most = max(plane.n_frames for plane in repeats)
        best = max((p for p in repeats if p.n_frames >= most), key=lambda p: p.acquired)
        kept.append(best)
        left_out += [
            f"{p.name}: the same plane as {best.name}, which is "
            + ("more complete" if p.n_frames < best.n_frames else "the last complete acquisition")
            for p in repeats
            if p is not best
        ]
    return kept, left_out


def _last_offset(positions: list[list[Plane]], group: list[Plane]) -> float:
    return offset_along(positions[-1][0], group[0].normal)
