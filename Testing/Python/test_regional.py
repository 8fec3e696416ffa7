"""Wall thickness, AHA segments and strain against the phantom's analytic truth and made-up rings."""

from dataclasses import replace

import numpy as np
import pytest

from CardiacLib.aha import SEGMENT_NAMES
from CardiacLib.geometry import direction_of, matrix_from
from CardiacLib.phantom import PhantomOptions
from CardiacLib.phantom.motion import solve_motion
from CardiacLib.phantom.study import measured_labels
from CardiacLib.phantom.truth import lv_radii, lv_radii_below_base
from CardiacLib.phantom.views import heart_to_lps
from CardiacLib.types.choices import ByHand, SegmentChoice
from CardiacLib.types.labels import LabelMap
from CardiacSegLib.function import measure
from CardiacSegLib.function.regional import measure_regions
from CardiacSegLib.function.rings import DIRECTIONS, measure_ring
from CardiacSegLib.function.segments import segments_of_directions, septum_directions
from cineheart.report.bullseye import bullseyes, cell

OPTIONS = PhantomOptions(roll_deg=15.0, image_rotation_deg=25.0, sax_size=132)
AT_ED = SegmentChoice(by_hand=ByHand(phase="ed"))


@pytest.fixture(scope="module")
def heart():
    """Labels of ED and ES at clinical resolution, their Function, and the two true shapes."""
    labels, _ = measured_labels(OPTIONS)
    motion = solve_motion(OPTIONS)
    return labels, measure(labels), (motion.shapes[0], motion.shapes[motion.es])


def true_radii(shapes, levels, level: str) -> np.ndarray:
    """(phase, slice, 2) true radii of the slices of one level that lie below the valve plane at ED and ES."""
    heights = [OPTIONS.first_slice_mm + k * OPTIONS.slice_spacing_mm for k, name in enumerate(levels) if name == level]
    return lv_radii_below_base(shapes, heights)


def test_thickness_is_within_half_a_millimetre_of_the_truth(heart):
    _, function, shapes = heart
    for segment in function.regional.segments[:16]:
        level = segment.name.split()[0]
        truth = true_radii(shapes, function.regional.slice_levels, level)
        thick = (truth[..., 1] - truth[..., 0]).mean(axis=1)
        assert (segment.thickness_ed_mm, segment.thickness_es_mm) == pytest.approx(tuple(thick), abs=0.5)
        assert segment.thickening_percent == pytest.approx(100 * (thick[1] / thick[0] - 1), abs=5.0)


def test_strain_is_within_two_points_of_the_truth(heart):
    _, function, shapes = heart
    regional = function.regional
    truth = {level: true_radii(shapes, regional.slice_levels, level) for level in ("basal", "mid", "apical")}
    layers = {k: np.stack([t[..., 0], t.mean(axis=-1), t[..., 1]], axis=-1) for k, t in truth.items()}
    for segment in regional.segments[:16]:
        length = layers[segment.name.split()[0]].sum(axis=1)
        wanted = 100 * (length[1] / length[0] - 1)
        found = [getattr(segment, f"circumferential_{layer}_percent") for layer in ("endo", "mid", "epi")]
        assert found == pytest.approx(list(wanted), abs=2.0)
    whole = np.concatenate(list(layers.values()), axis=1)
    around = whole.sum(axis=1)
    assert regional.circumferential_percent[1] == pytest.approx(100 * (around[1] / around[0] - 1), abs=2.0)
    thick = (whole[..., 2] - whole[..., 0]).mean(axis=1)
    assert regional.radial_percent[1] == pytest.approx(100 * (thick[1] / thick[0] - 1), abs=2.0)
    assert not regional.circumferential_percent[0].any() and regional.radial_percent[0] == 0
    values = function.to_dict()
    assert values["lv_global_circumferential_mid_percent"] == pytest.approx(regional.circumferential_percent[1, 1])


def test_the_levels_are_thirds_of_the_closed_slices_and_the_apex_is_not_measured(heart):
    _, function, _ = heart
    named = [level for level in function.regional.slice_levels if level]
    assert named == ["apical"] * 3 + ["mid"] * 4 + ["basal"] * 3
    apex = function.regional.segments[16]
    assert apex.name == "apex" and apex.thickness_ed_mm is None and "cap" in apex.reason
    assert [s.name for s in function.regional.segments] == list(SEGMENT_NAMES)


def test_a_slice_that_the_valve_plane_cuts_is_not_measured_at_end_systole(heart):
    labels, function, shapes = heart
    highest = max(k for k, level in enumerate(function.regional.slice_levels) if level)
    ring = measure_ring(labels.labels[1, highest - 1], (OPTIONS.sax_pixel_mm,) * 2)
    z = OPTIONS.first_slice_mm + (highest - 1) * OPTIONS.slice_spacing_mm
    whole = np.ptp(lv_radii(shapes[1], z))
    assert ring is not None and ring.thickness_mm.min() < 0.5 * whole  # cut, yet closed
    assert all(s.thickness_es_mm > whole for s in function.regional.segments[:6])


@pytest.mark.parametrize(("left_mm", "sector_deg", "measured"), [(9.0, 40, True), (6.0, 12, True), (6.0, 40, False)])
def test_a_basal_ring_that_thins_at_once_is_not_measured(left_mm, sector_deg, measured):
    """Rings of 10 mm, 20 mm inside; of the most basal one's wall ``left_mm`` are left in a sector."""
    y, x = np.mgrid[-50:51, -50:51].astype(float)
    radius, angle = np.hypot(x, y), np.abs(np.rad2deg(np.arctan2(y, x)))
    plane = np.where(radius < 20, 1, np.where(radius < 30, 2, np.where((x < 0) & (np.abs(y) < 25), 3, 0)))
    stack = np.repeat(plane[None].astype(np.uint8), 6, 0)
    stack[:2][:, plane == 3] = 0  # the apex is here
    stack[5, (angle < sector_deg / 2) & (radius >= 20 + left_mm) & (radius < 30)] = 0
    found = measure_regions(LabelMap(stack[None], np.diag([1.0, 1.0, 8.0, 1.0]), [0.0]), 0, 0)
    assert [level is not None for level in found.slice_levels] == [True] * 5 + [measured]


def marked(labels: LabelMap, shapes, name: str, factor: float) -> LabelMap:
    """The ED labels with the wall thinned from outside where the heart frame's direction is ``name``."""
    angle, reach = {"anterior": (90.0, 25.0), "lateral": (180.0, 40.0)}[name]
    to_heart = np.linalg.inv(heart_to_lps(OPTIONS, shapes[0]))
    k, j, i = np.nonzero(labels.labels[0] == 2)
    x, y, z, _ = to_heart @ labels.ijk_to_lps @ np.stack([i, j, k, np.ones(len(i))])
    off = np.abs((np.rad2deg(np.arctan2(y, x)) - angle + 180.0) % 360.0 - 180.0)
    truth = np.array([lv_radii(shapes[0], height) for height in z])
    outer = np.hypot(x, y) > truth[:, 0] + factor * (truth[:, 1] - truth[:, 0])
    thinned = labels.labels[:1].copy()
    chosen = (off < reach) & outer
    thinned[0, k[chosen], j[chosen], i[chosen]] = 0
    return LabelMap(thinned, labels.ijk_to_lps, labels.times_ms[:1])


def reordered(labels: LabelMap, axes: str) -> LabelMap:
    """The same heart with index axes reversed: every voxel keeps its place."""
    array, matrix = labels.labels, labels.ijk_to_lps.copy()
    for axis in axes:
        column = "ijk".index(axis)
        matrix[:3, 3] += (array.shape[3 - column] - 1) * matrix[:3, column]
        matrix[:3, column] *= -1
        array = np.flip(array, 3 - column)
    return replace(labels, labels=np.ascontiguousarray(array), ijk_to_lps=matrix)


def turned(labels: LabelMap) -> LabelMap:
    """Rows and columns exchanged, which is a quarter turn and a mirror: every voxel keeps its place."""
    return replace(
        labels,
        labels=np.ascontiguousarray(labels.labels.swapaxes(2, 3)),
        ijk_to_lps=labels.ijk_to_lps[:, [1, 0, 2, 3]],
    )


@pytest.mark.parametrize("wall", ["anterior", "lateral"])
@pytest.mark.parametrize("order", ["", "k", "i", "jk", "turned", "turned i"])
def test_segments_stay_anatomical_however_the_stack_is_stored(heart, wall, order):
    labels, _, shapes = heart
    stored = marked(labels, shapes, wall, 0.45)
    stored = turned(stored) if "turned" in order else stored
    stored = reordered(stored, order.replace("turned", "").strip())
    if order in ("i", "k"):
        assert np.linalg.det(direction_of(stored.ijk_to_lps)) < 0  # left-handed
    regional = measure(stored, AT_ED).regional
    assert regional.notes == ()
    thin = {s.name for s in regional.segments[6:16] if s.thickness_ed_mm < 8.0}
    expected = {"lateral": {"mid anterolateral", "mid inferolateral"}, "anterior": {"mid anterior"}}
    assert thin == expected[wall] | {f"apical {wall}"}


def test_the_heart_turned_in_the_patient_keeps_its_segments(heart):
    _, function, _ = heart
    turned_labels, _ = measured_labels(replace(OPTIONS, roll_deg=-30.0, image_rotation_deg=140.0))
    found = measure(turned_labels).regional
    assert found.notes == ()
    for segment, other in zip(function.regional.segments[:16], found.segments, strict=False):
        assert other.thickness_es_mm == pytest.approx(segment.thickness_es_mm, abs=0.4)


def test_insertions_are_where_the_right_ventricle_meets_the_wall(heart):
    labels, _, shapes = heart
    rings = [[measure_ring(plane, (OPTIONS.sax_pixel_mm,) * 2) for plane in labels.labels[0]]]
    frame = heart_to_lps(OPTIONS, shapes[0])[:3, :3]
    for ring in rings[0][4:9]:
        ends = []
        for angle in ring.insertions_rad:
            axes = direction_of(labels.ijk_to_lps)
            x, y, _ = (np.cos(angle) * axes[:, 0] + np.sin(angle) * axes[:, 1]) @ frame
            ends.append(np.rad2deg(np.arctan2(y, x)))
        assert (
            -80 < min(ends) < -58 and 42 < max(ends) < 68
        )  # the phantom's, from its implicit fields: -77..-62, 46..65
    assert septum_directions([[None]], 1) is None


def test_directions_just_before_the_septum_count_as_inferior():
    septum = 2.0 * np.pi * 40.5 / DIRECTIONS
    for offset in (-1e-9, 1e-16, 1e-9):
        assert {*segments_of_directions(septum + offset, -1, "basal")} == {1, 2, 3, 4, 5, 6}


def test_segment_layout_turns_from_the_septum_over_the_anterior_wall():
    numbers = segments_of_directions(0.0, 1, "basal")
    assert [numbers[n] for n in (5, 30, 45, 70, 90, 115)] == [2, 1, 6, 5, 4, 3]
    assert np.bincount(numbers)[1:].tolist() == [DIRECTIONS // 6] * 6
    mirrored = segments_of_directions(0.0, -1, "mid")
    assert [mirrored[n] for n in (5, 30, 45, 70, 90, 115)] == [9, 10, 11, 12, 7, 8]
    apical = segments_of_directions(np.pi, 1, "apical")
    assert [apical[n] for n in (60, 90, 0, 30)] == [14, 13, 16, 15]


def ring_slice(gap_deg: float = 0.0, shift: float = 0.0, rv: bool = True) -> np.ndarray:
    """(90, 90) labels of 1 mm: cavity of radius 18, wall to 28, cavity shifted to the septum, RV on the left."""
    rows, columns = np.mgrid[:90, :90] - 45.0
    columns -= 5.0
    plane = np.zeros((90, 90), np.uint8)
    if rv:
        plane[(np.hypot(rows, columns + 25) < 30)] = 3
    plane[np.hypot(rows, columns) < 28] = 2
    plane[np.hypot(rows, columns + shift) < 18] = 1
    wall = (plane == 2) & (np.abs(np.rad2deg(np.arctan2(rows, columns))) < gap_deg / 2)
    plane[wall] = 0
    return plane


def stack(like: LabelMap, *planes: np.ndarray) -> LabelMap:
    """One frame of slices 8 mm apart, oriented as another stack, apex first."""
    matrix = matrix_from((0, 0, 0), direction_of(like.ijk_to_lps), (1.0, 1.0, 8.0))
    return LabelMap(np.stack(planes)[None], matrix, np.zeros(1))


def test_an_eccentric_ring_has_its_true_thickness():
    ring = measure_ring(ring_slice(shift=4.0), (1.0, 1.0))
    assert ring.thickness_mm[60] == pytest.approx(6.0, abs=0.5)  # towards -i, where the cavity is shifted to
    assert ring.thickness_mm[0] == pytest.approx(14.0, abs=0.5)
    assert ring.lengths_mm.sum(axis=1)[[0, 2]] == pytest.approx([2 * np.pi * 18, 2 * np.pi * 28], rel=0.01)


def test_anisotropic_pixels_are_measured_in_millimetres():
    plane = np.repeat(ring_slice(), 2, axis=0)
    ring = measure_ring(plane, (1.0, 0.5))
    assert np.abs(ring.thickness_mm - 10.0).max() < 0.6


def test_an_open_ring_is_not_measured_but_a_small_hole_is_bridged():
    assert measure_ring(ring_slice(gap_deg=60.0), (1.0, 1.0)) is None
    bridged = measure_ring(ring_slice(gap_deg=8.0), (1.0, 1.0))
    assert np.abs(bridged.thickness_mm - 10.0).max() < 0.7
    assert measure_ring(np.zeros((9, 9), np.uint8), (1.0, 1.0)) is None


def test_open_slices_have_no_level_and_all_open_is_told(heart):
    small, large = ring_slice(rv=False), ring_slice()
    found = measure(stack(heart[0], small, large, large, ring_slice(gap_deg=80.0))).regional
    assert found.slice_levels == ("apical", "mid", "basal", None)
    open_slices = [ring_slice(gap_deg=80.0)] * 2
    nothing = measure(stack(heart[0], *open_slices)).regional
    assert nothing.thickness_ed_mm is None and "closed ring" in nothing.segments[0].reason


def test_without_right_ventricle_there_is_strain_but_no_segment(heart):
    labels, _, _ = heart
    alone = replace(labels, labels=np.where(labels.labels == 3, 0, labels.labels).astype(np.uint8))
    function = measure(alone)
    assert all(s.thickness_ed_mm is None and "right ventricle" in s.reason for s in function.regional.segments)
    assert function.regional.circumferential_percent[1, 1] == pytest.approx(-18, abs=3)
    assert any("right ventricle" in note for note in function.notes)
    assert bullseyes(function.regional.segments, {}) is None


def test_a_file_without_orientation_is_told(heart):
    labels, _, _ = heart
    bare = replace(labels, ijk_to_lps=np.diag([*([OPTIONS.sax_pixel_mm] * 2), OPTIONS.slice_spacing_mm, 1.0]))
    assert any("no patient orientation" in note for note in measure(bare).regional.notes)
    half_turn = replace(labels, ijk_to_lps=np.diag([-1.0, -1.0, 1.0, 1.0]) @ labels.ijk_to_lps)
    assert any("does not fit the patient axes" in note for note in measure(half_turn).regional.notes)


def test_bullseye_cells_cover_the_disc_with_anterior_above_and_septum_left():
    area = sum((stop - start) / 360 * (outer**2 - inner**2) for start, stop, inner, outer in map(cell, range(1, 18)))
    assert area == pytest.approx(1.0)

    def middle(name: str) -> float:
        start, stop, _, _ = cell(SEGMENT_NAMES.index(name) + 1)
        return (start + stop) / 2 % 360

    for level in ("basal", "mid", "apical"):
        assert middle(f"{level} anterior") == 90 and middle(f"{level} inferior") == 270
    assert middle("apical septal") == 180 and middle("apical lateral") == 0
    assert 90 < middle("basal anteroseptal") < 180 < middle("mid inferoseptal") < 270 < middle("mid inferolateral")


def test_bullseyes_show_the_values(heart):
    _, function, _ = heart
    text = bullseyes(function.regional.segments, {}).svg
    for segment in function.regional.segments[:16]:
        assert f">{segment.thickness_ed_mm:.0f}<" in text and f">{segment.thickening_percent:.0f}<" in text
