"""A mesh with the annuli of its valves: rings, the base split into annuli and muscle, caps of the openings."""

from dataclasses import replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.species import species_named
from CardiacLib.types.bivmesh import PATCHES, VALVE_PATCHES, BiVMesh, MovingMesh, ValveRing, whole_patches

from .annuli import fit_ring, slid_into
from .lids import Lid, lid_with_caps
from .openings import Opening, opening_of, to_segments, within

ANNULUS_MM = 3.0
"""Width of the strip of the base that is counted to an annulus, at least the facets that touch the rim."""
FAR_MM = 5.0
"""A ring that is farther from its muscle, on average, is pointed out."""
NEAR = 0.5
"""Of its radius, how far from the RV's rim the tricuspid ring may lie where that is still its annulus."""
VENTRICLES = {"ENDO_LV": ("AORTIC", "MITRAL"), "ENDO_RV": ("TRICUSPID",)}
"""Valves of each ventricle; the first goes before the others where their rings overlap."""
LIDS = {"LID_LV": 5, "LID_RV": 6}
"""Ids of the lids, where blood enters and leaves; with caps, of what is left of them. They go on from PATCHES, and are
none of REGIONS."""
LID_OF = {"ENDO_LV": "LID_LV", "ENDO_RV": "LID_RV"}
NO_PULMONARY = (
    "PULMONARY was not told: none of the ten valve points lies on it, and the mesh ends below it; the RV's outflow is "
    "a part of LID_RV."
)


def with_valve_rings(mesh: BiVMesh, points: np.ndarray) -> BiVMesh:
    """The mesh with the annuli of the valves that its points tell.

    Each ring is a closed curve through the hinges of its valve, and the border of the valve's cap (``lids_of``). Facets
    of the base within ANNULUS_MM of the rim become a patch of the name of the valve that is there; BASE is the muscle
    that is left.

    Args:
        mesh: LPS mm, linear or quadratic.
        points: (10, 3) valve points of its frame, LPS mm in the order of LANDMARK_NAMES, NaN where not seen.

    Raises:
        InputError: no valve's points are there, or they lie beside the openings of this mesh.

    Example:
        >>> from BiVMeshLib import MeshOptions, build_mesh
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> phantom = make_phantom(PhantomOptions.small(n_frames=2))
        >>> coarse = MeshOptions(edge_length_mm=5.0, rv_wall_mm=8.0, grid_mm=2.0, optimise=False)
        >>> mesh = build_mesh(phantom.labels.labels[0], phantom.labels.ijk_to_lps, coarse)
        >>> [ring.name for ring in with_valve_rings(mesh, phantom.landmarks.points[0]).rings]
        ['AORTIC', 'MITRAL', 'TRICUSPID']
    """
    points = np.asarray(points, float)
    if mesh.rings:
        mesh = without_valve_rings(mesh)
    rings: list[ValveRing] = []
    notes: list[str] = []
    for wall, names in VENTRICLES.items():
        if len(mesh.patch(wall)):
            found, told = _fitted(names, points, opening_of(mesh.nodes, mesh.patch(wall)))
            rings += found
            notes += told
    if not rings:
        raise InputError(
            "No valve rings: no valve has both points of one view in this frame; find the valve points again "
            "(cineheart landmarks), or leave the rings out."
        )
    mesh = replace(mesh, rings=tuple(rings))
    try:
        lids = lids_of(mesh)
    except ValueError as error:
        raise InputError(f"No valve rings: {error} Check the valve points, or leave the rings out.") from error
    return _split(mesh, lids, notes)


def without_valve_rings(mesh: BiVMesh) -> BiVMesh:
    """The mesh with one BASE and no rings."""
    return replace(mesh, rings=(), patches=whole_patches(mesh.patches))


def lids_of(mesh: BiVMesh) -> dict[str, Lid]:
    """By wall, the lid of each ventricle's opening with the caps of the mesh's rings.

    Raises:
        ValueError: a rim is not one closed line, or cannot be closed with its rings.
    """
    found = {}
    for wall, names in VENTRICLES.items():
        endocardium = mesh.patch(wall)
        if len(endocardium):
            own = sorted((r for r in mesh.rings if r.name in names), key=lambda ring: names.index(ring.name))
            opening = opening_of(mesh.nodes, endocardium)
            found[wall] = lid_with_caps(opening, own, LIDS[LID_OF[wall]], _size(mesh))
    return found


def with_moving_rings(moving: MovingMesh, points: np.ndarray) -> MovingMesh:
    """The moving mesh with the annuli of every frame, fitted to its points (T, 10, 3) as those of its own frame.

    Their caps have the triangles of the mesh's own frame, and span the rings of every frame.
    """
    mesh, caps = moving.mesh, lids_of(moving.mesh)
    frames, folded = [], 0
    for t, places in enumerate(points):
        nodes, rings, bad = moving.nodes(t), [], False
        for wall, lid in caps.items():
            found = _fitted(VENTRICLES[wall], places, opening_of(nodes, mesh.patch(wall)))[0]
            bad |= lid.folded(nodes, found) > 0
            for ring in found:
                area, perimeter = lid.sizes(nodes, VALVE_PATCHES[ring.name], found)
                rings.append(replace(ring, cap_mm2=area, cap_perimeter_mm=perimeter))
        folded += bad
        frames.append(tuple(rings))
    told = (f"Triangles of the lids lie over others in {folded} of {len(points)} frames.",) if folded else ()
    return replace(moving, rings=tuple(frames), notes=(*moving.notes, *told))


def _size(mesh: BiVMesh) -> float:
    """Length of this heart over that of a human one."""
    made = mesh.quality.made if mesh.quality else None
    return 1.0 if made is None else 1.0 / species_named(made.species).body_scale


def _fitted(names: tuple[str, ...], points: np.ndarray, opening: Opening) -> tuple[list[ValveRing], list[str]]:
    """The rings of one opening, and what is to be said of them."""
    rings, notes = [], []
    for name in names:
        ring = fit_ring(name, points, opening.axes[:, 2])
        if ring is None:
            notes.append(f"{name} has no ring: no view shows both of its points in this frame.")
            continue
        if name == "TRICUSPID":
            ring, way = slid_into(ring, points, opening)
            if way:
                notes.append(
                    f"{name} is a circle on the two points of one view, moved {way:.1f} mm across that view into the "
                    "RV's opening."
                )
        rings.append(ring)
    return rings, notes


def _split(mesh: BiVMesh, lids: dict[str, Lid], notes: list[str]) -> BiVMesh:
    """The mesh with the facets of its base given to the valves, and the sizes of the caps."""
    rims = [_rim_valves(mesh, wall, lid) for wall, lid in lids.items()]
    line, after, valve, gap = (np.concatenate(parts) for parts in zip(*rims, strict=True))
    facets = np.flatnonzero(mesh.patches == PATCHES["BASE"])
    corners = mesh.triangles[facets]
    far, nearest = to_segments(mesh.nodes[line], mesh.nodes[after], mesh.nodes[corners].mean(1))
    chosen = ((far <= ANNULUS_MM * _size(mesh)) | np.isin(corners, line).any(1)) & (valve[nearest] > 0)
    patches = mesh.patches.copy()
    patches[facets[chosen]] = valve[nearest[chosen]]
    rings = []
    for ring in mesh.rings:
        number = VALVE_PATCHES[ring.name]
        area, perimeter = next(lid for wall, lid in lids.items() if ring.name in VENTRICLES[wall]).sizes(
            mesh.nodes, number, mesh.rings
        )
        rings.append(replace(ring, cap_mm2=area, cap_perimeter_mm=perimeter))
        if not area:
            notes.append(f"{ring.name} has no cap: its ring lies beside the opening of the ventricle.")
        if not (patches == number).any():
            notes.append(f"{ring.name} has no facets of the base: its ring is not near the muscle.")
        elif (off := float(gap[valve == number].mean())) > FAR_MM * _size(mesh):
            notes.append(
                f"The ring of {ring.name} lies {off:.0f} mm within the opening of the mesh, on average: the labels are "
                "wider there than the valve."
            )
    if not any(ring.cap_mm2 for ring in rings):
        raise InputError(
            "No valve rings: the valve points lie beside the openings of this mesh; use those of its study."
        )
    told = [NO_PULMONARY] if "ENDO_RV" in lids else []
    return replace(mesh, rings=tuple(rings), patches=patches, notes=(*mesh.notes, *notes, *told))


def _rim_valves(mesh: BiVMesh, wall: str, lid: Lid) -> tuple[np.ndarray, ...]:
    """Of each edge of a rim its two nodes, the id of its valve, 0 for none, and the ring's distance in mm; (R,) each.

    That is the valve whose ring is nearest: in the LV, whose rim the mitral and aortic annuli share, however far it is,
    in the RV up to NEAR of the ring's mean radius.
    """
    opening = opening_of(mesh.nodes, mesh.patch(wall))
    middles = 0.5 * (opening.flat + np.roll(opening.flat, -1, axis=0))
    valve, least = np.zeros(len(middles), np.int32), np.full(len(middles), np.inf)
    for name in VENTRICLES[wall]:
        for ring in (r for r in mesh.rings if r.name == name):
            curve = opening.to_plane(ring.points)
            far = to_segments(curve, np.roll(curve, -1, axis=0), middles)[0]
            far[within(curve, middles)] = 0.0
            radius = float(np.linalg.norm(curve - curve.mean(0), axis=1).mean())
            nearer = far < (least if wall == "ENDO_LV" else np.minimum(least, NEAR * radius))
            valve[nearer], least[nearer] = VALVE_PATCHES[name], far[nearer]
    return lid.line, np.roll(lid.line, -1), valve, least
