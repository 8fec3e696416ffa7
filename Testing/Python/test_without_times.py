"""Frames without times go through segmentation, measurement, files, report and scene: no rate is made up of nothing."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import nibabel as nib
import nrrd
import numpy as np
import pytest
from made_study import make_mesh, make_result

from BiVMeshLib.exporters import write_motion
from BiVMeshLib.motion.cycle import Cycle
from BiVMeshLib.result import MeshResult
from CardiacLandmarksLib.detect.study_landmarks import from_landmarks
from CardiacLandmarksLib.measure.annulus import measure_annulus
from CardiacLib.errors import InputError
from CardiacLib.readers import read_image, read_labels
from CardiacLib.types.bivmesh import MovingMesh
from CardiacLib.types.choices import Body, NetworkChoice, RunsOn, SegmentChoice
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks, read_landmarks
from CardiacLib.types.values import read_value, write_value
from CardiacLib.writers.images import write_cine, write_labels
from CardiacSegLib import measure, open_segmenter
from cineheart import steps
from cineheart.landmark_files import write_landmarks
from cineheart.outputs import write_rows
from cineheart.report import write_report
from cineheart.report.curves import mesh_volume_curves


@pytest.fixture(scope="module")
def cines(phantom) -> dict[str, Cine]:
    return {view: cine.with_changes(times_ms=None) for view, cine in phantom.cines.items()}


@pytest.fixture(scope="module")
def labels(phantom) -> LabelMap:
    return replace(phantom.labels, times_ms=None)


@pytest.fixture(scope="module")
def points(phantom) -> Landmarks:
    return replace(phantom.landmarks, times_ms=None)


@pytest.fixture(scope="module")
def result(labels, cines, points):
    """A study without times, with points and a mesh that rises by a millimetre per frame."""
    made = make_result(labels.n_frames)
    mesh = make_mesh()
    up = np.zeros((labels.n_frames, len(mesh.nodes), 3), np.float32)
    up[:, :, 2] = np.arange(len(up))[:, None]
    views = {view: cines[view] for view in ("2ch", "3ch", "4ch")}
    found = steps.measure_points(from_landmarks(points, views), labels, frames=labels)
    segmented = replace(made.segmented.segmentation, labels=labels)
    return replace(
        made,
        study=replace(made.study, cines=cines),
        segmented=replace(made.segmented, segmentation=segmented, function=measure(labels)),
        points=found,
        meshed=MeshResult(mesh, 0, MovingMesh(mesh, 0, up, None)),
    )


def test_types_say_none_and_still_count(cines, labels, points, tmp_path):
    for value in (cines["sax"], labels, points):
        assert value.times_ms is None and value.n_frames == 8
        assert value.only([3, 5]).times_ms is None and value.only([3, 5]).n_frames == 2
        write_value(tmp_path / "value.npz", value)
        assert read_value(tmp_path / "value.npz").times_ms is None
        with pytest.raises(InputError, match="8 frames but 7 frame times"):
            replace(value, times_ms=np.arange(7.0))


def test_some_frames_keep_their_times_and_files(phantom):
    sax, chosen = phantom.cines["sax"], [2, 5]
    files = tuple(tuple((f"{t}-{k}", None) for k in range(sax.n_slices)) for t in range(sax.n_frames))
    part = replace(sax, files=files).only(chosen)
    np.testing.assert_array_equal(part.frames, sax.frames[chosen])
    np.testing.assert_array_equal(part.times_ms, sax.times_ms[chosen])
    assert part.files == (files[2], files[5])
    np.testing.assert_array_equal(phantom.labels.only(chosen).labels, phantom.labels.labels[chosen])
    np.testing.assert_array_equal(phantom.landmarks.only(chosen).points, phantom.landmarks.points[chosen])


@pytest.mark.slow
def test_labels_of_a_network(cines, random_bundle):
    choice = NetworkChoice(str(random_bundle), RunsOn("cpu"))
    found = open_segmenter(choice).segment(cines["sax"].only([0, 3]))
    assert found.labels.times_ms is None and found.labels.n_frames == 2


def test_no_rate_without_times(labels, phantom):
    with_times, without = measure(phantom.labels), measure(labels)
    assert without.heart_rate_bpm is None and without.lv.cardiac_output_l_per_min is None
    assert without.lv.filling is None and without.rv.filling is None
    assert any("gives no frame times" in note for note in without.notes)
    assert without.to_dict()["times_ms"] is None and without.to_dict()["lv_rate_ml_per_s"] is None
    assert [row["time_ms"] for row in without.rows()] == [None] * 8
    for key in ("lv_edv_ml", "rv_ef_percent", "lv_mass_g", "lv_global_radial_percent"):
        assert without.to_dict()[key] == with_times.to_dict()[key]
    known = measure(labels, SegmentChoice(body=Body(heart_rate_bpm=60.0)))
    assert known.lv.cardiac_output_l_per_min == pytest.approx(known.lv.sv_ml * 0.06)


def test_annulus_moves_but_has_no_velocity(cines, points, phantom, tmp_path):
    views = {view: cines[view] for view in ("2ch", "3ch", "4ch")}
    timed = {view: phantom.cines[view] for view in views}
    found, other = (measure_annulus(from_landmarks(p, v)) for p, v in ((points, views), (phantom.landmarks, timed)))
    assert found.n_frames == 8 and found.times_ms is None
    assert found.values()["mapse_mm"] == other.values()["mapse_mm"] and found.values()["mapse_s_cm_s"] is None
    assert found.to_dict()["curves"]["time_ms"] is None
    write_rows(tmp_path / "annulus.csv", found.rows())
    rows = list(csv.DictReader((tmp_path / "annulus.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["time_ms"] for row in rows} == {""} and float(rows[3]["mapse_mm"]) > 5.0


def test_points_of_a_study_without_times_are_matched_by_frame(cines, points, labels, tmp_path):
    views = {view: cines[view] for view in ("2ch", "4ch")}
    found = steps.measure_points(from_landmarks(points, views), labels, frames=labels)
    assert found.landmarks.n_frames == 8 and found.landmarks.times_ms is None
    write_landmarks(found, tmp_path)
    document = json.loads((tmp_path / "landmarks.json").read_text(encoding="utf-8"))
    assert {frame["time_ms"] for frame in document["frames"]} == {None}
    assert document["views"]["4ch"]["beat_ms"] is None
    back = read_landmarks(tmp_path / "landmarks.json")
    assert back.times_ms is None and np.nanmax(np.abs(back.points - found.landmarks.points)) < 1e-3


@pytest.mark.parametrize("name", ["frames.nii.gz", "frames.seq.nrrd"])
def test_files_do_not_state_a_time(cines, labels, tmp_path, name):
    write_cine(tmp_path / name, cines["sax"])
    write_labels(tmp_path / f"labels_{name}", labels)
    np.testing.assert_array_equal(read_image(tmp_path / name).frames, np.rint(cines["sax"].frames))
    np.testing.assert_array_equal(read_labels(tmp_path / f"labels_{name}").labels, labels.labels)
    if name.endswith(".gz"):
        assert nib.load(tmp_path / name).header.get_xyzt_units() == ("mm", "unknown")
    else:
        header = nrrd.read_header(str(tmp_path / name))
        assert header["axis 3 index values"].split() == [f"{n:.1f}" for n in range(8)]
        assert header["labels"][3] == "frame" and header["units"][3] == ""


def test_motion_counts_frames(result, tmp_path):
    write_motion(result.motion, tmp_path)
    assert 'timestep="7"' in (tmp_path / "motion.pvd").read_text(encoding="ascii")
    even = Cycle(np.arange(8) * 100.0, 0, np.ones(8, bool))
    np.testing.assert_allclose(Cycle(None, 0, np.ones(8, bool)).phase, even.phase)


@pytest.mark.slow
def test_the_report_counts_frames(result, tmp_path):
    pool = {f"{of}lv_pool_ml": [100.0] * 8 for of in ("", "label_")}
    assert "Frame" in mesh_volume_curves(SimpleNamespace(times_ms=None, curves=lambda: pool), (0, 3)).svg
    write_report(result, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "frame 1 of 8<" in page and "no frame times" in page
    assert ">Frame<" in page or "Frame</" in page or "Frame -->" in page


def test_the_scene_counts_frames(result):
    pytest.importorskip("slicer")
    from CardiacLib.mrml.nodes.cines import cine_from_node
    from CardiacLib.mrml.nodes.host import private_scene
    from CardiacLib.mrml.nodes.markups import landmarks_from_nodes
    from CardiacLib.mrml.nodes.segmentations import labels_from_node
    from CardiacLib.mrml.nodes.sequences import index_values, sequence_of
    from cineheart.scene import fill_scene

    with private_scene():
        nodes = fill_scene(result, "untimed")
        browser, sequence = sequence_of(nodes["sax"])
        assert sequence.GetIndexName() == "frame" and index_values(sequence) == [str(n) for n in range(8)]
        assert cine_from_node(nodes["sax"]).times_ms is None
        assert labels_from_node(nodes["segmentation"]).times_ms is None
        assert landmarks_from_nodes([nodes["mitral valve"]]).times_ms is None
        assert nodes["volumes"].GetColumnName(0) == "Frame" and nodes["chart"].GetXAxisTitle() == "Frame"
        assert browser.GetNumberOfItems() == 8


def test_a_stated_heart_rate_gives_the_times(phantom):
    """Of frames even over one beat; times that the files give stay."""
    cine = phantom.cines["sax"]
    timeless = cine.with_changes(times_ms=None)
    assert timeless.at_rate(None) is timeless and cine.at_rate(60.0) is cine
    times = timeless.at_rate(75.0).times_ms
    np.testing.assert_allclose(times, np.arange(cine.n_frames) * 800.0 / cine.n_frames)
    labels = replace(phantom.labels, times_ms=times)
    measured = measure(labels, SegmentChoice(body=Body(heart_rate_bpm=75.0)))
    assert measured.lv.cardiac_output_l_per_min == pytest.approx(measured.lv.sv_ml * 0.075)
