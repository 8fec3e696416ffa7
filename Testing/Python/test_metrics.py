"""Metrics against MONAI and SimpleITK on the same random and phantom masks, and on cases with known answers."""

import numpy as np
import pytest
from scipy import ndimage

from CardiacLib.metrics import agreement, dice, overlap, surface_distance

SPACING = (8.0, 1.5, 1.25)
"""Millimetres along k, j, i."""
KINDS = ("ellipsoids", "nested", "blobs", "dots", "phantom LV", "phantom MYO", "phantom RV")


@pytest.fixture(params=KINDS)
def masks(request):
    """Two boolean masks (K, J, I): smooth and overlapping, one in the other, ragged, scattered, and of the phantom."""
    if request.param.startswith("phantom"):
        labels = request.getfixturevalue("phantom").labels.labels
        label = ("LV", "MYO", "RV").index(request.param.split()[1]) + 1
        return labels[0] == label, np.roll(labels[len(labels) // 3] == label, 1, axis=1)
    rng = np.random.default_rng(KINDS.index(request.param))
    k, j, i = np.mgrid[:7, :40, :36]
    a = (k - 3) ** 2 / 7 + (j - 20) ** 2 / 100 + (i - 18) ** 2 / 90 < 1
    if request.param == "ellipsoids":
        return a, (k - 3) ** 2 / 6 + (j - 22) ** 2 / 80 + (i - 20) ** 2 / 120 < 1
    if request.param == "nested":
        return a, (k - 3) ** 2 / 3 + (j - 19) ** 2 / 30 + (i - 18) ** 2 / 30 < 1
    if request.param == "blobs":
        noise = ndimage.gaussian_filter(rng.normal(size=(2, 7, 40, 36)), (0, 0.5, 2, 2))
        return tuple(noise > 0.05)
    return tuple(rng.random((2, 7, 40, 36)) > 0.98)


def test_overlaps_are_those_of_monai(masks):
    import torch
    from monai.metrics import compute_confusion_matrix_metric, compute_dice, compute_iou, get_confusion_matrix

    found, true = (torch.from_numpy(mask)[None, None] for mask in masks)
    counts = get_confusion_matrix(found.float(), true.float())
    ours = overlap(*masks)
    theirs = [
        compute_dice(found, true),
        compute_iou(found, true),
        compute_confusion_matrix_metric("precision", counts),
        compute_confusion_matrix_metric("recall", counts),
    ]
    assert ours == pytest.approx([float(value) for value in theirs], abs=1e-6)


def test_distances_are_those_of_monai(masks):
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    a, b = (torch.from_numpy(mask)[None, None] for mask in masks)
    options = {"include_background": True, "spacing": SPACING}
    theirs = [
        compute_hausdorff_distance(a, b, **options),
        compute_hausdorff_distance(a, b, percentile=95, **options),
        compute_average_surface_distance(a, b, symmetric=True, **options),
    ]
    assert surface_distance(*masks, SPACING) == pytest.approx([float(value) for value in theirs], abs=1e-4)


def as_image(mask):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(SPACING[::-1])
    return image


def test_overlaps_are_those_of_simpleitk(masks):
    import SimpleITK as sitk

    filter_ = sitk.LabelOverlapMeasuresImageFilter()
    filter_.Execute(as_image(masks[0]), as_image(masks[1]))
    precision, recall = 1 - filter_.GetFalseDiscoveryRate(), 1 - filter_.GetFalseNegativeError()
    theirs = [filter_.GetDiceCoefficient(), filter_.GetJaccardCoefficient(), precision, recall]
    assert overlap(*masks) == pytest.approx(theirs, abs=1e-9)


def test_distances_are_those_of_simpleitk_between_surfaces(masks):
    """ITK measures from mask to mask, where a voxel inside the other mask has distance 0, so it gets the surfaces."""
    import SimpleITK as sitk

    surfaces = []
    for mask in masks:
        image = as_image(np.pad(mask, 1))
        surfaces.append(sitk.And(image, sitk.Not(sitk.BinaryErode(image, (1, 1, 1), sitk.sitkCross))) > 0)
    maximum = sitk.HausdorffDistanceImageFilter()
    maximum.Execute(*surfaces)
    ours = surface_distance(*masks, SPACING)
    assert ours.hausdorff == pytest.approx(maximum.GetHausdorffDistance(), abs=1e-4)

    away = [sitk.SignedMaurerDistanceMap(s, squaredDistance=False, useImageSpacing=True) for s in surfaces]
    edges = [sitk.GetArrayFromImage(s) > 0 for s in surfaces]
    one_way = [np.abs(sitk.GetArrayFromImage(away[1 - side]))[edges[side]] for side in (0, 1)]
    assert ours.mean == pytest.approx(np.concatenate(one_way).mean(), abs=1e-4)
    assert ours.hausdorff95 == pytest.approx(max(np.percentile(d, 95) for d in one_way), abs=1e-4)
    pooled = np.percentile(np.concatenate(one_way), 95)
    assert pooled <= ours.hausdorff95 + 1e-4


def test_known_answers():
    a, b = np.zeros((2, 1, 20, 20), bool)
    a[0, 5:10, 5:10] = True
    b[0, 5:10, 8:14] = True
    found = surface_distance(a, b, SPACING)
    assert found.hausdorff == pytest.approx(4 * 1.25)
    assert overlap(a, b) == pytest.approx((2 * 10 / 55, 10 / 45, 10 / 25, 10 / 30))
    assert dice(a, b) == overlap(a, b).dice
    far = np.zeros((3, 4, 4), bool)
    near = far.copy()
    near[0, 1, 1] = far[2, 1, 1] = True
    assert surface_distance(near, far, SPACING) == pytest.approx((16.0, 16.0, 16.0))


def test_empty_masks():
    a, b = np.zeros((2, 3, 5, 5), bool)
    assert overlap(a, b) == (1.0,) * 4 and surface_distance(a, b, SPACING) == (0.0,) * 3
    b[1, 2, 2] = True
    for pair in ((a, b), (b, a)):
        assert overlap(*pair) == (0.0,) * 4 and np.isinf(surface_distance(*pair, SPACING)).all()


def test_agreement():
    found = agreement([51.0, 61.0, 71.0], [50.0, 60.0, 70.0])
    assert found.r == pytest.approx(1.0) and found.bias == pytest.approx(1.0) and found.sd == pytest.approx(0.0)
    spread = agreement([1.0, 3.0, 2.0, 6.0], [0.0, 4.0, 2.0, 4.0])
    differences = np.array([1.0, -1.0, 0.0, 2.0])
    half = 1.96 * differences.std(ddof=1)
    assert (spread.n, spread.bias) == (4, pytest.approx(0.5))
    assert (spread.lower, spread.upper) == pytest.approx((0.5 - half, 0.5 + half))
    assert agreement([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).r is None
    assert agreement([1.0, 2.0], [1.0, 3.0]).r is None
    assert agreement([2.0], [1.0]) == (1, None, 1.0, None, None, None)
