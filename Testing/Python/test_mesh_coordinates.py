"""Ventricular coordinates and AHA segments on the phantom heart, whose anatomy is known."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from heart_mesh import in_heart_frame, lv_alone, phantom_mesh, shell
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from BiVMeshLib import MeshOptions
from BiVMeshLib.anatomy.aha import scheme_angle
from BiVMeshLib.anatomy.coordinates import directions, wrapped
from BiVMeshLib.anatomy.laplace import LinearElements
from BiVMeshLib.anatomy.potentials import on_patch
from BiVMeshLib.anatomy.with_anatomy import with_anatomy
from CardiacLib.geometry import towards_anterior
from CardiacLib.types.bivmesh import REGIONS
from CardiacSegLib.function.segments import turning_to_anterior

TOUCHING = {(n, n % 6 + 1) for n in range(1, 7)} | {(n + 6, n % 6 + 7) for n in range(1, 7)}
TOUCHING |= {(n, n + 6) for n in range(1, 7)} | {(13, 14), (14, 15), (15, 16), (13, 16)}
TOUCHING |= {(7, 13), (8, 14), (9, 14), (10, 15), (11, 16), (12, 16)} | {(n, 17) for n in range(13, 17)}
CORNERS = {(7, 14), (8, 13), (9, 15), (10, 14), (11, 15), (10, 16), (7, 16), (12, 13)}
"""Pairs of the middle and apical ring that may also touch: the rings' boundaries do not meet in one angle."""
PLACES = {1: 95, 2: 35, 3: -35, 4: -95, 5: -150, 6: 150, 13: 90, 14: 0, 15: -90, 16: 180}
"""Degrees from the septum to the anterior wall, in the phantom's frame, in which its segments' centres must lie."""


def fields():
    return phantom_mesh()[0].point_fields


def cell_means(name):
    mesh = phantom_mesh()[0]
    return mesh.point_fields[name][mesh.tets].mean(1)


def centres():
    mesh, to_lps = phantom_mesh()
    return in_heart_frame(mesh.nodes[mesh.tets].mean(1), to_lps)


def slopes(values):
    """(M, 3) gradient in the heart frame of a field that may jump by 2 pi."""
    mesh, to_lps = phantom_mesh()
    elements = LinearElements.on(mesh.nodes, mesh.tets)
    steps = wrapped(values[mesh.tets] - values[mesh.tets[:, :1]])
    return np.einsum("mnk,mn->mk", elements.gradients, steps) @ to_lps[:3, :3]


@pytest.mark.slow
def test_values_are_finite_and_in_range():
    for name, low, high in (("transmural", 0, 1), ("apicobasal", 0, 1), ("rotational", -np.pi, np.pi)):
        assert np.isfinite(fields()[name]).all()
        assert fields()[name].min() >= low and fields()[name].max() <= high
    assert set(np.unique(fields()["transventricular"])) == {-1.0, 1.0}


def test_boundary_values_are_exact():
    mesh, side = phantom_mesh()[0], fields()["transventricular"]
    across = fields()["transmural"]
    rv = on_patch(mesh, "ENDO_RV")
    assert (across[on_patch(mesh, "ENDO_LV")] == 0).all() and (across[on_patch(mesh, "EPI")] == 1).all()
    assert (across[rv & (side < 0)] == 1).all() and (across[rv & (side > 0)] == 0).all()
    assert (fields()["apicobasal"][on_patch(mesh, "BASE")] == 1).all()
    assert fields()["apicobasal"].min() == 0.0


def test_transventricular_tells_the_ventricles():
    mesh, side = phantom_mesh()[0], fields()["transventricular"]
    assert (side[mesh.tets[mesh.regions != REGIONS["RV_WALL"]]] == -1).all()
    assert (side[on_patch(mesh, "ENDO_LV")] == -1).all()
    assert (side[on_patch(mesh, "EPI")] == 1).any() and (side[on_patch(mesh, "ENDO_RV")] == 1).any()


def test_transmural_rises_outwards():
    place, slope = centres(), slopes(fields()["transmural"])
    mesh = phantom_mesh()[0]
    level = cell_means("apicobasal")
    outwards = (slope * place * [1, 1, 0]).sum(1) > 0
    for region in ("LV_MYO", "SEPTUM"):
        assert outwards[(mesh.regions == REGIONS[region]) & (level > 0.3)].mean() > 0.97
    assert np.corrcoef(cell_means("transmural"), _depth())[0, 1] > 0.97


def _depth():
    """Depth by distances, 0 at the inner side (that of the tet's own ventricle) to 1."""
    mesh, side = phantom_mesh()[0], cell_means("transventricular")
    middle = mesh.nodes[mesh.tets].mean(1)
    lv, rv, epi = (cKDTree(mesh.nodes[on_patch(mesh, n)]).query(middle)[0] for n in ("ENDO_LV", "ENDO_RV", "EPI"))
    outer = np.minimum(rv, epi)
    return np.where(side < 0, lv / (lv + outer), rv / (rv + epi))


def test_apicobasal_rises_with_height_in_even_steps():
    mesh, level, height = phantom_mesh()[0], cell_means("apicobasal"), centres()[:, 2]
    lv = mesh.regions != REGIONS["RV_WALL"]
    assert (slopes(fields()["apicobasal"])[lv, 2] > 0).mean() > 0.995
    medians = [np.median(height[lv & (np.abs(level - a) < 0.05)]) for a in np.arange(0.3, 1.0, 0.1)]
    steps = np.diff(medians)
    assert steps.min() > 0.7 * steps.mean() and steps.max() < 1.3 * steps.mean()


def test_rotational_turns_once_about_the_long_axis():
    mesh, place = phantom_mesh()[0], centres()
    slope = slopes(fields()["rotational"])
    around = np.cross([0.0, 0.0, 1.0], place * [1, 1, 0])
    forwards = (slope * around).sum(1) > 0
    for region in REGIONS.values():
        assert forwards[(mesh.regions == region) & (cell_means("apicobasal") > 0.1)].mean() > 0.95
    lv = (mesh.regions != REGIONS["RV_WALL"]) & (cell_means("apicobasal") > 0.4)
    angle = fields()["rotational"][mesh.tets[:, 0]][lv]
    found = np.histogram(angle, 12, (-np.pi, np.pi))[0]
    assert found.min() > 0.3 * found.mean()


def test_rv_insertions_are_at_right_angles_to_the_septum():
    mesh, to_lps = phantom_mesh()
    side = fields()["transventricular"]
    of_wall = np.zeros(len(mesh.nodes), bool)
    of_wall[mesh.tets[(side[mesh.tets] > 0).any(1)]] = True
    between = of_wall & (side < 0) & (fields()["apicobasal"] > 0.5)
    place = in_heart_frame(mesh.nodes, to_lps)
    angle = np.degrees(fields()["rotational"][between])
    assert between.sum() > 50
    assert np.median(np.abs(np.abs(angle) - 90)) < 1e-9
    assert (np.sign(angle) == np.sign(place[between, 1])).mean() > 0.98
    septum = np.abs(fields()["rotational"][mesh.tets[mesh.regions == REGIONS["SEPTUM"]]]).mean(1)
    assert (septum < np.pi / 2).mean() > 0.9


@pytest.mark.parametrize("name", ["apicobasal", "rotational"])
def test_bands_of_equal_value_are_connected(name):
    """In the LV; those of the rotational coordinate above the cavity's end, below which they meet in the apex."""
    mesh = phantom_mesh()[0]
    values = fields()[name]
    lv = (fields()["transventricular"] < 0) & ((fields()["apicobasal"] > 0.15) | (name == "apicobasal"))
    low, high = (0.0, 1.0) if name == "apicobasal" else (-np.pi, np.pi)
    edges = np.linspace(low, high, 9)
    ends = mesh.tets[:, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]].reshape(-1, 2)
    for a, b in pairwise(edges):
        inside = lv & (values >= a) & (values <= b)
        links = ends[inside[ends].all(1)]
        graph = coo_matrix((np.ones(len(links)), links.T), shape=2 * [len(values)])
        label = connected_components(graph, directed=False)[1][inside]
        assert np.bincount(label).max() > 0.98 * inside.sum()


def volumes(mesh):
    volume = LinearElements.on(mesh.nodes, mesh.tets).volumes
    return np.bincount(mesh.cell_fields["aha"], volume, 18) / 1000


def test_all_segments_are_there_with_sensible_volumes():
    mesh = phantom_mesh()[0]
    segments = mesh.cell_fields["aha"]
    assert segments.dtype == np.int32 and set(segments) == set(range(18))
    wall = mesh.regions == REGIONS["RV_WALL"]
    assert wall[segments == 0].all() and (segments[wall] == 0).mean() > 0.97
    share = volumes(mesh)[1:] / volumes(mesh)[1:].sum()
    assert share[:16].min() > 0.025 and share[:16].max() < 0.12 and 0.01 < share[16] < 0.08


def test_segments_lie_where_the_anatomy_has_them():
    segments, place, level = phantom_mesh()[0].cell_fields["aha"], centres(), cell_means("apicobasal")
    middle = {n: place[segments == n].mean(0) for n in range(1, 18)}
    for n, degrees in PLACES.items():
        found = np.degrees(np.arctan2(middle[n][1], middle[n][0]))
        assert abs((found - degrees + 180) % 360 - 180) < 20, (n, found)
        if n <= 6:
            found = np.degrees(np.arctan2(middle[n + 6][1], middle[n + 6][0]))
            assert abs((found - degrees + 180) % 360 - 180) < 25, (n + 6, found)
    height = [middle[n][2] for n in range(1, 18)]
    assert min(height[:6]) > max(height[6:12]) and min(height[6:12]) > max(height[12:16]) > height[16]
    assert level[segments == 17].max() < level[segments == 1].min()


def test_neighbours_touch_as_in_the_scheme():
    mesh = phantom_mesh()[0]
    segments = mesh.cell_fields["aha"]
    faces = np.sort(mesh.tets[:, [(1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)]].reshape(-1, 3), axis=1)
    order = np.lexsort(faces.T)
    twins = (faces[order][1:] == faces[order][:-1]).all(1)
    one, two = (segments[order[rows][twins] // 4] for rows in (slice(None, -1), slice(1, None)))
    lines = (one != two) & (one > 0) & (two > 0)
    pairs, count = np.unique(np.sort(np.stack([one, two], 1)[lines], axis=1), axis=0, return_counts=True)
    found = {(int(a), int(b)) for (a, b), n in zip(pairs, count, strict=True) if n >= 8}
    wanted = {tuple(sorted(pair)) for pair in TOUCHING}
    assert wanted <= found, wanted - found
    assert found <= wanted | CORNERS, found - wanted


@pytest.mark.parametrize("turn", [(0, 0, 0), (25, 0, 0), (0, -30, 20)])
def test_a_heart_that_lies_otherwise_has_the_same_segments(turn):
    mesh = phantom_mesh()[0]
    rotation = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    bare = replace(mesh, nodes=mesh.nodes @ rotation.T + 50.0, cell_fields={}, point_fields={})
    turned = with_anatomy(bare, MeshOptions(fibres=False))
    assert (turned.cell_fields["aha"] == mesh.cell_fields["aha"]).mean() > 0.999


@pytest.mark.slow
def test_a_mirrored_stack_of_the_same_heart_has_the_same_segments():
    mesh = phantom_mesh()[0]
    other = phantom_mesh(left_handed=True, apex_first=False)[0]
    near = cKDTree(other.nodes[other.tets].mean(1)).query(mesh.nodes[mesh.tets].mean(1))[1]
    lv = mesh.regions != REGIONS["RV_WALL"]
    assert (mesh.cell_fields["aha"][lv] == other.cell_fields["aha"][near][lv]).mean() > 0.95


def test_a_mirrored_heart_is_noted_and_keeps_anterior_segments_in_front():
    mesh = phantom_mesh()[0]
    flip = np.diag([-1.0, 1.0, 1.0])
    bare = replace(
        mesh,
        nodes=mesh.nodes @ flip,
        tets=mesh.tets[:, [0, 2, 1, 3]],
        triangles=mesh.triangles[:, [0, 2, 1]],
        cell_fields={},
        point_fields={},
    )
    mirrored = with_anatomy(bare, MeshOptions(fibres=False))
    assert any("mirror image" in note for note in mirrored.notes)
    assert not any("mirror image" in note for note in mesh.notes)
    assert (mirrored.cell_fields["aha"] == mesh.cell_fields["aha"]).mean() > 0.999


def test_a_left_ventricle_alone_has_no_rotational_reference():
    alone = with_anatomy(lv_alone(phantom_mesh()[0]), MeshOptions(fibres=False))
    assert set(alone.point_fields) == {"transmural", "apicobasal", "transventricular"}
    assert "aha" not in alone.cell_fields
    assert any("no rotational coordinate" in note for note in alone.notes)


def test_coordinates_of_the_shell_are_its_own():
    mesh, depth, angle = shell()
    found = with_anatomy(mesh, MeshOptions(fibres=False)).point_fields
    assert np.abs(found["transmural"] - depth).max() < 0.03
    assert np.corrcoef(found["apicobasal"], angle)[0, 1] > 0.98


def test_scheme_angle_keeps_the_insertions_at_sixty_degrees():
    rotational = np.array([0.0, np.pi / 2, -np.pi / 2, np.pi, 0.75 * np.pi])
    assert scheme_angle(rotational) == pytest.approx([0, 60, 300, 180, 120])


@pytest.mark.parametrize("rows_forward", [True, False])
def test_mesh_and_function_agree_on_anterior_without_orientation(rows_forward):
    """Axes exactly the patient's: both take the first image row, whichever way the file's rows run."""
    matrix = np.diag([2.0, 2.0 if rows_forward else -2.0, 8.0, 1.0])
    mesh, _ = phantom_mesh()
    beside = replace(mesh, nodes=np.where(on_patch(mesh, "ENDO_RV")[:, None], (40.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
    axis = SimpleNamespace(apex=np.zeros(3), up=np.array([0.0, 0.0, 1.0]))
    anterior = directions(beside, axis, towards_anterior(matrix))[1]
    ring = SimpleNamespace(septum_rad=0.0)
    turning, note = turning_to_anterior(matrix, np.array([0.0, 0.0, 1.0]), [[ring]])
    assert anterior == pytest.approx(turning * matrix[:3, 1] / 2.0) and "first image row" in note
    assert anterior == pytest.approx(-matrix[:3, 1] / 2.0)
