"""Where the initialization network finds the heart; stacks closed at the apex, put in order, and brought into line."""

from types import SimpleNamespace

import numpy as np
import pytest

from BiVMeshLib.prepare.labels_check import check_labels
from BiVMeshLib.propagation import PropagationOptions, SlicePropagation
from BiVMeshLib.propagation.bundle_inference import label_files
from BiVMeshLib.propagation.evaluation import compare_all, spoilt
from BiVMeshLib.propagation.isotropic import SPACING, IsotropicGrid, with_apex
from BiVMeshLib.propagation.slice_labels import find_heart, heart_pieces, local_motion, window_round
from CardiacLib import geometry
from CardiacLib.errors import InputError
from CardiacLib.types.choices import RunsOn
from CardiacLib.writers.images import write_cine


@pytest.fixture(scope="module")
def networks():
    return SlicePropagation(RunsOn("cpu"))


def test_a_heart_has_pool_and_wall_lies_central_and_moves():
    labels = np.zeros((2, 160, 160), np.uint8)
    labels[:, 60:80, 70:90], labels[:, 66:74, 76:84] = 2, 1
    labels[:, 100:150, 100:150] = 3  # larger, but no ventricle
    labels[:, 2:22, 2:22], labels[:, 6:18, 6:18] = 2, 1  # more pool, far from the middle
    still = np.ones((160, 160))
    centres, likeness, boxes = heart_pieces(labels, still)
    best = likeness.argmax()
    assert boxes[best].tolist() == [69.5, 79.5] and np.allclose(centres[best], boxes[best])
    elsewhere = still * 0.001
    elsewhere[:40, :40] = 1.0
    _, likeness, boxes = heart_pieces(labels, elsewhere)
    assert boxes[likeness.argmax()].tolist() == [11.5, 11.5]
    assert not heart_pieces(np.where(labels == 1, 0, labels), still)[1].any()
    assert len(heart_pieces(labels * 0, still)[0]) == 0


def test_motion_is_where_pixels_change(phantom):
    cine = phantom.cines["sax"]
    frames = cine.frames.astype(np.float32)
    motion = local_motion(frames, cine)
    heart = np.argwhere((phantom.labels.labels > 0).any((0, 1))).mean(0)
    reach = np.linalg.norm(np.argwhere(motion == motion.max())[0] - heart) * cine.spacing[0]
    assert motion.max() == 1 and reach < 40
    assert (local_motion(frames[:1], cine) == 1).all()


@pytest.mark.slow
def test_the_heart_is_found_off_the_middle(phantom, networks):
    cine, labels = phantom.cines["sax"], phantom.labels
    shown = cine.frames[phantom.ed].astype(np.float32) / cine.frames.max()
    heart = np.argwhere((labels.labels[phantom.ed] > 0).any(0))
    grid = IsotropicGrid.round_heart(cine.ijk_to_lps, shown.shape, tuple((heart.min(0) + heart.max(0)) / 2))
    middle = grid.slice_at(cine.n_slices // 2)
    image = np.full((3, 300, 280), 0.1, np.float32)
    image[:, 50:178, 100:228] = grid.images(shown)[middle : middle + 3]
    found = find_heart(networks.initializer, image, np.ones((300, 280)))
    assert np.linalg.norm(found - (113.5, 163.5)) * SPACING < 15
    rows, columns = window_round(found, (300, 280))
    assert rows.stop - rows.start == 128 == columns.stop - columns.start


def test_labels_close_beyond_the_last_image():
    matrix = geometry.matrix_from((0, 0, 0), np.eye(3), (1.25, 1.25, 10.0))
    grid = IsotropicGrid.round_heart(matrix, (4, 64, 64), (32.0, 32.0), side=64)
    rows, columns = np.mgrid[:64, :64]
    far = np.hypot(rows - 32, columns - 32)
    labels = np.zeros((grid.depth, 64, 64), np.uint8)
    labels[:] = np.where(far < 10, 1, np.where(far < 16, 2, 0))
    end = grid.slice_at(0)
    closed = with_apex(labels, grid)
    areas = (closed[: end + 1] > 0).sum((1, 2))
    assert end > 2 and (np.diff(areas) > 0).all() and areas[0] < 0.8 * areas[-1]
    pool = (closed[: end + 1] == 1).sum((1, 2))
    assert (pool < areas).all() and (np.diff(pool) >= 0).all()
    np.testing.assert_array_equal(closed[end:], labels[end:])
    empty = labels.copy()
    empty[: end + 1] = 0
    np.testing.assert_array_equal(with_apex(empty, grid), empty)


@pytest.mark.slow
def test_a_chosen_base_tells_the_order(phantom, networks):
    cine, labels = phantom.cines["sax"], phantom.labels
    held = np.flatnonzero((labels.labels[phantom.ed] == 1).any((1, 2)))
    low, high = (
        networks.on_grid(cine, phantom.ed, labels, PropagationOptions(base_slice=int(k))) for k in held[[2, -2]]
    )
    assert low.reversed and not high.reversed
    assert (low.base_slice, high.base_slice) == (held[2], held[-2])


@pytest.mark.slow
def test_displaced_slices_are_brought_into_line(phantom, networks):
    cine, labels = phantom.cines["sax"], phantom.labels
    k = cine.n_slices // 2
    by = round(6.0 / cine.spacing[0])
    moved, drawn = cine.frames.copy(), labels.labels.copy()
    moved[:, k], drawn[:, k] = np.roll(moved[:, k], by, -1), np.roll(drawn[:, k], by, -1)
    displaced, given = cine.with_changes(frames=moved), type(labels)(drawn, labels.ijk_to_lps, labels.times_ms)
    stack = check_labels(labels.labels[phantom.ed], labels.ijk_to_lps)
    place = k if np.allclose(stack.ijk_to_lps, labels.ijk_to_lps) else cine.n_slices - 1 - k
    true = np.argwhere(labels.labels[phantom.ed, k] == 1).mean(0)[1] * cine.spacing[0]

    def away(align: bool) -> float:
        options = PropagationOptions(start_slice=k - 1, evidence="labels", align_slices=align)
        found = networks.on_grid(displaced, phantom.ed, given, options)
        column = np.argwhere(found.labels[found.grid.slice_at(place)] == 1).mean(0)[1]
        return abs(column * SPACING + found.grid.corner[1] * cine.spacing[0] - true)

    assert away(True) < 2.0 < 3.0 < away(False)


@pytest.mark.slow
def test_a_chosen_base_needs_no_closed_ring(phantom, networks):
    cine, labels = phantom.cines["sax"], phantom.labels
    drawn = labels.labels.copy()
    held = np.flatnonzero((drawn[phantom.ed] == 1).any((1, 2)))
    columns = np.argwhere(drawn[phantom.ed] == 1)[:, 2]
    drawn[:, :, :, int(columns.mean()) :][drawn[:, :, :, int(columns.mean()) :] == 2] = 0  # no wall on one side
    open_rings = type(labels)(drawn, labels.ijk_to_lps, labels.times_ms)
    with pytest.raises(InputError, match="closed ring"):
        networks.on_grid(cine, phantom.ed, open_rings)
    found = networks.on_grid(cine, phantom.ed, open_rings, PropagationOptions(base_slice=int(held[-2])))
    assert found.base_slice == held[-2] and (found.labels == 1).any()


def test_slice_by_slice_a_spoilt_slice_is_interpolated_as_in_propagation(phantom, tmp_path, monkeypatch):
    """The same images for both, so that they are compared fairly; also what MONAI's run labels."""
    cine, labels, seen = phantom.cines["sax"], phantom.labels, []

    def initializer(images):
        seen.append(images)
        return SimpleNamespace(labels=np.zeros(images.shape, np.uint8))

    networks = SimpleNamespace(initializer=initializer)
    missing = spoilt(cine, 6, "missing")
    compare_all(networks, missing, labels, phantom.ed, None, methods=("network, slice by slice",))
    assert seen[0].any((1, 2)).all()
    write_cine(tmp_path / "sax.nii.gz", missing)
    monkeypatch.setattr(
        "BiVMeshLib.propagation.bundle_inference.label_slices",
        lambda network, shown, *given: seen.append(shown) or labels.labels[phantom.ed],
    )
    label_files(initializer, [str(tmp_path / "sax.nii.gz")], tmp_path / "out")
    assert seen[1][:, 6].any()
