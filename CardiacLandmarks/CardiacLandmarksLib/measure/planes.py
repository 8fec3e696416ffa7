"""Planes of the mitral, aortic and tricuspid valve in every frame."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from CardiacLib.geometry import fit_plane
from CardiacLib.types.landmarks import LANDMARK_VIEWS, VALVE_COLOURS, Landmarks, valve_points
from CardiacLib.types.values import job_value


@job_value
@dataclass(frozen=True)
class ValvePlane:
    """The plane of one valve through the cycle, LPS mm.

    Attributes:
        centers: (T, 3) mean of the valve's points.
        normals: (T, 3) unit, away from the ventricle; NaN where the points give no plane.
        residual_mm: (T,) root mean square distance of the points from the plane; NaN where it follows from one view.
    """

    centers: np.ndarray
    normals: np.ndarray
    residual_mm: np.ndarray


def fit_planes(
    landmarks: Landmarks, view_normals: Mapping[str, np.ndarray], apex_direction: np.ndarray
) -> dict[str, ValvePlane]:
    """The plane of each valve that has points, frame by frame.

    Points of several views are fitted by least squares. The two points of a single view leave the tilt across the
    image open: the plane is then taken to stand perpendicular to the image.

    Args:
        landmarks: points of the study.
        view_normals: unit normal (3,) of each view's images, LPS.
        apex_direction: (3,) LPS, from the base to the apex; normals point the other way.
    """
    planes = {}
    for valve in VALVE_COLOURS:
        own = valve_points(valve)
        if np.isfinite(landmarks.points[:, own]).all(2).sum(1).max(initial=0) >= 2:
            views = [LANDMARK_VIEWS[n] for n in own]
            frames = [_plane(points, views, view_normals, apex_direction) for points in landmarks.points[:, own]]
            planes[valve] = ValvePlane(*(np.array(column) for column in zip(*frames, strict=True)))
    return planes


def _plane(points: np.ndarray, views: list[str], view_normals: Mapping[str, np.ndarray], apex_direction: np.ndarray):
    """Centre, normal and residual of the points (N, 3) of one valve and frame."""
    nothing = np.full(3, np.nan)
    found = np.isfinite(points).all(1)
    known = points[found]
    if len(known) < 2:
        return nothing, nothing, np.nan
    center, plane = known.mean(0), fit_plane(known)
    if plane is not None:
        normal = _away(plane[1], apex_direction)
        return center, normal, float(np.sqrt(np.mean(((known - center) @ normal) ** 2)))
    seen = {view for view, there in zip(views, found, strict=True) if there}
    if len(seen) != 1:
        return center, nothing, np.nan
    line = np.linalg.svd(known - center)[2][0]
    normal = np.cross(line, view_normals[seen.pop()])
    return center, _away(normal / np.linalg.norm(normal), apex_direction), np.nan


def _away(normal: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The normal turned away from a direction."""
    return -normal if normal @ direction > 0 else normal
