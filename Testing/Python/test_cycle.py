"""Full cycles: consistency over time, clean-up that keeps true slices, extent, and the valve planes."""

import numpy as np
import pytest
from scipy import ndimage

from CardiacLib.errors import InputError
from CardiacLib.types.labels import LV, MYO, RV, LabelMap
from CardiacLib.types.landmarks import Landmarks
from CardiacSegLib.function.ventricle_extent import ventricle_extent
from CardiacSegLib.segment.postprocess import clean_frame, main_component
from CardiacSegLib.segment.temporal import cyclic_presence, settle, smooth_over_time
from CardiacSegLib.segment.valve_plane import cut_at_valve_plane

FRAMES = 20
BASE = 7


def probabilities_of(labels: np.ndarray, sure: float = 0.9) -> np.ndarray:
    """(T, K, 4, H, W) float32, rounded to half precision, with ``sure`` at the label and the rest shared."""
    one_hot = np.eye(4, dtype=np.float32)[labels]
    shared = (1.0 - sure) / 3.0
    return np.moveaxis(one_hot * (sure - shared) + shared, -1, 2).astype(np.float16).astype(np.float32)


def images_of(labels: np.ndarray) -> np.ndarray:
    return np.array([0.2, 1.0, 0.3, 0.9], np.float32)[labels]


@pytest.fixture
def cycle(ring_labels) -> np.ndarray:
    """Uint8 (T, K, J, I): the base slice leaves the heart for frames 6 to 12."""
    labels = np.repeat(ring_labels[None], FRAMES, 0)
    labels[6:13, BASE] = 0
    return labels


def without_smoothing(images: np.ndarray) -> np.ndarray:
    """The same images so much brighter in every second frame that no frame is smoothed with another."""
    return images * np.tile(np.float32([1.0, 0.5]), FRAMES // 2)[:, None, None, None]


def volumes(probabilities: np.ndarray, label: int) -> np.ndarray:
    return (probabilities.argmax(2) == label).sum((1, 2, 3))


def test_presence_has_one_absence_in_the_cycle():
    evidence = np.ones(FRAMES)
    evidence[[4, 11]] = -1.0
    assert cyclic_presence(evidence).all()
    evidence[8:13] = -1.0
    assert np.flatnonzero(~cyclic_presence(evidence)).tolist() == [8, 9, 10, 11, 12]
    around = np.roll(evidence, 9)
    assert np.array_equal(cyclic_presence(around), np.roll(cyclic_presence(evidence), 9))
    assert not cyclic_presence(-np.ones(FRAMES)).any()
    evidence = -np.ones(FRAMES)
    evidence[3] = 1.0
    assert not cyclic_presence(evidence).any()


def settled_of(probabilities: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    notes = settle(probabilities, images)
    return probabilities, notes


def test_a_consistent_cycle_stays(cycle):
    settled, notes = settled_of(probabilities_of(cycle), images_of(cycle))
    assert len(notes) == 1 and "smoothed" in notes[0]
    assert np.array_equal(settled.argmax(2), cycle)


@pytest.mark.parametrize("smoothed", [True, False])
def test_flicker_at_the_base_goes(cycle, smoothed):
    flickering = cycle.copy()
    flickering[[2, 16], BASE] = 0
    flickering[9, BASE] = cycle[0, BASE]
    images = images_of(cycle) if smoothed else without_smoothing(images_of(cycle))
    settled, notes = settled_of(probabilities_of(flickering), images)
    assert np.array_equal(volumes(settled, LV), volumes(probabilities_of(cycle), LV))
    assert np.array_equal(volumes(settled, RV), volumes(probabilities_of(cycle), RV))
    # Smoothing draws frames 2 and 16 faintly, and takes frame 9 away.
    done = (
        ["completed in 2 frames"] * 2
        if smoothed
        else ["added in 2 frames and removed in 1 frame", "removed in 1 frame"]
    )
    said = [f"the {side} ventricle was {what}" for side, what in zip(("left", "right"), done, strict=True)]
    assert notes[1:] == tuple(f"Slice 8: {what} to agree with the rest of the cycle." for what in said)


def test_a_slice_that_the_network_half_sees_is_completed(cycle):
    """Of the slice below the base half of the LV is left in two frames, unsure: too little, but no sign of absence."""
    ventricle = np.isin(cycle[9, BASE - 1], (LV, MYO))
    gone = ventricle & (np.cumsum(ventricle.sum(0)) < 0.5 * ventricle.sum())
    probabilities = probabilities_of(cycle)
    torn = probabilities[9:11, BASE - 1]
    torn[...] = np.where(gone, 0.05, 0.68) * torn / 0.9
    torn[:, 0] = 1.0 - torn[:, 1:].sum(1)
    settled, notes = settled_of(probabilities, without_smoothing(images_of(cycle)))
    found = np.isin(settled[9:11, BASE - 1].argmax(1), (LV, MYO)).sum((1, 2))
    assert (found > 0.95 * ventricle.sum()).all()
    assert "Slice 7: the left ventricle was completed in 2 frames to agree with the rest of the cycle." in notes


@pytest.mark.parametrize(("sure", "stays"), [(0.95, True), (0.7, False)])
def test_part_of_a_ventricle_stays_where_the_network_is_sure(cycle, sure, stays):
    """A slice through the valve plane holds a third of the LV beside it, but for the frames when the base leaves it."""
    part = cycle.copy()
    ventricle = np.isin(cycle[0, BASE], (LV, MYO))
    columns = np.cumsum(ventricle.sum(0)) < 0.65 * ventricle.sum()
    part[:, BASE][..., columns] = 0
    settled, _ = settled_of(probabilities_of(part, sure), images_of(part))
    found = np.isin(settled[:, BASE].argmax(1), (LV, MYO))
    assert np.array_equal(found, np.isin(part[:, BASE], (LV, MYO)) if stays else np.zeros_like(found))


def test_a_small_section_is_not_unsure_for_its_border(cycle):
    """Most of a basal section is sure, a third of it border: its mean is 0.84, its median 0.95."""
    part = cycle.copy()
    ventricle = np.isin(cycle[0, BASE], (LV, MYO))
    part[:, BASE][..., np.cumsum(ventricle.sum(0)) < 0.78 * ventricle.sum()] = 0
    probabilities = probabilities_of(part, 0.95)
    held = np.isin(part[:, BASE], (LV, MYO))
    border = held & (np.cumsum(held, 1) % 3 == 0)
    section = probabilities[:, BASE]
    section[...] = np.where(border[:, None], section * (0.62 / 0.95), section)
    section[:, 0] = 1.0 - section[:, 1:].sum(1)
    settled, _ = settled_of(probabilities, without_smoothing(images_of(part)))
    found = np.isin(settled[:, BASE].argmax(1), (LV, MYO))
    assert np.array_equal(found, held)


def test_atrium_taken_for_ventricle_goes(cycle):
    """Scattered pieces in the slice above the base, and a ring elsewhere while the ventricle is out of the slice."""
    labels = np.concatenate([cycle, np.zeros_like(cycle[:, :1])], 1)
    wrong = labels.copy()
    wrong[3:6, BASE + 1, 28:33, 40:46] = LV
    wrong[8, BASE, 2:14, 2:14] = MYO
    settled, _ = settled_of(probabilities_of(wrong), images_of(labels))
    assert np.array_equal(settled.argmax(2), labels)


def test_apex_that_closes_in_systole_stays(ring_labels):
    labels = np.repeat(ring_labels[None], FRAMES, 0)
    labels[7:13, 0][labels[7:13, 0] == LV] = MYO
    labels[5:14, 0][labels[5:14, 0] == RV] = 0
    settled, _ = settled_of(probabilities_of(labels), images_of(labels))
    assert np.array_equal(settled.argmax(2), labels)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_less_than_a_cycle_is_left_alone(cycle, frames):
    probabilities = probabilities_of(cycle[4 : 4 + frames])
    probabilities[0, 3] = probabilities[0, 3][..., ::-1].copy()
    before = probabilities.copy()
    assert settle(probabilities, images_of(cycle[4 : 4 + frames])) == ()
    assert np.array_equal(probabilities, before)


def contracting_discs(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and probabilities (T, 2, H, W) of a disc of radius 14 to 9 pixels."""
    rows, columns = np.mgrid[:48, :48]
    radius = 11.5 + 2.5 * np.cos(2 * np.pi * np.arange(frames) / frames)
    disc = 1.0 / (1.0 + np.exp(2.0 * (np.hypot(rows - 24, columns - 24) - radius[:, None, None])))
    return disc.astype(np.float32), np.stack([1.0 - disc, disc], 1).astype(np.float32)


@pytest.mark.parametrize("frames", [8, 25])
def test_smoothing_does_not_flatten_contraction(frames):
    images, probabilities = contracting_discs(frames)
    area = probabilities.argmax(1).sum((1, 2))
    smooth = smooth_over_time(probabilities, images).argmax(1).sum((1, 2))
    assert abs(smooth.max() - area.max()) <= 0.01 * area.max()
    assert abs(smooth.min() - area.min()) <= 0.02 * area.min()


@pytest.mark.parametrize("frames", [12, 25])
def test_smoothing_keeps_the_extremes_of_a_border_that_the_image_does_not_show(frames):
    images, probabilities = contracting_discs(frames)
    area = probabilities.argmax(1).sum((1, 2))
    smooth = smooth_over_time(probabilities, np.zeros_like(images)).argmax(1).sum((1, 2))
    assert smooth.max() == pytest.approx(area.max(), rel=0.01)
    assert smooth.min() == pytest.approx(area.min(), rel=0.02)


def test_smoothing_takes_noise_away_where_nothing_moves():
    images, probabilities = contracting_discs(1)
    still = np.repeat(probabilities, 12, 0)
    noise = np.random.default_rng(2).normal(0.0, 0.3, still.shape[:1] + still.shape[2:])
    noisy = still + np.stack([noise, -noise], 1).astype(np.float32)
    smooth = smooth_over_time(noisy, np.repeat(images, 12, 0))
    wrong = [(p.argmax(1) != still.argmax(1)).mean() for p in (noisy, smooth)]
    assert wrong[1] < 0.4 * wrong[0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clean_up_keeps_every_slice_of_the_phantom(phantom, seed):
    """Also with every slice shifted by a pixel or two, as between breath holds."""
    rng = np.random.default_rng(seed)
    for labels in (phantom.labels.labels[phantom.ed], phantom.labels.labels[phantom.es]):
        shifted = np.stack([np.roll(section, rng.integers(-1, 2, 2), (0, 1)) for section in labels])
        assert np.array_equal(clean_frame(shifted), shifted)


@pytest.mark.slow
def test_clean_up_keeps_every_slice_of_the_experts(data):
    from CardiacLib.datasets.acdc import patient_folders, read_acdc_patient

    for folder in patient_folders(data / "acdc_train", validation=False)[::10]:
        patient = read_acdc_patient(folder)
        for _, true in (patient.ed, patient.es):
            cleaned = clean_frame(true.labels[0])
            for label in (LV, MYO, RV):
                kept, held = (cleaned == label).any((1, 2)), (true.labels[0] == label).any((1, 2))
                assert np.array_equal(kept, held), folder.name
            assert (cleaned != true.labels[0]).sum() < 30


def test_holes_are_filled_and_islands_of_pool_outside_the_ring_go(ring_labels):
    dirty = ring_labels.copy()
    dirty[4, 32, 44] = MYO
    dirty[4, 30:32, 40] = 0
    dirty[5, 30, 24:27] = 0
    assert dirty[5, 32, 56] == MYO
    dirty[6, 30:33, 62:64] = LV
    assert np.array_equal(clean_frame(dirty), ring_labels)


def test_a_slice_keeps_one_ring(ring_labels):
    """A speck of wall within the RV, near enough to the ring to count as its neighbour in 3-D."""
    rows, columns = np.nonzero(ring_labels[4] == RV)
    distance = ndimage.distance_transform_edt(~np.isin(ring_labels[4], (LV, MYO)))[rows, columns]
    inside = ndimage.binary_erosion(ring_labels[4] == RV, np.ones((3, 3)))[rows, columns]
    n = np.flatnonzero(inside & (distance >= 2) & (distance <= 4))[0]
    dirty = ring_labels.copy()
    dirty[4, rows[n], columns[n]] = MYO
    assert main_component(np.isin(dirty, (LV, MYO)))[4, rows[n], columns[n]]
    assert np.array_equal(clean_frame(dirty), ring_labels)


def test_a_ring_without_a_pool_is_not_filled(ring_labels):
    hollow = ring_labels.copy()
    hollow[7][hollow[7] == LV] = 0
    assert np.array_equal(clean_frame(hollow), hollow)


def test_a_pool_without_wall_above_the_base_is_atrium(ring_labels):
    dirty = np.concatenate([ring_labels, np.zeros_like(ring_labels[:1])])
    dirty[8][ring_labels[7] == LV] = LV
    dirty[8, 45:47, 40:48] = MYO
    cleaned = clean_frame(dirty)
    assert not cleaned[8].any() and np.array_equal(cleaned[:8], ring_labels)


def test_a_ring_beyond_the_closed_apex_is_not_the_lv(ring_labels):
    apex_first = np.concatenate([ring_labels[:1], ring_labels])
    closed = apex_first.copy()
    closed[1][closed[1] == LV] = MYO
    closed[1][closed[1] == RV] = 0
    cleaned = clean_frame(closed)
    assert not np.isin(cleaned[0], (LV, MYO)).any()
    assert np.array_equal(cleaned[1:], closed[1:])


def test_a_ring_in_another_place_above_the_base_is_atrium(ring_labels):
    """Joined to the ventricle by a corner only, as where the right atrium is taken for the LV."""
    dirty = np.concatenate([ring_labels, np.zeros_like(ring_labels[:2])])
    moved = np.roll(np.where(ring_labels[2] == RV, 0, ring_labels[2]), -24, 1)
    dirty[8] = dirty[9] = moved
    cleaned = clean_frame(dirty)
    assert not cleaned[8:].any() and np.array_equal(cleaned[:8], ring_labels)


def test_an_open_ring_at_the_outflow_tract_stays_open(ring_labels):
    opened = ring_labels.copy()
    opened[7, :26, 40:49][opened[7, :26, 40:49] == MYO] = 0
    assert np.array_equal(clean_frame(opened), opened)


def test_extent_is_told_for_every_frame(cycle):
    labels = LabelMap(cycle, np.eye(4), np.arange(FRAMES) * 40.0)
    extent = ventricle_extent(labels)
    assert extent.lv.shape == (FRAMES, 8)
    assert extent.lv[0].all() and extent.rv[0].all() and not extent.myocardium[8, BASE]
    told = extent.to_dict()
    assert told["lv"][8] == [0, 1, 2, 3, 4, 5, 6] and len(told["rv"]) == FRAMES


def over_labelled(phantom) -> LabelMap:
    """The true labels with the base too high: up to two slices of the ventricles repeated in what is atrium."""
    labels = phantom.labels.labels.copy()
    for frame in labels:
        top = np.flatnonzero((frame == LV).any((1, 2)))[-1]
        for k in (top, top + 1):
            missing = frame[k] == 0
            frame[k][missing] = frame[top - 1][missing]
    return LabelMap(labels, phantom.labels.ijk_to_lps, phantom.labels.times_ms)


def test_the_valve_plane_gives_the_volumes(phantom):
    true, wrong = phantom.volumes["lv"], over_labelled(phantom)
    assert np.abs(wrong.volume_ml(LV) - true).mean() > 10.0
    cut = cut_at_valve_plane(wrong, phantom.landmarks)
    assert np.abs(cut.lv_ml - true).max() < 2.5
    assert np.abs(cut.myo_ml - phantom.volumes["myo"]).mean() < 4.0
    assert np.abs(cut.rv_ml - phantom.volumes["rv"]).mean() < np.abs(wrong.volume_ml(RV) - phantom.volumes["rv"]).mean()
    wanted = np.isin(phantom.labels.labels, (LV, MYO))
    assert (np.isin(cut.labels.labels, (LV, MYO)) != wanted).sum() < 0.02 * wanted.sum()
    assert cut.notes[0].startswith("The left ventricle ends at the mitral plane in 8 of 8 frames")


def test_fractions_beat_whole_slices_also_for_true_labels(phantom):
    true, plain = phantom.volumes["lv"], phantom.labels.volume_ml(LV)
    cut = cut_at_valve_plane(phantom.labels, phantom.landmarks)
    assert np.abs(cut.lv_ml - true).mean() < 0.6 * np.abs(plain - true).mean()


def test_the_order_of_the_slices_does_not_matter_to_the_plane(phantom):
    wrong = over_labelled(phantom)
    matrix = wrong.ijk_to_lps.copy()
    matrix[:3, 3] += (wrong.labels.shape[1] - 1) * matrix[:3, 2]
    matrix[:3, 2] *= -1.0
    turned = LabelMap(np.ascontiguousarray(wrong.labels[:, ::-1]), matrix, wrong.times_ms)
    one, other = (cut_at_valve_plane(labels, phantom.landmarks) for labels in (wrong, turned))
    assert np.allclose(one.lv_ml, other.lv_ml) and np.allclose(one.rv_ml, other.rv_ml)
    assert np.array_equal(one.labels.labels, other.labels.labels[:, ::-1])


def test_frames_without_valve_points_keep_their_labels(phantom):
    points = phantom.landmarks.points.copy()
    points[3] = np.nan
    points[5, 8:] = np.nan
    points[6, :6] = points[6, 0] + np.arange(6)[:, None] * np.array([1.0, 2.0, 3.0])
    wrong = over_labelled(phantom)
    cut = cut_at_valve_plane(wrong, Landmarks(points, phantom.landmarks.times_ms))
    for t in (3, 6):
        assert np.array_equal(cut.labels.labels[t], wrong.labels[t])
        assert cut.lv_ml[t] == pytest.approx(wrong.volume_ml(LV)[t])
    assert np.array_equal(cut.labels.labels[5] == RV, wrong.labels[5] == RV)
    assert cut.lv_ml[5] < wrong.volume_ml(LV)[5]
    assert "6 of 8 frames" in cut.notes[0] and "5 of 8 frames" in cut.notes[1]


def test_valve_points_of_another_cycle_are_refused(phantom):
    few = Landmarks(phantom.landmarks.points[:3], phantom.landmarks.times_ms[:3])
    with pytest.raises(InputError, match="has 8 frames, the valve points 3"):
        cut_at_valve_plane(phantom.labels, few)
