"""From the long-axis cines of a study to the valve points in the patient, smooth through the cycle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.cine import Cine
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, Landmarks
from CardiacLib.types.times import Timed, beat_ms, frame_phases
from CardiacLib.types.values import job_value

from .detector import DETECTED_VIEWS, Detection, Detector
from .follow import steady
from .trajectories import LEAST_FRAMES, Trajectories, fit_trajectories
from .world import lps_to_pixels, pixels_to_lps, shown_slice

OTHER_VIEW = 0.8
"""Probability of another view from which on a cine is said to look like it."""


@job_value
@dataclass(frozen=True)
class ViewLandmarks:
    """The points of one view.

    Attributes:
        cine: the images; ``cine.view`` is the view that they were taken for.
        detection: what the network found, frame by frame, in pixels.
        paths: the same through the cycle, smooth and periodic, in pixels.
        shift_lps: (3,) mm, added to every position in the patient; zero unless views were aligned.
    """

    cine: Cine
    detection: Detection
    paths: Trajectories
    shift_lps: np.ndarray

    @classmethod
    def of(cls, cine: Cine, detection: Detection, robust: bool = True) -> "ViewLandmarks":
        """Fit the paths of a detection; with ``robust`` false, no frame is judged wrong."""
        paths = fit_trajectories(detection.points, detection.confidence, frame_phases(cine), robust)
        return cls(cine, detection, paths, np.zeros(3))

    @property
    def beat_ms(self) -> float:
        """Duration of the beat that the frames cover; 0 where they have no times."""
        return beat_ms(self.cine)

    @property
    def pixels(self) -> np.ndarray:
        """(T, 10, 2) rows and columns of the smooth paths at the cine's own frames."""
        return self.paths.at(frame_phases(self.cine))

    def world(self, phases: np.ndarray) -> np.ndarray:
        """(N, 10, 3) LPS mm of the smooth paths at phases (N,)."""
        return pixels_to_lps(self.cine, self.paths.at(phases)) + self.shift_lps

    def confidence(self, phases: np.ndarray) -> np.ndarray:
        """(N, 10) confidence of the frames nearest to phases (N,); 0 for points that have no path."""
        gaps = np.abs(np.asarray(phases)[:, None] - frame_phases(self.cine))
        nearest = np.minimum(gaps, 1.0 - gaps).argmin(1)
        return np.where(np.isfinite(self.paths.coefficients).all((1, 2)), self.detection.confidence[nearest], 0.0)


@job_value
@dataclass(frozen=True)
class StudyLandmarks:
    """The valve points of a study.

    Attributes:
        views: by view, in the order of DETECTED_VIEWS.
        bundle: name of the network's bundle.
        notes: what the user should know, one sentence each.
        unproven: views on whose real images the network was never validated.
        run_by: what ran the network and why, a sentence; empty where no network did.
    """

    views: dict[str, ViewLandmarks]
    bundle: str = ""
    notes: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    run_by: str = ""

    @property
    def frames(self) -> Cine:
        """The view with the most frames: when no others are asked for, points are given at its frames."""
        return max(self.views.values(), key=lambda found: found.cine.n_frames).cine

    @property
    def beat_ms(self) -> float:
        """Mean duration of the beat over the views that have frame times; 0 where none has."""
        known = [found.beat_ms for found in self.views.values() if found.cine.times_ms is not None]
        return float(np.mean(known)) if known else 0.0

    def at(self, phases: np.ndarray) -> np.ndarray:
        """(N, 10, 3) LPS mm at phases (N,) of every view's own beat, each point from its view."""
        points = np.full((len(phases), len(LANDMARK_NAMES), 3), np.nan)
        for view, found in self.views.items():
            own = [v == view for v in LANDMARK_VIEWS]
            points[:, own] = found.world(phases)[:, own]
        return points

    def landmarks(self, frames: Timed | None = None) -> Landmarks:
        """The points at the frames of a cine, by default of the view with the most frames.

        Views whose beat has another length, or other frames, are matched by phase: a frame at a quarter of its beat
        gets the points at a quarter of theirs.

        Args:
            frames: cine or labels that cover one beat.
        """
        frames = self.frames if frames is None else frames
        phases = frame_phases(frames)
        confidence = np.zeros((frames.n_frames, len(LANDMARK_NAMES)))
        for view, found in self.views.items():
            own = [v == view for v in LANDMARK_VIEWS]
            confidence[:, own] = found.confidence(phases)[:, own]
        return Landmarks(self.at(phases), frames.times_ms, confidence, self.notes)

    def pixels_at(self, frames: Timed) -> np.ndarray:
        """(T, 10, 2) rows and columns, each point in the images of its view, at the frames of a cine."""
        pixels = np.full((frames.n_frames, len(LANDMARK_NAMES), 2), np.nan)
        for view, found in self.views.items():
            own = [v == view for v in LANDMARK_VIEWS]
            pixels[:, own] = found.paths.at(frame_phases(frames))[:, own]
        return pixels

    def with_note(self, note: str) -> "StudyLandmarks":
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))

    def shifted(self, shifts_lps: Mapping[str, np.ndarray], note: str) -> "StudyLandmarks":
        """The same with every view's positions moved by its shift (3,) mm."""
        views = {
            view: replace(found, shift_lps=found.shift_lps + shifts_lps[view]) for view, found in self.views.items()
        }
        return replace(self, views=views, notes=(*self.notes, note))


def detect_landmarks(cines: Mapping[str, Cine], detector: Detector, progress: Progress = silent) -> StudyLandmarks:
    """Find the valve points in one to three long-axis cines of a study.

    Args:
        cines: view (2ch, 3ch, 4ch) to cine; other views are not looked at. Of several slices the middle one counts.
        detector: an open network.
        progress: called with the fraction done; may raise ``Cancelled``.

    Raises:
        InputError: there is no long-axis cine.
    """
    given = {view: cines[view] for view in DETECTED_VIEWS if view in cines}
    if not given:
        raise InputError("There is no 2CH, 3CH or 4CH cine to find valve points in; give at least one.")
    views, notes = {}, []
    for number, (view, cine) in enumerate(given.items()):
        step = part(progress, number / len(given), (number + 1) / len(given))
        rows_columns = (float(cine.spacing[1]), float(cine.spacing[0]))
        frames = cine.frames[:, shown_slice(cine)]
        detection = detector.detect(frames, rows_columns, view=view, progress=step)
        detection, changed = steady(frames, detection, frame_phases(cine), rows_columns)
        views[view] = ViewLandmarks.of(cine.with_changes(view=view), detection)
        notes += [*changed, *_notes(view, views[view])]
    progress(1.0, "found valve points")
    return StudyLandmarks(views, detector.bundle, tuple(notes), run_by=detector.said)


def from_landmarks(landmarks: Landmarks, cines: Mapping[str, Cine], bundle: str = "") -> StudyLandmarks:
    """The study of points that are known already (edited by hand, or the truth of a phantom), as if detected.

    Every frame counts alike: a point that was moved by hand in one frame is no wrong frame.

    Args:
        landmarks: points of frames that cover one beat.
        cines: view to cine; of another number of frames, those nearest in phase are taken.
    """
    views = {}
    for view in DETECTED_VIEWS:
        if view not in cines:
            continue
        cine = _at_frames(cines[view], landmarks)
        own = np.array([v == view for v in LANDMARK_VIEWS])
        points = lps_to_pixels(cine, landmarks.points)
        points[:, ~own] = np.nan
        known = np.isfinite(points).all(2)
        shares = (np.array(DETECTED_VIEWS) == view).astype(float)
        given = np.where(np.isfinite(landmarks.confidence), landmarks.confidence, 1.0)
        detection = Detection(points, np.where(known, given, 0.0), shares)
        views[view] = ViewLandmarks.of(cine.with_changes(view=view), detection, robust=False)
    return StudyLandmarks(views, bundle)


def _at_frames(cine: Cine, frames: Timed) -> Cine:
    """A cine with its frames nearest in phase to those of another."""
    if frames.n_frames == cine.n_frames:
        return cine
    gaps = np.abs(frame_phases(frames)[:, None] - frame_phases(cine))
    nearest = np.minimum(gaps, 1.0 - gaps).argmin(1)
    return cine.with_changes(frames=cine.frames[nearest], times_ms=frames.times_ms)


def _notes(view: str, found: ViewLandmarks) -> list[str]:
    """What is missing, and whether the network sees another view."""
    name, notes = view.upper(), []
    known = np.isfinite(found.paths.coefficients).all((1, 2))
    lacking = [n for n, v, k in zip(LANDMARK_NAMES, LANDMARK_VIEWS, known, strict=True) if v == view and not k]
    if lacking:
        notes.append(f"{name}: not found in most frames: {', '.join(lacking)}.")
    frames = found.cine.n_frames
    if frames < LEAST_FRAMES:
        notes.append(
            f"{name}: {frames} frame{'s' if frames > 1 else ''} only: the points are as found in each"
            + (", and no velocities are given." if frames > 1 else ", and no motion is measured.")
        )
    likeliest = int(np.argmax(np.nan_to_num(found.detection.views, nan=-1.0)))
    if found.detection.views[likeliest] > OTHER_VIEW and DETECTED_VIEWS[likeliest] != view:
        notes.append(
            f"{name}: the images look like a {DETECTED_VIEWS[likeliest].upper()} view; check which view it is."
        )
    return notes
