"""The command line as a user meets it: exit codes, one clear sentence for bad input, nothing half-written."""

import json

import numpy as np
import pytest
from dicom_factory import oblique_matrix, write_planes

from CardiacLib.geometry import matrix_from
from CardiacLib.readers import read_labels, read_study
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import LabelMap
from CardiacLib.writers.images import write_cine, write_labels
from cineheart.cli import main


def noise(shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 400, shape).astype(np.float32)


def stack(folder, shape, name="sax_cine.nii.gz"):
    matrix = matrix_from((0, 0, 0), np.eye(3), (1.5, 1.5, 8.0))
    write_cine(folder / name, Cine(noise(shape), matrix, np.arange(shape[0]) * 40.0, "sax"))


def empty_folder(folder):
    (folder / "notes.txt").write_text("no images here")


def missing_folder(folder):
    folder.rmdir()


def no_short_axis(folder):
    stack(folder, (5, 1, 40, 40), "lax_4ch.nii.gz")


def ct_series(folder):
    write_planes(folder, noise((3, 4, 32, 32)), oblique_matrix(), [0.0, 40.0, 80.0], modality="CT")


def truncated_file(folder):
    stack(folder, (4, 4, 40, 40))
    path = folder / "sax_cine.nii.gz"
    path.write_bytes(path.read_bytes()[:2000])


def flat_image(folder):
    import SimpleITK as sitk

    sitk.WriteImage(sitk.GetImageFromArray(noise((40, 40)).astype(np.int16)), str(folder / "sax.nii.gz"))


def nan_pixels(folder):
    import nibabel

    image = noise((40, 40, 4, 5))
    image[3, 4, 1, 2] = np.nan
    nibabel.save(nibabel.Nifti1Image(image, np.diag([1.5, 1.5, 8.0, 1.0])), folder / "sax_cine.nii.gz")


def one_frame(folder):
    stack(folder, (1, 6, 40, 40))


def one_slice(folder):
    stack(folder, (8, 1, 40, 40))


BAD_STUDIES = {
    empty_folder: "no ",
    missing_folder: "study",
    no_short_axis: "no short-axis cine stack",
    ct_series: "CT",
    truncated_file: "sax_cine.nii.gz",
    flat_image: "sax.nii.gz",
    nan_pixels: "NaN",
    one_frame: "one frame",
    one_slice: "one slice",
}


@pytest.mark.parametrize("make", BAD_STUDIES, ids=lambda f: f.__name__)
def test_bad_studies_get_one_sentence(make, tmp_path, capsys):
    study = tmp_path / "study"
    study.mkdir()
    make(study)
    assert main(["run", str(study), "-o", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("cineheart: ") and message.count("\n") == 0
    assert BAD_STUDIES[make] in message
    assert [p.name for p in tmp_path.iterdir() if p.name != "study"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "x"],
        ["nonsense"],
        ["run", "x", "-o", "y", "--view", "cine"],
        ["segment", "missing.nii.gz", "-o", "y"],
        ["mesh", "missing.nii.gz", "-o", "y"],
        ["evaluate", "nothing", "--data", "x"],
        ["train", "cineheart_sax", "--data", "missing"],
    ],
    ids=" ".join,
)
def test_bad_words_get_one_sentence(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err.strip().count("\n") == 0
    assert list(tmp_path.iterdir()) == []


def test_bad_frame_numbers(tmp_path, capsys, random_bundle):
    stack(tmp_path, (3, 4, 40, 40))
    out = tmp_path / "out"
    arguments = ["segment", str(tmp_path / "sax_cine.nii.gz"), "-o", str(out), "--bundle", str(random_bundle)]
    assert main([*arguments, "--frames", "7"]) == 2
    assert "frames 0 to 2" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_segment_writes_the_contract(tmp_path, random_bundle, capsys, read_json):
    stack(tmp_path, (3, 4, 48, 56))
    out = tmp_path / "out"
    arguments = ["segment", str(tmp_path / "sax_cine.nii.gz"), "-o", str(out), "--bundle", str(random_bundle), "--json"]
    assert main([*arguments, "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 3
    names = {"labels.nii.gz", "segmentation.seq.mrb", "measurements.json", "measurements.csv"}
    names |= {"segments.csv", "quality.json", "measures.csv"}
    assert {p.name for p in out.iterdir()} == names
    assert len(read_json(out / "measurements.json")["lv_ml"]) == 3
    assert main([*arguments, "--frames", "ed,es"]) == 0
    assert read_labels(out / "labels.nii.gz").labels.shape[0] <= 2
    assert len(read_json(out / "measurements.json")["lv_ml"]) == 3
    assert main([*arguments, "--frames", "1"]) == 0
    assert (out / "segmentation.seg.nrrd").is_file() and not (out / "segmentation.seq.mrb").exists()


@pytest.mark.slow
def test_mesh_writes_the_contract(tmp_path, ring_labels, rough_meshes, capsys, read_json):
    matrix = oblique_matrix((1.6, 1.6, 8.0))
    write_labels(tmp_path / "labels.nii.gz", LabelMap(ring_labels[None], matrix, np.zeros(1)))
    out = tmp_path / "mesh"
    assert main(["mesh", str(tmp_path / "labels.nii.gz"), "-o", str(out), "--edge-length", "5", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["tetrahedra"] > 1000
    assert {p.name for p in out.iterdir()} == {"mesh.vtu", "surface.vtp", "quality.json", "measures.csv"}


def test_labels_that_cannot_be_meshed(tmp_path, capsys):
    labels = np.zeros((1, 6, 30, 30), np.uint8)
    write_labels(tmp_path / "labels.nii.gz", LabelMap(labels, oblique_matrix(), np.zeros(1)))
    assert main(["mesh", str(tmp_path / "labels.nii.gz"), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_bundles_list_names_the_licence(capsys):
    assert main(["bundles", "list", "--json"]) == 0
    assert "CC BY-NC-SA 4.0" in json.loads(capsys.readouterr().out)["cineheart_sax"]["licence"]


@pytest.mark.slow
def test_phantom_writes_images_and_truth(tmp_path, capsys, read_json):
    out = tmp_path / "study"
    assert main(["phantom", "-o", str(out), "--small", "--breath-hold-shift", "3", "--dicom", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["true_lv_edv_ml"] == 140.0
    assert set(read_study(out / "dicom").cines) == {"sax", "2ch", "3ch", "4ch"}
    assert np.abs(read_json(out / "truth" / "truth.json")["slice_shifts_lps"]).max() > 1
