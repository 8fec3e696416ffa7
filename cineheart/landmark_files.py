"""Valve points as files: landmarks.json, arrays, markups and the measures of the annuli (Docs/formats.md)."""

from pathlib import Path

import numpy as np

from CardiacLandmarksLib.detect.detector import DETECTED_VIEWS
from CardiacLandmarksLib.detect.study_landmarks import StudyLandmarks
from CardiacLandmarksLib.result import PointsResult
from CardiacLib.files import write_json
from CardiacLib.types.landmarks import LANDMARK_NAMES, LANDMARK_VIEWS, Landmarks
from CardiacLib.writers.markups import points_document

from .measures.tables import COLUMNS, MEASURES, measure_rows
from .outputs import write_rows


def write_landmarks(result: PointsResult, folder: Path) -> None:
    """``landmarks.json``, ``landmarks_<view>.npy``, ``markups/*.mrk.json``, ``annulus.json`` and ``annulus.csv``."""
    (folder / "markups").mkdir(parents=True, exist_ok=True)
    found, landmarks, annulus = result.found, result.landmarks, result.annulus
    write_json(folder / "landmarks.json", landmarks_document(found, landmarks))
    for view, points in found.views.items():
        np.save(folder / f"landmarks_{view}.npy", as_published(points.pixels, view))
        np.save(folder / f"landmarks_{view}_raw.npy", as_published(points.detection.points, view))
    for t, frame in enumerate(landmarks.points):
        write_json(folder / "markups" / f"frame_{t:03d}.mrk.json", points_document(frame, LANDMARK_NAMES))
    if annulus is not None:
        write_json(folder / "annulus.json", annulus.to_dict())
        write_rows(folder / "annulus.csv", annulus.rows())
        write_rows(folder / MEASURES, measure_rows(annulus.values(), annulus.marks), COLUMNS)


def as_published(pixels: np.ndarray, view: str) -> np.ndarray:
    """Rows and columns (T, 10, 2) in the form of the published network: float32 (T, 2, 10), first axis of the image
    (columns) before the second (rows); points of other views NaN."""
    own = np.array([v == view for v in LANDMARK_VIEWS])
    return np.where(own, pixels[..., ::-1].transpose(0, 2, 1), np.nan).astype(np.float32)


def landmarks_document(found: StudyLandmarks, landmarks: Landmarks) -> dict[str, object]:
    """The content of ``landmarks.json``."""
    pixels = found.pixels_at(landmarks)
    frames = []
    for t, points in enumerate(landmarks.points):
        entries = {
            name: _entry(points[n], pixels[t, n], landmarks.confidence[t, n], LANDMARK_VIEWS[n])
            for n, name in enumerate(LANDMARK_NAMES)
        }
        time = None if landmarks.times_ms is None else round(float(landmarks.times_ms[t]), 3)
        frames.append({"frame_index": t, "time_ms": time, "points": entries})
    views = {
        view: {
            "source": Path(points.cine.source).name,
            "frames": points.cine.n_frames,
            "beat_ms": None if points.cine.times_ms is None else round(points.beat_ms, 1),
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
