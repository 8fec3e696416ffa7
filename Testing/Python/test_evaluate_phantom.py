"""The synthetic heart in the evaluation: true labels keep the limits, wrong ones are told, missing ones do not pass."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from CardiacLib.types.labels import LV, MYO
from CardiacSegLib import measure
from cineheart.evaluate import phantom as section


def rows_of(phantom, *label_maps):
    functions = [measure(labels, cine=phantom.cines["sax"]) for labels in label_maps]
    makers = (section.volume_rows, section.segment_rows, section.global_rows)
    return {row.name: row for make in makers for row in make(phantom, functions)}


def changed(labels, change):
    """Label map with ``change`` applied to every slice."""
    slices = labels.labels.reshape(-1, *labels.labels.shape[2:])
    return replace(labels, labels=np.stack([change(s) for s in slices]).reshape(labels.labels.shape))


def thicker(plane):
    """One pixel more wall inside."""
    inside = ndimage.binary_erosion(plane == LV)
    return np.where((plane == LV) & ~inside, MYO, plane).astype(np.uint8)


def test_slices_lie_where_the_options_say(phantom):
    options, heights = phantom.options, phantom.slice_heights()
    assert heights == pytest.approx(options.first_slice_mm + options.slice_spacing_mm * np.arange(len(heights)))


def test_true_labels_keep_the_limits(phantom):
    rows = rows_of(phantom, phantom.labels)
    for name in ("LV EF, %", "RV EF, %", "wall thickness at ED, mm: mean error", "global radial strain, %"):
        assert rows[name].kept() == [True], name
    assert rows["LV EDV, ml"].truth == pytest.approx(140.0)
    assert all("mean error" not in name or row.kept() == [True] for name, row in rows.items())


def test_a_thicker_wall_is_told(phantom):
    good, bad = phantom.labels, changed(phantom.labels, thicker)
    row = rows_of(phantom, good, bad)["wall thickness at ED, mm: mean error"]
    pixel = phantom.options.sax_pixel_mm
    assert row.kept() == [True, False] and row.found[1] == pytest.approx(pixel, abs=0.6)
    assert section._cells(row)[2:4] == [f"{row.found[0]:+.2f}", f"**{row.found[1]:+.2f}**"]


def test_what_was_not_measured_does_not_pass(phantom):
    nothing = changed(phantom.labels, np.zeros_like)
    rows = rows_of(phantom, nothing)
    for name, row in rows.items():
        if row.limit is not None and "ESV" not in name and "EDV" not in name:
            assert row.found == (None,) and row.kept() == [False], name
            assert section._cells(row)[2] == "**-**"
