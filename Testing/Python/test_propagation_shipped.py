"""Slice propagation with the shipped weights: on the phantom from the library, the command line and the worker."""

import contextlib
import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_spoilt_slices import with_noise

from BiVMeshLib.propagation import PropagationOptions, SlicePropagation
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


@pytest.fixture(scope="module")
def propagated(files, tmp_path_factory) -> tuple[Path, dict]:
    """What the command line writes from image and labels, and says."""
    out, said = tmp_path_factory.mktemp("propagated"), io.StringIO()
    given = ["--labels", str(files / "labels.nii.gz"), "--frame", "ed"]
    with contextlib.redirect_stdout(said):
        assert main(["propagate", str(files / "sax.nii.gz"), "-o", str(out), *given, "--json"]) == 0
    return out, json.loads(said.getvalue())


@pytest.fixture(scope="module")
def without_labels(files, tmp_path_factory) -> tuple[Path, dict]:
    """The same where the networks do everything, in frame 0, which is ED."""
    out, said = tmp_path_factory.mktemp("without"), io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["propagate", str(files / "sax.nii.gz"), "-o", str(out), "--json"]) == 0
    return out, json.loads(said.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize("method", [*PROPAGATED, *SLICE_WISE])
def test_methods_find_the_phantoms_myocardium(found, method):
    assert not found[method].error
    least = 0.9 if method == "segmentation, interpolated" else 0.7
    assert found[method].dice > least, found[method].structures


@pytest.mark.slow
def test_labels_in_every_slice_help(found):
    assert found["segmentation"].dice > found["network's slice alone"].dice


@pytest.mark.slow
def test_propagate_on_the_command_line(files, propagated, read_json):
    out, facts = propagated
    made = read_labels(out / "labels.nii.gz")
    assert set(np.unique(made.labels)) == {0, 1, 2, 3, 4}
    assert np.allclose(np.linalg.norm(made.ijk_to_lps[:3, :3], axis=0), 1.25, atol=1e-4)
    true = read_labels(files / "labels.nii.gz")
    assert made.volume_ml(1)[0] == pytest.approx(true.volume_ml(1).max(), rel=0.2)
    stated = read_json(out / "propagation.json")
    assert stated["base_slice_index"] == facts["base_slice_index"] and stated["notes"]
    with open(out / "confidence.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == made.labels.shape[1]
    held = (made.labels[0] > 1).any((1, 2))
    assert [bool(row["confidence"]) for row in rows] == held.tolist()
    assert (out / "segmentation.seg.nrrd").is_file()


@pytest.mark.slow
def test_without_labels_the_networks_do_everything(without_labels, read_json):
    out, facts = without_labels
    assert facts["mean_confidence"] > 0.6
    assert (read_labels(out / "labels.nii.gz").labels == 2).any()
    assert not any("shows nothing" in note for note in read_json(out / "propagation.json")["notes"])


@pytest.mark.slow
def test_a_noisy_slice_is_passed_by(phantom):
    cine, options = phantom.cines["sax"], PropagationOptions(evidence="none")
    k = cine.n_slices // 2
    clean, found = (SlicePropagation()(c, phantom.ed, phantom.labels, options) for c in (cine, with_noise(cine, k + 1)))
    assert found.start_slice == clean.start_slice != k + 1
    assert any(f"Slice {k + 1} shows nothing" in note for note in found.notes) and len(clean.notes) < len(found.notes)
    assert found.labels.volume_ml(2)[0] == pytest.approx(clean.labels.volume_ml(2)[0], rel=0.1)


@pytest.mark.slow
def test_a_mesh_of_propagated_labels(files, rough_meshes, tmp_path, read_json, capsys):
    choices = [
        "--propagate",
        str(files / "sax.nii.gz"),
        "--no-fibres",
        "--no-coordinates",
        "--edge-length",
        "6",
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
def test_the_worker_gives_the_voxels_of_the_command_line(phantom, propagated, read_json, tmp_path):
    cine, labels = phantom.cines["sax"], phantom.labels
    choice = PropagateChoice(runs_on=RunsOn("cpu"))
    job = write_job(tmp_path, "propagate", {"cine": cine, "frame": phantom.ed, "choice": choice, "labels": labels})
    worker = [sys.executable, "-m", "cineheart.worker", str(job)]
    run = subprocess.run(worker, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert json.loads(run.stdout.splitlines()[-1])["event"] == "done"
    value, out = read_value(tmp_path / "output.npz"), propagated[0]
    np.testing.assert_array_equal(value.labels.labels, read_labels(out / "labels.nii.gz").labels)
    assert set(value.notes) <= set(read_json(out / "propagation.json")["notes"])
