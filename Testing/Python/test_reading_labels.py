"""Values of label files: scale factors, overlapping segments, other orders; and stacks that end too soon."""

import nrrd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from BiVMeshLib import build_mesh
from CardiacLib.errors import InputError
from CardiacLib.label_axes import stack_end_notes
from CardiacLib.readers import read_labels
from CardiacLib.types.label_order import in_order, require_order
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.mesh_options import MeshOptions
from CardiacSegLib import measure
from cineheart.commands.label_surfaces import surfaces_of_labels
from cineheart.commands.mesh import MeshFile, mesh_labels
from cineheart.commands.propagation import LabelFile, PropagateFile, propagate_image

LPS = "left-posterior-superior"
ROUGH = MeshOptions(edge_length_mm=5.0, rv_wall_mm=8.0, grid_mm=2.0, optimise=False, fibres=False, coordinates=False)


def save(path, array, matrix):
    header = {"space": LPS, "space directions": matrix[:3, :3].T, "space origin": matrix[:3, 3]}
    nrrd.write(str(path), array, header, index_order="C")


@pytest.mark.parametrize("scale", (1.00000002, 1.0002, 0.99999, 3 / 255 * 85))
def test_labels_with_a_scale_factor_are_whole(tmp_path, phantom, scale):
    true = phantom.labels.labels[0]
    save(tmp_path / "a.nrrd", true * np.float64(scale), phantom.labels.ijk_to_lps)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nrrd").labels[0], true)
    save(tmp_path / "b.nrrd", np.array([0, 3, 2, 1], np.uint8)[true] * np.float64(scale), phantom.labels.ijk_to_lps)
    np.testing.assert_array_equal(read_labels(tmp_path / "b.nrrd", "acdc").labels[0], true)


@pytest.mark.parametrize("noise", (0.01, 0.3))
def test_fractions_are_no_labels(tmp_path, phantom, noise):
    save(tmp_path / "a.nrrd", phantom.labels.labels[0] * (1 + noise), phantom.labels.ijk_to_lps)
    with pytest.raises(InputError, match="fractions"):
        read_labels(tmp_path / "a.nrrd")


def segmentation(path, masks, matrix):
    """A ``.seg.nrrd`` with one layer for each named mask."""
    header = {
        "space": LPS,
        "space origin": matrix[:3, 3],
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": np.vstack([np.full((1, 3), np.nan), matrix[:3, :3].T]),
    }
    for n, name in enumerate(masks):
        header |= {f"Segment{n}_ID": f"S{n}", f"Segment{n}_Name": name, f"Segment{n}_Layer": str(n)}
        header[f"Segment{n}_LabelValue"] = "1"
    # The axis of layers is the fastest of the file.
    nrrd.write(str(path), np.stack([mask.T for mask in masks.values()]).astype(np.uint8), header)


@pytest.mark.parametrize("order", (("LV", "MYO", "RV"), ("MYO", "LV", "RV"), ("RV", "MYO", "LV")))
@pytest.mark.parametrize("filled", (True, False))
def test_pools_win_over_a_filled_myocardium(tmp_path, phantom, order, filled):
    true = phantom.labels.labels[0]
    masks = {"LV": true == 1, "MYO": (true == 2) | (filled & (true == 1)), "RV": true == 3}
    segmentation(tmp_path / "a.seg.nrrd", {name: masks[name] for name in order}, phantom.labels.ijk_to_lps)
    read = read_labels(tmp_path / "a.seg.nrrd")
    np.testing.assert_array_equal(read.labels[0], true)
    assert any("overlap" in note for note in read.notes) == filled
    assert not any("frames" in note for note in read.notes)


def test_a_filled_wall_of_the_whole_heart(tmp_path, phantom):
    true = phantom.labels.labels[0]
    masks = {"RV wall": true > 0, "MYO": np.isin(true, (1, 2)), "LV": true == 1, "RV": true == 3}
    segmentation(tmp_path / "a.seg.nrrd", masks, phantom.labels.ijk_to_lps)
    read = read_labels(tmp_path / "a.seg.nrrd")
    np.testing.assert_array_equal(read.labels[0], true)
    assert sum("overlap" in note for note in read.notes) == 4


ORDERS = {
    "acdc": (3, 2, 1),
    "myo,lv,rv": (2, 1, 3),
    "rv,lv,myo": (2, 3, 1),
    "lv,rv,myo": (1, 3, 2),
    "myo,rv,lv": (3, 1, 2),
}
"""Option to the values of LV pool, myocardium and RV pool."""


def in_other(labels, values):
    return np.array([0, *values], np.uint8)[labels]


@pytest.mark.parametrize("option", ORDERS)
def test_another_order_is_named_by_every_route(tmp_path, phantom, option):
    other = in_other(phantom.labels.labels[0], ORDERS[option])
    path, matrix = tmp_path / "a.nrrd", phantom.labels.ijk_to_lps
    save(path, other, matrix)
    sentence = f"in another order.*--label-order {option}\\."
    routes = (
        lambda: read_labels(path),
        lambda: surfaces_of_labels(path, tmp_path / "s"),
        lambda: mesh_labels(path, tmp_path / "m", MeshFile()),
        lambda: propagate_image(PropagateFile(path), LabelFile(path), tmp_path / "p"),
        lambda: measure(LabelMap(other[None], matrix, None)),
        lambda: build_mesh(other, matrix),
    )
    for route in routes:
        with pytest.raises(InputError, match=sentence):
            route()
    read = read_labels(path, option)
    np.testing.assert_array_equal(read.labels[0], phantom.labels.labels[0])


@pytest.mark.parametrize(
    ("values", "option"), (((1, 2, 4), "lv,myo,-,rv"), ((2, 1, 0), "myo,lv"), ((3, 1, 0), "myo,-,lv"))
)
def test_orders_with_gaps_and_without_rv(tmp_path, phantom, values, option):
    true = phantom.labels.labels[0]
    path = tmp_path / "a.nrrd"
    save(path, in_other(true, values), phantom.labels.ijk_to_lps)
    with pytest.raises(InputError, match=f"--label-order {option}\\."):
        read_labels(path)
    np.testing.assert_array_equal(
        read_labels(path, option).labels[0], true if values[2] else np.where(true == 3, 0, true)
    )


def test_right_orders_pass(phantom, ring_labels):
    labels = phantom.labels.labels
    require_order(labels, "a")
    require_order(np.where(labels == 3, 0, labels).astype(np.uint8), "a")
    require_order(np.where(labels == 2, 0, labels).astype(np.uint8), "a")
    require_order(np.zeros_like(labels), "a")


@given(st.permutations(("lv", "myo", "rv", "-")))
def test_orders_are_maps_of_values(parts):
    labels = np.array([0, *(n for n, part in enumerate(parts, 1) if part != "-")], np.uint8)
    mapped = in_order(labels, ",".join(parts), "a")
    assert sorted(mapped.tolist()) == [0, 1, 2, 3]
    with pytest.raises(InputError, match="which the label order"):
        in_order(np.array([parts.index("-") + 1], np.uint8), ",".join(parts), "a")


@pytest.mark.parametrize("order", ("lv,lv,rv", "left", "lv,myo,rv,rvwall,-", ""))
def test_unknown_orders(order):
    with pytest.raises(InputError, match="is not known"):
        in_order(np.zeros(3, np.uint8), order, "a")


def without(labels, apical=0, basal=0, cut=True):
    """The phantom's first frame without slices of the LV at either end, gone from the stack or only from the labels."""
    held = np.flatnonzero((labels == 1).any((1, 2)))
    first, last = held[0] + apical, held[-1] - basal
    changed = labels.copy()
    keep = slice(first if apical else 0, last + 1 if basal else len(labels))
    if cut:
        return changed[keep]
    changed[: keep.start], changed[keep.stop :] = 0, 0
    return changed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("apical", "basal", "cut"), ((3, 0, True), (4, 0, True), (3, 0, False), (0, 3, True), (3, 2, True))
)
@pytest.mark.parametrize("turned", (False, True))
def test_a_stack_that_ends_too_soon_is_said(phantom, apical, basal, cut, turned):
    labels, matrix = phantom.labels.labels[0], phantom.labels.ijk_to_lps
    if (labels[-1] == 1).sum() + (labels[-2] == 1).sum() < (labels[0] == 1).sum() + (labels[1] == 1).sum():
        labels = labels[::-1]
    part = without(labels, apical, basal, cut)
    part = part[::-1] if turned else part
    notes = stack_end_notes(part)
    assert any("end above the apex" in note for note in notes) == (apical > 0)
    assert any("below the base" in note for note in notes) == (basal > 0)
    function = measure(LabelMap(np.ascontiguousarray(part)[None], matrix, None))
    assert set(notes) <= set(function.notes)
    mesh = build_mesh(np.ascontiguousarray(part), matrix, ROUGH)
    assert any("apex of a mesh is invented" in note for note in mesh.notes) == (apical > 0)


def test_a_whole_stack_has_nothing_to_say(phantom):
    assert stack_end_notes(phantom.labels.labels[0]) == ()
    assert stack_end_notes(np.zeros((4, 5, 6), np.uint8)) == ()
