"""The table of other hospitals, and several data sets in one manifest, on a few drawn discs."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from CardiacLib.datasets.hearts import LabelledHeart
from CardiacLib.datasets.layouts.manifest import manifest_cases, write_manifest
from CardiacLib.datasets.records import UNKNOWN, CaseRecord
from CardiacLib.errors import InputError
from CardiacLib.types.cine import Cine
from CardiacSegLib.evaluate.external import EndSlices, external_rows, external_table
from cineheart.commands.data.join import join_data

PIXEL = 1.25


def disc(radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:48, :48] - 23.5
    return (rows**2 + columns**2 < radius**2).astype(np.uint8)


def heart_of(radii: list[float], tmp_path, **record) -> LabelledHeart:
    """An LV pool of discs; base first if radii fall."""
    labels = np.stack([disc(radius) for radius in radii])[None]
    cine = Cine(labels.astype(np.float32), np.diag([PIXEL, PIXEL, 8.0, 1.0]), np.zeros(1), "sax", "made")
    given = CaseRecord("one", tmp_path / "one.nii.gz", None, "ES", structures=("lv",), centre="there", **record)
    return LabelledHeart((given,), cine, labels)


@pytest.mark.parametrize("by", [-2, 2])
def test_offset_is_how_far_out_the_border_lies(tmp_path, by):
    heart = heart_of([14, 12, 10], tmp_path)
    found = np.stack([disc(radius + by) for radius in (14, 12, 10)])[None]
    (row,) = external_rows(heart, found)
    assert row.offset_mm == pytest.approx(by * PIXEL, abs=0.35)
    assert row.offset_percent == pytest.approx(100 * by * np.mean([1 / 14, 1 / 12, 1 / 10]), abs=3)
    assert row.ends == EndSlices() and row.certain_dice == row.dice
    distrusted = replace(heart, records=(replace(heart.record, uncertain_mm=3.5),))
    (row,) = external_rows(distrusted, found)
    assert row.certain_dice == 1.0 > row.dice


@pytest.mark.parametrize("basal_first", [True, False])
def test_slices_are_told_at_base_and_apex(tmp_path, basal_first):
    order = slice(None) if basal_first else slice(None, None, -1)
    heart = heart_of([0, 14, 14, 12, 9, 6][order], tmp_path)
    found = np.stack([disc(radius) for radius in (14, 14, 14, 12, 9, 0)])[order][None]
    (row,) = external_rows(heart, found)
    assert row.ends == EndSlices(added_base=1, missed_apex=1)
    unknown = replace(heart, labels=np.where(heart.labels.any((2, 3))[..., None, None], heart.labels, UNKNOWN))
    (row,) = external_rows(unknown, found)
    assert row.ends == EndSlices(missed_apex=1)


def test_table_by_set_structure_and_phase(tmp_path):
    heart, other = heart_of([14, 10], tmp_path), heart_of([14, 10], tmp_path, spacing_known=False)
    other = replace(other, records=(replace(other.record, centre="elsewhere", subject="two"),))
    rows = [*external_rows(heart, heart.labels), *external_rows(other, np.zeros_like(other.labels))]
    elsewhere, there = external_table(rows)
    assert (there["set"], there["structure"], there["phase"], there["dice"]) == ("there", "LV", "ES", 1.0)
    assert there["offset_mm"] == pytest.approx(0.0, abs=1e-9)
    assert elsewhere["dice"] == 0.0 and elsewhere["offset_mm"] is None and elsewhere["offset_percent"] is None
    assert elsewhere["missed_base"] + elsewhere["missed_apex"] == 2


def test_sets_are_joined_with_their_splits(tmp_path):
    folders = []
    for name, subjects in (("one", ("a", "b")), ("two", ("c", "d"))):
        folder = tmp_path / name
        folder.mkdir()
        cases = []
        for subject in subjects:
            paths = [folder / f"{subject}_ED.nii.gz", folder / f"{subject}_ED_gt.nii.gz"]
            for path in paths:
                path.touch()
            cases.append(CaseRecord(subject, *paths, "ED", split="test" if subject == "d" else ""))
        write_manifest(folder / "manifest.csv", cases)
        folders.append(folder)
    held_out = tmp_path / "held_out.csv"
    held_out.write_text("subject,split\nb,validation\n")
    answer = join_data(folders, tmp_path / "all.csv", held_out, {"two": 2.0})
    assert answer.facts["one validation"] == 1
    cases, problems = manifest_cases(tmp_path / "all.csv", "auto")
    assert not problems
    assert {c.subject: (c.split, c.centre, c.uncertain_mm) for c in cases} == {
        "a": ("training", "one", 0.0),
        "b": ("validation", "one", 0.0),
        "c": ("training", "two", 2.0),
        "d": ("test", "two", 2.0),
    }
    with pytest.raises(InputError, match="no centre"):
        join_data(folders, tmp_path / "all.csv", None, {"three": 2.0})
    write_manifest(folders[1] / "manifest.csv", [replace(c, centre="") for c in cases[1:3]])
    with pytest.raises(InputError, match="is a subject of"):
        join_data(folders, tmp_path / "all.csv")


def test_nominal_spacing_is_kept(tmp_path):
    path = tmp_path / "manifest.csv"
    rows = [["image", "spacing_known"], ["a.nii.gz", "no (nominal)"], ["b.nii.gz", ""], ["c.nii.gz", "yes (header)"]]
    with open(path, "w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    cases, _ = manifest_cases(path, "auto")
    assert [case.spacing_known for case in cases] == [False, True, True]
