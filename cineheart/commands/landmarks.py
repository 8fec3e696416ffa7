"""Valve points of a study: what ``cineheart landmarks`` and ``cineheart run`` do alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLandmarksLib.detect.detector import DETECTED_VIEWS
from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
from CardiacLandmarksLib.measure.annulus import Annulus, measure_annulus
from CardiacLandmarksLib.measure.apex import left_ventricle_apex
from CardiacLandmarksLib.pipeline import find_landmarks
from CardiacLib.errors import InputError
from CardiacLib.files import atomic_directory, write_json
from CardiacLib.networks.bundles import bundle_names, bundle_path, weights_path
from CardiacLib.progress import Progress, part
from CardiacLib.readers import read_image
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, valve_points
from CardiacLib.writers.markups import points_document
from cineheart.outputs import write_rows

BUNDLE = "cineheart_lax_landmarks"


@dataclass(frozen=True)
class LandmarkOptions:
    """Which network finds the valve points, and how.

    Attributes:
        bundle: name or folder of its MONAI bundle.
        device: ``auto`` or a torch device name.
        backend: what runs it, one of ``CardiacLib.networks.backends.BACKENDS``.
        align: move views that were taken in different breath-hold positions together along the LV axis.
        pictures: of ``cineheart landmarks``, draw the points of every frame as well.
    """

    bundle: str = BUNDLE
    device: str = "auto"
    backend: str = "auto"
    align: bool = False
    pictures: bool = False

    def find(self, cines: Mapping[str, Cine], progress: Progress) -> StudyLandmarks:
        """The valve points of the long-axis views among ``cines``; raises InputError where that cannot be done."""
        return find_landmarks(cines, self.bundle, self.device, self.backend, self.align, progress)

    def has_weights(self) -> bool:
        """Whether the bundle is there with its weights."""
        known = self.bundle in bundle_names() or Path(self.bundle).is_dir()
        return known and weights_path(bundle_path(self.bundle)).is_file()


def measure_with_labels(found: StudyLandmarks, labels: LabelMap) -> Annulus | None:
    """The annulus measures at the frames of the short-axis labels, with the apex from there."""
    mitral = found.at(np.zeros(1))[0, valve_points("mitral")]
    apex = left_ventricle_apex(labels, np.nanmean(mitral, 0)) if np.isfinite(mitral).any() else None
    return measure_annulus(found, labels.times_ms, apex)


def landmark_command(files: Mapping[str, Path], output: Path, options: LandmarkOptions, progress: Progress):
    """``cineheart landmarks``: facts to show, and notes."""
    if not files:
        raise InputError("Give at least one long-axis cine: --2ch FILE, --3ch FILE or --4ch FILE.")
    cines = {view: read_image(path, view) for view, path in files.items()}
    found = options.find(cines, part(progress, 0.05, 0.9))
    annulus = measure_annulus(found)
    pictures = tuple(f"valves_{view}.{kind}" for view in DETECTED_VIEWS for kind in ("png", "gif"))
    with atomic_directory(output, replace=("markups", *pictures)) as folder:
        write_landmarks(found, annulus, folder)
        if options.pictures:
            _draw_pictures(found, folder)
    known = np.isfinite(found.landmarks().points).all((0, 2))
    facts = {"views": list(found.views), "frames": len(found.times_ms), "points": int(known.sum())}
    if annulus is not None:
        facts |= {name: annulus.values().get(name) for name in ("mapse_mm", "tapse_mm") if name in annulus.values()}
    return facts, (*found.notes, *(annulus.notes if annulus else ()))


def _draw_pictures(found: StudyLandmarks, folder: Path) -> None:
    from cineheart.report.valve_motion import write_valve_pictures

    for points in found.views.values():
        write_valve_pictures(points, folder)


def write_landmarks(
    found: StudyLandmarks, annulus: Annulus | None, folder: Path, times_ms: np.ndarray | None = None
) -> None:
    """``landmarks.json``, ``landmarks_<view>.npy``, ``markups/*.mrk.json``, ``annulus.json`` and ``annulus.csv``.

    Args:
        found: the points.
        annulus: their measures, None where there are none.
        folder: an existing or new folder.
        times_ms: of the frames to give positions in the patient at, by default of the view with the most frames.
    """
    (folder / "markups").mkdir(parents=True, exist_ok=True)
    landmarks = found.landmarks(times_ms)
    write_json(folder / "landmarks.json", landmarks_document(found, landmarks))
    for view, points in found.views.items():
        np.save(folder / f"landmarks_{view}.npy", as_published(points.pixels, view))
        np.save(folder / f"landmarks_{view}_raw.npy", as_published(points.detection.points, view))
    for t, frame in enumerate(landmarks.points):
        write_json(folder / "markups" / f"frame_{t:03d}.mrk.json", points_document(frame, LANDMARK_NAMES))
    if annulus is not None:
        write_json(folder / "annulus.json", annulus.to_dict())
        write_rows(folder / "annulus.csv", annulus.rows())


def as_published(pixels: np.ndarray, view: str) -> np.ndarray:
    """Rows and columns (T, 10, 2) in the form of the published network: float32 (T, 2, 10), first axis of the image
    (columns) before the second (rows); points of other views NaN."""
    own = np.array([v == view for v in LANDMARK_VIEWS])
    return np.where(own, pixels[..., ::-1].transpose(0, 2, 1), np.nan).astype(np.float32)


def landmarks_document(found: StudyLandmarks, landmarks) -> dict[str, object]:
    """The content of ``landmarks.json``."""
    pixels = found.pixels_at(landmarks.times_ms)
    frames = []
    for t, points in enumerate(landmarks.points):
        entries = {
            name: _entry(points[n], pixels[t, n], landmarks.confidence[t, n], LANDMARK_VIEWS[n])
            for n, name in enumerate(LANDMARK_NAMES)
        }
        frames.append({"frame": t, "time_ms": round(float(landmarks.times_ms[t]), 3), "points": entries})
    views = {
        view: {
            "source": Path(points.cine.source).name,
            "frames": points.cine.n_frames,
            "beat_ms": round(points.beat_ms, 1),
            "looks_like": {v: _rounded(p) for v, p in zip(DETECTED_VIEWS, points.detection.views, strict=True)},
            "shift_lps_mm": [_rounded(c) for c in points.shift_lps],
        }
        for view, points in found.views.items()
    }
    return {"space": "LPS", "bundle": found.bundle, "views": views, "frames": frames, "notes": list(found.notes)}


def _entry(point: np.ndarray, pixel: np.ndarray, confidence: float, view: str) -> dict[str, object] | None:
    if not np.isfinite(point).all():
        return None
    row, column = (_rounded(c) for c in pixel)
    lps = [_rounded(c) for c in point]
    return {"lps_mm": lps, "view": view, "row": row, "column": column, "confidence": _rounded(confidence)}


def _rounded(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None
