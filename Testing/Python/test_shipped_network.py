"""The shipped network and the main job with it, on the phantom and, where there is one, on a real study."""

import json
import re

import numpy as np
import pytest

from CardiacLib.errors import Cancelled, InputError
from CardiacLib.metrics import dice
from CardiacLib.networks.bundles import bundle_path
from CardiacLib.phantom import write_phantom
from CardiacLib.readers import read_study
from CardiacLib.types.choices import NetworkChoice, RunsOn
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LV, MYO, RV
from CardiacSegLib import Segmenter, measure
from CardiacSegLib.function.ventricle_extent import ventricle_extent
from CardiacSegLib.segment.valve_plane import cut_at_valve_plane
from cineheart.cli import main
from cineheart.pipeline import RunOptions, run_study

VIEWS = {"sax", "2ch", "3ch", "4ch"}


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(NetworkChoice(runs_on=RunsOn("cpu")))


@pytest.fixture(scope="module")
def found(segmenter, phantom):
    return segmenter.segment(phantom.cines["sax"]).labels


@pytest.fixture(scope="module")
def study(little_heart, tmp_path_factory):
    folder = tmp_path_factory.mktemp("little") / "study"
    write_phantom(little_heart, folder)
    return folder


def test_the_weights_are_small_half_precision():
    import torch

    path = bundle_path("cineheart_sax") / "models" / "model.pt"
    assert path.stat().st_size < 10e6
    assert {v.dtype for v in torch.load(path, weights_only=True).values()} == {torch.float16}


@pytest.mark.slow
def test_the_valve_plane_mends_the_base(found, phantom):
    """Ended at the valve planes, volumes are within 5 % and EF within 2 points; the LV is nearer to its own."""
    cut = cut_at_valve_plane(found, phantom.landmarks)
    truth = phantom.volumes
    before, after = (np.abs(volumes - truth["lv"]).mean() for volumes in (found.volume_ml(LV), cut.lv_ml))
    assert after < before
    for volumes, name in ((cut.lv_ml, "lv"), (cut.rv_ml, "rv")):
        largest, smallest = volumes.max(), volumes.min()
        assert largest == pytest.approx(truth[name].max(), rel=0.05)
        assert smallest == pytest.approx(truth[name].min(), rel=0.05)
        assert abs(smallest / largest - truth[name].min() / truth[name].max()) < 0.02
    extent = ventricle_extent(cut.labels)
    assert extent.lv.sum() <= ventricle_extent(found).lv.sum() and extent.lv.any(1).all()


def test_phantom_is_labelled(found, phantom):
    ed = phantom.ed
    scores = {label: dice(found.labels[ed] == label, phantom.labels.labels[ed] == label) for label in (LV, MYO, RV)}
    assert scores[LV] > 0.87 and scores[MYO] > 0.80 and scores[RV] > 0.85
    function = measure(found)
    assert function.ed in (0, 1, len(found.labels) - 1)
    assert abs(function.es - phantom.es) <= 1


@pytest.mark.parametrize("turn", ["rotate", "flip", "reverse slices", "darker"])
def test_labels_follow_the_image(segmenter, phantom, found, turn):
    cine = phantom.cines["sax"]
    frames, labels = cine.frames[:1], found.labels[:1]
    if turn == "rotate":
        frames, labels = np.rot90(frames, axes=(2, 3)), np.rot90(labels, axes=(2, 3))
    elif turn == "flip":
        frames, labels = frames[..., ::-1], labels[..., ::-1]
    elif turn == "reverse slices":
        frames, labels = frames[:, ::-1], labels[:, ::-1]
    else:
        frames = frames**1.3
    turned = segmenter.segment(Cine(np.ascontiguousarray(frames), cine.ijk_to_lps, cine.times_ms[:1], "sax")).labels
    assert dice(turned.labels == LV, labels == LV) > 0.93
    assert dice(turned.labels > 0, labels > 0) > 0.90


@pytest.mark.slow
def test_run_writes_the_contract(study, tmp_path, rough_meshes, capsys, read_json):
    out = tmp_path / "result"
    assert main(["run", str(study), "-o", str(out), "--edge-length", "4", "--device", "cpu", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["views"]) == VIEWS and facts["tetrahedra"] > 10000
    written = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    points = {f"landmarks/landmarks_{view}{kind}.npy" for view in VIEWS - {"sax"} for kind in ("", "_raw")}
    points |= {f"landmarks/markups/frame_{t:03d}.mrk.json" for t in range(2)}
    assert written == points | {
        "landmarks/annulus.csv",
        "landmarks/annulus.json",
        "landmarks/landmarks.json",
        "landmarks/measures.csv",
        "long_axis/labels_4ch.nii.gz",
        "long_axis/measures_4ch.csv",
        "long_axis/measures_4ch.json",
        "mesh/measures.csv",
        "mesh/mesh.vtu",
        "mesh/quality.json",
        "mesh/surface.vtp",
        "report.html",
        "scene.mrb",
        "summary.csv",
        "segmentation/labels.nii.gz",
        "segmentation/measurements.csv",
        "segmentation/measurements.json",
        "segmentation/measures.csv",
        "segmentation/quality.json",
        "segmentation/segments.csv",
        "segmentation/segmentation.seq.mrb",
        "study.json",
        "volumes.csv",
    }
    quality = read_json(out / "mesh" / "quality.json")
    assert (quality["open_edges"], quality["nonmanifold_edges"], quality["nonmanifold_vertices"]) == (0, 0, 0)
    assert quality["euler"] == 2 and quality["inverted_tets"] == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"<script[^>]* src|<link|src=.http|url\(.?http", page)
    assert set(read_json(out / "study.json")["views"]) == VIEWS


@pytest.mark.slow
def test_a_later_run_leaves_no_results_of_an_earlier_one(study, tmp_path, monkeypatch):
    out = tmp_path / "result"
    for folder in ("mesh", "long_axis/old"):
        (out / folder).mkdir(parents=True)
    for stale in ("mesh/mesh.vtu", "long_axis/old/labels.nii.gz", "scene.mrb", "notes of the user.txt"):
        (out / stale).write_text("earlier")

    def no_mesh(*_, **__):
        raise InputError("cannot be meshed")

    monkeypatch.setattr("cineheart.steps.build_mesh", no_mesh)
    assert main(["run", str(study), "-o", str(out), "--no-scene", "--device", "cpu", "--json"]) == 1
    expected = {"landmarks", "segmentation", "report.html", "study.json", "summary.csv", "volumes.csv"}
    expected |= {"long_axis", "notes of the user.txt"}
    assert {p.name for p in out.iterdir()} == expected
    assert not (out / "long_axis" / "old").exists()


@pytest.mark.slow
def test_a_cancelled_run_leaves_nothing(study, tmp_path):
    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_study(study, tmp_path / "result", RunOptions(), progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_dicom_and_nifti_of_a_real_study_give_the_same_labels(data, segmenter):
    """All frames by the one, end-systole of both: the images are the same, voxel by voxel."""
    images = []
    for kind in ("dicom", "nifti"):
        study = read_study(data / "study" / kind)
        assert set(study.cines) == VIEWS
        images.append(study.cines["sax"])
        assert images[-1].frames.shape[:2] == (25, 6)
    assert np.array_equal(images[0].frames, images[1].frames)
    assert np.allclose(images[0].ijk_to_lps, images[1].ijk_to_lps, atol=1e-3)
    labels = segmenter.segment(images[0]).labels
    function = measure(labels)
    assert 40 < function.lv.ef_percent < 80
    assert_no_flicker(labels)
    few = [function.es, function.es + 1]
    one, two = (segmenter.segment(image.only(few)).labels for image in images)
    assert np.array_equal(one.labels, two.labels) and np.allclose(one.ijk_to_lps, two.ijk_to_lps, atol=1e-3)


def assert_no_flicker(labels):
    """The base of this study's LV comes and goes over frames if each frame stands alone; so does its RV."""
    extent = ventricle_extent(labels)
    for held in (extent.lv[:, 3:], extent.rv[:, 2:]):
        changes = (held != np.roll(held, 1, 0)).sum(0)
        assert (changes <= 2).all()
    jump = np.diff(labels.volume_ml(LV), append=labels.volume_ml(LV)[0])
    assert np.abs(jump).max() < 0.13 * labels.volume_ml(LV).max()
    assert abs(jump[-1]) < 5.0
