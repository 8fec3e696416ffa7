"""End the ventricles at the planes of their valves, where long-axis views gave the valves' points.

Short-axis slices are thick, and the valve plane crosses the basal one at an angle: a slice taken or left as a whole
costs several ml (Schulz-Menger et al., JCMR 2020, doi 10.1186/s12968-020-00610-6, section on the basal slice). Here
each pixel counts by the fraction of its slab, of the height of the slice distance, that lies below the plane.
"""

from dataclasses import dataclass, replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.geometry import apply, fit_plane
from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.landmarks import Landmarks, valve_points
from CardiacLib.types.segmentation import ValveCut

MITRAL, TRICUSPID = valve_points("mitral"), valve_points("tricuspid")
ANNULUS = 0.6
"""Radius over which the tricuspid plane counts, over the distance of the two tricuspid points."""
CONTINUED_MM = 12.0
"""Distance from the last labelled slice to a further one that may count up to the plane. Farther off the section would
be a guess: the ventricle narrows towards its valves."""


@dataclass(frozen=True)
class ValvePlanes:
    """One plane for each frame and side of the heart, LPS mm.

    Attributes:
        points: (T, 2, 3) a point of the mitral and of the tricuspid plane.
        normals: (T, 2, 3) unit normals towards the atria; NaN where a plane is not known.
        radii: (T, 2) mm round the point within which the plane ends the ventricle; infinite for the LV.
    """

    points: np.ndarray
    normals: np.ndarray
    radii: np.ndarray

    def heights(self, positions: np.ndarray, t: int, side: int) -> np.ndarray:
        """Heights in mm of LPS positions (..., 3) over the mitral (0) or tricuspid (1) plane of a frame.

        Minus infinity outside the cylinder over the annulus, where the plane says nothing.
        """
        offset = positions - self.points[t, side]
        heights = offset @ self.normals[t, side]
        if np.isfinite(self.radii[t, side]):
            aside = np.linalg.norm(offset - heights[..., None] * self.normals[t, side], axis=-1)
            heights[aside > self.radii[t, side]] = -np.inf
        return heights


def cut_at_valve_plane(labels: LabelMap, landmarks: Landmarks) -> ValveCut:
    """End the LV at the mitral plane and the RV at the tricuspid plane in every frame.

    A frame whose points give no plane keeps its labels. What the labels say beyond a plane counts for nothing. For the
    volumes, labels that stop early are continued from the slice below: in the slab that the plane crosses, and in
    slices below it that hold no pool of the ventricle, within ``CONTINUED_MM`` of the last that does. The tricuspid
    plane ends the RV over its annulus only: the outflow tract beside it rises higher, and is left as labelled.

    Args:
        labels: labels of every frame of a short-axis stack.
        landmarks: valve points of the same frames.

    Raises:
        InputError: labels and landmarks have different numbers of frames.
    """
    if len(landmarks.points) != len(labels.labels):
        raise InputError(
            f"{labels.source or 'the label map'}: has {len(labels.labels)} frames, the valve points "
            f"{len(landmarks.points)}; give the valve points of the same cycle, one set for each frame."
        )
    planes = valve_planes(labels, landmarks)
    cut = labels.labels.copy()
    volumes = np.empty((len(cut), 3))
    positions = _positions(labels)
    slab = labels.ijk_to_lps[:3, 2]
    for t, frame in enumerate(labels.labels):
        for side, structures in enumerate(((LV, MYO), (RV,))):
            if np.isnan(planes.normals[t, side]).any():
                counted = {label: float((frame == label).sum()) for label in structures}
            else:
                heights = planes.heights(positions, t, side)
                rise = float(slab @ planes.normals[t, side])
                cut[t][np.isin(frame, structures) & (heights > 0.0)] = 0
                counted = _count(frame, structures, heights, abs(rise), 1 if rise > 0 else -1)
            for label, voxels in counted.items():
                volumes[t, (LV, MYO, RV).index(label)] = voxels * labels.voxel_ml
    result = replace(labels, labels=cut)
    whole = np.stack([labels.volume_ml(label) for label in (LV, MYO, RV)], axis=1)
    return ValveCut(result, *volumes.T, _notes(planes), whole)


def valve_planes(labels: LabelMap, landmarks: Landmarks) -> ValvePlanes:
    """Mitral and tricuspid planes of every frame.

    The mitral plane is the least-squares plane of its points. Only one view shows the tricuspid valve: its plane
    holds the two points, and is turned about their line as near to the mitral plane as it can be; its annulus is a
    disc with their distance as diameter.
    """
    radii = np.full((len(landmarks.points), 2), np.inf)
    points = np.full((len(landmarks.points), 2, 3), np.nan)
    normals = np.full_like(points, np.nan)
    positions = _positions(labels)
    for t, found in enumerate(landmarks.points):
        ventricle = positions[np.isin(labels.labels[t], (LV, MYO, RV))]
        if not len(ventricle):
            continue
        mitral = fit_plane(found[MITRAL][np.isfinite(found[MITRAL]).all(1)])
        if mitral is None:
            continue
        middle, normal = mitral
        up = normal * np.sign((middle - ventricle.mean(0)) @ normal)
        points[t, 0], normals[t, 0] = middle, up
        septal, free_wall = found[TRICUSPID]
        line = free_wall - septal
        across = up - line * (up @ line) / (line @ line)
        points[t, 1], normals[t, 1] = (septal + free_wall) / 2.0, across / np.linalg.norm(across)
        radii[t, 1] = ANNULUS * np.linalg.norm(line)
    return ValvePlanes(points, normals, radii)


def off_plane_mm(landmarks: Landmarks) -> np.ndarray:
    """(T,) mm by which the farthest mitral point lies off the least-squares plane of all; NaN without a plane.

    A healthy annulus is a saddle a few mm high. More says that the views disagree: breath holds, or wrong points.
    """
    farthest = np.full(len(landmarks.points), np.nan)
    for t, found in enumerate(landmarks.points):
        mitral = found[MITRAL][np.isfinite(found[MITRAL]).all(1)]
        plane = fit_plane(mitral)
        if plane is not None:
            middle, normal = plane
            farthest[t] = np.abs((mitral - middle) @ normal).max()
    return farthest


def _positions(labels: LabelMap) -> np.ndarray:
    """LPS mm of every voxel centre, (K, J, I, 3)."""
    k, j, i = np.indices(labels.labels.shape[1:])
    return apply(labels.ijk_to_lps, np.stack([i, j, k], -1))


def _count(
    frame: np.ndarray, structures: tuple[int, ...], heights: np.ndarray, thickness: float, towards_atria: int
) -> dict[int, float]:
    """Voxels of each structure, by the fraction of their slab below a plane.

    Args:
        structures: pool and wall, or the pool alone.
        heights: (K, J, I) of the voxels' centres over the plane.
        thickness: by which the height grows from slice to slice.
        towards_atria: 1 where slices follow one another towards the atria, else -1.
    """
    thickness = max(thickness, 1e-3)
    below = np.clip(0.5 - heights / thickness, 0.0, 1.0)[::towards_atria]
    upwards = heights[::towards_atria]
    continued = np.where(np.isin(frame, structures), frame, 0)[::towards_atria].copy()
    held = np.flatnonzero((continued == structures[0]).any((1, 2)))
    top = held[-1] if len(held) else len(continued)
    for k in range(1, len(continued)):
        lowest = -np.inf if 0 < k - top <= CONTINUED_MM / thickness else 0.0
        fill = (continued[k] == 0) & (upwards[k] > lowest) & (below[k] > 0.0)
        continued[k][fill] = continued[k - 1][fill]
    return {label: float(below[continued == label].sum()) for label in structures}


def _notes(planes: ValvePlanes) -> tuple[str, ...]:
    notes = []
    for side, (ventricle, valve) in enumerate((("left", "mitral"), ("right", "tricuspid"))):
        known = int(np.isfinite(planes.normals[:, side]).all(1).sum())
        notes.append(
            f"The {ventricle} ventricle ends at the {valve} plane in {known} of {len(planes.normals)} frames; "
            "slices that the plane crosses are counted by fraction."
        )
    return tuple(notes)
