"""Motion and size of the valve annuli: MAPSE, TAPSE, velocities, diameters, length of the LV. See Docs/Annulus.md."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
from CardiacLandmarksLib.detect.trajectories import LEAST_FRAMES
from CardiacLib.geometry import HUMAN_APEX, slice_normal
from CardiacLib.types.landmarks import LANDMARK_VIEWS, Landmarks, valve_points
from CardiacLib.types.measures.marks import Mark, plain_marks
from CardiacLib.types.times import Timed, frame_phases
from CardiacLib.types.values import job_value

from .marks import diameter_mark, excursion_marks, left_out_note, of_points, point_marks, strong_ones
from .planes import ValvePlane, fit_planes

PHASES = np.arange(400) / 400
"""At which peaks are looked for: the paths are known between the frames."""
SYSTOLE = (0.15, 0.45)
"""Phases at which any annulus lies nearer to the apex than at the R wave."""
TOLD_BY_MOTION_MM = 2.0
"""Mean systolic displacement from which on the motion says where the apex is, else the usual place of the heart."""
EARLY_DIASTOLE = 0.5
"""Share of diastole in which the peak velocity counts as e'; the rest is a'."""

DIAMETERS = {
    "mitral_2ch_mm": (0, 1),
    "mitral_3ch_mm": (2, 3),
    "mitral_4ch_mm": (4, 5),
    "aortic_3ch_mm": (6, 7),
    "tricuspid_4ch_mm": (8, 9),
}
"""Distance of two points, by their numbers in LANDMARK_NAMES."""

LEAST_DIAMETER_MM = 10.0
"""Points of one valve that lie nearer than this on average cannot both be right."""

EXCURSIONS = {
    "mapse_septal": (4,),
    "mapse_lateral": (5,),
    "mapse_anterior": (0,),
    "mapse_inferior": (1,),
    "mapse_anteroseptal": (2,),
    "mapse_inferolateral": (3,),
    "mapse": (4, 5),
    "mapse_all_views": (0, 1, 2, 3, 4, 5),
    "tapse": (9,),
    "tricuspid_septal": (8,),
}
"""Points whose mean motion along the LV axis is measured."""


@job_value
@dataclass(frozen=True)
class Excursion:
    """Motion of one or several points along the LV axis, towards the apex positive.

    Attributes:
        curve_mm: (T,) distance from the end-diastolic position.
        velocity_cm_s: (T,).
        peak_mm: greatest distance in the beat: MAPSE, TAPSE.
        s_cm_s, e_cm_s, a_cm_s: peak velocities towards the apex in systole, and away from it in early and in late
            diastole, all positive; NaN without frame times.
    """

    curve_mm: np.ndarray
    velocity_cm_s: np.ndarray
    peak_mm: float
    s_cm_s: float
    e_cm_s: float
    a_cm_s: float

    def known(self, frames: int) -> "Excursion":
        """What so many frames tell: of one frame no motion, NaN, of fewer than LEAST_FRAMES no velocities."""
        if frames >= LEAST_FRAMES:
            return self
        nan = float("nan")
        still = replace(self, velocity_cm_s=np.full(len(self.curve_mm), nan), s_cm_s=nan, e_cm_s=nan, a_cm_s=nan)
        return still if frames > 1 else replace(still, curve_mm=np.full(len(self.curve_mm), nan), peak_mm=nan)


@job_value
@dataclass(frozen=True)
class Annulus:
    """The annulus measures of a study at T frames.

    Attributes:
        times_ms: (T,); None where the files give no time.
        ed, es: frames of end-diastole and end-systole as they were given, else those at which the mitral annulus (else
            the tricuspid free wall) is farthest from and nearest to the apex.
        axis: (3,) unit LPS, LV axis from base to apex.
        axis_source: what the axis was taken from.
        excursions: by name of EXCURSIONS, those with all points known.
        diameters: by name of DIAMETERS, (T,) mm.
        planes: by valve.
        lv_length_mm: (T,) from the mean of the mitral points to the apex; empty where the apex is not known.
        notes: one sentence each.
        marks: light and reason of each of ``values()`` that is known, by its key.
    """

    times_ms: np.ndarray | None
    n_frames: int
    ed: int
    es: int
    axis: np.ndarray
    axis_source: str
    excursions: dict[str, Excursion]
    diameters: dict[str, np.ndarray]
    planes: dict[str, ValvePlane]
    lv_length_mm: np.ndarray
    notes: tuple[str, ...]
    marks: dict[str, Mark] = field(default_factory=dict)

    @property
    def long_axis_strain_percent(self) -> np.ndarray:
        """(T,) change of the LV length from its ED value, negative while it is shorter; empty where not known."""
        return 100.0 * (self.lv_length_mm / self.lv_length_mm[self.ed] - 1.0) if len(self.lv_length_mm) else np.empty(0)

    def values(self) -> dict[str, float | None]:
        """The single numbers: peaks, velocities, diameters and length at ED and ES; None where not known."""
        found = {}
        for name, excursion in self.excursions.items():
            found[f"{name}_mm"] = _number(excursion.peak_mm)
            found |= {f"{name}_{wave}_cm_s": _number(getattr(excursion, f"{wave}_cm_s")) for wave in ("s", "e", "a")}
        for name, curve in (self.diameters | {"lv_length_mm": self.lv_length_mm}).items():
            stem = name.removesuffix("_mm")
            ends = (("ed", self.ed), ("es", self.es)) if len(curve) else ()
            found |= {f"{stem}_{phase}_mm": _number(curve[frame]) for phase, frame in ends}
        if len(self.lv_length_mm):
            strain = self.long_axis_strain_percent[self.es] if self.ed != self.es else float("nan")
            found["lv_long_axis_strain_percent"] = _number(strain)
        return found

    def to_dict(self) -> dict[str, object]:
        """Everything as plain values for JSON."""
        planes = {
            valve: {
                "center_lps_mm": _plain(plane.centers),
                "normal_lps": _plain(plane.normals),
                "residual_mm": _plain(plane.residual_mm),
            }
            for valve, plane in self.planes.items()
        }
        return {
            "ed_frame_index": self.ed,
            "es_frame_index": self.es,
            "axis_lps": _plain(self.axis),
            "axis_from": self.axis_source,
            "values": self.values(),
            "marks": plain_marks(self.marks),
            "curves": {name: None if curve is None else _plain(curve) for name, curve in self._curves().items()},
            "planes": planes,
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, object]]:
        """One row per frame for CSV."""
        curves = self._curves()
        return [
            {"frame_index": t} | {name: None if curve is None else _number(curve[t]) for name, curve in curves.items()}
            for t in range(self.n_frames)
        ]

    def _curves(self) -> dict[str, np.ndarray | None]:
        curves: dict[str, np.ndarray | None] = {"time_ms": self.times_ms}
        for name, excursion in self.excursions.items():
            curves |= {f"{name}_mm": excursion.curve_mm, f"{name}_cm_s": excursion.velocity_cm_s}
        curves |= self.diameters
        if len(self.lv_length_mm):
            curves |= {"lv_length_mm": self.lv_length_mm, "lv_long_axis_strain_percent": self.long_axis_strain_percent}
        return curves


def measure_annulus(
    study: StudyLandmarks,
    frames: Timed | None = None,
    *,
    apex_lps: np.ndarray | None = None,
    ends: tuple[float, float] | None = None,
) -> Annulus | None:
    """Measure the motion of the annuli.

    What is a mean over points (MAPSE, length of the LV, the axis) is one over strong points, where there are any: a
    weak one is left out, as a note says.

    Args:
        study: the valve points.
        frames: cine or labels at whose frames curves are given, covering one beat; by default the view with most.
        apex_lps: (3,) apex of the LV, from a segmentation; the axis then goes through it.
        ends: phases of end-diastole and end-systole, from a segmentation; else the motion tells them.

    Returns:
        The measures; None where no mitral and no tricuspid point was found.

    Example:
        >>> from CardiacLandmarksLib.detect.study_landmarks import from_landmarks
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> phantom = make_phantom(PhantomOptions.small())
        >>> annulus = measure_annulus(from_landmarks(phantom.landmarks, phantom.cines))
        >>> round(annulus.values()["mapse_mm"]), round(annulus.values()["tapse_mm"])
        (12, 20)
    """
    landmarks, trust = study.landmarks(frames), point_marks(study)
    phases = frame_phases(landmarks)
    axis, source = long_axis(study, apex_lps)
    if axis is None:
        return None
    heights, fine = landmarks.points @ axis, study.at(PHASES) @ axis  # towards the apex
    if (own_ends := _ends_of(fine, trust)) is None:
        return None
    ends = ends or own_ends
    ed, es = (_nearest(phases, phase) for phase in ends)
    chosen = _choose(study, landmarks.points, trust)
    excursions = {
        name: _excursion(heights[:, points].mean(1), fine[:, points].mean(1), ends, study.beat_ms, phases)
        for name, points in chosen.excursions.items()
    }
    length, notes = _length(landmarks.points[:, chosen.mitral], apex_lps)
    diameters = _diameters(landmarks.points)
    found = Annulus(
        times_ms=landmarks.times_ms,
        n_frames=landmarks.n_frames,
        ed=ed,
        es=es,
        axis=axis,
        axis_source=source,
        excursions={name: excursion.known(chosen.frames[name]) for name, excursion in excursions.items()},
        diameters=diameters,
        planes=_planes(study, landmarks, axis),
        lv_length_mm=length,
        notes=(*_doubts(diameters), *notes, *chosen.left_out(len(length) > 0)),
    )
    return replace(found, marks=_marks(found, chosen))


def _planes(study: StudyLandmarks, landmarks: Landmarks, axis: np.ndarray) -> dict[str, ValvePlane]:
    normals = {view: slice_normal(found.cine.ijk_to_lps) for view, found in study.views.items()}
    return fit_planes(landmarks, normals, axis)


@dataclass(frozen=True)
class _Chosen:
    """The points that each measure is of.

    Attributes:
        trust: mark of each of the ten points.
        excursions: points of each excursion whose points are all known, the strong ones if there are any.
        frames: of each excursion, how many its view has.
        known_mitral: mitral points that are known in all frames.
        mitral: those of them whose mean is the upper end of the LV.
    """

    trust: tuple[Mark, ...]
    excursions: dict[str, list[int]]
    frames: dict[str, int]
    known_mitral: list[int]
    mitral: list[int]

    def left_out(self, has_length: bool) -> list[str]:
        """Notes on the means that leave out weak points."""
        means = {"mapse": "MAPSE", "mapse_all_views": "The mean MAPSE of all views"}
        notes = [
            left_out_note(title, EXCURSIONS[name], self.trust)
            for name, title in means.items()
            if name in self.excursions
        ]
        if has_length:
            notes.append(left_out_note("The length of the LV", self.known_mitral, self.trust))
        return [note for note in notes if note]

    def mark(self, points: Sequence[int]) -> Mark:
        """The worst mark of some points."""
        return of_points(points, self.trust)


def _choose(study: StudyLandmarks, points: np.ndarray, trust: tuple[Mark, ...]) -> _Chosen:
    """What is measured of points (T, 10, 3): the strong ones where a measure is a mean."""
    known = np.isfinite(points).all((0, 2))
    used = {
        name: list(strong_ones(own, trust)) for name, own in EXCURSIONS.items() if all(known[point] for point in own)
    }
    frames = {name: _frames_of(study, own) for name, own in used.items()}
    mitral = [n for n in valve_points("mitral") if known[n]]
    return _Chosen(trust, used, frames, mitral, list(strong_ones(mitral, trust)))


def _marks(found: Annulus, chosen: _Chosen) -> dict[str, Mark]:
    """Of every value that is known."""
    values, marks = found.values(), {}
    for name, points in chosen.excursions.items():
        of_excursion = excursion_marks(chosen.mark(points), chosen.frames[name])
        marks |= {f"{name}_{end}": mark for end, mark in of_excursion.items()}
    for name, points in DIAMETERS.items():
        for phase in ("ed", "es"):
            key = f"{name.removesuffix('_mm')}_{phase}_mm"
            if values.get(key) is not None:
                marks[key] = diameter_mark(name.split("_")[0], values[key], chosen.mark(points))
    of_length = chosen.mark(chosen.mitral)
    marks |= dict.fromkeys(("lv_length_ed_mm", "lv_length_es_mm", "lv_long_axis_strain_percent"), of_length)
    return {key: mark for key, mark in marks.items() if values.get(key) is not None}


def long_axis(study: StudyLandmarks, apex_lps: np.ndarray | None = None) -> tuple[np.ndarray | None, str]:
    """Unit LPS direction (3,) from base to apex and what it was taken from; None where nothing tells.

    With an apex, from the mean mitral point through it. Else, of several views, the line in which their planes cut
    each other: they are planned through the LV axis. Of one view, perpendicular to its mitral (else tricuspid) points
    at the R wave, within the image.
    """
    start, trust = study.at(np.zeros(1))[0], point_marks(study)
    mitral = start[list(strong_ones([n for n in valve_points("mitral") if np.isfinite(start[n]).all()], trust))]
    if apex_lps is not None and len(mitral):
        axis = apex_lps - mitral.mean(0)
        return axis / np.linalg.norm(axis), "apex of the segmentation"
    normals = [slice_normal(found.cine.ijk_to_lps) for found in study.views.values()]
    if len(normals) > 1:
        # The direction that lies in all planes as nearly as can be.
        return _towards_apex(study, np.linalg.svd(np.array(normals))[2][2]), "crossing of the views"
    for valve in ("mitral", "tricuspid"):
        points = start[valve_points(valve)]
        points = points[np.isfinite(points).all(1)]
        if len(points) == 2:
            across = np.cross(points[1] - points[0], normals[0])
            return _towards_apex(study, across / np.linalg.norm(across)), f"perpendicular to the {valve} annulus"
    return None, ""


def _towards_apex(study: StudyLandmarks, axis: np.ndarray) -> np.ndarray:
    """The axis turned the way the annuli move in systole; where they hardly move, the way hearts usually point."""
    first, last = SYSTOLE
    systole = PHASES[(first <= PHASES) & (last >= PHASES)]
    moves = (study.at(systole) - study.at(np.zeros(1))) @ axis
    moved = float(np.mean(moves[np.isfinite(moves)])) if np.isfinite(moves).any() else 0.0
    told = moved if abs(moved) > TOLD_BY_MOTION_MM else HUMAN_APEX @ axis
    return axis if told > 0 else -axis


def _guides() -> list[tuple[int, ...]]:
    """Points whose mean tells end-diastole and end-systole, the best first."""
    return [EXCURSIONS["mapse_all_views"], EXCURSIONS["mapse"], (0, 1), (2, 3), EXCURSIONS["tapse"]]


def _ends_of(fine: np.ndarray, trust: tuple[Mark, ...]) -> tuple[float, float] | None:
    """Phases of the highest and lowest annulus, from heights (N, 10) at PHASES; None where no point is known."""
    guide = next((list(strong_ones(p, trust)) for p in _guides() if np.isfinite(fine[:, list(p)]).all()), None)
    if guide is None:
        return None
    course = fine[:, guide].mean(1)
    return float(PHASES[int(course.argmin())]), float(PHASES[int(course.argmax())])


def _frames_of(study: StudyLandmarks, points: Sequence[int]) -> int:
    """Frames of the view with the fewest, of those that the points are seen in."""
    return min(study.views[LANDMARK_VIEWS[point]].cine.n_frames for point in points)


def _nearest(phases: np.ndarray, phase: float) -> int:
    gap = np.abs(phases - phase)
    return int(np.minimum(gap, 1.0 - gap).argmin())


def _excursion(
    at_frames: np.ndarray, fine: np.ndarray, ends: tuple[float, float], beat_ms: float, phases: np.ndarray
) -> Excursion:
    """The motion of one height (T,) at the frames and (N,) at PHASES; ``ends`` are the phases of ED and ES."""
    ed, es = (round(phase * len(PHASES)) for phase in ends)
    turned = np.roll(fine, -ed)  # starts at end-diastole
    span = (es - ed) % len(PHASES)
    slope = np.roll((np.roll(fine, -1) - np.roll(fine, 1)) * (len(PHASES) / 2.0), -ed)  # mm per beat
    rate = slope / beat_ms * 100.0 if beat_ms > 0 else np.full(len(slope), np.nan)
    middle = span + round(EARLY_DIASTOLE * (len(PHASES) - span))
    return Excursion(
        curve_mm=at_frames - fine[ed],
        velocity_cm_s=np.interp(phases, PHASES, np.roll(rate, ed), period=1.0),
        peak_mm=float(turned.max() - fine[ed]),
        s_cm_s=_peak(rate[: span + 1]),
        e_cm_s=_peak(-rate[span : middle + 1]),
        a_cm_s=_peak(-rate[middle:]),
    )


def _peak(values: np.ndarray) -> float:
    return float(max(values.max(initial=0.0), 0.0)) if np.isfinite(values).all() else float("nan")


def _diameters(points: np.ndarray) -> dict[str, np.ndarray]:
    found = {name: np.linalg.norm(points[:, a] - points[:, b], axis=1) for name, (a, b) in DIAMETERS.items()}
    return {name: values for name, values in found.items() if np.isfinite(values).all()}


def _doubts(diameters: dict[str, np.ndarray]) -> list[str]:
    """A note for each pair of points that fell together."""
    notes = []
    for name, curve in diameters.items():
        if curve.mean() < LEAST_DIAMETER_MM:
            valve, view = name.split("_")[:2]
            notes.append(
                f"{view.upper()}: the two {valve} points lie {curve.mean():.0f} mm apart; one of them is wrong."
            )
    return notes


def _length(mitral: np.ndarray, apex_lps: np.ndarray | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """(T,) mm from the mean of mitral points (T, P, 3) to the apex, and why there is none."""
    if apex_lps is None or not mitral.shape[1]:
        return np.empty(0), ("No length of the LV: the apex is not among the points and no segmentation gave it.",)
    return np.linalg.norm(mitral.mean(1) - apex_lps, axis=1), ()


def _number(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None


def _plain(values: np.ndarray) -> list:
    """Nested lists with None for NaN."""
    return [_plain(v) for v in values] if np.ndim(values) > 1 else [_number(v) for v in values]
