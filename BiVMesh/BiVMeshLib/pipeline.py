"""One frame's labels to a mesh: check, shape, lattice, stuffing, optimisation, tags, gate, fibres, coordinates."""

from dataclasses import dataclass, replace

import numpy as np

from BiVMeshLib.anatomy.with_anatomy import with_anatomy
from BiVMeshLib.check.fidelity import measure_fidelity
from BiVMeshLib.check.topology import boundary_faces
from BiVMeshLib.prepare.align import align_slices, displaced_by
from BiVMeshLib.prepare.frame import HeartFrame, heart_frame, slice_maps
from BiVMeshLib.prepare.labels_check import LabelStack, check_labels, validated
from BiVMeshLib.prepare.valve_base import continued, find_valve_base
from BiVMeshLib.shape.heart_shape import Shape, make_shape
from BiVMeshLib.shape.sizing import Sizing, sizing_for
from BiVMeshLib.tetra.coarsen import Aim, coarsen
from BiVMeshLib.tetra.hill_climb import climb, readied
from BiVMeshLib.tetra.lattice import MEAN_EDGE, make_lattice
from BiVMeshLib.tetra.materials import assign_materials
from BiVMeshLib.tetra.meshers import remesh, require_mesher
from BiVMeshLib.tetra.quadratic import curve
from BiVMeshLib.tetra.relax import relax
from BiVMeshLib.tetra.smoothing import smooth
from BiVMeshLib.tetra.stuffing import Stuffed, project, stuff
from BiVMeshLib.tetra.tags import patch_ids, region_ids
from BiVMeshLib.tetra.volumes import with_volumes
from CardiacLib.errors import InputError
from CardiacLib.geometry import towards_anterior
from CardiacLib.label_axes import on_short_axis, stack_end_notes
from CardiacLib.progress import Progress, part, silent
from CardiacLib.species import enlarged_matrix
from CardiacLib.types.bivmesh import BiVMesh
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.mesh_options import EDGE_MM, MeshOptions
from CardiacLib.types.mesh_quality import MeshBase, MeshMaking, MeshQuality

from .check import quality

REFINE = 0.8
STUCK_EDGES = 4.0
"""Two attempts whose worst elements are nearer than this many edges failed at the same place."""

OUT_OF_LINE = 6.0
"""mm. Where slices are displaced by more, a mesh that is not true to them is made of aligned ones too."""


@dataclass(frozen=True)
class Prepared:
    """One frame ready to be meshed.

    Attributes:
        stack: its cleaned labels, as far as they are needed.
        frame: local frame on the base plane.
        base: what the quality report says of the base.
        shape: the surfaces of the myocardium.
    """

    stack: LabelStack
    frame: HeartFrame
    base: MeshBase
    shape: Shape


def build_mesh(
    labels_kji: np.ndarray,
    ijk_to_lps: np.ndarray,
    options: MeshOptions | None = None,
    *,
    progress: Progress = silent,
    valves: np.ndarray | None = None,
) -> BiVMesh:
    """Build the tagged tetrahedral mesh of one frame's biventricular myocardium.

    The base is the plane of the valve points or, without them, one through the most basal slice in which myocardium
    surrounds the LV pool and the RV pool is present. A mesh that fails the gate is built again on a lattice finer by
    0.8, unless the last refinement did not mend the same failure at the same place. Where slices lie out of line and
    the mesh is not true to them for that, it is made of slices moved back into line (``options.align_slices``).

    Args:
        labels_kji: uint8 (K, J, I): 0 background, 1 LV pool, 2 LV myocardium, 3 RV pool, 4 RV wall (optional;
            grown round the RV pool when absent). Any orientation, handedness and slice order.
        ijk_to_lps: (4, 4) voxel index (i, j, k) at the voxel centre to LPS mm.
        options: see :class:`MeshOptions`.
        valves: (10, 3) valve points of this frame, LPS mm, in the order of LANDMARK_NAMES; NaN if not seen.

    Returns:
        The mesh in LPS mm with its quality report and notes, and what ``options`` asks for of fibres and coordinates.

    Raises:
        InputError: the labels cannot be meshed, or the valve points do not belong to them.
        MeshError: no mesh passed the gate.
        Cancelled: from ``progress``.

    Example:
        >>> from CardiacLib import phantom
        >>> labels = phantom.make_phantom(phantom.PhantomOptions.small()).labels
        >>> coarse = MeshOptions(edge_length_mm=5.0, rv_wall_mm=8.0, grid_mm=2.0, optimise=False)
        >>> build_mesh(labels.labels[0], labels.ijk_to_lps, coarse).quality.topology.euler
        2
    """
    options = options or MeshOptions()
    require_mesher(options.mesher)
    if options.align_slices is None:
        heart, mesh = _aligned_where_better(labels_kji, ijk_to_lps, options, progress=progress, valves=valves)
    else:
        heart = prepare(labels_kji, ijk_to_lps, options, progress=progress, valves=valves)
        mesh = _gated(heart, options, part(progress, 0.0, 0.9))
    return _finished(mesh, heart, options, part(progress, 0.9, 1.0))


def _aligned_where_better(
    labels_kji: np.ndarray,
    ijk_to_lps: np.ndarray,
    options: MeshOptions,
    *,
    progress: Progress,
    valves: np.ndarray | None,
) -> tuple[Prepared, BiVMesh]:
    """Mesh of the slices as they are or, if that misses lines of truth that slices back in line do not, of these."""
    heart = prepare(labels_kji, ijk_to_lps, options, progress=progress, valves=valves)
    mesh = _gated(heart, options, part(progress, 0.0, 0.6))
    missed, worst = _untrue(mesh), displaced_by(heart.stack)
    if not missed or worst < OUT_OF_LINE:
        return heart, mesh
    far = f"up to {worst * options.shrink:.2g} mm out of line"
    straight = replace(options, align_slices=True)
    try:
        other = prepare(labels_kji, ijk_to_lps, straight, progress=part(progress, 0.6, 0.9), valves=valves)
        aligned = _gated(other, straight, part(progress, 0.6, 0.9))
    except InputError as error:
        note = f"Slices lie {far}; aligned, they give no mesh: {error}"
        return heart, replace(mesh, notes=(*mesh.notes, note))
    if len(_untrue(aligned)) >= len(missed):
        note = f"Slices lie {far}; aligning them does not bring the mesh nearer to its labels, and was left out."
        return heart, replace(mesh, notes=(*mesh.notes, note))
    note = f"Slices lay {far}; without aligning them the mesh misses " + ", ".join(missed) + "."
    return other, replace(aligned, notes=(*aligned.notes, note))


def _untrue(mesh: BiVMesh) -> list[str]:
    """Lines of volume and distance from the labels that a mesh misses, with its values."""
    names = [name for name in mesh.quality.missed() if name.endswith(("_error_percent", "_mm"))]
    return [f"{name} {mesh.quality.lines()[name]}" for name in names]


def _gated(heart: Prepared, options: MeshOptions, progress: Progress) -> BiVMesh:
    """The first mesh that passes the gate, on lattices that become finer, with all notes; MeshError if none does."""
    size, last, notes = sizing_for(heart.shape, options), None, list(heart.stack.notes)
    if options.edge_length_mm is None and options.tets is None and size.edge_mm < EDGE_MM:
        thin = f"The wall is thin, {size.thickness_mm * options.shrink:.2g} mm on average"
        notes.append(f"{thin}: the edge length is {size.edge_mm * options.shrink:.2f} mm.")
    for attempt in range(options.refinements + 1):
        start, end = (1 - 0.85 * REFINE ** (2 * n) for n in (attempt, attempt + 1))
        mesh = mesh_once(heart, size, options, progress=part(progress, start, end))
        failed = quality.gate(mesh, options)
        if failed is None:
            left = size.left_over(len(mesh.tets)) if options.optimise and options.mesher == "stuffing" else ()
            return replace(mesh, notes=(*notes, *mesh.notes, *left))
        own_mm = size.lattice_mm * options.shrink
        stuck = last is not None and failed.no_better_than(last, STUCK_EDGES * own_mm)
        if stuck or attempt == options.refinements:
            break
        notes.append(f"With an edge length of {own_mm:.2f} mm the mesh failed: {failed}. It was refined.")
        size, last = size.refined(REFINE), failed
    raise _no_mesh(failed, attempt + 1, own_mm, stuck)


def _finished(mesh: BiVMesh, heart: Prepared, options: MeshOptions, progress: Progress) -> BiVMesh:
    """A mesh that passed, with fibres, coordinates and middle nodes as far as they are asked for."""
    anterior = towards_anterior(heart.stack.ijk_to_lps)
    mesh = with_anatomy(mesh, options, progress=progress, towards_anterior=anterior)
    if options.order == 2:
        mesh = with_middles(mesh, heart, options.shrink)
    progress(1.0, "Mesh done")
    return mesh


def prepare(
    labels_kji: np.ndarray,
    ijk_to_lps: np.ndarray,
    options: MeshOptions,
    *,
    progress: Progress = silent,
    valves: np.ndarray | None = None,
) -> Prepared:
    """Clean one frame's labels, place the base, interpolate the shape; arguments and errors of :func:`build_mesh`.

    The heart of an animal is prepared at human size.
    """
    progress(0.0, "Checking labels")
    labels, matrix = validated(labels_kji, ijk_to_lps)
    matrix = enlarged_matrix(matrix, 1.0 / options.shrink)
    valves = None if valves is None else np.asarray(valves) / options.shrink
    slices = on_short_axis(LabelMap(labels[None], matrix, None))
    stack = check_labels(slices.labels[0], slices.ijk_to_lps)
    stack = replace(stack, notes=(*slices.notes, *stack.notes, *stack_end_notes(stack.given, apex_first=True)))
    if options.align_slices:
        stack = align_slices(stack)
    stack, frame, base = _based(stack, options, valves)
    progress(0.03, "Interpolating the shape between slices")
    return Prepared(stack=stack, frame=frame, base=base, shape=make_shape(stack, frame, options))


def _no_mesh(failed: quality.Failed, attempts: int, edge: float, stuck: bool) -> quality.MeshError:
    """The error that names the place; ``edge``: of the last attempt, no better than the one before if ``stuck``."""
    x, y, z = failed.place
    return quality.MeshError(
        f"No mesh passed the quality gate in {attempts} attempts (at {edge:.2f} mm: {failed}); "
        f"check the labels near LPS ({x:.0f}, {y:.0f}, {z:.0f}) mm, where the worst element lies"
        + (", which a finer lattice did not mend." if stuck else ", or choose a smaller edge length.")
    )


def _based(
    stack: LabelStack, options: MeshOptions, valves: np.ndarray | None
) -> tuple[LabelStack, HeartFrame, MeshBase]:
    """The stack as far as it is needed, the frame on its base plane, and what the quality report says of the base."""
    if valves is None:
        return stack, heart_frame(stack, beyond_mm=base_beyond(stack, options)), MeshBase()
    base = find_valve_base(valves, stack)
    frame = heart_frame(stack, plane=(base.point, base.normal))
    stack, changed = continued(stack, frame)
    notes = [
        f"The base is the plane of {len(base.used)} valve points ({base.rms_mm * options.shrink:.2g} mm from it, "
        f"root mean square), tilted by {base.tilt_deg:.0f} degrees against the slices."
    ]
    if changed:
        notes.append(f"In {changed} slices the labels end below the base plane: the sections below go on up to it.")
    return replace(stack, notes=(*stack.notes, *notes)), frame, base.report()


def base_beyond(stack: LabelStack, options: MeshOptions) -> float:
    if not options.base_half_slice:
        return 0.0
    heights = slice_maps(stack, heart_frame(stack))[0]
    return 0.5 * float(heights[1] - heights[0])


def mesh_once(heart: Prepared, size: Sizing, options: MeshOptions, *, progress: Progress = silent) -> BiVMesh:
    """One attempt at one size of lattice; measured, not yet gated, without fibres.

    Heart and size are at human size, the mesh at its own.
    """
    edge = size.lattice_mm
    shape, outer = heart.shape, heart.shape.outer
    high = outer.origin + outer.spacing * (np.array(outer.values.shape[::-1]) - 1)
    lattice = make_lattice(outer.origin, high, edge / MEAN_EDGE)
    materials = assign_materials(lattice, shape)
    progress(0.15, "Filling the shape with tetrahedra")
    myocardium = shape.myocardium()
    stuffed = stuff(lattice, materials, myocardium)
    progress(0.4, "Smoothing")
    stuffed = smooth(stuffed, myocardium)
    if options.mesher == "stuffing":
        stuffed = relax(stuffed, myocardium)
        if options.optimise and size.too_many(len(stuffed.tets)):
            progress(0.45, "Collapsing edges")
            aim = Aim(size.tets_wanted(len(stuffed.tets)), size.longest_mm)
            stuffed = relax(coarsen(stuffed, myocardium, aim, seed=options.seed), myocardium, rounds=3)
        if options.optimise:
            progress(0.55, "Improving the worst tetrahedra")
            stuffed = relax(climb(readied(stuffed, myocardium), myocardium, seed=options.seed), myocardium)
            stuffed = with_volumes(stuffed, shape) if size.coarse and options.order == 1 else stuffed
    else:
        stuffed = remesh(options.mesher, stuffed, shape, edge)
    progress(0.9, "Measuring quality")
    made = MeshMaking(
        edge_length_mm=float(size.edge_mm * options.shrink),
        repaired_lattice_points=materials.repaired,
        seed=options.seed,
        mesher=options.mesher,
        species=options.species,
        aligned_slices=bool(heart.stack.shifts.any()),
    )
    mesh = _tagged(stuffed, heart)
    report = replace(quality.measure(mesh), made=made, base=heart.base)
    report = replace(report, fidelity=measure_fidelity(mesh, report.volumes, heart.stack, heart.frame))
    report = report if options.shrink == 1.0 else report.smaller(options.shrink)
    return replace(mesh, nodes=mesh.nodes * options.shrink, quality=report, notes=_notes(report, stuffed.undone))


def with_middles(mesh: BiVMesh, heart: Prepared, shrink: float = 1.0) -> BiVMesh:
    """The mesh with ten-node tets: middles of the walls' edges on the smooth surface, of the rims in the base too.

    A note says how many edges had to stay straight.

    Args:
        mesh: linear, at its own size.
        heart: that it was made of, at human size.
        shrink: length of the mesh over that of the heart.
    """
    myocardium = heart.shape.myocardium()

    def onto_surface(points: np.ndarray, in_base: np.ndarray) -> np.ndarray:
        local = heart.frame.from_lps(points / shrink)
        local[in_base, 2] = 0.0
        return heart.frame.to_lps(project(local, myocardium, in_base)) * shrink

    found = curve(mesh, onto_surface)
    count = found.curved + found.eased + found.straight
    note = (
        f"Quadratic elements: of {count} edges of the walls {found.curved} follow "
        f"the surface, {found.eased} half way and {found.straight} are straight, where a curved one would spoil its "
        f"tetrahedron; no Jacobian falls below {found.least:.2f} of the straight one's."
    )
    return replace(mesh, middles=found.middles, notes=(*mesh.notes, note))


def _tagged(stuffed: Stuffed, heart: Prepared) -> BiVMesh:
    triangles = boundary_faces(stuffed.tets)
    return BiVMesh(
        nodes=heart.frame.to_lps(stuffed.points),
        tets=stuffed.tets,
        regions=region_ids(stuffed, heart.shape),
        triangles=triangles,
        patches=patch_ids(stuffed, triangles),
    )


def _notes(report: MeshQuality, undone: int) -> tuple[str, ...]:
    """``undone``: lattice points that were not moved onto the surface."""
    notes = []
    if repaired := report.made.repaired_lattice_points:
        notes.append(f"The topology was repaired at {repaired} lattice points.")
    if undone:
        notes.append(f"{undone} lattice points near the surface were not moved onto it, to keep it manifold.")
    if through := report.topology.epi_to_endo_rv_edges:
        notes.append(f"{through} edges cross the RV wall from EPI to ENDO_RV: it is one element thick there.")
    if missed := [f"{name} {line}" for name, line in report.lines().items() if not line.met]:
        notes.append("Beyond a quality line: " + ", ".join(missed) + ".")
    return tuple(notes)
