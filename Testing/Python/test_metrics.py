"""Metrics against MONAI's on the same masks, and on cases with known answers."""

import numpy as np
import pytest

from CardiacLib.metrics import agreement, dice, surface_distance

SPACING = (8.0, 1.5, 1.25)


@pytest.fixture
def masks():
    k, j, i = np.mgrid[:7, :40, :40]
    a = (k - 3) ** 2 / 7 + (j - 20) ** 2 / 100 + (i - 18) ** 2 / 90 < 1
    b = (k - 3) ** 2 / 6 + (j - 22) ** 2 / 80 + (i - 20) ** 2 / 120 < 1
    return a, b


def test_the_same_numbers_as_monai(masks):
    import torch
    from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance

    a, b = (torch.from_numpy(m)[None, None] for m in masks)
    ours = surface_distance(*masks, SPACING)
    options = {"include_background": True, "spacing": SPACING}
    assert dice(*masks) == pytest.approx(float(compute_dice(a, b)), abs=1e-6)
    assert ours.hausdorff == pytest.approx(float(compute_hausdorff_distance(a, b, **options)), abs=1e-4)
    theirs95 = compute_hausdorff_distance(a, b, percentile=95, **options)
    assert ours.hausdorff95 == pytest.approx(float(theirs95), abs=1e-4)
    one_way = [float(compute_average_surface_distance(x, y, **options)) for x, y in ((a, b), (b, a))]
    assert min(one_way) <= ours.mean <= max(one_way)


def test_known_distances():
    a, b = np.zeros((2, 1, 20, 20), bool)
    a[0, 5:10, 5:10] = True
    b[0, 5:10, 8:13] = True
    found = surface_distance(a, b, SPACING)
    assert found.hausdorff == pytest.approx(3 * 1.25)
    assert dice(a, b) == pytest.approx(2 * 10 / 50)


def test_empty_masks():
    a, b = np.zeros((2, 3, 5, 5), bool)
    assert dice(a, b) == 1.0 and surface_distance(a, b, SPACING).hausdorff == 0.0
    b[1, 2, 2] = True
    assert dice(a, b) == 0.0 and np.isinf(surface_distance(a, b, SPACING).mean)


def test_agreement():
    found = agreement([51.0, 61.0, 71.0], [50.0, 60.0, 70.0])
    assert found.r == pytest.approx(1.0) and found.bias == pytest.approx(1.0) and found.sd == pytest.approx(0.0)
    assert agreement([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).r is None
