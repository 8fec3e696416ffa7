"""Typed results come back from another process as they were: measurements, quality, valve points, annulus."""

import dataclasses

import numpy as np
import pytest

from CardiacLandmarksLib.detect.study_landmarks import from_landmarks
from CardiacLandmarksLib.measure.annulus import measure_annulus
from CardiacLib.types.choices import Body, SegmentChoice
from CardiacLib.types.patient import Patient
from CardiacLib.types.values import read_value, write_value
from CardiacSegLib import measure
from CardiacSegLib.quality import assess


def assert_same(value, other, place=""):
    """Equal to the last bit and of the same types, all the way down."""
    assert type(value) is type(other), place
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            assert_same(getattr(value, field.name), getattr(other, field.name), f"{place}.{field.name}")
    elif isinstance(value, np.ndarray):
        assert value.dtype == other.dtype, place
        np.testing.assert_array_equal(value, other, place)
    elif isinstance(value, dict):
        assert list(value) == list(other), place
        for key in value:
            assert_same(value[key], other[key], f"{place}[{key}]")
    elif isinstance(value, tuple):
        assert len(value) == len(other), place
        for number, pair in enumerate(zip(value, other, strict=True)):
            assert_same(*pair, f"{place}[{number}]")
    else:
        assert value == other, place


@pytest.fixture(scope="module")
def results(phantom):
    """By name: what is found and measured in the phantom."""
    function = measure(phantom.labels, SegmentChoice(body=Body(66.0, 1.8, 80.0)))
    gap = phantom.labels.labels.copy()
    gap[:, 5] = 0
    quality = assess(dataclasses.replace(phantom.labels, labels=gap), function)
    valves = from_landmarks(phantom.landmarks, {view: phantom.cines[view] for view in ("2ch", "4ch")})
    annulus = measure_annulus(valves, apex_lps=phantom.landmarks.points[0, 0] + [0.0, 0.0, -80.0])
    return {"function": function, "quality": quality, "valves": valves, "annulus": annulus}


@pytest.mark.parametrize("name", ["function", "quality", "valves", "annulus"])
def test_a_result_comes_back_from_a_worker_as_it_was(results, name, tmp_path):
    write_value(tmp_path / "value.npz", results[name])
    assert_same(results[name], read_value(tmp_path / "value.npz"), name)


def test_documents_of_what_comes_back_are_the_same(results, tmp_path):
    write_value(tmp_path / "value.npz", results)
    found = read_value(tmp_path / "value.npz")
    assert results["quality"].flags
    for name in ("function", "quality", "annulus"):
        assert found[name].to_dict() == results[name].to_dict()
    assert found["function"].segment_rows() == results["function"].segment_rows()
    assert found["annulus"].rows() == results["annulus"].rows()


def test_facts_of_a_patient(tmp_path):
    known = Patient(id="7", height_m=1.8, heart_rate_bpm=66.0)
    write_value(tmp_path / "value.npz", known)
    assert read_value(tmp_path / "value.npz") == known
    assert list(known.known().items()) == [("id", "7"), ("height_m", 1.8), ("heart_rate_bpm", 66.0)]
    assert Patient(sex="F", height_m=1.7).completed_by(known) == Patient(
        id="7", sex="F", height_m=1.7, heart_rate_bpm=66.0
    )
    assert Body.of(known) == Body(heart_rate_bpm=66.0, height_m=1.8)
