"""Slice propagation with the shipped weights: on the phantom from the library, the command line and the worker."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from BiVMeshLib.propagation import SlicePropagation
from BiVMeshLib.propagation.evaluation import PROPAGATED, SLICE_WISE, compare_all
from BiVMeshLib.result import PropagateChoice
from CardiacLib.jobs import write_job
from CardiacLib.phantom import PhantomOptions, make_phantom
from CardiacLib.readers import read_labels
from CardiacLib.types.choices import RunsOn
from CardiacLib.types.values import read_value
from CardiacLib.writers.images import write_cine, write_labels
from cineheart.cli import main


@pytest.fixture(scope="module")
def phantom():
    """ED and ES of a small heart with a slice over its base: few isotropic slices for the networks."""
    small = {"sax_size": 72, "lv_edv_ml": 65.0, "rv_edv_ml": 70.0, "wall_mm": 9.0, "slice_spacing_mm": 9.0}
    return make_phantom(PhantomOptions.small(n_frames=2, n_slices=10, **small))


@pytest.fixture(scope="module")
def found(phantom):
    """Every method of the evaluation on the phantom at end-diastole; its true labels stand for the segmentation's."""
    cine, labels = phantom.cines["sax"], phantom.labels
    return compare_all(SlicePropagation(), cine, labels, phantom.ed, labels)


@pytest.fixture(scope="module")
def files(phantom, tmp_path_factory):
    """Short-axis image and labels of the phantom."""
    folder = tmp_path_factory.mktemp("files")
    write_cine(folder / "sax.nii.gz", phantom.cines["sax"])
    write_labels(folder / "labels.nii.gz", phantom.labels)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("method", [*PROPAGATED, *SLICE_WISE])
def test_methods_find_the_phantoms_myocardium(found, method):
    assert not found[method].error
    least = 0.9 if method == "segmentation, interpolated" else 0.7
    assert found[method].dice > least, found[method].structures


@pytest.mark.slow
def test_labels_in_every_slice_help(found):
    assert found["segmentation"].dice > found["network's slice alone"].dice


def test_propagate_on_the_command_line(files, tmp_path, read_json, capsys):
    given = ["--labels", str(files / "labels.nii.gz"), "--frame", "ed"]
    assert main(["propagate", str(files / "sax.nii.gz"), "-o", str(tmp_path / "out"), *given, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    made = read_labels(tmp_path / "out" / "labels.nii.gz")
    assert set(np.unique(made.labels)) == {0, 1, 2, 3, 4}
    assert np.allclose(np.linalg.norm(made.ijk_to_lps[:3, :3], axis=0), 1.25, atol=1e-4)
    true = read_labels(files / "labels.nii.gz")
    assert made.volume_ml(1)[0] == pytest.approx(true.volume_ml(1).max(), rel=0.2)
    stated = read_json(tmp_path / "out" / "propagation.json")
    assert stated["base_slice_index"] == facts["base_slice_index"] and stated["notes"]
    with open(tmp_path / "out" / "confidence.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == made.labels.shape[1]
    held = (made.labels[0] > 1).any((1, 2))
    assert [bool(row["confidence"]) for row in rows] == held.tolist()
    assert (tmp_path / "out" / "segmentation.seg.nrrd").is_file()


@pytest.mark.slow
def test_without_labels_the_networks_do_everything(files, tmp_path, capsys):
    assert main(["propagate", str(files / "sax.nii.gz"), "-o", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_confidence"] > 0.6
    assert (read_labels(tmp_path / "out" / "labels.nii.gz").labels == 2).any()


@pytest.mark.slow
def test_a_mesh_of_propagated_labels(files, rough_meshes, tmp_path, read_json, capsys):
    choices = [
        "--propagate",
        str(files / "sax.nii.gz"),
        "--no-fibres",
        "--no-coordinates",
        "--edge-length",
        "4",
        "--json",
    ]
    assert main(["mesh", str(files / "labels.nii.gz"), "-o", str(tmp_path / "out"), *choices]) == 0
    notes = " ".join(read_json(tmp_path / "out" / "quality.json")["notes"])
    assert "Propagated from slice" in notes
    capsys.readouterr()


def test_unusable_choices_are_one_sentence(files, tmp_path, capsys):
    sax, labels, out = str(files / "sax.nii.gz"), str(files / "labels.nii.gz"), str(tmp_path / "out")
    for words, sentence in (
        (["propagate", sax, "-o", out, "--frame", "ed"], "ED and ES are told from labels"),
        (["propagate", sax, "-o", out, "--frame", "77"], "has frames 0 to"),
        (["propagate", sax, "-o", out, "--labels", labels, "--evidence", "all"], "No evidence 'all'"),
        (["mesh", labels, "-o", out, "--start-slice", "3"], "--propagate IMAGE, which is missing"),
        (["mesh", labels, "-o", out, "--propagate", sax, "--frame", "all"], "works on one frame"),
    ):
        assert main(words) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_worker_gives_the_librarys_voxels(phantom, tmp_path):
    cine, labels = phantom.cines["sax"], phantom.labels
    choice = PropagateChoice(runs_on=RunsOn("cpu"))
    job = write_job(tmp_path, "propagate", {"cine": cine, "frame": phantom.ed, "choice": choice, "labels": labels})
    worker = [sys.executable, "-m", "cineheart.worker", str(job)]
    run = subprocess.run(worker, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert json.loads(run.stdout.splitlines()[-1])["event"] == "done"
    value = read_value(tmp_path / "output.npz")
    own = SlicePropagation(RunsOn("cpu"))(cine, phantom.ed, labels)
    np.testing.assert_array_equal(value.labels.labels, own.labels.labels)
    assert value.notes == own.notes
