"""The four-chamber view: area-length volume, longitudinal strain and corners of the LV pool, against the phantom."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from CardiacLib.datasets.hearts import LabelledHeart
from CardiacLib.datasets.records import CaseRecord
from CardiacLib.geometry import apply
from CardiacLib.phantom.study import make_scene
from CardiacLib.phantom.truth import label_stack
from CardiacLib.phantom.views import lax_grid
from CardiacLib.types.labels import LV, LabelMap
from CardiacLib.types.landmarks import LANDMARK_NAMES
from CardiacSegLib.long_axis import label_long_axis
from CardiacSegLib.long_axis.contour import pool_outline
from CardiacSegLib.long_axis.measure import NEAR_MM, measure_long_axis
from CardiacSegLib.train.whole_slices import SlicePool

MITRAL = [LANDMARK_NAMES.index("mitral septal 4CH"), LANDMARK_NAMES.index("mitral free wall 4CH")]


@pytest.fixture(scope="module")
def four_chamber(phantom):
    """Exact labels of the phantom's 4CH view, and the true mitral points in its pixels (T, 2, 2)."""
    scene = make_scene(phantom.options, phantom.motion, phantom.heart_to_lps)
    grid = lax_grid(phantom.options, scene.to_lps, phantom.motion.shapes[0], "4ch")
    labels = label_stack(scene, grid, np.zeros((1, 3)))
    points = apply(np.linalg.inv(grid.ijk_to_lps), phantom.landmarks.points[:, MITRAL])[..., 1::-1]
    return LabelMap(labels, grid.ijk_to_lps, phantom.motion.times_ms), points


def test_measures_are_those_of_the_phantom(phantom, four_chamber):
    labels, points = four_chamber
    found = measure_long_axis(labels, points)
    truth = phantom.volumes["lv"]
    assert (found.ed, found.es) == (phantom.ed, phantom.es)
    assert found.volume_ml == pytest.approx(truth, rel=0.12)
    assert np.nanmedian(found.off_mm) < 4.0 and found.notes() == ()
    assert found.strain_percent[found.ed] == 0.0 and -35.0 < found.global_longitudinal_strain_percent < -8.0
    row = found.row()
    assert row.ed_ml == found.volume_ml[found.ed] and not row.reported
    assert len(found.rows()) == labels.n_frames


def test_points_elsewhere_are_not_confirmed(four_chamber):
    labels, points = four_chamber
    pixel = np.linalg.norm(labels.ijk_to_lps[:3, 0])
    moved = points.copy()
    moved[:, 1] += 3 * NEAR_MM / pixel * (points[:, 1] - points[:, 0]) / np.linalg.norm(points[0, 1] - points[0, 0])
    (note,) = measure_long_axis(labels, moved).notes()
    assert note.startswith("mitral free wall 4CH: the corner of the LV pool") and "does not confirm it" in note


def test_a_half_ellipsoid_by_hand():
    rows, columns = np.mgrid[:140, :140].astype(float)
    pool = ((rows - 30) / 80) ** 2 + ((columns - 70) / 30) ** 2 < 1
    pool &= rows >= 30
    found = pool_outline(pool, (1.0, 1.0), np.array([[30.0, 40.0], [30.0, 100.0]]))
    area, length = np.pi * 80 * 30 / 2, 80.0
    assert found.volume_ml == pytest.approx(8 * area**2 / (3 * np.pi * length) / 1000, rel=0.03)
    assert found.corners == pytest.approx(np.array([[30, 40], [30, 100]]), abs=3)
    assert found.apex == pytest.approx([110, 70], abs=2)
    assert np.linalg.norm(found.endocardium[0] - found.endocardium[-1]) == pytest.approx(60, abs=6)


def test_nothing_to_measure(four_chamber):
    labels, points = four_chamber
    assert measure_long_axis(labels, np.full_like(points, np.nan)) is None
    cut = np.zeros((20, 20), bool)
    cut[:, 5:15] = True
    assert pool_outline(cut, (1.0, 1.0), np.array([[0.0, 5.0], [0.0, 15.0]])) is None


def test_one_missing_frame_leaves_the_others(four_chamber):
    labels, points = four_chamber
    some = labels.labels.copy()
    some[2][some[2] == LV] = 0
    found = measure_long_axis(LabelMap(some, labels.ijk_to_lps, labels.times_ms), points)
    assert np.isnan(found.volume_ml[2]) and np.isfinite(np.delete(found.volume_ml, 2)).all()
    assert found.rows()[2]["lv_length_mm"] is None


def turned(cine, transposed, flipped):
    """A cine of one frame stored in another pose, with the geometry that says so; and its frames as a function."""

    def turn(frames):
        frames = frames.swapaxes(-1, -2) if transposed else frames
        return frames[..., :: -1 if flipped[0] else 1, :: -1 if flipped[1] else 1]

    index = np.eye(4)
    for axis, flip in enumerate(reversed(flipped)):
        if transposed:
            axis = 1 - axis
        if flip:
            index[axis, axis], index[axis, 3] = -1, cine.frames.shape[-1 - axis] - 1
    if transposed:
        index = index[:, [1, 0, 2, 3]]
    return replace(cine, frames=turn(cine.frames), ijk_to_lps=cine.ijk_to_lps @ index), turn


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("flipped", [(False, True), (True, False)])
def test_the_pose_in_which_a_file_stores_the_view_does_not_matter(phantom, transposed, flipped):
    cine = phantom.cines["4ch"].only([phantom.es])
    other, turn = turned(cine, transposed, flipped)
    labels = label_long_axis(cine).labels.labels
    assert (labels == LV).sum() * cine.voxel_ml > 5.0 and len(np.unique(labels)) == 4
    assert np.array_equal(label_long_axis(other).labels.labels, turn(labels))
    record = CaseRecord("p", Path("p.nii"), Path("p_gt.nii"), view="4ch", structures=("lv", "myo", "rv"))
    pools = [
        SlicePool.from_hearts([LabelledHeart((record,), one, drawn)], 2.1, 128, [""], upright=True)
        for one, drawn in ((cine, labels), (other, turn(labels)))
    ]
    assert torch.equal(pools[0].labels, pools[1].labels) and torch.equal(pools[0].images, pools[1].images)
