"""One frame's mesh carried over the cycle by the labels of all frames."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from BiVMeshLib.check.fidelity import label_volumes
from BiVMeshLib.check.intersections import self_intersections
from BiVMeshLib.check.quality import MeshError, measure_shape, measure_volumes, shape_quality
from BiVMeshLib.pipeline import base_beyond
from BiVMeshLib.prepare.align import align_slices
from BiVMeshLib.prepare.frame import HeartFrame, heart_frame
from BiVMeshLib.prepare.labels_check import LabelStack, check_labels
from BiVMeshLib.prepare.valve_base import continued
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.heart_shape import make_shape
from BiVMeshLib.tetra.hill_climb import climb
from BiVMeshLib.tetra.stuffing import Stuffed
from CardiacLib.clock import Clock
from CardiacLib.errors import InputError
from CardiacLib.label_axes import on_short_axis
from CardiacLib.progress import Progress, part, silent
from CardiacLib.types.bivmesh import PATCHES, BiVMesh, MovingMesh
from CardiacLib.types.labels import LV, RV, LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacLib.types.mesh_options import MeshOptions
from CardiacLib.types.mesh_quality import LABELS, VALVE_POINTS, FrameQuality, MotionQuality

from .apart import kept_apart, parted
from .base_plane import base_from_labels, base_from_valves
from .cycle import Cycle
from .follow import Follower

HARMONICS = 6
"""Of the nodes' displacement over the cycle: at 25 frames all but the noise of single frames."""
GOAL, ENOUGH = 0.10, 0.12
"""Quality (lesser of scaled Jacobian and sine of dihedral angle): tets below ENOUGH are repaired till all have GOAL."""
ROUNDS, TURNS, MOST_TURNS = 15, 12, 24
"""Of the hill climb; after each turn of so many rounds nodes that let walls cross are put back where they were before
it. After short turns the nodes round them make do with that, after long ones they no longer can."""
LEAST = 0.05
"""Quality with which the repair ends after TURNS; below it after MOST_TURNS it cares for the elements alone, and lets
walls cross."""
OFF_WALL = 0.5
"""mm. A surface node that is farther from its surface could not follow it, and may be moved freely in the repair."""


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
        for t in np.flatnonzero(cycle.usable):
            smooth[t] = parted(self.follower, self.follower.kept_good(self.local[t], smooth[t]))
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
    The mesh follows from frame to frame, from its own both ways to the frame with the least LV pool. The displacement
    is fitted by a Fourier series over the cycle, then poor elements are repaired.

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
    if len(labels.labels) < 2:
        raise InputError(f"{labels.source or 'the labels'}: a motion needs the labels of two frames or more.")
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
    found = _followed(course, clock, part(progress, 0.0, 0.8))
    with clock.step("smooth"):
        found = found.smoothed(cycle)
    displacements, frames = _checked(course, found, clock, part(progress, 0.8, 1.0))
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


def _followed(course: Course, clock: Clock, progress: Progress) -> Followed:
    """The mesh on the shape of every frame, each from its neighbour that lies nearer to the mesh's own frame.

    While the mesh follows one shape, the next one is made on another core.
    """
    moments, options = course.moments, course.options
    count, start = len(moments), course.cycle.frame
    with clock.step("shapes"):
        rest = make_shape(moments[start].stack, moments[start].frame, options)
    follower = Follower(course.mesh, moments[start].frame, rest)
    local = np.repeat(follower.points[None], count, axis=0)
    walls: list[Field | None] = [None] * count
    missed: list[float | None] = [None] * count
    ways = [[t for t in way if moments[t].stack is not None] for way in _ways(moments, start)]
    with ThreadPoolExecutor(1) as other_core:
        order = iter([t for way in ways for t in way])

        def begin():
            t = next(order, None)
            return None if t is None else other_core.submit(make_shape, moments[t].stack, moments[t].frame, options)

        done, coming = 0, begin()
        for way in ways:
            points, before = follower.points, rest
            for t in way:
                progress(done / count, f"Following the labels of frame {t + 1} of {count}")
                done += 1
                with clock.step("shapes"):
                    shape, coming = coming.result(), begin()
                    walls[t] = shape.myocardium()
                with clock.step("follow"):
                    points = follower.follow(points, before, shape)
                    missed[t] = float(follower.distances(points, shape).mean())
                local[t], before = points, shape
    return Followed(follower=follower, local=local, walls=walls, missed=missed)


def _ways(moments: list[Moment], start: int) -> list[list[int]]:
    """The frames after ``start`` up to the one with the least LV pool, and those before it, as they are walked."""
    count = len(moments)
    pools = [np.inf if m.stack is None else float(m.stack.lv.sum()) for m in moments]
    least = (int(np.argmin(pools)) - start) % count
    onwards = [(start + n) % count for n in range(1, least + 1)]
    return [onwards, [(start - n) % count for n in range(1, count - least)]]


def _checked(
    course: Course, found: Followed, clock: Clock, progress: Progress
) -> tuple[np.ndarray, tuple[FrameQuality, ...]]:
    """Displacements (T, N, 3) in LPS after repair, and what was measured in each frame.

    Raises:
        MeshError: there is a frame with inverted elements.
    """
    mesh, moments, frames = course.mesh, course.moments, []
    displacements = np.zeros(found.local.shape, np.float32)
    for t, moment in enumerate(moments):
        progress(t / len(moments), f"Checking the elements of frame {t + 1} of {len(moments)}")
        with clock.step("repair"):
            if t != course.cycle.frame:
                repaired = _repaired(found.local[t], mesh, found.follower, found.walls[t], course.options.seed)
                displacements[t] = moment.frame.to_lps(repaired) - mesh.nodes
        with clock.step("measure"):
            now = replace(mesh, nodes=mesh.nodes + displacements[t])
            measured = FrameQuality(
                shape=measure_shape(now),
                volumes=measure_volumes(now),
                self_intersections=len(self_intersections(now.nodes, now.triangles)),
                label_ml={} if moment.stack is None else label_volumes(moment.stack, moment.frame),
                surface_distance_mm=found.missed[t],
            )
        if inverted := measured.shape.inverted_tets:
            raise MeshError(
                f"The mesh cannot follow the labels of frame {t + 1}: {inverted} elements would be inverted; check "
                "these labels, or choose another edge length."
            )
        frames.append(measured)
    return displacements, tuple(frames)


NOWHERE = Field(np.full((2, 2, 2), 1e3), np.zeros(3), 1.0)
"""A field without a surface: the repair leaves surface nodes where they are."""


def _repaired(points: np.ndarray, mesh: BiVMesh, follower: Follower, myocardium: Field | None, seed: int) -> np.ndarray:
    """Local nodes (N, 3) moved round elements below ENOUGH; those of the surface slide on it, if it is known.

    No more triangles cross by it than do at ``points``, unless elements stay below LEAST otherwise.
    """
    if shape_quality(points, mesh.tets).min() >= GOAL:
        return points
    side = np.zeros(len(points), np.int8)
    for wall in follower.walls:
        side[wall.nodes] = PATCHES[wall.name]
    loose = np.zeros(len(points), bool)
    if myocardium is None:
        myocardium = NOWHERE
    else:
        loose = (side > 0) & (np.abs(myocardium(points)) > OFF_WALL)
    held = Stuffed(points=points, tets=mesh.tets, side=side, on_base=follower.on_base, loose=loose)
    for turn in range(MOST_TURNS):
        climbed = climb(
            replace(held, points=points), myocardium, seed=seed + turn, rounds=ROUNDS, done=GOAL, enough=ENOUGH
        )
        points = kept_apart(follower, points, climbed.points)
        least = shape_quality(points, mesh.tets).min()
        if least >= (GOAL if turn + 1 < TURNS else LEAST):
            return points
    climbed = climb(
        replace(held, points=points), myocardium, seed=seed, rounds=TURNS * ROUNDS, done=GOAL, enough=ENOUGH
    )
    free = climbed.points
    return free if shape_quality(free, mesh.tets).min() > least else points
