"""One frame's mesh carried over the cycle by the labels of all frames."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from BiVMeshLib.check.fidelity import label_volumes
from BiVMeshLib.check.intersections import self_intersections
from BiVMeshLib.check.quality import MeshError, measure_shape, measure_volumes
from BiVMeshLib.pipeline import base_beyond
from BiVMeshLib.prepare.align import align_slices
from BiVMeshLib.prepare.frame import HeartFrame, heart_frame
from BiVMeshLib.prepare.labels_check import LabelStack, check_labels
from BiVMeshLib.prepare.valve_base import continued
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.heart_shape import make_shape
from CardiacLib.clock import Clock
from CardiacLib.errors import InputError
from CardiacLib.label_axes import on_short_axis
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.bivmesh import BiVMesh, MovingMesh
from CardiacLib.types.labels import LV, RV, LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.mesh_options import MeshOptions
from CardiacLib.types.mesh_quality import LABELS, VALVE_POINTS, FrameQuality, MotionQuality

from .apart import parted
from .base_plane import base_from_labels, base_from_valves
from .cores import TOGETHER, side_by_side
from .cycle import Cycle
from .follow import Follower
from .repair import repaired

HARMONICS = 6
"""Of the nodes' displacement over the cycle: at 25 frames all but the noise of single frames."""


@dataclass(frozen=True)
class Moment:
    """One frame as the mesh is to follow it.

    Attributes:
        stack: its cleaned labels.
        frame: local frame on its base plane.
    """

    stack: LabelStack
    frame: HeartFrame


@dataclass(frozen=True)
class Course:
    """What a mesh is to follow: the moments of one ``cycle``, of which ``mesh`` was made in ``cycle.frame``."""

    mesh: BiVMesh
    moments: list[Moment]
    cycle: Cycle
    options: MeshOptions


@dataclass(frozen=True)
class Followed:
    """The mesh on the shapes of all frames.

    Attributes:
        follower: the mesh at rest.
        local: (T, N, 3) places, at rest in frames without labels.
        walls: the myocardium's field of each frame, None at rest and without labels.
        missed: mean distance in mm of the walls' nodes from their surfaces, None likewise.
    """

    follower: Follower
    local: np.ndarray
    walls: list[Field | None]
    missed: list[float | None]

    def smoothed(self, cycle: Cycle) -> "Followed":
        """The places after the fit over the cycle; no tet falls below FLOOR of ``follow`` by it."""
        rest = self.follower.points
        smooth = cycle.smooth(self.local - rest, HARMONICS) + rest
        frames = iter(np.flatnonzero(cycle.usable))

        def corrected() -> Iterator[int]:
            for t in frames:
                smooth[t] = parted(self.follower, self.follower.kept_good(self.local[t], smooth[t]))
                yield t

        list(side_by_side([corrected() for _ in range(TOGETHER)]))
        return replace(self, local=smooth)


def move_mesh(
    mesh: BiVMesh,
    labels: LabelMap,
    frame: int,
    options: MeshOptions | None = None,
    *,
    valves: Landmarks | None = None,
    progress: Progress = silent,
) -> MovingMesh:
    """Carry the mesh of one frame over all frames of its labels.

    Each frame's labels become a shape as those of the mesh did, cut by a base plane that moves along the slice normal.
    The mesh follows from its own frame both ways to that with the least LV pool. The displacement is fitted by a
    Fourier series over the cycle, then poor elements are repaired.

    Args:
        mesh: as made by :func:`build_mesh` from ``labels.labels[frame]`` with the same ``options``.
        labels: of one cycle, two frames or more.
        valves: valve points of the same frames; the base then moves with the mitral and tricuspid points. A mesh whose
            base they gave needs them.

    Raises:
        InputError: the labels of too many frames cannot be used.
        MeshError: elements stay inverted in a frame.
        Cancelled: from ``progress``.
    """
    options, clock = options or MeshOptions(), Clock()
    _require_frames(labels)
    with clock.step("labels"):
        labels = on_short_axis(labels, frame)
        stacks, notes = clean_stacks(labels, frame, _aligned(mesh, options))
        cycle = Cycle(labels.times_ms, frame, np.array([s is not None for s in stacks]))
        at_valves = mesh.quality is not None and mesh.quality.at_valves
        rest = _at_rest(mesh, stacks[frame], options, at_valves)
        by_valves = None if valves is None else base_from_valves(valves, rest, cycle)
        if at_valves and by_valves is None:
            raise InputError(
                "The mesh ends at valve points: its motion needs mitral or tricuspid points of all frames."
            )
        heights = base_from_labels(stacks, rest, cycle) if by_valves is None else by_valves
        course = Course(mesh, _moments(stacks, rest, heights, at_valves), cycle, options)
    with clock.step("follow"):
        followed = _followed(course, part(progress, 0.0, 0.6))
    with clock.step("smooth"):
        found = followed.smoothed(cycle)
    with clock.step("repair"):
        displacements, frames = _checked(course, found, part(progress, 0.7, 1.0))
    if crossing := sum(f.self_intersections > 0 for f in frames):
        notes += (f"The surface of the moving mesh crosses itself in {crossing} of {len(stacks)} frames.",)
    quality = MotionQuality(
        frame=frame,
        times_ms=None if labels.times_ms is None else tuple(labels.times_ms.tolist()),
        base_from=LABELS if by_valves is None else VALVE_POINTS,
        base_height_mm=tuple(float(h) for h in heights),
        unused_frames=tuple(t for t, s in enumerate(stacks) if s is None),
        frames=frames,
        label_whole_ml={n: tuple(labels.volume_ml(v).tolist()) for n, v in (("lv_pool", LV), ("rv_pool", RV))},
        seconds={name: round(s, 2) for name, s in clock.seconds.items()},
    )
    return MovingMesh(mesh, frame, displacements=displacements, times_ms=labels.times_ms, quality=quality, notes=notes)


def _require_frames(labels: LabelMap) -> None:
    if len(labels.labels) < 2:
        raise InputError(f"{labels.source or 'the labels'}: a motion needs the labels of two frames or more.")


def _aligned(mesh: BiVMesh, options: MeshOptions) -> bool:
    """Whether slices are to be aligned: as those of the mesh were, where the options leave that open."""
    if options.align_slices is not None:
        return options.align_slices
    return mesh.quality is not None and mesh.quality.made is not None and mesh.quality.made.aligned_slices


def _at_rest(mesh: BiVMesh, stack: LabelStack, options: MeshOptions, at_valves: bool) -> HeartFrame:
    """The frame in which the mesh was made; the plane of a base at the valves is told from the mesh."""
    if not at_valves:
        return heart_frame(stack, beyond_mm=base_beyond(stack, options))
    a, b, c = (mesh.nodes[mesh.patch("BASE")[:, n]] for n in range(3))
    normal = np.cross(b - a, c - a).sum(0)
    return heart_frame(stack, plane=(a.mean(0), normal / np.linalg.norm(normal)))


def _moments(stacks: list[LabelStack | None], rest: HeartFrame, heights: np.ndarray, at_valves: bool) -> list[Moment]:
    """Each frame's labels, up to a base at the valves, on the base plane as high as it then is."""
    moments = []
    for stack, height in zip(stacks, heights, strict=True):
        frame = HeartFrame(rest.axes, rest.origin + height * rest.axes[:, 2])
        if at_valves and stack is not None:
            stack = continued(stack, frame)[0]
        moments.append(Moment(stack, frame))
    return moments


def clean_stacks(labels: LabelMap, frame: int, align: bool = False) -> tuple[list[LabelStack | None], tuple[str, ...]]:
    """The cleaned labels of all frames in the slice order of ``frame``; None and a note where they cannot be used.

    ``align`` moves the slices of all frames as those of ``frame`` need it: each slice is one breath-hold.
    """
    first = check_labels(labels.labels[frame], labels.ijk_to_lps)
    first = align_slices(first) if align else first
    apex_first = bool(first.ijk_to_lps[:3, 2] @ labels.ijk_to_lps[:3, 2] > 0)
    stacks, notes = [], []
    for t, section in enumerate(labels.labels):
        try:
            stack = first if t == frame else check_labels(section, labels.ijk_to_lps, apex_first=apex_first)
            if stack.has_rv != first.has_rv:
                raise InputError("They have an RV pool in some frames only.")
            stacks.append(replace(stack, shifts=first.shifts))
        except InputError as error:
            stacks.append(None)
            notes.append(f"The motion in frame {t + 1} is interpolated, its labels cannot be used: {error}")
    return stacks, tuple(notes)


def _followed(course: Course, progress: Progress) -> Followed:
    """The mesh on the shape of every frame, each from its neighbour that lies nearer to the mesh's own frame.

    The frames after its own are walked on one core, those before it on another.
    """
    moments, options = course.moments, course.options
    count, start = len(moments), course.cycle.frame
    rest = make_shape(moments[start].stack, moments[start].frame, options)
    follower = Follower(course.mesh, moments[start].frame, rest)
    local = np.repeat(follower.points[None], count, axis=0)
    walls: list[Field | None] = [None] * count
    missed: list[float | None] = [None] * count

    def walk(way: list[int]) -> Iterator[int]:
        points, before = follower.points, rest
        for t in way:
            shape = make_shape(moments[t].stack, moments[t].frame, options)
            points = follower.follow(points, before, shape)
            missed[t] = float(follower.distances(points, shape).mean())
            local[t], walls[t], before = points, shape.myocardium(), shape
            yield t

    ways = [[t for t in way if moments[t].stack is not None] for way in _ways(moments, start)]
    progress(0.0, f"Following the labels of {count} frames")
    for done, t in enumerate(side_by_side([walk(way) for way in ways])):
        progress((done + 1) / count, f"Followed the labels of frame {t + 1} of {count}")
    return Followed(follower=follower, local=local, walls=walls, missed=missed)


def _ways(moments: list[Moment], start: int) -> list[list[int]]:
    """The frames after ``start`` up to the one with the least LV pool, and those before it, as they are walked."""
    count = len(moments)
    pools = [np.inf if m.stack is None else float(m.stack.lv.sum()) for m in moments]
    least = (int(np.argmin(pools)) - start) % count
    onwards = [(start + n) % count for n in range(1, least + 1)]
    return [onwards, [(start - n) % count for n in range(1, count - least)]]


def _checked(course: Course, found: Followed, progress: Progress) -> tuple[np.ndarray, tuple[FrameQuality, ...]]:
    """Displacements (T, N, 3) in LPS after repair, and what was measured in each frame.

    Raises:
        MeshError: there is a frame with inverted elements.
    """
    mesh, moments = course.mesh, course.moments
    count = len(moments)
    displacements = np.zeros(found.local.shape, np.float32)
    measured: list[FrameQuality | None] = [None] * count
    frames = iter(range(count))

    def check() -> Iterator[int]:
        for t in frames:
            if t != course.cycle.frame:
                mended = repaired(found.follower, found.local[t], found.walls[t], course.options.seed)
                displacements[t] = moments[t].frame.to_lps(mended) - mesh.nodes
            now = replace(mesh, nodes=mesh.nodes + displacements[t])
            measured[t] = _measured(now, moments[t], found.missed[t])
            yield t

    for done, t in enumerate(side_by_side([check() for _ in range(TOGETHER)])):
        progress((done + 1) / count, f"Checked the elements of frame {t + 1} of {count}")
        if inverted := measured[t].shape.inverted_tets:
            raise MeshError(
                f"The mesh cannot follow the labels of frame {t + 1}: {inverted} elements would be inverted; check "
                "these labels, or choose another edge length."
            )
    return displacements, tuple(measured)


def _measured(mesh: BiVMesh, moment: Moment, missed: float | None) -> FrameQuality:
    return FrameQuality(
        shape=measure_shape(mesh),
        volumes=measure_volumes(mesh),
        self_intersections=len(self_intersections(mesh.nodes, mesh.triangles)),
        label_ml={} if moment.stack is None else label_volumes(moment.stack, moment.frame),
        surface_distance_mm=missed,
    )
